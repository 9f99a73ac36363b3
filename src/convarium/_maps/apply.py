"""From a call of the face to the operators and back: batch, padding mode, the layout of weights, bias, torch's own autograd."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .._engines import ENGINES
from .._planner.choice import choose, only_engine
from .._spec.call import Call
from .._spec.geometry import transposed_size
from .._spec.problem import Map
from . import registration
from .bilinear import Settings
from .padding import pad, unpad

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def convolve(call: Call, input: Tensor, weight: Tensor, bias: Tensor | None, engine: str) -> Tensor:
    """The face's ``conv``: input and output batched or not, weight in the form that the face takes."""
    n = len(call.stride)
    if (padding := _as_torch("forward", call, engine, input, weight)) is not None:
        return _CONVOLVE[n](input, weight, bias, call.stride, padding, call.dilation, int(call.channels))
    batched = input.ndim == n + 2
    signal = input if batched else input.unsqueeze(0)
    if call.mode is not None:
        signal = pad(signal, call.pads, call.mode)
    output = registration.call("forward", signal, with_tile(call, weight), call.output_size, *settings(call, engine))
    if bias is not None:
        output = output + over_positions(bias, call.output_size).to(output.dtype)
    return output if batched else output.squeeze(0)


def transpose(call: Call, input: Tensor, weight: Tensor, bias: Tensor | None, engine: str) -> Tensor:
    """The face's ``conv_transpose``: the map ``grad_input``, with the call's input in the place of a gradient."""
    n = len(call.stride)
    if (padding := _as_torch("grad_input", call, engine, input, weight)) is not None:
        axes = zip(call.output_size, call.kernel_size, call.stride, call.dilation, padding, padding, strict=True)
        extra = tuple(size - transposed_size(*axis) for size, axis in zip(call.input_size, axes, strict=True))
        tied = bias if bias is None or bias.ndim == 1 else None
        output = _TRANSPOSE[n](input, weight, tied, call.stride, padding, extra, int(call.channels), call.dilation)
        return output if bias is None or tied is bias else output + bias
    batched = input.ndim == n + 2
    signal = input if batched else input.unsqueeze(0)
    output = registration.call("grad_input", signal, with_tile(call, weight), call.input_size, *settings(call, engine))
    if bias is not None:
        output = output + over_positions(bias, call.input_size).to(output.dtype)
    return output if batched else output.squeeze(0)


def grad_input(call: Call, weight: Tensor, grad_output: Tensor, engine: str) -> Tensor:
    """The gradient of the face's ``conv`` by its input."""
    batched = grad_output.ndim == len(call.stride) + 2
    gradient = grad_output if batched else grad_output.unsqueeze(0)
    result = registration.call(
        "grad_input", gradient, with_tile(call, weight), call.input_size, *settings(call, engine)
    )
    if call.mode is not None:
        result = unpad(result, call.pads, call.mode)
    return result if batched else result.squeeze(0)


def grad_weight(call: Call, input: Tensor, grad_output: Tensor, engine: str) -> Tensor:
    """The gradient of the face's ``conv`` by its weight, in the form that the face takes."""
    if input.ndim == len(call.stride) + 1:
        input, grad_output = input.unsqueeze(0), grad_output.unsqueeze(0)
    if call.mode is not None:
        input = pad(input, call.pads, call.mode)
    result = registration.call("grad_weight", input, grad_output, call.kernel_size, *settings(call, engine))
    return result.flatten(0, len(call.tile)) if call.shared else result


def settings(call: Call, engine: str) -> Settings:
    return Settings(call.stride, call.padding, call.dilation, call.tile, call.channels, call.flip, engine)


def with_tile(call: Call, weight: Tensor) -> Tensor:
    """The weight with the dimensions of a tile, which a shared one is written without."""
    return weight.unflatten(0, (weight.shape[0], *call.tile)) if call.shared else weight


def over_positions(bias: Tensor, output_size: tuple[int, ...]) -> Tensor:
    """``(channels,)`` or ``(channels, *tile)`` as something that adds to ``(batch, channels, *output_size)``."""
    if bias.ndim == 1:
        return bias.reshape(-1, *(1 for _ in output_size))
    return repeat_tile(bias, output_size)


def repeat_tile(tensor: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """``(rows, *tile, ...)`` to ``(rows, *sizes, ...)``: place ``s`` has what ``s % tile`` had. A view where that can be."""
    for dim, size in enumerate(sizes, start=1):
        tile = tensor.shape[dim]
        if tile == 1:
            tensor = tensor.expand(*tensor.shape[:dim], size, *tensor.shape[dim + 1 :])
        elif tile != size:
            tensor = tensor.index_select(dim, torch.arange(size, device=tensor.device) % tile)
    return tensor


def _as_torch(map: Map, call: Call, engine: str, input: Tensor, weight: Tensor) -> tuple[int, ...] | None:
    """The padding for torch's own function where it is this very call and its planned engine, and nothing is traced.

    Then our operator would only add its cost. Where gradients are wanted, torch's own autograd serves if all maps are planned so.
    """
    if call.torch_padding is None or (engine != "auto" and not ENGINES[engine].IS_TORCH):
        return None
    if registration.is_transformed():
        return None
    batch = input.shape[0] if input.ndim == len(call.stride) + 2 else 1
    try:
        problem = call.problem(batch, weight.dtype, weight.device.type)
    except TypeError:  # symbolic sizes cannot be looked up
        return None
    learns = torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad)
    chosen = only_engine(problem, engine) if learns else choose(map, problem, engine).engine
    return call.torch_padding if chosen is not None and ENGINES[chosen].IS_TORCH else None
