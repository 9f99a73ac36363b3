"""Channel-local convolutions: shared over positions, any channel dependency graph (Zhang, *clcNet*, CVPR 2018)."""

from __future__ import annotations

from typing import Any

from .._spec.channels import ChannelGraph
from .._spec.shown import shown
from ._layer import Bias, Layer, Transposed

__all__ = [
    "ChannelConv1d",
    "ChannelConv2d",
    "ChannelConv3d",
    "ChannelConvTranspose1d",
    "ChannelConvTranspose2d",
    "ChannelConvTranspose3d",
]


class _ChannelConv(Layer):
    def __init__(
        self,
        channels: ChannelGraph,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: Bias = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        flip: bool = False,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            None, None, kernel_size, stride, padding, dilation, 1, bias, padding_mode, device, dtype,
            channels=_graph(self, channels, kernel_size), flip=flip, engine=engine,
        )  # fmt: skip
        self._make_parameters(bias, device, dtype)


def _graph(layer: Layer, channels: Any, following: Any) -> ChannelGraph:
    """The graph; of two numbers in place of it and what follows, what the dense one would be is said."""
    if not isinstance(channels, ChannelGraph):
        hint, ends = "", (following, channels) if layer.transposed else (channels, following)
        if all(type(end) is int and end > 0 for end in ends):
            hint = f"; ChannelGraph.dense{ends} is one of in_channels={channels} and out_channels={following}"
        raise TypeError(f"{type(layer).__name__}: channels must be a ChannelGraph, got {shown(channels)}{hint}")
    return channels


class ChannelConv2d(_ChannelConv):
    """A convolution in which each output channel reads the input channels that a graph says, one kernel an edge.

    Args:
        channels: the channel dependency graph.
        kernel_size, stride, padding, dilation, bias, padding_mode, device, dtype, flip, engine: as for :class:`Conv2d`.

    Shape:
        ``(batch, channels.in_channels, height, width)`` to ``(batch, channels.out_channels, out_h, out_w)``; or both without
        the batch.

    Attributes:
        weight: ``(edges, kernel_h, kernel_w)``, edges sorted by output and then input channel
        bias: ``(out_channels,)`` or None
        edges: ``(2, edges)``, int64, kept in files so that weights cannot be loaded into another graph

    Examples:
        >>> import torch, convarium as cv
        >>> layer = cv.nn.ChannelConv2d(cv.ChannelGraph.interlaced(4, 8, 2), 3)
        >>> layer
        ChannelConv2d(ChannelGraph(4 -> 8, interlaced 2, 16 edges), kernel_size=(3, 3), stride=(1, 1))
        >>> layer(torch.randn(2, 4, 9, 9)).shape
        torch.Size([2, 8, 7, 7])
        >>> layer.to_dense().weight.shape
        torch.Size([8, 4, 3, 3])
    """

    _n = 2


class ChannelConv1d(_ChannelConv):
    """A channel-local convolution of signals; see :class:`ChannelConv2d`."""

    _n = 1


class ChannelConv3d(_ChannelConv):
    """A channel-local convolution of volumes; see :class:`ChannelConv2d`."""

    _n = 3


class _ChannelConvTranspose(Transposed):
    def __init__(
        self,
        channels: ChannelGraph,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        bias: Bias = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        flip: bool = False,
        engine: str = "auto",
        output_size: Any = None,
    ) -> None:
        super().__init__(
            None, None, kernel_size, stride, padding, dilation, 1, bias, padding_mode, device, dtype,
            channels=_graph(self, channels, kernel_size), flip=flip, engine=engine, output_padding=output_padding,
            output_size=output_size,
        )  # fmt: skip
        self._make_parameters(bias, device, dtype)


class ChannelConvTranspose2d(_ChannelConvTranspose):
    """The transpose of a :class:`ChannelConv2d` with the same graph and weight, from ``channels.out_channels`` channels to
    ``channels.in_channels``.

    Examples:
        >>> import torch, convarium as cv
        >>> layer = cv.nn.ChannelConvTranspose2d(cv.ChannelGraph.groups(4, 8, 2), 2, stride=2)
        >>> layer(torch.randn(2, 8, 4, 4)).shape
        torch.Size([2, 4, 8, 8])
    """

    _n = 2


class ChannelConvTranspose1d(_ChannelConvTranspose):
    """The transpose of a :class:`ChannelConv1d`; see :class:`ChannelConvTranspose2d`."""

    _n = 1


class ChannelConvTranspose3d(_ChannelConvTranspose):
    """The transpose of a :class:`ChannelConv3d`; see :class:`ChannelConvTranspose2d`."""

    _n = 3
