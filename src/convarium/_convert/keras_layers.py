"""One layer of Keras 2 after another as modules of PyTorch, channels first, with their numbers.

A builder takes a layer's configuration and the shape that comes in, ``(channels, *size)`` or ``(features,)``, and gives modules
and what each array of the layer becomes. A layer is known if it is in ``BUILDERS``; a new one is a function there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import nn as ours
from .._files.failures import InputError
from . import local_weights
from .local_weights import Array


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """A layer as a file has it: ``arrays`` in the order of Keras' ``get_weights``, None where numbers come later.

    ``first``: whether its tensors have their channels first, which is one thing for a whole model.
    """

    kind: str
    config: dict[str, Any]
    arrays: tuple[Array, ...] | None
    first: bool = False

    @property
    def name(self) -> str:
        return str(self.config.get("name") or self.kind)


Shape = tuple[int, ...]
Read = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Built:
    """Modules, and for each array of the Keras layer where it goes, by module and name, and how it is turned to lie there."""

    modules: list[nn.Module]
    reads: list[tuple[int, str, Read]]


class ChannelsLast(nn.Module):
    """Channels behind positions, as a Keras layer after this one expects them: before ``nn.Flatten``."""

    def forward(self, input: Tensor) -> Tensor:
        return input.movedim(1, -1)


def same(array: Array) -> Array:
    return array


def _out_and_in_first(array: Array) -> Array:
    """``(*kernel, a, b)`` to ``(b, a, *kernel)``."""
    return np.moveaxis(array, (-1, -2), (0, 1))


def activation(layer: KerasLayer) -> list[nn.Module]:
    """A layer's function, by Keras' name of it; nothing for a linear one."""
    name = layer.config.get("activation")
    if isinstance(name, dict):  # as files of version 3 write what is not a plain name
        name = name.get("config") if isinstance(name.get("config"), str) else name.get("class_name")
    if name in (None, "linear"):
        return []
    if name == "softmax":  # over the last axis, whatever that is
        return [nn.Softmax(dim=-1 if layer.first else 1)]
    if name not in _FUNCTIONS:
        raise ValueError(f"activation {name!r} is not known")
    return [_FUNCTIONS[name]()]


_FUNCTIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "elu": nn.ELU, "selu": nn.SELU, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "swish": nn.SiLU, "silu": nn.SiLU, "gelu": nn.GELU, "relu6": nn.ReLU6,
}  # fmt: skip


def _sides(value: Any, n: int) -> Shape:
    return (int(value),) * n if isinstance(value, int) else tuple(int(each) for each in value)


def _directions(layer: KerasLayer) -> int:
    return int(next(letter for letter in layer.kind if letter.isdigit()))


def _shared_padding(config: dict[str, Any]) -> Any:
    return 0 if config["padding"] == "valid" else config["padding"]


def _convolution(layer: KerasLayer, shape: Shape) -> Built:
    c, n = layer.config, _directions(layer)
    padding: Any = _shared_padding(c)
    dilation, kernel = _sides(c.get("dilation_rate", 1), n), _sides(c["kernel_size"], n)
    if padding == "causal":
        padding = ((dilation[0] * (kernel[0] - 1), 0),)
    kind = getattr(ours, f"Conv{n}d")
    made = kind(shape[0], c["filters"], kernel, stride=_sides(c["strides"], n), padding=padding, dilation=dilation,
                groups=c.get("groups", 1), bias=c["use_bias"])  # fmt: skip
    return _with_bias(made, layer, _out_and_in_first)


def _transposed(layer: KerasLayer, shape: Shape) -> Built:
    c, n = layer.config, _directions(layer)
    kernel, stride, dilation = (_sides(c.get(key, 1), n) for key in ("kernel_size", "strides", "dilation_rate"))
    if c.get("output_padding") is not None or any(d > 1 for d in dilation):
        raise ValueError("output_padding and dilation_rate are not known")
    if c["padding"] == "same":
        totals = [max(k - u, 0) for k, u in zip(kernel, stride, strict=True)]
        pads: Any = tuple((total // 2, total - total // 2) for total in totals)
    else:
        pads = 0
    more = tuple(max(u - k, 0) for k, u in zip(kernel, stride, strict=True))
    kind = getattr(ours, f"ConvTranspose{n}d")
    made = kind(shape[0], c["filters"], kernel, stride=stride, padding=pads, output_padding=more, bias=c["use_bias"])
    return _with_bias(made, layer, _out_and_in_first)


def _depthwise(layer: KerasLayer, shape: Shape) -> Built:
    made = _depthwise_module(layer, shape, bias=layer.config["use_bias"])
    return _with_bias(made, layer, _depthwise_kernel)


def _depthwise_module(layer: KerasLayer, shape: Shape, bias: bool) -> nn.Module:
    c, n = layer.config, _directions(layer)
    made: nn.Module = getattr(ours, f"Conv{n}d")(
        shape[0], shape[0] * c["depth_multiplier"], _sides(c["kernel_size"], n), stride=_sides(c["strides"], n),
        padding=_shared_padding(c), dilation=_sides(c.get("dilation_rate", 1), n), groups=shape[0], bias=bias,
    )  # fmt: skip
    return made


def _depthwise_kernel(array: Array) -> Array:
    """``(*kernel, in, multiplier)``."""
    return np.moveaxis(array, (-2, -1), (0, 1)).reshape(-1, 1, *array.shape[:-2])


def _separable(layer: KerasLayer, shape: Shape) -> Built:
    c, n = layer.config, _directions(layer)
    first = _depthwise_module(layer, shape, bias=False)
    second = getattr(ours, f"Conv{n}d")(shape[0] * c["depth_multiplier"], c["filters"], 1, bias=c["use_bias"])
    reads: list[tuple[int, str, Read]] = [
        (0, "weight", _depthwise_kernel),
        (1, "weight", _out_and_in_first),
    ]
    if c["use_bias"]:
        reads.append((1, "bias", same))
    return Built([first, second, *activation(layer)], reads)


def _local(layer: KerasLayer, shape: Shape) -> Built:
    c, n = layer.config, _directions(layer)
    kernel, stride = _sides(c["kernel_size"], n), _sides(c["strides"], n)
    inputs, *size = shape
    places, pads = local_weights.keras_geometry(size, kernel, stride, c["padding"])
    padding = pads if any(map(any, pads)) else 0
    made = getattr(ours, f"LocalConv{n}d")(
        inputs, c["filters"], kernel, stride=stride, padding=padding, input_size=tuple(size),
        bias="untied" if c["use_bias"] else False,
    )  # fmt: skip

    def weight(array: Array) -> Array:
        return local_weights.from_keras(
            array, int(c.get("implementation", 1)), first=layer.first, inputs=inputs, outputs=c["filters"],
            size=tuple(size), taps=kernel, stride=stride, padding=c["padding"],
        )  # fmt: skip

    return _with_bias(
        made, layer, weight,
        lambda a: local_weights.bias_from_keras(a, c["filters"], places, first=layer.first),
    )  # fmt: skip


def _with_bias(made: nn.Module, layer: KerasLayer, weight: Read, bias: Read = same) -> Built:
    reads = [(0, "weight", weight)] + ([(0, "bias", bias)] if layer.config["use_bias"] else [])
    return Built([made, *activation(layer)], reads)


def _dense(layer: KerasLayer, shape: Shape) -> Built:
    if len(shape) != 1:
        raise ValueError("Dense over positions is not known; flatten before it")
    made = nn.Linear(shape[0], layer.config["units"], bias=layer.config["use_bias"])
    return _with_bias(made, layer, lambda a: a.T)


def _pooling(layer: KerasLayer, shape: Shape) -> Built:
    c, n = layer.config, _directions(layer)
    size = _sides(c["pool_size"], n)
    step = _sides(c["strides"], n) if c.get("strides") is not None else size
    highest = layer.kind.startswith("Max")
    totals = [0] * n
    if c["padding"] == "same":
        totals = [max((-(-s // u) - 1) * u + k - s, 0) for s, k, u in zip(shape[1:], size, step, strict=True)]
    pads = tuple(side for total in reversed(totals) for side in (total // 2, total - total // 2))
    made = getattr(nn, f"{'Max' if highest else 'Avg'}Pool{n}d")(size, step)
    if not any(totals):
        return Built([made], [])
    return Built([getattr(nn, f"ConstantPad{n}d")(pads, -math.inf), made] if highest else [InsideMean(pads, made)], [])


class InsideMean(nn.Module):
    """The mean of a window over what of it lies inside: the padding is left out."""

    def __init__(self, pads: tuple[int, ...], pool: nn.Module) -> None:
        super().__init__()
        self.pads, self.pool = pads, pool

    def forward(self, input: Tensor) -> Tensor:
        inside = nn.functional.pad(torch.ones_like(input[:1, :1]), self.pads)
        mean: Tensor = self.pool(nn.functional.pad(input, self.pads)) / self.pool(inside)
        return mean


def _global(layer: KerasLayer, shape: Shape) -> Built:
    n = _directions(layer)
    pool = getattr(nn, f"Adaptive{'Max' if 'Max' in layer.kind else 'Avg'}Pool{n}d")(1)
    return Built([pool] + ([] if layer.config.get("keepdims") else [nn.Flatten()]), [])


def _normalization(layer: KerasLayer, shape: Shape) -> Built:
    c = layer.config
    if _dim(layer, shape) != 1:
        raise ValueError(f"axis {c['axis']} is not that of the channels")
    made = getattr(nn, f"BatchNorm{max(len(shape) - 1, 1)}d")(shape[0], eps=c["epsilon"], momentum=1 - c["momentum"])
    names = ["weight"] * c["scale"] + ["bias"] * c["center"] + ["running_mean", "running_var"]
    return Built([made], [(0, name, same) for name in names])


def _flatten(layer: KerasLayer, shape: Shape) -> Built:
    """As numbers lie there, but that channels which are said to be first go last before."""
    turns = layer.config.get("data_format", "channels_last") == "channels_first"
    if turns and not layer.first and len(shape) > 1:
        raise ValueError("data_format='channels_first' where channels are last is not known")
    return Built([*([ChannelsLast()] if turns == layer.first and len(shape) > 1 else []), nn.Flatten()], [])


def _dim(layer: KerasLayer, shape: Shape) -> int:
    """The dimension here of a layer's ``axis``."""
    axis = layer.config.get("axis", -1)
    axis = int(axis[0] if isinstance(axis, (list, tuple)) else axis) % (len(shape) + 1)
    if layer.first or axis == 0:
        return axis
    return 1 if axis == len(shape) else axis + 1


