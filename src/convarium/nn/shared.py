"""Shared convolutions: one kernel for all positions, as in :mod:`torch.nn`, whose state dicts load here."""

from __future__ import annotations

from typing import Any

from ._layer import Bias, Layer, Transposed

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _Conv(Layer):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
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
        flip: bool = False,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            channels=None, flip=flip, engine=engine,
        )  # fmt: skip
        self._make_parameters(bias, device, dtype)


class Conv2d(_Conv):
    """:class:`torch.nn.Conv2d`, with more kinds of padding and true convolution. (:func:`convarium.conv2d` has the formula.)

    Args:
        in_channels, out_channels, kernel_size, stride, dilation, groups, bias, padding_mode, device, dtype: as in PyTorch.
        padding: also pairs ``((top, bottom), (left, right))``, ``'full'``, and ``'same'`` with a stride.
        flip: true convolution instead of cross-correlation.
        engine: a name from :func:`convarium.engines`.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, out_channels, out_h, out_w)``; or both without the batch.

    Attributes:
        weight: ``(out_channels, in_channels / groups, kernel_h, kernel_w)``
        bias: ``(out_channels,)`` or None

    Examples:
        >>> import torch, convarium as cv
        >>> layer = cv.nn.Conv2d(3, 8, 3, padding="same", stride=2)
        >>> layer
        Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), padding='same')
        >>> layer(torch.randn(2, 3, 9, 9)).shape
        torch.Size([2, 8, 5, 5])
        >>> layer.load_state_dict(torch.nn.Conv2d(3, 8, 3).state_dict())
        <All keys matched successfully>
        >>> layer.untie(2)
        TiledConv2d(3, 8, kernel_size=(3, 3), stride=(2, 2), tile=(2, 2), padding='same')
    """

    _n = 2


class Conv1d(_Conv):
    """:class:`torch.nn.Conv1d`; see :class:`Conv2d` for what is more."""

    _n = 1


class Conv3d(_Conv):
    """:class:`torch.nn.Conv3d`; see :class:`Conv2d` for what is more."""

    _n = 3


class _ConvTranspose(Transposed):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
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
        flip: bool = False,
        engine: str = "auto",
        output_size: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            channels=None, flip=flip, engine=engine, output_padding=output_padding, output_size=output_size,
        )  # fmt: skip
        self._make_parameters(bias, device, dtype)


class ConvTranspose2d(_ConvTranspose):
    """:class:`torch.nn.ConvTranspose2d`: the transpose of a convolution. (:func:`convarium.conv_transpose2d` has the formula.)

    Args:
        in_channels, out_channels, kernel_size, stride, output_padding, groups, dilation, device, dtype: as in PyTorch.
        padding: numbers or pairs, what is cropped from the output.
        bias: True, False, or ``"untied"``, one number for each place of the output, which then needs ``output_size``.
        flip: the transpose of a true convolution.
        engine: a name from :func:`convarium.engines`.
        output_size: the size of the output, in place of ``output_padding``.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, out_channels, out_h, out_w)``; or both without the batch.

    Attributes:
        weight: ``(in_channels, out_channels / groups, kernel_h, kernel_w)``
        bias: ``(out_channels,)``, ``(out_channels, out_h, out_w)`` or None

    ``torch.nn.utils.parametrizations.spectral_norm`` knows torch's own transposed layers by their class: pass it ``dim=1``, where
    the output channels are, to get the same of this one.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.nn.ConvTranspose2d(8, 3, 2, stride=2)(torch.randn(2, 8, 4, 4)).shape
        torch.Size([2, 3, 8, 8])
    """

    _n = 2


class ConvTranspose1d(_ConvTranspose):
    """:class:`torch.nn.ConvTranspose1d`; see :class:`ConvTranspose2d` for what is more."""

    _n = 1


class ConvTranspose3d(_ConvTranspose):
    """:class:`torch.nn.ConvTranspose3d`; see :class:`ConvTranspose2d` for what is more."""

    _n = 3
