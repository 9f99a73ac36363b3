"""A band of a convolution's output, and of a transposed one's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Shard

from .. import functional
from .._maps.apply import over_positions
from .._spec import call as _call
from .._spec.channels import ChannelGraph
from .._spec.tensors import autocast, check_tensors
from ._bands import Work, cut, overlap, spread, with_size
from ._exchange import travel
from ._layout import Layout, Shape, nothing
from ._overlap import Band, Convolution, overlapped
from ._tiles import taken


def called(module: Any, input_size: Shape) -> _call.Call:
    """The call of a whole convolution: what the layer makes of strings and single numbers, and every check."""
    return _call.convolution(
        *_checked(module, input_size), module.stride, module.padding, module.dilation, module.groups, module.padding_mode,
        _graph(module), _flip(module),
    )  # fmt: skip


def called_transposed(module: Any, input_size: Shape, output_size: Any = None) -> _call.Call:
    output_size = getattr(module, "output_size", None) if output_size is None else output_size
    extra = module.output_padding if output_size is None else 0
    return _call.transposed(
        *_checked(module, input_size), module.stride, module.padding, extra, module.groups, module.dilation, _graph(module),
        _flip(module), output_size,
    )  # fmt: skip


def axis(call: _call.Call, at: int, sizes: tuple[int, int]) -> tuple[int, int, int, int, int]:
    """A direction as :func:`cut` and :func:`spread` take it, from the sizes before and behind the layer."""
    return *sizes, call.dilation[at] * (call.kernel_size[at] - 1) + 1, call.stride[at], call.pads[at][0]


def work(module: Any, input: Tensor, output: Tensor, dim: int, ranks: int) -> Work:
    """What it takes; of tensors without numbers."""
    call = called(module, input.shape)
    ends = axis(call, len(call.stride) + dim, (input.shape[dim], output.shape[dim]))
    return Work(lambda rank: cut(*ends, call.mode, ranks, rank).route, _operations(call, input))


def work_transposed(module: Any, input: Tensor, output: Tensor, dim: int, ranks: int) -> Work:
    n = len(module.kernel_size)
    call = called_transposed(module, input.shape, output.shape[-n:])
    ends = axis(call, n + dim, (input.shape[dim], output.shape[dim]))
    return Work(lambda rank: spread(*ends, ranks, rank).route, _operations(call, input))


def _operations(call: _call.Call, input: Tensor) -> int:
    batch = input.shape[0] if input.ndim == len(call.stride) + 2 else 1
    return call.problem(batch, input.dtype, "cpu").flops


def convolve(module: Any, input: Tensor, *, layout: Layout) -> DTensor:
    """What a convolution makes of ``input``: each rank its band of it, from the rows that this reads."""
    x = layout.spread(input)
    name, n, dim = type(module).__name__, len(module.kernel_size), x.ndim + layout.dim
    at = n + layout.dim  # the direction that is cut, of n
    call = called(module, x.shape)
    ends = axis(call, at, (x.shape[dim], call.output_size[at]))
    here = cut(*ends, call.mode, layout.ranks, layout.rank)
    tile = None if call.shared else 1 + at
    weight = _own(module.weight, tile, here.start, here.stop)
    bias = _own(module.bias, 1 + at, here.start, here.stop)
    own, weight, bias = _fitting(name, x.to_local(), weight, bias)
    shape = (*x.shape[: -n - 1], call.out_channels, *call.output_size)
    maps = Convolution(
        name, n, at, call.stride, call.pads, call.dilation, module.groups, _graph(module), call.flip, _engine(module),
        call.mode or "zeros",
    )  # fmt: skip

    def joined(own: Tensor, weight: Tensor) -> Tensor:
        rows = travel(own, here.route, layout.group, dim)
        if here.places is not None:
            rows = rows.index_select(dim, torch.tensor(here.places, device=rows.device))
        if 0 in rows.shape[-n:] or here.start == here.stop:  # all windows lie in the padding, or there are none
            return nothing(with_size(shape, dim, here.stop - here.start), rows, weight)
        return maps.forward(rows, weight, here.pads)

    parts = overlap(*ends, call.dilation[at], layout.ranks, layout.rank) if call.mode is None else None
    band = (
        joined(own, weight)
        if parts is None
        else overlapped(own, weight, Band(maps, parts, joined, layout.group, dim, tile, at - n))
    )
    if bias is not None:
        band = band + over_positions(bias, tuple(band.shape[-n:])).to(band.dtype)
    return layout.join(band, shape)


def transpose(module: Any, input: Tensor, output_size: Any = None, *, layout: Layout) -> DTensor:
    """What a transposed convolution makes of ``input``: each rank what its positions give, and what falls into another's band
    goes there and is added."""
    x = layout.spread(input)
    name, n, dim = type(module).__name__, len(module.kernel_size), x.ndim + layout.dim
    at = n + layout.dim
    call = called_transposed(module, x.shape, output_size)
    sizes = x.shape[dim], call.input_size[at]
    here = spread(*axis(call, at, sizes), layout.ranks, layout.rank)
    weight = _own(module.weight, None if call.shared else 1 + at, *layout.bands(sizes[0]))
    bias = _own(module.bias, 1 + at, *layout.bands(sizes[1]))
    own, weight, bias = _fitting(name, x.to_local(), weight, bias)
    shape = (*x.shape[: -n - 1], call.in_channels, *call.input_size)
    if here.start == here.stop:
        band = nothing(with_size(shape, dim, 0), own, weight)
    else:
        pads = (*call.pads[:at], here.crops, *call.pads[at + 1 :])
        band = functional.transpose_as(
            name, n, own, weight, None, call.stride, pads, 0, module.groups, call.dilation, _graph(module),
            call.flip, _engine(module), with_size(call.input_size, at, here.stop - here.start),
        )  # fmt: skip
    band = travel(band, here.route, layout.group, dim)
    if bias is not None:
        band = band + over_positions(bias, tuple(band.shape[-n:])).to(band.dtype)
    return layout.join(band, shape)


def _checked(module: Any, input_size: Shape) -> tuple[str, int, Shape, Shape, Shape | None]:
    """What either call begins with: name, directions and the whole shapes."""
    if callable(check := getattr(module, "_check_positions", None)):
        check(torch.empty(input_size, device="meta"))
    bias = None if module.bias is None else tuple(module.bias.shape)
    return type(module).__name__, len(module.kernel_size), tuple(input_size), tuple(module.weight.shape), bias


def _fitting(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
    """The three in one dtype, checked on every rank, also on those that have nothing to compute."""
    tensors = autocast(input, weight, bias)
    check_tensors(name, input=tensors[0], weight=tensors[1], bias=tensors[2])
    return tensors


def _graph(module: Any) -> ChannelGraph | None:
    """PyTorch's own layers have none, nor the two below."""
    graph: ChannelGraph | None = getattr(module, "channels", None)
    return graph


def _flip(module: Any) -> bool:
    return bool(getattr(module, "flip", False))


def _engine(module: Any) -> str:
    return str(getattr(module, "engine", "auto"))


def _own(parameter: DTensor | None, dim: int | None, start: int, stop: int) -> Any:
    """Of a weight or bias, what positions ``start ... stop - 1`` use: this rank's band of it, or of what all ranks have, the
    tile (in dimension ``dim``) turned to their phase. The gradient of what all have is the sum of the ranks' gradients."""
    if parameter is None:
        return None
    if any(isinstance(placement, Shard) for placement in parameter.placements):
        return parameter.to_local()
    whole = parameter.to_local(grad_placements=[Partial()])
    return taken(whole, dim if dim is None or dim < whole.ndim else None, start, stop - start)
