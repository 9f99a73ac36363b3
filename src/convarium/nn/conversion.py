"""The same function in another form: shared to tiled to local, and a graph layer to a dense one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._spec.layer import layer_sizes
from .._spec.sharing import untie_error
from . import local, shared, tiled
from ._layer import Layer, Transposed


def untie(layer: Layer, tile: Any, input_size: Any) -> Layer:
    """See :meth:`Layer.untie`."""
    name, n = type(layer).__name__, layer._n
    if (tile is None) == (input_size is None):
        raise ValueError(f"{name}.untie: give a tile, or an input_size for a local layer; one of them")
    kind = tiled if input_size is None else local
    class_name = f"{'Tiled' if input_size is None else 'Local'}Conv{'Transpose' if layer._transposed else ''}{n}d"
    own = {"tile": layer_sizes(f"{name}.untie", "tile", tile, n)} if input_size is None else {"input_size": input_size}
    bias = "untied" if layer.bias is not None and layer.bias.ndim > 1 else layer.bias is not None
    new: Layer = getattr(kind, class_name)(*_channels(layer), bias=bias, **own, **_arguments(layer))
    assert new.tile is not None
    old = layer.tile or (1,) * n
    if isinstance(layer, local._LocalConv | local._LocalConvTranspose) and new.tile != old:
        raise ValueError(f"{name}.untie: a local layer has positions {old} and no others, got {new.tile}")
    if (error := untie_error(old, new.tile, local=input_size is not None)) is not None:
        raise ValueError(f"{name}.untie: {error}")
    weight = layer.weight if layer.tile else layer.weight.unflatten(0, (-1, *old))
    with torch.no_grad():
        new.weight.copy_(_repeat(weight, old, new.tile))
        if layer.bias is not None and new.bias is not None:
            places = layer.tile if layer.bias.ndim > 1 and not layer._transposed else None
            new.bias.copy_(layer.bias if places is None else _repeat(layer.bias, places, new.tile))
    return new.train(layer.training)


def to_dense(layer: Layer) -> Layer:
    """See :meth:`Layer.to_dense`."""
    if (graph := layer.channels) is None:
        raise ValueError(f"{type(layer).__name__}.to_dense: the layer has no channel graph")
    transpose, n = "Transpose" if layer._transposed else "", layer._n
    own: dict[str, Any] = {}
    if isinstance(layer, local._LocalConv | local._LocalConvTranspose):
        kind, own = getattr(local, f"LocalConv{transpose}{n}d"), {"input_size": layer.input_size}
    elif layer.tile is not None:
        kind, own = getattr(tiled, f"TiledConv{transpose}{n}d"), {"tile": layer.tile}
    else:
        kind = getattr(shared, f"Conv{transpose}{n}d")
    bias = "untied" if layer.bias is not None and layer.bias.ndim > 1 else layer.bias is not None
    arguments = {name: value for name, value in _arguments(layer).items() if name != "channels"}
    new: Layer = kind(layer.in_channels, layer.out_channels, bias=bias, **own, **arguments)
    inputs, outputs = torch.tensor(graph.edges, device=layer.weight.device)
    with torch.no_grad():
        by_output = new.weight.movedim(1 + len(layer.tile or ()), 1)  # (out, in, *tile, *kernel), a view
        by_output.zero_()
        by_output[outputs, inputs] = layer.weight
        if layer.bias is not None and new.bias is not None:
            new.bias.copy_(layer.bias)
    return new.train(layer.training)


def _channels(layer: Layer) -> tuple[int, int]:
    return layer.in_channels, layer.out_channels


def _arguments(layer: Layer) -> dict[str, Any]:
    """The arguments that a layer shares with its other forms."""
    names = ["kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "flip", "engine", "channels"]
    if isinstance(layer, Transposed):
        names += ["output_padding", "output_size"]
    arguments = {name: getattr(layer, name) for name in names}
    return arguments | {"device": layer.weight.device, "dtype": layer.weight.dtype}


def _repeat(tensor: Tensor, old: tuple[int, ...], new: tuple[int, ...]) -> Tensor:
    """``(rows, *old, ...)`` to ``(rows, *new, ...)``: the old tile over and over."""
    for direction, (count, length) in enumerate(zip(old, new, strict=True)):
        tensor = tensor.index_select(1 + direction, torch.arange(length, device=tensor.device) % count)
    return tensor
