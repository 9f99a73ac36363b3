r"""Convolutions as functions, with the argument order of :mod:`torch.nn.functional`.

All of them are one formula. In two dimensions, counted from 0,

.. math::
    z_{b,j,s,t} = \sum_{i \in parents(j)} \sum_{m,n}
                  v_{b,\,i,\,s u + m d - p,\,t u + n d - p} \; w_{j,\,s \bmod l,\,t \bmod l,\,i,\,m,\,n}

with stride *u*, dilation *d*, padding *p* (v is zero outside its range), and a tile *l* of kernels that take turns:
l = 1 is the ordinary shared convolution, l = output size the local (unshared) one, anything between is tiled. The rank of
``weight`` says which. (Goodfellow, Bengio, Courville, *Deep Learning*, chapter 9; Le et al., *Tiled CNN*, NIPS 2010.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ._maps import apply
from ._planner.choice import check_can, check_engine
from ._spec import call as _call
from ._spec.channels import ChannelGraph
from ._spec.tensors import autocast, check_tensors

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Size = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
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
    r"""Shared, tiled, local or channel-local convolution of an image; :math:`z` in the formula at the top of this module.

    Args:
        input: ``(batch, in_channels, height, width)``, or without the batch.
        weight: its rank says the sharing. Shared: ``(out_channels, in_channels / groups, kernel_h, kernel_w)``. Tiled, or local
            when the tile is the output size: ``(out_channels, tile_h, tile_w, in_channels / groups, kernel_h, kernel_w)``. With
            ``channels``, one kernel an edge: ``(edges, kernel_h, kernel_w)`` or ``(edges, tile_h, tile_w, kernel_h, kernel_w)``.
        bias: ``(out_channels,)``, or untied ``(out_channels, tile_h, tile_w)`` where the weight has a tile.
        stride: a number, or one a direction.
        padding: a number, one a direction, pairs ``((top, bottom), (left, right))``, or ``'valid'`` (none), ``'same'`` (output
            ``ceil(input / stride)``, the odd one after), ``'full'`` (``dilation * (kernel - 1)`` on both sides).
        dilation: a number, or one a direction.
        groups: blocks of channels side by side, as in :func:`torch.nn.functional.conv2d`.
        padding_mode: ``'zeros'``, ``'reflect'``, ``'replicate'`` or ``'circular'``.
        channels: which inputs each output reads, any :class:`~convarium.ChannelGraph`, in place of ``groups``.
        flip: true convolution, with the kernel turned by 180 degrees, instead of cross-correlation.
        engine: a name from :func:`convarium.engines`; refused, with the reason, where that engine cannot do it.

    Returns:
        ``(batch, out_channels, out_h, out_w)`` with ``out = (in + before + after - dilation * (kernel - 1) - 1) // stride + 1``;
        without the batch if the input is. Differentiable to any order by all operands.

    Raises:
        ValueError: shapes or values that do not fit; the message says which and what would.
        TypeError: arguments of the wrong kind, mixed dtypes, numbers that are not floating-point or complex.

    Examples:
        >>> import torch, convarium as cv
        >>> image = torch.randn(2, 3, 8, 8)
        >>> cv.conv2d(image, torch.randn(5, 3, 3, 3), padding="same").shape  # shared
        torch.Size([2, 5, 8, 8])
        >>> cv.conv2d(image, torch.randn(5, 2, 2, 3, 3, 3)).shape  # tiled: 2 x 2 kernels take turns
        torch.Size([2, 5, 6, 6])
        >>> cv.conv2d(image, torch.randn(5, 6, 6, 3, 3, 3)).shape  # local: a kernel for each position
        torch.Size([2, 5, 6, 6])
        >>> graph = cv.ChannelGraph.from_edges(3, 2, [(0, 0), (1, 0), (1, 1), (2, 1)])
        >>> cv.conv2d(image, torch.randn(4, 3, 3), channels=graph).shape  # channel-local
        torch.Size([2, 2, 6, 6])
    """
    return convolve_as(
        "conv2d", 2, input, weight, bias, stride, padding, dilation, groups, padding_mode, channels, flip, engine
    )


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
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
    """Convolution of a signal, ``(batch, in_channels, width)``; as :func:`conv2d` with one direction.

    Weight: ``(out_channels, in_channels / groups, kernel)`` shared, ``(out_channels, tile, in_channels / groups, kernel)``
    else; with ``channels``, ``(edges, kernel)`` or ``(edges, tile, kernel)``.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.conv1d(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[[1.0, 10.0]]]), padding="full", flip=True)
        tensor([[ 1., 12., 23., 30.]])
    """
    return convolve_as(
        "conv1d", 1, input, weight, bias, stride, padding, dilation, groups, padding_mode, channels, flip, engine
    )


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
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
    """Convolution of a volume, ``(batch, in_channels, depth, height, width)``; as :func:`conv2d` with three directions.

    Weight: ``(out_channels, in_channels / groups, *kernel)`` shared, ``(out_channels, *tile, in_channels / groups, *kernel)``
    else; with ``channels``, ``(edges, *kernel)`` or ``(edges, *tile, *kernel)``.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.conv3d(torch.randn(2, 3, 4, 5, 6), torch.randn(7, 3, 2, 2, 2)).shape
        torch.Size([2, 7, 3, 4, 5])
    """
    return convolve_as(
        "conv3d", 3, input, weight, bias, stride, padding, dilation, groups, padding_mode, channels, flip, engine
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
    output_size: Size | None = None,
) -> Tensor:
    r"""The transpose of :func:`conv2d` with the same weight: its gradient by the input, used as a function.

    .. math::
        x_{b,i,h} = \sum_{j \text{ reads } i} \; \sum_{(s, m):\ s u + m d - p = h} g_{b,j,s} \, w_{j,\,s \bmod l,\,i,\,m}

    for the input *g* (written for one direction). The tile and the graph are those of the convolution whose transpose this is:
    the phase of the tile counts positions of *this* function's input, and ``channels.out_channels`` is its channels.

    Args:
        input: ``(batch, in_channels, height, width)``, or without the batch.
        weight: ``(in_channels, out_channels / groups, kernel_h, kernel_w)`` shared,
            ``(in_channels, tile_h, tile_w, out_channels / groups, kernel_h, kernel_w)`` else; with ``channels`` as for
            :func:`conv2d`.
        bias: ``(out_channels,)``, or untied ``(out_channels, out_h, out_w)``.
        stride, dilation, groups, channels, engine: as for :func:`conv2d`.
        padding: numbers or pairs, of the convolution: what is cropped from the output.
        output_padding: more output after the end, less than stride or dilation.
        flip: the transpose of ``conv2d(flip=True)``.
        output_size: the output's size, in place of ``output_padding``.

    Returns:
        ``(batch, out_channels, out_h, out_w)`` with
        ``out = (in - 1) * stride - before - after + dilation * (kernel - 1) + output_padding + 1``.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.conv_transpose2d(torch.randn(2, 5, 4, 4), torch.randn(5, 4, 4, 3, 2, 2), stride=2).shape  # local
        torch.Size([2, 3, 8, 8])
    """
    arguments = (stride, padding, output_padding, groups, dilation, channels, flip, engine, output_size)
    return transpose_as("conv_transpose2d", 2, input, weight, bias, *arguments)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
    output_size: Size | None = None,
) -> Tensor:
    """The transpose of :func:`conv1d`; as :func:`conv_transpose2d` with one direction.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 10.0]]]), stride=2)
        tensor([[ 1., 10.,  2., 20.]])
    """
    arguments = (stride, padding, output_padding, groups, dilation, channels, flip, engine, output_size)
    return transpose_as("conv_transpose1d", 1, input, weight, bias, *arguments)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
    output_size: Size | None = None,
) -> Tensor:
    """The transpose of :func:`conv3d`; as :func:`conv_transpose2d` with three directions.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.conv_transpose3d(torch.randn(2, 3, 2, 2, 2), torch.randn(3, 4, 3, 3, 3), output_size=(4, 4, 4)).shape
        torch.Size([2, 4, 4, 4, 4])
    """
    arguments = (stride, padding, output_padding, groups, dilation, channels, flip, engine, output_size)
    return transpose_as("conv_transpose3d", 3, input, weight, bias, *arguments)


def convolve_as(name: str, n: int, input: Any, weight: Any, bias: Any, *arguments: Any) -> Tensor:
    """``conv{n}d`` for a caller of this name, which its errors begin with."""
    *geometry, engine = arguments
    refuse_tracers(name, input)
    input, weight, bias = autocast(input, weight, bias)
    check_tensors(name, input=input, weight=weight, bias=bias)
    check_engine(name, engine)
    call = _checked(_call.convolution, name, n, input, weight, bias, geometry)
    check_can(name, engine, call, input)
    return apply.convolve(call, input, weight, bias, engine)


def transpose_as(name: str, n: int, input: Any, weight: Any, bias: Any, *arguments: Any) -> Tensor:
    """``conv_transpose{n}d`` for a caller of this name."""
    refuse_tracers(name, input)
    stride, padding, output_padding, groups, dilation, channels, flip, engine, output_size = arguments
    input, weight, bias = autocast(input, weight, bias)
    check_tensors(name, input=input, weight=weight, bias=bias)
    check_engine(name, engine)
    geometry = (stride, padding, output_padding, groups, dilation, channels, flip, output_size)
    call = _checked(_call.transposed, name, n, input, weight, bias, geometry)
    check_can(name, engine, call, input)
    return apply.transpose(call, input, weight, bias, engine)


def refuse_tracers(name: str, input: Any) -> None:
    """Refuse the two ways to trace a program that cannot follow checks of sizes; they would fail further in, and say less."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        raise TypeError(f"{name}: torch.jit.trace cannot follow checks of sizes; torch.export.export can")
    if isinstance(input, torch.fx.Proxy):
        raise TypeError(
            f"{name}: torch.fx.symbolic_trace cannot follow checks of sizes; torch.export.export can, and so can a "
            f"torch.fx.Tracer whose is_leaf_module is true of a convarium.nn.Layer"
        )


