"""Pooling in bands: windows like a convolution's, without weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate

from ._bands import Work, cut, with_size
from ._exchange import travel
from ._layout import Layout, everywhere, nothing

_MAX: dict[int, Callable[..., Tensor]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def work(module: Any, input: Tensor, output: Tensor, dim: int, ranks: int, *, n: int) -> Work:
    """What it takes, beside comparing or adding."""
    ends = axis(module, n, n + dim, input.shape[dim])
    return Work(lambda rank: cut(*ends, None, ranks, rank).route)


def max_pool(module: Any, input: Tensor, *, layout: Layout, n: int) -> DTensor:
    """As :class:`torch.nn.MaxPool2d` and its kin."""
    if module.return_indices:
        raise ValueError(
            f"{type(module).__name__}: return_indices=True cannot be sharded; the indices would be a band's"
        )
    dilation = _each(module.dilation, n)

    def pool(rows: Tensor, kernel: Any, stride: Any, padding: Any) -> Tensor:
        return _MAX[n](rows, kernel, stride, padding, dilation, module.ceil_mode)

    return _pool(module, input, layout, n, dilation, -math.inf, pool)


def average_pool(module: Any, input: Tensor, *, layout: Layout, n: int) -> DTensor:
    """As :class:`torch.nn.AvgPool2d` and its kin. Where windows hang over, each direction has a divisor of its own."""
    divisor = {} if n == 1 else {"divisor_override": module.divisor_override}

    def pool(rows: Tensor, kernel: Any, stride: Any, padding: Any) -> Tensor:
        return _AVERAGE[n](rows, kernel, stride, padding, module.ceil_mode, module.count_include_pad, **divisor)

    pooled = _pool(module, input, layout, n, (1,) * n, 0.0, pool)
    if divisor.get("divisor_override") is not None:
        return pooled
    at, dim = n + layout.dim, pooled.ndim + layout.dim
    size, kernel, stride, padding = input.shape[dim], *(_each(v, n)[at] for v in _window(module))
    low = torch.arange(pooled.shape[dim]) * stride - padding
    high = (low + kernel).clamp(max=size + padding)
    counts = high - low if module.count_include_pad else high.clamp(max=size) - low.clamp(min=0)
    if bool((counts == kernel).all()):
        return pooled
    start, stop = layout.bands(pooled.shape[dim])
    scale = (
        (kernel / counts[start:stop].double()).to(pooled.device, pooled.dtype).reshape(-1, *(1,) * -(layout.dim + 1))
    )
    return layout.join(pooled.to_local() * scale, tuple(pooled.shape))


def adaptive_average_pool(module: Any, input: Tensor, *, layout: Layout, n: int) -> Tensor:
    """As :class:`torch.nn.AdaptiveAvgPool2d` and its kin: one mean over all places is a sum of the ranks' sums; for more of
    them, what is left of the direction is brought together."""
    x = layout.spread(input)
    if set(_each(module.output_size, n)) == {1}:
        places = tuple(range(-n, 0))
        part = x.to_local().sum(places, keepdim=True) / math.prod(x.shape[-n:])
        return DTensor.from_local(part, layout.mesh, [Partial()], run_check=False).redistribute(
            placements=[Replicate()]
        )
    whole = x.redistribute(placements=[Replicate()])
    pooled: Tensor = module._plain.forward(module, whole.to_local())
    return everywhere(pooled, layout.mesh)


def _pool(
    module: Any, input: Tensor, layout: Layout, n: int, dilation: tuple[int, ...], fill: float, pool: Callable[..., Tensor]
) -> DTensor:  # fmt: skip
    x = layout.spread(input)
    kernel, stride, padding = (_each(value, n) for value in _window(module))
    axes = zip(x.shape[-n:], kernel, stride, padding, dilation, strict=True)
    output = tuple(_size(*each, module.ceil_mode) for each in axes)
    at, dim = n + layout.dim, x.ndim + layout.dim
    here = cut(*axis(module, n, at, x.shape[dim]), None, layout.ranks, layout.rank)
    rows = travel(x.to_local(), here.route, layout.group, dim)
    if here.start == here.stop:
        band = nothing((*x.shape[:-n], *with_size(output, at, 0)), rows)
    else:
        if any(here.pads):
            rows = F.pad(rows, [0, 0] * (-layout.dim - 1) + list(here.pads), value=fill)
        band = pool(rows, kernel, stride, with_size(padding, at, 0))
    return layout.join(band, (*x.shape[:-n], *output))


def axis(module: Any, n: int, at: int, size: int) -> tuple[int, int, int, int, int]:
    """A direction as :func:`cut` takes it."""
    kernel, stride, padding = (_each(value, n)[at] for value in _window(module))
    dilation = _each(getattr(module, "dilation", 1), n)[at]
    output = _size(size, kernel, stride, padding, dilation, module.ceil_mode)
    return size, output, dilation * (kernel - 1) + 1, stride, padding


def _window(module: Any) -> tuple[Any, Any, Any]:
    stride = module.kernel_size if module.stride is None else module.stride
    return module.kernel_size, stride, module.padding


def _size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """PyTorch's count of windows: with ``ceil``, one that begins in the padding after the end is none."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil else room // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= size + padding else count


def _each(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)
