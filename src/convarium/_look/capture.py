"""From a model, a layer or a weight and an input to traces: each layer is run as its users run it, and its gradients with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import type_before_parametrizations

from .. import functional
from .._maps import apply
from .._maps.padding import pad
from .._spec import call as calls
from .._spec.call import Call
from .._spec.tensors import check_tensors
from ..nn import Layer
from ..nn._layer import Transposed
from .trace import Numbers, Trace

PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Seen:
    """A call of a layer in a running model."""

    name: str
    layer: Any  # a convolution of torch's or ours; None: a bare weight
    input: Tensor
    output: Tensor


def of_model(call: str, model: nn.Module, input: Any, grad_output: Any) -> list[Trace]:
    """A trace of each call of each convolution in it, in the order in which they ran; ``model`` is left as it was."""
    check_tensors(call, input=input)
    check_made(call, model)
    if not input.numel():
        raise ValueError(f"{call}: input of shape {tuple(input.shape)} has no numbers to look at")
    dtypes = dtypes_of(model)
    if dtypes and input.dtype not in dtypes:
        raise TypeError(f"{call}: input is {input.dtype} but the model is {dtypes[0]}; input.to({dtypes[0]}) would fit")
    seen: list[Seen] = []
    with torch.inference_mode(False), as_it_was(model), torch.enable_grad():
        with _watched(model, seen):
            leaf = input.detach().clone().requires_grad_()
            result = model(leaf.clone())  # layers may work in place on it
        if not seen:
            raise ValueError(
                f"{call}: no convolution ran in {type(model).__name__}; layers are watched, and not calls of F.conv2d: "
                f"of these, look at the weight"
            )
        gradients = _gradients(call, result, [each.output for each in seen], grad_output)
    traces = []
    for each, gradient in zip(seen, gradients, strict=True):
        assert each.layer is not None
        found = call_of(each.layer, tuple(each.input.shape), tuple(each.output.shape))
        traces.append(_trace(each, found, each.layer.weight, each.layer.bias, gradient))
    return traces


def of_weight(call: str, weight: Any, input: Any, grad_output: Any, arguments: dict[str, Any]) -> Trace:
    """A trace of ``conv{n}d(input, weight, **arguments)``, of as many directions as the input has besides batch and channels."""
    check_tensors(call, input=input, weight=weight)
    n = input.ndim - 2
    if n not in (1, 2, 3):
        raise ValueError(
            f"{call}: with a bare weight, input must be (batch, channels, *size) in 1 to 3 directions, got shape "
            f"{tuple(input.shape)}"
        )
    names = ("stride", "padding", "dilation", "groups", "padding_mode", "channels", "flip")
    if unknown := sorted(set(arguments) - {"bias", "engine", *names}):
        raise TypeError(f"{call}: {unknown[0]} is no argument of conv{n}d")
    defaults = (1, 0, 1, 1, "zeros", None, False)
    output = getattr(functional, f"conv{n}d")(input, weight, **arguments).detach()
    bias = arguments.get("bias")
    geometry = [arguments.get(name, default) for name, default in zip(names, defaults, strict=True)]
    shapes = (tuple(input.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape))
    made = calls.convolution(f"conv{n}d", n, *shapes, *geometry)
    (gradient,) = _gradients(call, output, [output], grad_output)
    return _trace(Seen(f"conv{n}d", None, input, output), made, weight, bias, gradient)


def check_made(call: str, model: nn.Module) -> None:
    """Refuse a model with layers that have no shape yet."""
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError(f"{call}: {type(model).__name__} has no shape before its first input; call it once")


def dtypes_of(model: nn.Module) -> list[torch.dtype]:
    """Of its parameters, those that an input can have."""
    return [tensor.dtype for tensor in model.parameters() if tensor.is_floating_point() or tensor.is_complex()]


class CallNames:
    """What calls of layers are called: the layer's name in its model, or its class, and from the second call on its number."""

    def __init__(self) -> None:
        self._calls: dict[str, int] = {}

    def next(self, name: str, module: nn.Module) -> str:
        name = name or kind_of(module)
        self._calls[name] = self._calls.get(name, 0) + 1
        return name if self._calls[name] == 1 else f"{name} (call {self._calls[name]})"


def input_of(inputs: Any, keywords: dict[str, Any]) -> Any:
    """What a module was called with, as its hooks are told."""
    return inputs[0] if inputs else keywords.get("input")


def is_convolution(module: nn.Module) -> bool:
    """Whether it is a layer that is traced: one of ours or of torch's."""
    return isinstance(module, (Layer, *PLAIN, *TRANSPOSED))


def kind_of(module: nn.Module) -> str:
    """The name of its class, as it was before a parametrization made another of it."""
    return type_before_parametrizations(module).__name__


