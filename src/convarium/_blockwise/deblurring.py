"""Blurring, and its undoing by Richardson and Lucy, in blocks: each with the margin on which its numbers depend."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .._signal.window import axes_of
from .._spec.arguments import whole as whole_number
from .._spec.shown import shown, written
from .graph import Block, Graph
from .point_spread import PointSpread
from .reading import Array, source
from .sizes import block_size
from .spans import span

if TYPE_CHECKING:
    import dask.array

LEAST = 0.01  # of a place's light that must fall into the image for it to be estimated (Bertero and Boccacci 2005)
COPIES = 3  # of a block's window are what it is said to need; while it computes it holds about twice as much


def blur_in_blocks(call: str, image: Any, psf: Any, axes: Any, chunks: Any) -> dask.array.Array:
    return _in_blocks(call, image, psf, axes, chunks, 0)


def richardson_lucy_in_blocks(
    call: str, image: Any, psf: Any, iterations: Any, axes: Any, chunks: Any
) -> dask.array.Array:
    return _in_blocks(call, image, psf, axes, chunks, whole_number(call, "iterations", iterations, least=1))


def _in_blocks(call: str, image: Any, psf: Any, axes: Any, chunks: Any, iterations: int) -> dask.array.Array:
    """``iterations`` of Richardson and Lucy; none is the blur itself."""
    image = source(call, "image", image)
    if np.dtype(image.dtype).kind == "c":
        raise TypeError(f"{call}: image must be of real numbers, got {image.dtype}")
    dtype = working_dtype(image.dtype)
    along = _directions(call, image.shape, psf, axes)
    size = tuple(image.shape[axis] for axis in along)
    kernels = _kernels(call, psf, len(along)).astype(dtype)
    taps = kernels.shape[len(along) :]
    margins = [_margin(k, iterations) for k in taps]

    def needs(block: Sequence[int]) -> int:
        window = list(block)
        for axis, margin, k in zip(along, margins, taps, strict=True):
            window[axis] = min(image.shape[axis], block[axis] + sum(margin)) + k
        return math.prod(window) * COPIES * dtype.itemsize

    block = block_size(call, chunks, image.shape, along, needs, [sum(margin) + 64 for margin in margins])

    graph = Graph(call, image, kernels, along, iterations, block)
    reader, constant = graph.reader("image", image), graph.constant("psf", kernels)

    def arguments(here: Block) -> tuple[Any, ...]:
        reach = dict(zip(along, margins, strict=True))
        spans = []
        for axis, (low, high) in enumerate(here):
            before, after = reach.get(axis, (0, 0))
            spans.append(span(low - before, high + after, image.shape[axis]))
        first, keep = tuple(spans[axis].parts[0][0] for axis in along), tuple(here[axis] for axis in along)
        return reader.window(spans), constant, first, keep

    return graph.array(image.shape, block, dtype, DeblurBlock(along, size, iterations), arguments)


def working_dtype(dtype: Any) -> np.dtype[Any]:
    """What an image of these numbers is computed in: float32 where that holds them all, else float64."""
    return np.dtype(np.float64 if np.result_type(dtype, np.float32).itemsize > 4 else np.float32)


def _margin(k: int, iterations: int) -> tuple[int, int]:
    """How far before and after a block its numbers depend on the image: each iteration looks once out and once back."""
    centre = (k - 1) // 2
    if iterations == 0:
        return k - 1 - centre, centre
    rest = (iterations - 1) * (k - 1)
    return rest + centre, rest + k - 1 - centre


@dataclasses.dataclass(frozen=True)
class DeblurBlock:
    """One block of the result, from its window of the image, which begins at ``first`` in the field."""

    axes: tuple[int, ...]
    field: tuple[int, ...]
    iterations: int

    def __call__(self, image: Array, psf: Array, first: tuple[int, ...], keep: tuple[tuple[int, int], ...]) -> Array:
        n = len(self.axes)
        moved = np.moveaxis(image, self.axes, range(-n, 0))
        batch, size = moved.shape[:-n], moved.shape[-n:]
        seen = torch.from_numpy(np.array(moved, psf.dtype).reshape(-1, *size))
        field = PointSpread(torch.from_numpy(psf.copy()), self.field)
        with torch.no_grad():
            if self.iterations == 0:
                made, offset = field.spread(seen, first), [(k - 1) // 2 for k in field.taps]
            else:
                made, offset = richardson_lucy(seen, field, first, self.iterations), [k // 2 for k in field.taps]
        at = [slice(low - f + o, high - f + o) for (low, high), f, o in zip(keep, first, offset, strict=True)]
        kept = made[(slice(None), *at)].numpy()
        return np.ascontiguousarray(np.moveaxis(kept.reshape(*batch, *kept.shape[1:]), range(-n, 0), self.axes))


def richardson_lucy(seen: Tensor, field: PointSpread, first: Sequence[int], iterations: int) -> Tensor:
    """``(batch, *size)`` to ``(batch, *(size + taps - 1))``: the light, also of the rim outside that shines into the image.

    `seen` is changed: negative values become 0.
    """
    taps, size = field.taps, seen.shape[1:]
    inside = (slice(None), *(slice(k - 1, k - 1 + length) for k, length in zip(taps, size, strict=True)))
    origin = [start - k // 2 for start, k in zip(first, taps, strict=True)]

    framed = seen.new_zeros(len(seen), *(length + 2 * (k - 1) for k, length in zip(taps, size, strict=True)))
    framed_inside = framed[inside]  # outside the image nothing was seen

    def back() -> Tensor:
        """The input gradient of the blur. Fourier transforms leave a little on either side of 0, where there is nothing."""
        return field.gather(framed, origin).clamp_(min=0)

    framed_inside.fill_(1)
    reached = back()
    framed_inside.copy_(seen.clamp_(min=0))
    light = _over(back(), reached, LEAST)  # the first iteration, from light that is the same everywhere
    for _ in range(iterations - 1):
        _over(framed_inside.copy_(seen), field.spread(light, origin)[inside].clamp_(min=0), 0)
        light *= _over(back(), reached, LEAST)
    return light


def _over(values: Tensor, by: Tensor, least: float) -> Tensor:
    """The quotient, in place; 0 where hardly anything was to be seen."""
    return values.div_(by).masked_fill_(by <= least, 0)


def _directions(call: str, shape: Sequence[int], psf: Any, axes: Any) -> tuple[int, ...]:
    along = tuple(range(len(shape))) if axes is None else axes_of(call, axes, len(shape))
    if not 1 <= len(along) <= 3:
        raise ValueError(
            f"{call}: image of shape {written(shape)} has {len(along)} directions (axes={shown(axes)}); expected 1 to 3; axes= "
            f"would name them, and leave out channels"
        )
    if 0 in shape:
        raise ValueError(f"{call}: image of shape {written(shape)} is empty")
    return along


def _kernels(call: str, psf: Any, n: int) -> Array:
    """``(*grid, *taps)``, each kernel of sum 1."""
    kernels = np.asarray(source(call, "psf", psf))
    if kernels.ndim not in (n, 2 * n) or 0 in kernels.shape:
        raise ValueError(
            f"{call}: psf must be a kernel of {n} dimension{'s' * (n > 1)}, or {2 * n}, a grid of kernels, (*grid, *taps); got "
            f"shape {written(kernels.shape)}"
        )
    if kernels.dtype.kind == "c" or not np.isfinite(kernels).all() or (kernels < 0).any():
        raise ValueError(f"{call}: psf must be of real numbers, finite and not negative")
    kernels = kernels.astype(np.float64).reshape((1,) * (2 * n - kernels.ndim) + kernels.shape)
    sums = kernels.sum(tuple(range(n, 2 * n)), keepdims=True)
    if (sums == 0).any():
        raise ValueError(f"{call}: psf has a kernel that is zero everywhere")
    return kernels / sums
