"""The same function in another form: shared to tiled to local, and a graph layer to a dense one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from .._maps.apply import repeat_tile
from .._spec.arguments import positive
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
    own = {"tile": positive(f"{name}.untie", "tile", tile, n)} if input_size is None else {"input_size": input_size}
    new = _empty(layer, getattr(kind, class_name), channels=layer.channels, **own)
    assert new.tile is not None
    old = layer.tile or (1,) * n
    if isinstance(layer, local._Local) and new.tile != old:
        raise ValueError(f"{name}.untie: a local layer has positions {old} and no others, got {new.tile}")
    if (error := untie_error(old, new.tile, local=input_size is not None)) is not None:
        raise ValueError(f"{name}.untie: {error}")
    weight = layer.weight.detach()
    if layer.tile is None:
        weight = weight.unflatten(0, (weight.shape[0], *old))
    bias = layer.bias
    if bias is not None and bias.ndim > 1 and not layer._transposed:
        bias = repeat_tile(bias, new.tile)
    return _filled(new, layer, repeat_tile(weight, new.tile), bias)


def to_dense(layer: Layer) -> Layer:
    """See :meth:`Layer.to_dense`."""
    if (graph := layer.channels) is None:
        raise ValueError(f"{type(layer).__name__}.to_dense: the layer has no channel graph")
    transpose, n = "Transpose" if layer._transposed else "", layer._n
    own: dict[str, Any] = {}
    if isinstance(layer, local._Local):
        kind, own = getattr(local, f"LocalConv{transpose}{n}d"), {"input_size": layer.input_size}
    elif layer.tile is not None:
        kind, own = getattr(tiled, f"TiledConv{transpose}{n}d"), {"tile": layer.tile}
    else:
        kind = getattr(shared, f"Conv{transpose}{n}d")
    new = _empty(layer, kind, **own)
    weight = layer.weight.new_zeros(new.weight.shape)
    inputs, outputs = torch.tensor(graph.edges, device=weight.device)
    weight.movedim(1 + len(layer.tile or ()), 1)[outputs, inputs] = layer.weight.detach()  # (out, in, *tile, *kernel)
    return _filled(new, layer, weight, layer.bias)


def _empty(layer: Layer, kind: Any, **own: Any) -> Layer:
    """A layer of this kind like another, without numbers: no memory is taken and nothing drawn before all is checked."""
    names = ["kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "flip", "engine"]
    if isinstance(layer, Transposed):
        names += ["output_padding", "output_size"]
    bias = "untied" if layer.bias is not None and layer.bias.ndim > 1 else layer.bias is not None
    arguments = {name: getattr(layer, name) for name in names} | own
    new: Layer = kind(layer.in_channels, layer.out_channels, bias=bias, device="meta", **arguments)
    return new


def _filled(new: Layer, layer: Layer, weight: Tensor, bias: Tensor | None) -> Layer:
    """The empty layer with its own copies of these numbers, frozen where the old layer's are."""
    for name, numbers in (("weight", weight), ("bias", bias)):
        if numbers is not None:
            copy = numbers.detach().clone(memory_format=torch.contiguous_format)
            setattr(new, name, Parameter(copy, getattr(layer, name).requires_grad))
    if new.channels is not None:
        new.edges = layer.edges.clone()
    return new.train(layer.training)