def _padding(layer: KerasLayer, shape: Shape) -> Built:
    n = _directions(layer)
    given = layer.config["padding"]
    pairs = [given] if n == 1 and not isinstance(given[0], (list, tuple)) else given
    return Built([getattr(nn, f"ZeroPad{n}d")(tuple(int(side) for pair in reversed(pairs) for side in pair))], [])


def _spatial_dropout(layer: KerasLayer, shape: Shape) -> Built:
    return Built([getattr(nn, f"Dropout{_directions(layer)}d")(layer.config["rate"])], [])


def _relu(layer: KerasLayer, shape: Shape) -> Built:
    c = layer.config
    if c.get("threshold") or (c.get("negative_slope") and c.get("max_value") is not None):
        raise ValueError("a threshold, or a slope with a greatest value, is not known")
    if c.get("max_value") is not None:
        return Built([nn.Hardtanh(0.0, float(c["max_value"]))], [])
    return Built([nn.LeakyReLU(float(c["negative_slope"])) if c.get("negative_slope") else nn.ReLU()], [])


def _softmax(layer: KerasLayer, shape: Shape) -> Built:
    return Built([nn.Softmax(dim=_dim(layer, shape))], [])


Builder = Callable[[KerasLayer, Shape], Built]
BUILDERS: dict[str, Builder] = {
    **{f"Conv{n}D": _convolution for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _transposed for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    **{f"LocallyConnected{n}D": _local for n in (1, 2)},
    **{f"{kind}Pooling{n}D": _pooling for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Global{kind}Pooling{n}D": _global for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"ZeroPadding{n}D": _padding for n in (1, 2, 3)},
    **{f"SpatialDropout{n}D": _spatial_dropout for n in (1, 2, 3)},
    "Dense": _dense,
    "BatchNormalization": _normalization,
    "Flatten": _flatten,
    "Dropout": lambda layer, _: Built([nn.Dropout(layer.config["rate"])], []),
    "Activation": lambda layer, _: Built(activation(layer), []),
    "ReLU": _relu,
    "LeakyReLU": lambda layer, _: Built([nn.LeakyReLU(float(layer.config["alpha"]))], []),
    "ELU": lambda layer, _: Built([nn.ELU(float(layer.config["alpha"]))], []),
    "Softmax": _softmax,
}  # fmt: skip


def sequential(layers: Sequence[KerasLayer], call: str) -> nn.Sequential:
    """All layers in a row; the shape of an input is that of the first layer's configuration.

    Raises:
        InputError: some are not known (all of them are named), have no shape to start from, or arrays that do not fit.
    """
    unknown = [f"{layer.name} ({layer.kind})" for layer in layers if layer.kind not in (*BUILDERS, "InputLayer")]
    if unknown:
        raise InputError(f"{call}: no layer here for {', '.join(unknown)}; known are {', '.join(sorted(BUILDERS))}")
    formats = {
        layer.config["data_format"]: layer
        for layer in layers
        if layer.kind != "Flatten" and layer.config.get("data_format")
    }
    if len(formats) > 1:
        told = " and ".join(f"{layer.name} has {name}" for name, layer in formats.items())
        raise InputError(f"{call}: channels are in one place in a model, but {told}")
    first = "channels_first" in formats
    shape = _input_shape(layers, first, call)
    found = nn.Sequential()
    for layer in (replace(each, first=first) for each in layers):
        if layer.kind == "InputLayer":
            continue
        try:
            built = BUILDERS[layer.kind](layer, shape)
            _fill(built, layer)
        except (ValueError, KeyError, TypeError) as error:
            why = f"its configuration has no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{call}: {layer.name} ({layer.kind}): {why}") from None
        for index, module in enumerate(built.modules):
            found.add_module(_name(layer.name, index, found), module.eval())
            with torch.no_grad():
                shape = tuple(module(torch.zeros(1, *shape)).shape[1:])
    return found.eval()


def _name(name: str, index: int, found: nn.Sequential) -> str:
    name = name.replace(".", "_") + (f"_{index}" if index else "")
    return name if name not in dict(found.named_children()) else _name(name, index + 1, found)


def _input_shape(layers: Sequence[KerasLayer], first: bool, call: str) -> Shape:
    given = layers[0].config.get("batch_input_shape") or layers[0].config.get("batch_shape") if layers else None
    if not given or any(size is None for size in given[1:]):
        raise InputError(
            f"{call}: the first layer must say the shape of an input, all but the batch; batch_input_shape is {given}"
        )
    shape = [int(size) for size in given[1:]]
    return tuple(shape if first else shape[-1:] + shape[:-1])


def _fill(built: Built, layer: KerasLayer) -> None:
    if layer.arrays is None:
        return
    if len(layer.arrays) != len(built.reads):
        raise ValueError(
            f"{len(built.reads)} arrays are expected ({', '.join(name for _, name, _ in built.reads)}), got {len(layer.arrays)}"
        )
    for (index, name, read), array in zip(built.reads, layer.arrays, strict=True):
        target = getattr(built.modules[index], name)
        try:
            values = read(array)
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}: {error}") from None
        if values.shape != tuple(target.shape):
            raise ValueError(
                f"{name} of shape {array.shape} does not fit: it becomes {values.shape}, expected {tuple(target.shape)}"
            )
        with torch.no_grad():
            target.copy_(torch.from_numpy(np.ascontiguousarray(values)))