def _checked(
    check: Callable[..., _call.Call],
    name: str,
    n: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: Sequence[Any],
) -> _call.Call:
    """The call, from the cache where it has been made before; what can change cannot be looked up, nor can symbolic sizes."""
    shapes = (input.shape, weight.shape, None if bias is None else bias.shape)
    if torch.compiler.is_compiling():
        return check(name, n, *shapes, *geometry)
    try:
        return _remembered(check, (name, n, *shapes, *geometry), _kinds(tuple(geometry)))
    except TypeError:  # not to be looked up, or of a kind that the check refuses
        return check(name, n, *shapes, *geometry)


@lru_cache(maxsize=4096)
def _remembered(check: Callable[..., _call.Call], arguments: Any, kinds: Any) -> _call.Call:
    return check(*arguments)


_FOREVER = frozenset((int, str, bool, type(None), ChannelGraph))  # never anything but what they were


def _kinds(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The types of values that stay as they are: True equals 1 and is found in its place, but is refused where 1 belongs.

    A tensor, or any other number that can be written to, is found by what it *is*, with the answer to what it *was*.
    """
    kinds = tuple([_kinds(value) if type(value) is tuple else type(value) for value in values])
    for kind in kinds:
        if kind not in _FOREVER and type(kind) is not tuple:
            raise TypeError(f"{kind} is not looked up")
    return kinds
