"""The kernels of a layer, or of a bare weight, and the channels that they join: which of them are worth keeping.

A layer is one of this library or a convolution of ``torch.nn``; its graph and kernels are those of the convolution, which a
transposed layer is the transpose of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .channel_arguments import check_bits
from .channels import ChannelGraph
from .patterns import Mask, largest
from .shown import shown

_OF_A_LAYER = ("in_channels", "out_channels", "groups", "kernel_size", "transposed")


def layer_graph(layer: Any) -> ChannelGraph:
    """Which channels its kernels join."""
    if isinstance(graph := getattr(layer, "channels", None), ChannelGraph):
        return graph
    ends = (layer.in_channels, layer.out_channels)
    return ChannelGraph.groups(*(ends[::-1] if layer.transposed else ends), layer.groups)


def layer_kernels(layer: Any) -> Tensor:
    """``(edges, *tile, *kernel)``, in the order of its graph's edges."""
    weight: Tensor = layer.weight.detach()
    if isinstance(getattr(layer, "channels", None), ChannelGraph):
        return weight
    by_edge = weight.movedim(1 + len(getattr(layer, "tile", None) or ()), 1)
    return by_edge.flatten(0, 1)  # an output's edges lie side by side


def worth_keeping(call: str, weight: Any, keep: float) -> Mask:
    """The largest part ``keep`` of a layer's or weight's kernels, and the largest of each output."""
    if not isinstance(weight, nn.Module):
        return largest(_of_tensor(call, weight), keep)
    norms = _of_layer(call, weight)
    return largest(norms.T, keep).T if weight.transposed else largest(norms, keep)


def _of_tensor(call: str, weight: Any) -> npt.NDArray[np.float64]:
    """``(out_channels, in_channels)``: the norm of each kernel of a dense weight, over its taps and its tile."""
    forms = {3: (1, 0), 4: (2, 0), 5: (3, 0), 6: (2, 2), 8: (3, 3)}  # directions of the kernel, and of a tile
    if not isinstance(weight, Tensor):
        raise TypeError(
            f"{call}: weight must be a tensor, or a layer of convarium.nn or a convolution of torch.nn, got {shown(weight)}"
        )
    if not is_lazy(weight) and (weight.ndim not in forms or 0 in weight.shape):
        raise ValueError(
            f"{call}: weight must be (out_channels, in_channels, *kernel), or (out_channels, *tile, in_channels, *kernel) in two "
            f"or three dimensions, or a layer, got {tuple(weight.shape)}"
        )
    _check_numbers(call, weight)
    return _norms(call, weight.detach().movedim(1 + forms[weight.ndim][1], 1).flatten(0, 1)).reshape(len(weight), -1)


def _of_layer(call: str, layer: nn.Module) -> npt.NDArray[np.float64]:
    """The same of a layer, and -inf where it has no kernel."""
    if not isinstance(getattr(layer, "weight", None), Tensor) or not all(hasattr(layer, name) for name in _OF_A_LAYER):
        raise TypeError(
            f"{call}: weight must be a layer of convarium.nn or a convolution of torch.nn, got a {type(layer).__name__}"
        )
    _check_numbers(call, layer.weight)
    graph = layer_graph(layer)
    check_bits(call, graph.in_channels, graph.out_channels)
    found = np.full((graph.out_channels, graph.in_channels), -np.inf)
    found[graph.mask()] = _norms(call, layer_kernels(layer))
    return found


def _check_numbers(call: str, weight: Any) -> None:
    if is_lazy(weight):
        raise ValueError(f"{call}: the layer has no shape before its first input; call it once")
    if weight.layout != torch.strided or weight.is_meta:
        raise TypeError(f"{call}: weight must be a dense tensor with numbers, got {shown(weight)}")


def _norms(call: str, kernels: Tensor) -> npt.NDArray[np.float64]:
    values = kernels.to("cpu", torch.complex128 if kernels.is_complex() else torch.float64).abs().flatten(1)
    if not torch.isfinite(values).all():
        raise ValueError(f"{call}: weight has numbers that are not finite; their kernels have no size")
    found: npt.NDArray[np.float64] = values.square().sum(1).sqrt().numpy()
    return found