def call_of(layer: nn.Module, input: tuple[int, ...], output: tuple[int, ...] | None) -> Call:
    """The layer's call on an input of this shape; ``output`` is the shape that a transposed one gave (None: its own)."""
    assert isinstance(layer, (Layer, *PLAIN, *TRANSPOSED))
    assert isinstance(layer.weight, Tensor)
    n, name = len(layer.kernel_size), kind_of(layer)
    shapes = (input, tuple(layer.weight.shape), None)
    channels, flip = getattr(layer, "channels", None), getattr(layer, "flip", False)
    if is_transposed(layer):  # the output's size may have been given with the call
        extra, size = (layer.output_padding, None) if output is None else (0, output[-n:])
        return calls.transposed(
            name, n, *shapes, layer.stride, layer.padding, extra, layer.groups, layer.dilation, channels, flip, size
        )
    return calls.convolution(
        name, n, *shapes, layer.stride, layer.padding, layer.dilation, layer.groups, layer.padding_mode, channels, flip
    )


def is_transposed(layer: nn.Module | None) -> bool:
    """Whether it is the transpose of a convolution."""
    return isinstance(layer, (*TRANSPOSED, Transposed))


def _trace(seen: Seen, call: Call, weight: Tensor, bias: Tensor | None, gradient: Tensor) -> Trace:
    n, engine = len(call.stride), getattr(seen.layer, "engine", "auto")
    tensors = (tensor.detach() for tensor in (seen.input, seen.output, gradient))
    input, output, gradient = (t if t.ndim == n + 2 else t.unsqueeze(0) for t in tensors)
    weight, signal = weight.detach(), input if call.mode is None else pad(input, call.pads, call.mode)
    bare = replace(call, mode=None)  # of the padded input
    if transposed := is_transposed(seen.layer):
        grad_input = apply.convolve(bare, gradient, _conjugate(weight), None, engine)
        grad_weight = apply.grad_weight(bare, gradient, _conjugate(input), engine)
    else:
        grad_input = apply.grad_input(bare, _conjugate(weight), gradient, engine)
        grad_weight = apply.grad_weight(bare, _conjugate(signal), gradient, engine)
    spread = (
        None if bias is None else apply.over_positions(bias.detach(), tuple(output.shape[2:])).expand(output.shape[1:])
    )
    return Trace(
        seen.name, call.problem(input.shape[0], weight.dtype, weight.device.type), transposed, call.pads, call.mode,
        numbers_of(signal), _by_edge(call, weight), None if spread is None else numbers_of(spread), numbers_of(output),
        numbers_of(gradient), numbers_of(grad_input), _by_edge(call, grad_weight),
    )  # fmt: skip


def _conjugate(tensor: Tensor) -> Tensor:
    return tensor.conj().resolve_conj() if tensor.is_complex() else tensor


def _by_edge(call: Call, weight: Tensor) -> Numbers:
    """``(edges, *tile, *kernel)``, whatever the layer's own form."""
    tiled = apply.with_tile(call, weight)
    return numbers_of(tiled if call.by_edge else tiled.movedim(1 + len(call.tile), 1).flatten(0, 1))


def numbers_of(tensor: Tensor) -> Numbers:
    """Halves become float32, in which they are exact."""
    tensor = tensor.detach().resolve_conj().cpu()
    found: Numbers = np.array((tensor.float() if tensor.dtype.itemsize == 2 else tensor).numpy())
    return found


def _gradients(call: str, result: Any, outputs: list[Tensor], grad_output: Any) -> list[Tensor]:
    """What a loss whose gradient by ``result`` is this one gives each output; None: a loss that is the sum of all outputs."""
    if not isinstance(result, Tensor):
        raise TypeError(
            f"{call}: the model must return one tensor, got a {type(result).__name__}; a module around it can choose one"
        )
    if grad_output is None:
        grad_output = torch.ones_like(result)
    check_tensors(call, grad_output=grad_output)
    if grad_output.shape != result.shape:
        raise ValueError(
            f"{call}: grad_output must have the output's shape, {tuple(result.shape)}, got {tuple(grad_output.shape)}"
        )
    grad_output = grad_output.detach().to(result.dtype)
    if len(outputs) == 1 and outputs[0] is result:
        return [grad_output]
    learns = [output for output in outputs if output.requires_grad]
    if not result.requires_grad or not learns:  # it ran without gradients
        return [torch.zeros_like(output) for output in outputs]
    given = dict(zip(map(id, learns), torch.autograd.grad(result, learns, grad_output, allow_unused=True), strict=True))
    found = [given.get(id(output)) for output in outputs]
    return [torch.zeros_like(output) if one is None else one for one, output in zip(found, outputs, strict=True)]


@contextlib.contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """The model evaluates, so that no running average moves and nothing is dropped; afterwards it is as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextlib.contextmanager
def _watched(model: nn.Module, seen: list[Seen]) -> Iterator[None]:
    names, hooks = CallNames(), []

    def watch(name: str, layer: nn.Module) -> None:
        def hook(_: nn.Module, inputs: Any, keywords: dict[str, Any], output: Tensor) -> Tensor:
            input = input_of(inputs, keywords)
            seen.append(Seen(names.next(name, layer), layer, input.detach().clone(), output))
            return output.clone()  # what follows may work in place

        hooks.append(layer.register_forward_hook(hook, with_kwargs=True))

    for name, layer in model.named_modules():
        if is_convolution(layer):
            watch(name, layer)
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
