r"""The direct sum: shift, multiply, add, once for every entry of the smaller operand.

.. math:: z[t] = \sum_a x[t + start - a] \, w[a], \qquad 0 \le t < size

Exact for integers, and what is not finite reaches its own window and nothing else: only products that the formula
has are formed, none with padding. The three maps of this bilinear form are one another: with
:math:`\tilde w` for `w` turned around, the gradient of `x` is the window of :math:`g * \tilde w` that starts at
``len(w) - 1 - start`` and is as long as `x`, and with `x` in the place of `w` the same holds for `w`. So one function,
given windows that may reach past the full convolution, is its own derivative of every order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from .window import Window

_BLOCK = 1 << 18  # outputs that are summed together: this many stay in the cache while all the shifts pass over them

_Ints = tuple[int, ...]


def by_shifts(x: Tensor, w: Tensor, window: Window) -> Tensor:
    """The window of the convolution of `x` and `w`, summed as the definition has it."""
    return _bilinear(x, w, window.axes, window.start, window.size)


def _bilinear(x: Tensor, w: Tensor, axes: _Ints, start: _Ints, size: _Ints) -> Tensor:
    if torch.compiler.is_compiling() or not _is_differentiated(x, w):  # a traced graph differentiates itself
        return _sum(x, w, axes, start, size)
    result: Tensor = _Shifts.apply(x, w, axes, start, size)
    return result


def _is_differentiated(x: Tensor, w: Tensor) -> bool:
    """Whether anything is recorded or transformed: entering an ``autograd.Function`` costs as much as ten shifts."""
    recorded = torch.is_grad_enabled() and (x.requires_grad or w.requires_grad)
    return recorded or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


class _Shifts(torch.autograd.Function):
    """The direct sum with its derivatives: reverse, forward, and under every transformation of ``torch.func``."""

    @staticmethod
    def forward(x: Tensor, w: Tensor, axes: _Ints, start: _Ints, size: _Ints) -> Tensor:
        return _sum(x, w, axes, start, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, _Ints, _Ints, _Ints], output: Tensor) -> None:
        x, w, ctx.axes, ctx.start, ctx.size = inputs
        ctx.save_for_backward(x, w)
        ctx.save_for_forward(x, w)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        x, w = ctx.saved_tensors
        grad_x, grad_w = (
            _against(grads[0], other, wanted, ctx.axes, ctx.start) if needed else None
            for needed, wanted, other in zip(ctx.needs_input_grad, (x, w), (w, x), strict=False)
        )
        return grad_x, grad_w, None, None, None

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, dw: Tensor | None, *_: None) -> Tensor:
        x, w = ctx.saved_tensors
        parts = [
            _bilinear(left, right, ctx.axes, ctx.start, ctx.size)
            for left, right in ((dx, w), (x, dw))
            if left is not None and right is not None
        ]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, w: Tensor, axes: _Ints, start: _Ints, size: _Ints) -> Any:
        x, w = (
            tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip((x, w), in_dims, strict=False)
        )
        return _bilinear(x, w, tuple(axis + 1 for axis in axes), start, size), 0


def _against(grad: Tensor, other: Tensor, wanted: Tensor, axes: _Ints, start: _Ints) -> Tensor:
    """The gradient of `wanted`, which was convolved with `other`."""
    turned = other.flip(axes).conj() if axes else other.conj()
    starts = tuple(other.shape[axis] - 1 - first for axis, first in zip(axes, start, strict=True))
    result = _bilinear(grad, turned, axes, starts, tuple(wanted.shape[axis] for axis in axes))
    return result.sum_to_size(wanted.shape)


def _sum(x: Tensor, w: Tensor, axes: _Ints, start: _Ints, size: _Ints) -> Tensor:
    """Loop over what is fewest: the entries of `w`, those of `x` (the sum commutes), or the outputs."""
    taps_x, taps_w = [math.prod([tensor.shape[axis] for axis in axes]) for tensor in (x, w)]
    if math.prod(size) < min(taps_x, taps_w):
        return _sum_by_output(x, w, axes, start, size)
    if taps_x < taps_w:
        x, w = w, x
    return _sum_by_tap(x, w, axes, start, size)


def _sum_by_tap(x: Tensor, w: Tensor, axes: _Ints, start: _Ints, size: _Ints) -> Tensor:
    shape = _output_shape(x, w, axes, size)
    out = x.new_zeros(shape)
    if out.numel() == 0:
        return out
    taps = _unbind(w, axes)
    to, of = [slice(None)] * x.dim(), [slice(None)] * x.dim()
    for low, high in _blocks(axes, size, math.prod(shape)):
        spans = [
            _spans_of_taps(x.shape[axis], w.shape[axis], *edges)
            for axis, *edges in zip(axes, start, low, high, strict=True)
        ]
        for place, tap in zip(itertools.product(*spans), taps, strict=True):
            for axis, (here, there) in zip(axes, place, strict=True):
                to[axis], of[axis] = here, there
            if torch.compiler.is_compiling():
                out = out + _padded(x[tuple(of)] * tap, shape, axes, to)
            else:
                out[tuple(to)].addcmul_(x[tuple(of)], tap)
    return out


def _sum_by_output(x: Tensor, w: Tensor, axes: _Ints, start: _Ints, size: _Ints) -> Tensor:
    turned = w.flip(axes)
    shape = _output_shape(x, w, axes, (1,) * len(axes))
    spans = [
        _spans_of_outputs(x.shape[axis], w.shape[axis], first, length)
        for axis, first, length in zip(axes, start, size, strict=True)
    ]
    of, at = [slice(None)] * x.dim(), [slice(None)] * x.dim()
    sums = []
    for place in itertools.product(*spans):
        for axis, (here, there) in zip(axes, place, strict=True):
            of[axis], at[axis] = here, there
        sums.append((x[tuple(of)] * turned[tuple(at)]).sum(axes, keepdim=True, dtype=x.dtype))
    every = torch.stack(sums).reshape(*size, *shape)  # the batch has a 1 at each convolved axis: the sizes go there
    for position, axis in enumerate(axes):
        every = every.transpose(position, len(axes) + axis)
    return every.reshape(_output_shape(x, w, axes, size))


def _spans_of_taps(n: int, k: int, first: int, low: int, high: int) -> list[tuple[slice, slice]]:
    """For each entry of `w`: the outputs in low..high that it adds to, and the entries of `x` that it multiplies there."""
    spans = []
    for a in range(k):
        shift = first - a
        spans.append(_pair(max(low, -shift), min(high, n - shift), shift))
    return spans


def _spans_of_outputs(n: int, k: int, first: int, size: int) -> list[tuple[slice, slice]]:
    """For each output: the entries of `x` that it sums, and the entries of `w`, turned around, that multiply them."""
    spans = []
    for last in range(first, first + size):
        shift = k - 1 - last
        spans.append(_pair(max(0, -shift), min(n, last + 1), shift))
    return spans


def _pair(begin: int, end: int, shift: int) -> tuple[slice, slice]:
    return (slice(begin, end), slice(begin + shift, end + shift)) if begin < end else (slice(0, 0), slice(0, 0))


def _padded(part: Tensor, shape: list[int], axes: _Ints, to: list[slice]) -> Tensor:
    """`part` at its place `to` in zeros of that shape: the sum as a traced graph has it, where nothing is written into."""
    pads = [0, 0] * len(shape)
    for axis in axes:
        pads[2 * axis], pads[2 * axis + 1] = shape[axis] - to[axis].stop, to[axis].start
    return F.pad(part, pads[::-1])


def _unbind(w: Tensor, axes: _Ints) -> tuple[Tensor, ...]:
    """The entries of `w` along `axes`, each with a 1 at those axes, in the order of ``itertools.product``."""
    if not axes:
        return (w,)
    front = w.movedim(axes, tuple(range(len(axes)))).flatten(0, len(axes) - 1)
    for axis in sorted(axes):
        front = front.unsqueeze(axis + 1)
    return front.unbind(0)


def _output_shape(x: Tensor, w: Tensor, axes: _Ints, size: _Ints) -> list[int]:
    shape = [b if a == 1 else a for a, b in zip(x.shape, w.shape, strict=True)]
    for axis, length in zip(axes, size, strict=True):
        shape[axis] = length
    return shape


def _blocks(axes: _Ints, size: _Ints, outputs: int) -> Iterator[tuple[_Ints, _Ints]]:
    """The outputs in blocks along the first convolved axis in memory, each as (lowest, highest) indices."""
    if not axes or outputs <= _BLOCK:
        yield (0,) * len(axes), size
        return
    cut = axes.index(min(axes))
    rows = max(1, _BLOCK * size[cut] // outputs)
    for low in range(0, size[cut], rows):
        high = min(size[cut], low + rows)
        yield (
            tuple(low if place == cut else 0 for place in range(len(axes))),
            tuple(high if place == cut else length for place, length in enumerate(size)),
        )
