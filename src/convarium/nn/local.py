"""Locally connected layers: a kernel for each position, nothing shared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import functional
from .._spec.arguments import positive
from .._spec.call import Call, output_sizes
from .._spec.channels import ChannelGraph
from .._spec.shown import written
from .._spec.tensors import check_tensors
from ._layer import Bias, Layer, Transposed

__all__ = [
    "LocalConv1d",
    "LocalConv2d",
    "LocalConv3d",
    "LocalConvTranspose1d",
    "LocalConvTranspose2d",
    "LocalConvTranspose3d",
]


class _Local(Layer):
    """A kernel for each position: what both directions share."""

    input_size: tuple[int, ...] | None

    def _build(self, input_size: Any, bias: Bias, device: Any, dtype: Any) -> None:
        name = type(self).__name__
        if input_size is None:
            raise TypeError(f"{name}: input_size is missing; Lazy{name} takes it from its first input")
        self.input_size = positive(name, "input_size", input_size, self._n)
        self.tile = self._positions(self.input_size)
        self._make_parameters(bias, device, dtype)

    def _positions(self, input_size: tuple[int, ...]) -> tuple[int, ...]:
        """The places that have a kernel: those of the output, or of a transpose's input."""
        if self.transposed:
            return input_size
        return output_sizes(
            type(self).__name__,
            self._n,
            input_size,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.padding_mode,
        )

    def _check_positions(self, input: Tensor) -> None:
        """Refuse an input that would be tiled: as a function, a tile smaller than the output takes turns."""
        name, n = type(self).__name__, self._n
        functional.refuse_tracers(name, input)
        check_tensors(name, input=input)
        if input.ndim not in (n + 1, n + 2):
            return  # refused as by any layer
        size, positions = tuple(input.shape[-n:]), None
        try:
            positions = self._positions(size)
        except ValueError:  # no positions at all
            if size == self.input_size:
                raise
        if positions == self.tile:
            return
        if size != self.input_size:
            hint = "" if positions is None else f"; a layer with input_size={size} would fit"
            raise ValueError(
                f"{name}: the layer was made for input_size={self.input_size}, got input {written(input.shape)}{hint}"
            )
        raise ValueError(
            f"{name}: input of size {size} has positions {positions}, but the layer has kernels for {self.tile}; "
            f"a layer of another geometry must be made anew"
        )

    def _call(self, input_size: tuple[int, ...]) -> Call:
        self._check_positions(torch.empty(input_size, device="meta"))
        return super()._call(input_size)

    def _further_repr(self) -> list[tuple[str, Any, Any]]:
        return [("input_size", self.input_size, None), *super()._further_repr()[1:]]


class _LocalConv(_Local):
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
        input_size: Any = None,
        channels: ChannelGraph | None = None,
        flip: bool = False,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            channels=channels, flip=flip, engine=engine,
        )  # fmt: skip
        self._build(input_size, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        self._check_positions(input)
        return super().forward(input)


class LocalConv2d(_LocalConv):
    """A locally connected layer: as :class:`Conv2d`, with a kernel of its own for each position of the output.

    (:func:`convarium.conv2d` has the formula, with the tile as large as the output; Goodfellow, Bengio, Courville, *Deep
    Learning*, equation 9.9; Gregor and LeCun 2010; Taigman et al., *DeepFace*, CVPR 2014.)

    Args:
        in_channels, out_channels: numbers of channels (None where ``channels`` says them).
        kernel_size, stride, padding, dilation, groups, padding_mode, device, dtype: as for :class:`Conv2d`.
        bias: True, False, or ``"untied"``, one number for each position.
        input_size: ``(height, width)`` of the inputs, which says how many positions there are. (:class:`LazyLocalConv2d`
            takes it from the first input.)
        channels: which inputs each output reads, in place of ``groups``.
        flip, engine: as for :class:`Conv2d`.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, out_channels, out_h, out_w)``; or both without the batch.

    Attributes:
        weight: ``(out_channels, out_h, out_w, in_channels / groups, kernel_h, kernel_w)``, or with a graph
            ``(edges, out_h, out_w, kernel_h, kernel_w)``
        bias: ``(out_channels,)``, ``(out_channels, out_h, out_w)`` or None

    Examples:
        >>> import torch, convarium as cv
        >>> layer = cv.nn.LocalConv2d(3, 8, 3, input_size=(9, 9))
        >>> layer
        LocalConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), input_size=(9, 9))
        >>> layer(torch.randn(2, 3, 9, 9)).shape, layer.weight.shape
        (torch.Size([2, 8, 7, 7]), torch.Size([8, 7, 7, 3, 3, 3]))
    """

    _n = 2


class LocalConv1d(_LocalConv):
    """A locally connected layer for signals; see :class:`LocalConv2d`."""

    _n = 1


class LocalConv3d(_LocalConv):
    """A locally connected layer for volumes; see :class:`LocalConv2d`."""

    _n = 3


class _LocalConvTranspose(Transposed, _Local):
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
        input_size: Any = None,
        channels: ChannelGraph | None = None,
        flip: bool = False,
        engine: str = "auto",
        output_size: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            channels=channels, flip=flip, engine=engine, output_padding=output_padding, output_size=output_size,
        )  # fmt: skip
        self._build(input_size, bias, device, dtype)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        self._check_positions(input)
        return super().forward(input, output_size)


class LocalConvTranspose2d(_LocalConvTranspose):
    """The transpose of a :class:`LocalConv2d` with the same weight: a kernel of its own for each position of the *input*.

    Args:
        input_size: ``(height, width)`` of this layer's inputs.
        channels: the graph of the convolution whose transpose this is (``channels.out_channels == in_channels``).
        others: as for :class:`ConvTranspose2d`.

    Attributes:
        weight: ``(in_channels, height, width, out_channels / groups, kernel_h, kernel_w)``, or with a graph
            ``(edges, height, width, kernel_h, kernel_w)``
        bias: ``(out_channels,)``, ``(out_channels, out_h, out_w)`` or None

    Examples:
        >>> import torch, convarium as cv
        >>> cv.nn.LocalConvTranspose2d(8, 3, 2, stride=2, input_size=4)(torch.randn(2, 8, 4, 4)).shape
        torch.Size([2, 3, 8, 8])
    """

    _n = 2


class LocalConvTranspose1d(_LocalConvTranspose):
    """The transpose of a :class:`LocalConv1d`; see :class:`LocalConvTranspose2d`."""

    _n = 1


class LocalConvTranspose3d(_LocalConvTranspose):
    """The transpose of a :class:`LocalConv3d`; see :class:`LocalConvTranspose2d`."""

    _n = 3
