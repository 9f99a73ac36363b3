"""What all layers are: a weight, a bias, the geometry, and the functional form that they call."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn.parameter import is_lazy

from .. import functional
from .._native.memory import in_large_pages
from .._planner.choice import check_engine
from .._planner.plan import Plan, plan
from .._spec import call as _call
from .._spec.arguments import flag, more_output, positive, shape
from .._spec.channels import ChannelGraph
from .._spec.geometry import Table
from .._spec.layer import layer_bias, layer_channels, layer_padding, layer_padding_mode
from .._spec.limits import fits_memory
from .._spec.tensors import check_dtype

Bias = bool | str


class Layer(nn.Module):
    """A convolution with its weight and bias: the base of all layers here, and what :meth:`untie` and :meth:`to_dense` return.

    :meth:`reset_parameters` knows how many inputs an output reads. :mod:`torch.nn.init` multiplies all dimensions of a weight but
    the first, and so counts a tile in and a graph's inputs out: its ``kaiming_*`` and ``xavier_*`` scale wrongly there.
    """

    # A class says the number of dimensions, ``_n``; a kind says its tile: ``tile`` is None where weights are shared.
    _n: int
    transposed = False  # as PyTorch's layers call it

    weight: Tensor
    bias: Tensor | None
    edges: Tensor
    tile: tuple[int, ...] | None = None

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int | None,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: Bias,
        padding_mode: str,
        device: Any,
        dtype: Any,
        *,
        channels: ChannelGraph | None,
        flip: bool,
        engine: str,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self._n
        check_engine(name, engine)
        if dtype is not None:
            check_dtype(name, "dtype", dtype)
        self.in_channels, self.out_channels, self.groups = layer_channels(
            name, in_channels, out_channels, groups, channels, self.transposed
        )
        self.kernel_size = positive(name, "kernel_size", kernel_size, n)
        self.stride = positive(name, "stride", stride, n)
        self.dilation = positive(name, "dilation", dilation, n)
        self.padding = layer_padding(name, padding, n, self.transposed)
        self.padding_mode = layer_padding_mode(name, padding_mode, self.transposed)
        self._channels = channels
        self.flip = flag(name, "flip", flip)
        self.engine = engine
        layer_bias(name, bias)
        if channels is not None:
            self.register_buffer("edges", torch.tensor(channels.edges, device=device))

    @property
    def channels(self) -> ChannelGraph | None:
        """The graph of which channel reads which; None where groups say so. It stays: the weight and ``edges`` follow from it."""
        return self._channels

    @channels.setter
    def channels(self, graph: Any) -> None:
        raise AttributeError(
            f"{type(self).__name__}: channels is settled when a layer is made, for its weight follows from it; "
            "layer.to_graph(graph) is a layer of another graph"
        )

    # -- parameters --------------------------------------------------------------------------------------------------

    def _make_parameters(self, bias: Bias, device: Any, dtype: Any) -> None:
        shape = self._weight_shape()
        fits_memory(type(self).__name__, weight=shape)
        self.weight = Parameter(torch.empty(shape, device=device, dtype=dtype))
        if bias is False:
            self.register_parameter("bias", None)
        else:
            shape = (self.out_channels, *(self._bias_places() if bias == "untied" else ()))
            fits_memory(type(self).__name__, bias=shape)
            self.bias = Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        tile = self.tile or ()
        if self.channels is not None:
            return (self.channels.n_edges, *tile, *self.kernel_size)
        front, inner = self.out_channels, self.in_channels
        if self.transposed:
            front, inner = inner, front
        return (front, *tile, inner // self.groups, *self.kernel_size)

    def _bias_places(self) -> tuple[int, ...]:
        """Where an untied bias has entries besides channels."""
        if self.tile is None:
            raise ValueError(f"{type(self).__name__}: bias='untied' needs a layer whose weight has a tile")
        return self.tile

    def reset_parameters(self) -> None:
        """Draw weight and bias uniformly from ``[-b, b]``, ``b = 1 / sqrt(fan_in)``, as ``torch.nn.Conv2d`` does.

        ``fan_in`` is the number of inputs that an output's kernel reads, of the graph's own edges where there is a graph. (Of a
        transposed layer it is, as in PyTorch, that of the convolution whose transpose it is.)
        """
        in_large_pages(self.weight)
        taps = math.prod(self.kernel_size)
        if self.channels is not None:  # no numbers yet after ``to_empty``
            self.edges.copy_(torch.tensor(self.channels.edges, device="cpu"))
        if self.channels is None:
            inner = self.out_channels if self.transposed else self.in_channels
            bound = 1 / math.sqrt(inner // self.groups * taps)
            nn.init.uniform_(self.weight, -bound, bound)
            if self.bias is not None:
                nn.init.uniform_(self.bias, -bound, bound)
            return
        outputs = self.channels.edges[1]
        fan_in = np.maximum(np.bincount(outputs, minlength=self.channels.out_channels), 1) * taps
        bounds = torch.tensor(fan_in**-0.5, dtype=self.weight.dtype, device=self.weight.device)
        with torch.no_grad():
            nn.init.uniform_(self.weight, -1, 1)
            self.weight.mul_(
                bounds[torch.tensor(outputs, device=bounds.device)].reshape(-1, *(1 for _ in self.weight.shape[1:]))
            )
            if self.bias is not None:
                nn.init.uniform_(self.bias, -1, 1)
                own = bounds.mean().expand(self.out_channels) if self.transposed else bounds
                self.bias.mul_(own.reshape(-1, *(1 for _ in self.bias.shape[1:])))

    # -- calling -----------------------------------------------------------------------------------------------------

    def forward(self, input: Tensor) -> Tensor:
        return functional.convolve_as(
            type(self).__name__, self._n, input, self.weight, self.bias, self.stride, self.padding, self.dilation,
            self.groups, self.padding_mode, self.channels, self.flip, self.engine,
        )  # fmt: skip

    def plan(self, input_size: Any) -> Plan:
        """What will run when the layer is called with an input of this shape, and why; nothing is computed.

        Args:
            input_size: the input's shape, ``(batch, in_channels, *size)``, or ``(in_channels, *size)`` for one sample.

        Returns:
            A :class:`convarium.Plan`: ``print`` shows it.

        Raises:
            ValueError: the layer would refuse such an input, or has no shape itself yet.

        Examples:
            >>> import convarium as cv
            >>> layer = cv.nn.TiledConv2d(3, 8, 3, tile=2, engine="matmul")
            >>> layer.plan((16, 3, 10, 10)).engines["forward"]
            'matmul'
        """
        name = type(self).__name__
        if is_lazy(self.weight):
            raise ValueError(f"{name}: the layer has no shape before its first input; call it once")
        size = shape(name, "input_size", input_size)
        call = self._call(size)
        problem = call.problem(size[0] if len(size) == self._n + 2 else 1, self.weight.dtype, self.weight.device.type)
        return plan(problem, self.engine, name, self.transposed)

    def _call(self, input_size: tuple[int, ...]) -> _call.Call:
        bias = None if self.bias is None else tuple(self.bias.shape)
        return _call.convolution(
            type(self).__name__, self._n, input_size, tuple(self.weight.shape), bias, self.stride, self.padding, self.dilation,
            self.groups, self.padding_mode, self.channels, self.flip,
        )  # fmt: skip

    def extra_repr(self) -> str:
        shown = [*self._leading_repr(), f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        shown += [f"{name}={value!r}" for name, value, default in self._further_repr() if value != default]
        if self.bias is None:
            shown.append("bias=False")
        elif self.bias.ndim > 1:
            shown.append("bias='untied'")
        return ", ".join(shown)

    def _leading_repr(self) -> list[str]:
        return [repr(self.channels)] if self.channels is not None else [f"{self.in_channels}, {self.out_channels}"]

    def _further_repr(self) -> list[tuple[str, Any, Any]]:
        """What is shown where it is not the default: name, value, default."""
        return [
            ("tile", self.tile, None),
            ("padding", self.padding, (0,) * self._n),
            ("dilation", self.dilation, (1,) * self._n),
            ("groups", self.groups, 1),
            ("padding_mode", self.padding_mode, "zeros"),
            ("flip", self.flip, False),
            ("engine", self.engine, "auto"),
        ]

    # -- other forms of the same function ----------------------------------------------------------------------------

    def untie(self, tile: Any = None, *, input_size: Any = None) -> Layer:
        """A tiled or local layer that computes the same function, and can then learn more.

        Args:
            tile: kernels that shall take turns, a multiple of the tile that the layer has; or
            input_size: the size of the inputs, for a local layer with a kernel at each position.

        Returns:
            A new layer with its own copies of the weights. A tied bias stays tied.

        Raises:
            ValueError: neither or both are given, or the tile is not a multiple of the layer's.
        """
        from .conversion import untie

        return untie(self, tile, input_size)

    def tie(self) -> Layer:
        """The layer of fewest kernels that computes the same function: what :meth:`untie` made, before it has learned.

        Returns:
            A new layer, shared where all kernels are equal, else tiled, with its own copies of the weights.

        Raises:
            ValueError: no kernel is another's equal, number for number; an untied bias counts as part of its kernel.

        Examples:
            >>> import convarium as cv
            >>> cv.nn.Conv2d(3, 4, 3).untie(input_size=(8, 8)).tie()
            Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
        """
        from .conversion import tie

        return tie(self)

    def to_dense(self) -> Layer:
        """The layer without a channel graph that computes the same function: zeros where the graph has no edge.

        NaN and infinity in channels that an output does not read pass through those zeros.

        Raises:
            ValueError: the layer has no graph.
        """
        from .conversion import to_dense

        return to_dense(self)

    def to_graph(self, graph: ChannelGraph) -> Layer:
        """The layer that keeps the kernels of ``graph``'s edges alone, and reads nothing else: pruned, with as much less to do.

        Args:
            graph: of edges that the layer has, such as :meth:`ChannelGraph.from_weight(layer, keep)
                <convarium.ChannelGraph.from_weight>`; for a transposed layer, that of the convolution it transposes.

        Raises:
            ValueError: the graph has other channels, or an edge that the layer has not.

        Examples:
            >>> import torch, convarium as cv
            >>> layer = cv.nn.Conv2d(8, 16, 3)
            >>> pruned = layer.to_graph(cv.ChannelGraph.from_weight(layer, keep=0.25))
            >>> pruned.weight.shape, layer.weight.shape
            (torch.Size([32, 3, 3]), torch.Size([16, 8, 3, 3]))
        """
        from .conversion import to_graph

        return to_graph(self, graph)

    # -- files -------------------------------------------------------------------------------------------------------

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """A graph's edges are compared, not copied: they belong to the layer's kind, not to its training."""
        key = prefix + "edges"
        errors: list[str] = rest[-1]
        loaded = state_dict.get(key)
        if self.channels is not None and isinstance(loaded, Tensor) and not loaded.is_meta:  # which has no numbers
            if loaded.is_floating_point() or loaded.is_complex():
                errors.append(f"{key}: edges are whole numbers, got {loaded.dtype}")
            elif (difference := _difference(self.channels.edges, loaded.cpu().long().numpy())) is not None:
                errors.append(f"{key}: the channel graph is another one: {difference}")
            state_dict = {**state_dict, key: torch.tensor(self.channels.edges, device=loaded.device)}
        weight = state_dict.get(prefix + "weight")
        if isinstance(weight, Tensor) and not is_lazy(weight) and (form := self._other_form(weight.shape)) is not None:
            errors.append(f"{prefix}weight: {form}")
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _other_form(self, shape: torch.Size) -> str | None:
        """What to do with a weight of this shape that is another layer's; None if there is nothing to say."""
        own, n, graph = len(self._weight_shape()), self._n, self.channels
        if self.tile is not None and len(shape) == own - n:
            home = f"{'' if self.channels is None else 'Channel'}Conv{'Transpose' if self.transposed else ''}{n}d"
            size = getattr(self, "input_size", None)
            to = f"tile={self.tile}" if size is None else f"input_size={size}"
            return f"the file has a shared weight; load it into cv.nn.{home}, then .untie({to})"
        if self.tile is None and graph is not None and len(shape) == n + 2:
            if shape[:2] == (graph.out_channels, graph.in_channels):
                return "the file has a dense weight; of it, this layer takes weight[edges[1], edges[0]]"
            kind, _, groups = graph.text.partition(":")
            if kind == "g" and shape[:2] == (graph.out_channels, graph.in_channels // int(groups)):
                return "the file has a weight of groups; this layer takes weight.flatten(0, 1)"
        return None


class Transposed(Layer):
    """A layer that is the transpose of a convolution: ``grad_input`` as a function."""

    transposed = True

    def __init__(self, *arguments: Any, output_padding: Any, output_size: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        name = type(self).__name__
        self.output_padding = more_output(name, output_padding, self._n, self.stride, self.dilation)
        self.output_size = None if output_size is None else positive(name, "output_size", output_size, self._n)
        if self.output_size is not None and any(self.output_padding):
            raise ValueError(f"{name}: give output_padding or output_size, not both")

    def _bias_places(self) -> tuple[int, ...]:
        if self.output_size is None:
            raise ValueError(f"{type(self).__name__}: bias='untied' of a transposed layer needs output_size")
        return self.output_size

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """``output_size``, here or given to the layer, takes the place of ``output_padding``."""
        size = self.output_size if output_size is None else output_size
        return functional.transpose_as(
            type(self).__name__, self._n, input, self.weight, self.bias, self.stride, self.padding,
            self.output_padding if size is None else 0, self.groups, self.dilation, self.channels, self.flip, self.engine, size,
        )  # fmt: skip

    def _call(self, input_size: tuple[int, ...]) -> _call.Call:
        bias = None if self.bias is None else tuple(self.bias.shape)
        extra = self.output_padding if self.output_size is None else 0
        return _call.transposed(
            type(self).__name__, self._n, input_size, tuple(self.weight.shape), bias, self.stride, self.padding, extra,
            self.groups, self.dilation, self.channels, self.flip, self.output_size,
        )  # fmt: skip

    def _further_repr(self) -> list[tuple[str, Any, Any]]:
        own = [("output_padding", self.output_padding, (0,) * self._n), ("output_size", self.output_size, None)]
        return super()._further_repr() + own


def _difference(ours: Table, theirs: Table) -> str | None:
    """The first difference between two lists of edges, in words; None if there is none."""
    if theirs.shape[:1] != (2,) or theirs.ndim != 2:
        return f"expected edges of shape {ours.shape}, got {theirs.shape}"
    if np.array_equal(ours, theirs):
        return None
    common = min(ours.shape[1], theirs.shape[1])
    differing = (ours[:, :common] != theirs[:, :common]).any(axis=0)
    place = int(differing.argmax()) if differing.any() else common

    def edge(edges: Table) -> str:
        return "none" if place >= edges.shape[1] else f"{int(edges[0, place])} -> {int(edges[1, place])}"

    return f"edge {place} is {edge(theirs)} in the file and {edge(ours)} in the layer"
