"""Tiled convolutions: a tile of kernels that take turns over the positions (Le et al., *Tiled CNN*, NIPS 2010)."""

from __future__ import annotations

from typing import Any

from .._spec.arguments import positive
from .._spec.channels import ChannelGraph
from ._layer import Bias, Layer, Transposed

__all__ = [
    "TiledConv1d",
    "TiledConv2d",
    "TiledConv3d",
    "TiledConvTranspose1d",
    "TiledConvTranspose2d",
    "TiledConvTranspose3d",
]


def _tile(layer: Layer, tile: Any) -> tuple[int, ...]:
    name = type(layer).__name__
    if tile is None:
        raise TypeError(f"{name}: tile is missing; tile=2 lets 2 kernels take turns in each direction")
    return positive(name, "tile", tile, layer._n)


class _TiledConv(Layer):
    def __init__(
        self,
        in_channels: int | None,
        out_channels: int | None,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: Bias = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        tile: Any = None,
        channels: ChannelGraph | None = None,
        flip: bool = False,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            channels=channels, flip=flip, engine=engine,
        )  # fmt: skip
        self.tile = _tile(self, tile)
        self._make_parameters(bias, device, dtype)


class TiledConv2d(_TiledConv):
    """A convolution whose kernels take turns: position ``(s, t)`` uses kernel ``(s % tile_h, t % tile_w)``.

    Neighbours have different kernels, as in a local layer, but the weights grow only by the size of the tile.
    (:func:`convarium.conv2d` has the formula; Le et al., *Tiled convolutional neural networks*, NIPS 2010.)

    Args:
        in_channels, out_channels: numbers of channels (None where ``channels`` says them).
        kernel_size, stride, padding, dilation, groups, padding_mode, device, dtype: as for :class:`Conv2d`.
        bias: True, False, or ``"untied"``, one number for each kernel of the tile.
        tile: how many kernels take turns, a number or one a direction; at most the output's size.
        channels: which inputs each output reads, in place of ``groups``.
        flip, engine: as for :class:`Conv2d`.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, out_channels, out_h, out_w)``; or both without the batch.

    Attributes:
        weight: ``(out_channels, tile_h, tile_w, in_channels / groups, kernel_h, kernel_w)``, or with a graph
            ``(edges, tile_h, tile_w, kernel_h, kernel_w)``
        bias: ``(out_channels,)``, ``(out_channels, tile_h, tile_w)`` or None

    Examples:
        >>> import torch, convarium as cv
        >>> layer = cv.nn.TiledConv2d(3, 8, 3, tile=2, bias="untied")
        >>> layer(torch.randn(2, 3, 9, 9)).shape, layer.weight.shape
        (torch.Size([2, 8, 7, 7]), torch.Size([8, 2, 2, 3, 3, 3]))
    """

    _n = 2


class TiledConv1d(_TiledConv):
    """A convolution of signals whose kernels take turns; see :class:`TiledConv2d`."""

    _n = 1


class TiledConv3d(_TiledConv):
    """A convolution of volumes whose kernels take turns; see :class:`TiledConv2d`."""

    _n = 3


class _TiledConvTranspose(Transposed):
    def __init__(
        self,
        in_channels: int | None,
        out_channels: int | None,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: Bias = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        tile: Any = None,
        channels: ChannelGraph | None = None,
        flip: bool = False,
        engine: str = "auto",
        output_size: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            channels=channels, flip=flip, engine=engine, output_padding=output_padding, output_size=output_size,
        )  # fmt: skip
        self.tile = _tile(self, tile)
        self._make_parameters(bias, device, dtype)


class TiledConvTranspose2d(_TiledConvTranspose):
    """The transpose of a :class:`TiledConv2d` with the same weight; the tile counts positions of this layer's *input*.

    Args:
        tile: how many kernels take turns over the input, a number or one a direction; at most the input's size.
        channels: the graph of the convolution whose transpose this is (``channels.out_channels == in_channels``).
        others: as for :class:`ConvTranspose2d`.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.nn.TiledConvTranspose2d(8, 3, 2, stride=2, tile=2)(torch.randn(2, 8, 4, 4)).shape
        torch.Size([2, 3, 8, 8])
    """

    _n = 2


class TiledConvTranspose1d(_TiledConvTranspose):
    """The transpose of a :class:`TiledConv1d`; see :class:`TiledConvTranspose2d`."""

    _n = 1


class TiledConvTranspose3d(_TiledConvTranspose):
    """The transpose of a :class:`TiledConv3d`; see :class:`TiledConvTranspose2d`."""

    _n = 3
