r"""The two gradients of a convolution as functions, with the argument order of :mod:`torch.nn.grad`.

With :math:`z` the convolution of :func:`convarium.conv2d` and :math:`g` the gradient of a loss by it, in one direction,

.. math::
    \frac{\partial L}{\partial v_{b,i,h}}
        = \sum_{j \text{ reads } i} \sum_{(s,m):\ s u + m d - p = h} g_{b,j,s}\, w_{j,s \bmod l,i,m}
    \qquad
    \frac{\partial L}{\partial w_{j,r,i,m}} = \sum_b \sum_{s:\ s \bmod l = r} g_{b,j,s}\, v_{b,i,s u + m d - p}

The first is a correlation of the gradient, with ``stride - 1`` zeros between its entries and padded, with the kernel turned by
180 degrees; the second a correlation of the input with the gradient, added over the positions that share a kernel. They are the
transposes of the convolution, without conjugation: for complex numbers autograd hands them the conjugate of the other operand.
Both are differentiable to any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ._maps import apply
from ._planner.choice import check_can, check_engine
from ._spec import arguments as _arguments
from ._spec import call as _call
from ._spec.channels import ChannelGraph
from ._spec.tensors import autocast, check_tensors
from .functional import refuse_tracers

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]

Size = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
) -> Tensor:
    """The gradient of :func:`convarium.conv2d` by its input.

    Args:
        input_size: shape of the input, ``(batch, in_channels, height, width)`` or without the batch.
        weight: as for :func:`convarium.conv2d`; its rank says the sharing.
        grad_output: the gradient by the output, ``(batch, out_channels, out_h, out_w)`` or without the batch.
        stride, padding, dilation, groups, padding_mode, channels, flip, engine: as for :func:`convarium.conv2d`.

    Returns:
        A tensor of shape ``input_size``.

    Examples:
        The nine terms of the lecture's example, 3 x 3 and 2 x 2:

        >>> import torch, convarium as cv
        >>> kernel = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> cv.grad.conv2d_input((1, 3, 3), kernel, torch.ones(1, 2, 2))
        tensor([[[ 1.,  3.,  2.],
                 [ 4., 10.,  6.],
                 [ 3.,  7.,  4.]]])
    """
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip, engine)
    return _input("grad.conv2d_input", 2, input_size, weight, grad_output, *arguments)


def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
) -> Tensor:
    """The gradient of :func:`convarium.conv2d` by its weight.

    Args:
        input: ``(batch, in_channels, height, width)``, or without the batch.
        weight_size: shape of the weight, in any of its forms; its length says the sharing.
        grad_output: the gradient by the output, ``(batch, out_channels, out_h, out_w)`` or without the batch.
        stride, padding, dilation, groups, padding_mode, channels, flip, engine: as for :func:`convarium.conv2d`.

    Returns:
        A tensor of shape ``weight_size``.

    Examples:
        >>> import torch, convarium as cv
        >>> image, gradient = torch.arange(9.0).reshape(1, 3, 3), torch.ones(1, 2, 2)
        >>> cv.grad.conv2d_weight(image, (1, 1, 2, 2), gradient)  # shared: added over the positions
        tensor([[[[ 8., 12.],
                  [20., 24.]]]])
        >>> cv.grad.conv2d_weight(image, (1, 2, 2, 1, 2, 2), gradient).sum(dim=(1, 2))  # local: before that sum
        tensor([[[[ 8., 12.],
                  [20., 24.]]]])
    """
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip, engine)
    return _weight("grad.conv2d_weight", 2, input, weight_size, grad_output, *arguments)


def conv1d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
) -> Tensor:
    """The gradient of :func:`convarium.conv1d` by its input; as :func:`conv2d_input` with one direction."""
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip, engine)
    return _input("grad.conv1d_input", 1, input_size, weight, grad_output, *arguments)


def conv1d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
) -> Tensor:
    """The gradient of :func:`convarium.conv1d` by its weight; as :func:`conv2d_weight` with one direction."""
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip, engine)
    return _weight("grad.conv1d_weight", 1, input, weight_size, grad_output, *arguments)


def conv3d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
) -> Tensor:
    """The gradient of :func:`convarium.conv3d` by its input; as :func:`conv2d_input` with three directions."""
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip, engine)
    return _input("grad.conv3d_input", 3, input_size, weight, grad_output, *arguments)


def conv3d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
) -> Tensor:
    """The gradient of :func:`convarium.conv3d` by its weight; as :func:`conv2d_weight` with three directions."""
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip, engine)
    return _weight("grad.conv3d_weight", 3, input, weight_size, grad_output, *arguments)


def _input(name: str, n: int, input_size: Any, weight: Any, grad_output: Any, *arguments: Any) -> Tensor:
    *geometry, engine = arguments
    refuse_tracers(name, grad_output)
    weight, grad_output = autocast(weight, grad_output)
    check_tensors(name, weight=weight, grad_output=grad_output)
    check_engine(name, engine)
    input_size = _arguments.shape(name, "input_size", input_size)
    call = _call.convolution(name, n, input_size, tuple(weight.shape), None, *geometry)
    _call.check_output(name, call, input_size, tuple(grad_output.shape))
    check_can(name, engine, call, grad_output)
    return apply.grad_input(call, weight, grad_output, engine)


def _weight(name: str, n: int, input: Any, weight_size: Any, grad_output: Any, *arguments: Any) -> Tensor:
    *geometry, engine = arguments
    refuse_tracers(name, input)
    input, grad_output = autocast(input, grad_output)
    check_tensors(name, input=input, grad_output=grad_output)
    check_engine(name, engine)
    call = _call.convolution(
        name, n, tuple(input.shape), _arguments.shape(name, "weight_size", weight_size), None, *geometry
    )
    _call.check_output(name, call, tuple(input.shape), tuple(grad_output.shape))
    check_can(name, engine, call, input)
    return apply.grad_weight(call, input, grad_output, engine)
