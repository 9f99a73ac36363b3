"""Local layers that take their channels and input size from the first input, and then become the plain class."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter, is_lazy

from .._spec.channels import ChannelGraph
from .._spec.layer import layer_channels
from .._spec.shown import written
from .._spec.tensors import check_tensors
from ._layer import Bias
from .local import (
    LocalConv1d,
    LocalConv2d,
    LocalConv3d,
    LocalConvTranspose1d,
    LocalConvTranspose2d,
    LocalConvTranspose3d,
)

__all__ = [
    "LazyLocalConv1d",
    "LazyLocalConv2d",
    "LazyLocalConv3d",
    "LazyLocalConvTranspose1d",
    "LazyLocalConvTranspose2d",
    "LazyLocalConvTranspose3d",
]

_NOT_YET = "the layer has no shape before its first input; call it once"


class _Lazy(LazyModuleMixin):  # a mixin before a local layer: self has what that has
    """Weight and untied bias stay uninitialised until the first input (or a loaded state dict) says their shape."""

    def _build(self: Any, input_size: None, bias: Bias, device: Any, dtype: Any) -> None:
        if self.channels is None:
            self.in_channels = 0
        self.input_size = self.tile = None
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias is False:
            self.register_parameter("bias", None)
        elif bias == "untied":
            if self.transposed:
                self._bias_places()  # needs output_size, now rather than at the first input
            self.bias = UninitializedParameter(device=device, dtype=dtype)
        else:
            self.bias = Parameter(torch.empty(self.out_channels, device=device, dtype=dtype))

    def initialize_parameters(self: Any, input: Tensor, output_size: Any = None) -> None:
        """Called by torch before the first forward."""
        n, name = self._n, type(self).__name__
        check_tensors(name, input=input)
        if input.ndim not in (n + 1, n + 2):
            raise ValueError(
                f"{name}: input must have {n + 2} dimensions, or {n + 1} without a batch, got {tuple(input.shape)}"
            )
        if self.channels is None:
            self.in_channels = layer_channels(name, input.shape[-n - 1], self.out_channels, self.groups, None, False)[0]
        self.input_size = tuple(input.shape[-n:])
        self.tile = self._positions(self.input_size)
        self._fits_loaded("weight", self._weight_shape(), input)
        if is_lazy(self.bias) or (self.bias is not None and self.bias.ndim > 1):
            self._fits_loaded("untied bias", (self.out_channels, *self._bias_places()), input)
        if self.has_uninitialized_params():
            self.weight.materialize(self._weight_shape())
            if is_lazy(self.bias):
                self.bias.materialize((self.out_channels, *self._bias_places()))
            self.reset_parameters()

    def _fits_loaded(self: Any, name: str, shape: tuple[int, ...], input: Tensor) -> None:
        """Refuse an input that asks for another shape than that of a parameter which was loaded."""
        parameter = self.weight if name == "weight" else self.bias
        if is_lazy(parameter) or tuple(parameter.shape) == shape:
            return
        form = self._other_form(parameter.shape) if name == "weight" else None
        raise ValueError(
            f"{type(self).__name__}: input {written(input.shape)} needs a{'' if name == 'weight' else 'n'} {name} of shape "
            f"{written(shape)}, but the loaded one has {written(parameter.shape)}{'' if form is None else f'; {form}'}"
        )

    def reset_parameters(self: Any) -> None:
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def untie(self: Any, tile: Any = None, *, input_size: Any = None) -> Any:
        raise ValueError(f"{type(self).__name__}.untie: {_NOT_YET}")

    def to_dense(self: Any) -> Any:
        raise ValueError(f"{type(self).__name__}.to_dense: {_NOT_YET}")


class _LazyLocalConv(_Lazy):
    def __init__(
        self,
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
        channels: ChannelGraph | None = None,
        flip: bool = False,
        engine: str = "auto",
    ) -> None:
        unknown = None if channels is not None else groups  # any number that the groups divide
        with warnings.catch_warnings():  # torch calls lazy modules new; they are not
            warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
            super().__init__(
                unknown, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
                input_size=None, channels=channels, flip=flip, engine=engine,
            )  # fmt: skip


class LazyLocalConv2d(_LazyLocalConv, LocalConv2d):
    """A :class:`LocalConv2d` that takes ``in_channels`` and ``input_size`` from its first input.

    Examples:
        >>> import torch, convarium as cv
        >>> layer = cv.nn.LazyLocalConv2d(8, 3)
        >>> layer(torch.randn(2, 3, 9, 9)).shape
        torch.Size([2, 8, 7, 7])
        >>> layer
        LocalConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), input_size=(9, 9))
    """

    cls_to_become = LocalConv2d


class LazyLocalConv1d(_LazyLocalConv, LocalConv1d):
    """A :class:`LocalConv1d` that takes ``in_channels`` and ``input_size`` from its first input."""

    cls_to_become = LocalConv1d


class LazyLocalConv3d(_LazyLocalConv, LocalConv3d):
    """A :class:`LocalConv3d` that takes ``in_channels`` and ``input_size`` from its first input."""

    cls_to_become = LocalConv3d


class _LazyLocalConvTranspose(_Lazy):
    def __init__(
        self,
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
        channels: ChannelGraph | None = None,
        flip: bool = False,
        engine: str = "auto",
        output_size: Any = None,
    ) -> None:
        unknown = None if channels is not None else groups
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
            super().__init__(
                unknown, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode,
                device, dtype, input_size=None, channels=channels, flip=flip, engine=engine, output_size=output_size,
            )  # fmt: skip


class LazyLocalConvTranspose2d(_LazyLocalConvTranspose, LocalConvTranspose2d):
    """A :class:`LocalConvTranspose2d` that takes ``in_channels`` and ``input_size`` from its first input."""

    cls_to_become = LocalConvTranspose2d


class LazyLocalConvTranspose1d(_LazyLocalConvTranspose, LocalConvTranspose1d):
    """A :class:`LocalConvTranspose1d` that takes ``in_channels`` and ``input_size`` from its first input."""

    cls_to_become = LocalConvTranspose1d


class LazyLocalConvTranspose3d(_LazyLocalConvTranspose, LocalConvTranspose3d):
    """A :class:`LocalConvTranspose3d` that takes ``in_channels`` and ``input_size`` from its first input."""

    cls_to_become = LocalConvTranspose3d
