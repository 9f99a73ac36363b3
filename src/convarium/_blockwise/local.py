"""A convolution with a tile of kernels in blocks: each reads its window of the input and its own kernels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import functional
from .._maps.apply import over_positions
from .._planner.choice import check_engine
from .._spec import call as _call
from .._spec.arguments import Pairs
from .._spec.shown import written
from .._spec.tensors import check_dtype
from .graph import Block, Graph
from .reading import Array, source
from .sizes import block_size
from .spans import Span, span

if TYPE_CHECKING:
    import dask.array


def local_in_blocks(
    call: str, x: Any, weight: Any, bias: Any, geometry: Sequence[Any], engine: Any, chunks: Any
) -> dask.array.Array:
    """``conv{n}d`` of arrays; `geometry` is what follows the bias there, up to ``flip``."""
    _, _, dilation, groups, fill, channels, flip = geometry
    x, weight = source(call, "x", x), source(call, "weight", weight)
    bias = None if bias is None else source(call, "bias", bias)
    n = _directions(call, tuple(weight.shape), channels)
    dtype = _one_dtype(call, x=x, weight=weight, bias=bias)
    check_engine(call, engine)
    shapes = (tuple(x.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape))
    whole = _call.convolution(call, n, *shapes, *geometry)

    tile, output, kernel = whole.tile, whole.output_size, whole.kernel_size
    batch, size = tuple(x.shape[: -n - 1]), tuple(x.shape[-n:])
    taps = math.prod(weight.shape) // math.prod(tile)
    extent = [d * (k - 1) + 1 for d, k in zip(whole.dilation, kernel, strict=True)]

    shape, axes = (*batch, whole.out_channels, *output), range(len(batch) + 1, len(batch) + 1 + n)

    def needs(block: Sequence[int]) -> int:
        places = block[-n:]
        reads = math.prod((p - 1) * u + e for p, u, e in zip(places, whole.stride, extent, strict=True))
        kernels = taps * math.prod(map(min, places, tile))
        made = math.prod(block) + math.prod(block[: len(batch)]) * whole.in_channels * reads
        return (made + kernels) * dtype.itemsize

    least = [-(-reach // step) for reach, step in zip(extent, whole.stride, strict=True)]
    periods = [period if period < length else 1 for period, length in zip(tile, output, strict=True)]  # run as they lie
    block = block_size(call, chunks, shape, axes, needs, least, periods, whole=[len(batch)])

    graph = Graph(call, x, weight, bias, geometry, engine, block)
    inputs, weights = graph.reader("x", x), graph.reader("weight", weight)
    biases = None if bias is None else graph.reader("bias", bias)

    def arguments(here: Block) -> tuple[Any, ...]:
        kernels = [_turn(*ends, period) for ends, period in zip(here[-n:], tile, strict=True)]
        spans, pads = [], []
        for direction, (low, high) in enumerate(here[-n:]):
            first = low * whole.stride[direction] - whole.pads[direction][0]
            end = (high - 1) * whole.stride[direction] - whole.pads[direction][0] + extent[direction]
            spans.append(span(first, end, size[direction], fill if whole.mode else "zeros"))
            inside = whole.mode or not spans[-1].parts
            pads.append((0, 0) if inside else (max(-first, 0), max(end - size[direction], 0)))
        every = [Span(((0, length),)) for length in weight.shape]
        window = inputs.window(
            [*(Span((ends,)) for ends in here[: len(batch)]), Span(((0, whole.in_channels),)), *spans]
        )
        own = weights.window([every[0], *kernels, *every[1 + n :]])
        untied = [] if bias is None or len(bias.shape) == 1 else kernels
        added = None if biases is None else biases.window([Span(((0, whole.out_channels),)), *untied])
        return window, own, added, tuple(pads), tuple(stop - start for start, stop in here)

    work = LocalBlock(call, n, whole.stride, dilation, groups, channels, flip, engine)
    return graph.array(shape, block, dtype, work, arguments)


@dataclasses.dataclass(frozen=True)
class LocalBlock:
    """One block of the result: the same convolution of what was read, padded where the whole input ends."""

    call: str
    n: int
    stride: tuple[int, ...]
    dilation: Any
    groups: Any
    channels: Any
    flip: Any
    engine: str

    def __call__(self, x: Array, weight: Array, bias: Array | None, pads: Pairs, shape: tuple[int, ...]) -> Array:
        added = None if bias is None else _tensor(bias)
        if 0 in x.shape:  # every window lies in the padding
            nothing = torch.zeros(shape, dtype=_tensor(weight).dtype)
            return (nothing if added is None else nothing + over_positions(added, shape[-self.n :])).numpy()
        geometry = (self.stride, pads, self.dilation, self.groups, "zeros", self.channels, self.flip, self.engine)
        with torch.no_grad():
            return functional.convolve_as(self.call, self.n, _tensor(x), _tensor(weight), added, *geometry).numpy()


def _turn(low: int, high: int, tile: int) -> Span:
    """Which kernels of a tile the places ``low ... high - 1`` of the result take, until they begin again."""
    return span(low, min(high, low + tile), tile, "circular")


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))


def _directions(call: str, weight: tuple[int, ...], channels: Any) -> int:
    rest = len(weight) - (2 if channels is None else 1)
    if rest not in (2, 4, 6):
        form = "(out_channels, *tile, in_channels / groups, *kernel)" if channels is None else "(edges, *tile, *kernel)"
        raise ValueError(
            f"{call}: weight must be {form} with a tile and a kernel of 1 to 3 directions, got {written(weight)}; a shared "
            f"kernel is a tile of 1s: weight[:, None, None] would fit in 2-D"
        )
    return rest // 2


def _one_dtype(call: str, **arrays: Any) -> np.dtype[Any]:
    """The one dtype of all, of floating-point or complex numbers."""
    kinds = {name: np.dtype(array.dtype).newbyteorder("=") for name, array in arrays.items() if array is not None}
    (first, dtype), *others = kinds.items()
    for name, kind in others:
        if kind != dtype:
            raise TypeError(f"{call}: {name} is {kind} but {first} is {dtype}; {name}.astype({dtype.name!r}) would fit")
    try:
        check_dtype(call, first, torch.from_numpy(np.empty(0, dtype)).dtype)
    except TypeError as error:
        raise TypeError(f"{call}: {first} must be of floating-point or complex numbers, got {dtype}") from error
    return dtype
