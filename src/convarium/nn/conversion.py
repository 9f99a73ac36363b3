"""The same function in another form: shared to tiled to local and back, a graph layer to a dense one, some edges of either."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from .._maps.apply import repeat_tile
from .._spec.arguments import positive
from .._spec.channels import ChannelGraph
from .._spec.kernels import layer_graph, layer_kernels
from .._spec.sharing import untie_error
from .._spec.shown import shown
from . import channel, local, shared, tiled
from ._layer import Layer, Transposed


def untie(layer: Layer, tile: Any, input_size: Any) -> Layer:
    """See :meth:`Layer.untie`."""
    name, n = type(layer).__name__, layer._n
    if (tile is None) == (input_size is None):
        raise ValueError(f"{name}.untie: give a tile, or an input_size for a local layer; one of them")
    kind = tiled if input_size is None else local
    class_name = f"{'Tiled' if input_size is None else 'Local'}Conv{'Transpose' if layer.transposed else ''}{n}d"
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
    if bias is not None and bias.ndim > 1 and not layer.transposed:
        bias = repeat_tile(bias, new.tile)
    return _filled(new, layer, repeat_tile(weight, new.tile), bias)


def tie(layer: Layer) -> Layer:
    """See :meth:`Layer.tie`."""
    name = f"{type(layer).__name__}.tie"
    if layer.tile is None:
        raise ValueError(f"{name}: the layer has one kernel for all positions already")
    untied = {"weight": layer.weight.detach()}
    if layer.bias is not None and layer.bias.ndim > 1 and not layer.transposed:  # where it is by output, not by tile
        untied["bias"] = layer.bias.detach()
    is_local = isinstance(layer, local._Local)
    tile = tuple(_period(untied.values(), dim, count, is_local) for dim, count in enumerate(layer.tile, start=1))
    if tile == layer.tile:
        raise ValueError(f"{name}: the layer's kernels differ, none of tile {layer.tile} can be left out")
    form = f"{'Transpose' if layer.transposed else ''}{layer._n}d"
    first = {key: _first(tensor, tile) for key, tensor in untied.items()}
    if any(count > 1 for count in tile):
        new = _empty(layer, getattr(tiled, f"TiledConv{form}"), tile=tile, channels=layer.channels)
        return _filled(new, layer, first["weight"], first.get("bias", layer.bias))
    first = {key: tensor.flatten(0, layer._n) for key, tensor in first.items()}
    own = {"bias": True} if "bias" in first else {}
    if layer.channels is None:
        new = _empty(layer, getattr(shared, f"Conv{form}"), **own)
    else:
        new = getattr(channel, f"ChannelConv{form}")(layer.channels, **_arguments(layer) | own)
    return _filled(new, layer, first["weight"], first.get("bias", layer.bias))


def _period(untied: Collection[Tensor], dim: int, count: int, is_local: bool) -> int:
    """The least number of kernels that, taking turns in this direction, are these; a tile has to be a multiple of it."""
    for period in range(1, count):
        if is_local or count % period == 0:
            at = torch.arange(count) % period
            if all(torch.equal(tensor, tensor.index_select(dim, at.to(tensor.device))) for tensor in untied):
                return period
    return count


def _first(tensor: Tensor, tile: tuple[int, ...]) -> Tensor:
    for dim, count in enumerate(tile, start=1):
        tensor = tensor.narrow(dim, 0, count)
    return tensor


def to_dense(layer: Layer) -> Layer:
    """See :meth:`Layer.to_dense`."""
    if layer.channels is None:
        raise ValueError(f"{type(layer).__name__}.to_dense: the layer has no channel graph")
    kind, own = _kind(layer, shared, "Conv")
    graph, tile, kernels = layer.channels, layer.tile or (), layer_kernels(layer)
    every = kernels.new_zeros(graph.out_channels, *tile, graph.in_channels, *layer.kernel_size)
    inputs, outputs = torch.tensor(graph.edges, device=kernels.device)
    every.movedim(1 + len(tile), 1)[outputs, inputs] = kernels
    return _filled(_empty(layer, kind, **own), layer, every, layer.bias)


def to_graph(layer: Layer, graph: ChannelGraph) -> Layer:
    """See :meth:`Layer.to_graph`."""
    name = f"{type(layer).__name__}.to_graph"
    if not isinstance(graph, ChannelGraph):
        raise TypeError(f"{name}: graph must be a ChannelGraph, got {shown(graph)}")
    has = layer_graph(layer)
    if (graph.in_channels, graph.out_channels) != (has.in_channels, has.out_channels):
        raise ValueError(
            f"{name}: graph must have {has.in_channels} -> {has.out_channels} channels, as the layer's convolution has, "
            f"got {graph.in_channels} -> {graph.out_channels}"
        )
    if (more := graph & ~has).n_edges:
        first = tuple(more.edges[:, 0].tolist())
        raise ValueError(f"{name}: graph has {more.n_edges} edges that the layer has not, the first {first}")
    kind, own = _kind(layer, channel, "ChannelConv")
    if layer.tile is None:
        new = kind(graph, **_arguments(layer))
    else:
        new = kind(layer.in_channels, layer.out_channels, channels=graph, **own, **_arguments(layer))
    kept = torch.from_numpy(graph.mask()[has.mask()]).to(layer.weight.device)
    return _filled(new, layer, layer_kernels(layer)[kept], layer.bias)


def _kind(layer: Layer, module: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """The class like this layer's in how positions share kernels, ``name`` of ``module`` where all do, and its own arguments."""
    form = f"{'Transpose' if layer.transposed else ''}{layer._n}d"
    if isinstance(layer, local._Local):
        return getattr(local, f"LocalConv{form}"), {"input_size": layer.input_size}
    if layer.tile is not None:
        return getattr(tiled, f"TiledConv{form}"), {"tile": layer.tile}
    return getattr(module, name + form), {}


def _empty(layer: Layer, kind: Any, **own: Any) -> Layer:
    """A layer of this kind like another, without numbers: no memory is taken and nothing drawn before all is checked."""
    arguments = _arguments(layer) | {"groups": layer.groups} | own
    new: Layer = kind(layer.in_channels, layer.out_channels, **arguments)
    return new


def _arguments(layer: Layer) -> dict[str, Any]:
    names = ["kernel_size", "stride", "padding", "dilation", "padding_mode", "flip", "engine"]
    if isinstance(layer, Transposed):
        names += ["output_padding", "output_size"]
    bias = "untied" if layer.bias is not None and layer.bias.ndim > 1 else layer.bias is not None
    return {name: getattr(layer, name) for name in names} | {"bias": bias, "device": "meta"}


def _filled(new: Layer, layer: Layer, weight: Tensor, bias: Tensor | None) -> Layer:
    """The empty layer with its own copies of these numbers, frozen where the old layer's are."""
    for name, numbers in (("weight", weight), ("bias", bias)):
        if numbers is not None:
            copy = numbers.detach().clone(memory_format=torch.contiguous_format)
            setattr(new, name, Parameter(copy, getattr(layer, name).requires_grad))
    if new.channels is not None:
        new.edges = torch.tensor(new.channels.edges, device=layer.weight.device)
    return new.train(layer.training)
