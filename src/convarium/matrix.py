r"""Convolution as a matrix.

Every member of the family is linear in its input, so there is a matrix M with ``flatten(output) = M @ flatten(input)``; the
gradient by the input is ``M.T @ flatten(grad_output)``. M holds each weight once for every place where it is used. Windows as
a matrix (:func:`im2col`) turn a shared convolution into a product with the flattened kernels instead. For the lecture's 3 x 3
filter on a 9 x 9 picture M is 49 x 81 with 441 entries, and the windows are 9 x 49.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._maps.apply import repeat_tile, with_tile
from ._maps.padding import indices
from ._spec import arguments as _arguments
from ._spec import call as _call
from ._spec.arguments import positive
from ._spec.channels import ChannelGraph
from ._spec.geometry import Axis, Table, window_places
from ._spec.limits import fits_memory
from ._spec.tensors import check_tensors

__all__ = ["Tables", "col2im", "conv_matrix", "im2col", "tables"]

Size = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


def conv_matrix(
    weight: Tensor,
    input_size: Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    flatten: bool = True,
) -> Tensor:
    """The matrix of a convolution in 1 to 3 dimensions: ``flatten(output) = M @ flatten(input)`` for one sample.

    Args:
        weight: as for :func:`convarium.conv2d`; its rank says the sharing.
        input_size: ``(in_channels, *size)``; its length says the number of dimensions.
        stride, padding, dilation, groups, padding_mode, channels, flip: as for :func:`convarium.conv2d`. A padding mode other
            than zeros is part of the matrix.
        flatten: if False, the matrix dense and unflattened, from (channel, place) to (channel, place):
            ``(out_channels, *output_size, in_channels, *input_size)``.

    Returns:
        Sparse CSR, ``(out_channels * prod(output_size), in_channels * prod(input_size))``. Entries that are zero because their
        weight is zero are kept. Not differentiable; the convolution itself is.

    Examples:
        >>> import torch, convarium as cv
        >>> M = cv.matrix.conv_matrix(torch.ones(1, 1, 3, 3), (1, 9, 9))
        >>> M.shape, M.values().numel()
        (torch.Size([49, 81]), 441)
        >>> cv.matrix.conv_matrix(torch.tensor([[[1.0, 2.0]]]), (1, 4)).to_dense()
        tensor([[1., 2., 0., 0.],
                [0., 1., 2., 0.],
                [0., 0., 1., 2.]])
    """
    name = "matrix.conv_matrix"
    check_tensors(name, weight=weight)
    shape = _arguments.shape(name, "input_size", input_size)
    n = len(shape) - 1
    if n not in (1, 2, 3):
        raise ValueError(f"{name}: input_size must be (in_channels, *size) in 1 to 3 dimensions, got {shape}")
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip)
    call = _call.convolution(name, n, shape, tuple(weight.shape), None, *arguments)
    if weight.is_meta:
        raise ValueError(f"{name}: weight is on meta and has no numbers; where the matrix is not zero depends on them")
    problem = call.problem(1, weight.dtype, "cpu")
    fits_memory(name, matrix=(problem.wiring.n_edges, *call.output_size, *call.kernel_size))
    flat, inside = window_places(problem.axes)
    if call.mode is not None:
        flat = _shown(call, shape[1:])[flat]
    sources, targets = problem.wiring.edges()
    places, positions = math.prod(shape[1:]), math.prod(problem.output_size)
    columns = sources[:, None, None] * places + flat  # (edges, positions, taps)
    rows = np.broadcast_to(targets[:, None, None] * positions + np.arange(positions)[:, None], columns.shape)
    values = _by_position(call, with_tile(call, weight.detach()))
    size = (problem.wiring.out_channels * positions, problem.wiring.in_channels * places)
    kept = torch.from_numpy(np.broadcast_to(inside, columns.shape).copy())
    entries = torch.stack([torch.from_numpy(rows.copy())[kept], torch.from_numpy(columns)[kept]]).to(weight.device)
    summed = torch.sparse_coo_tensor(
        entries, values[kept.to(weight.device)], size, device=weight.device, check_invariants=False
    ).coalesce()
    if not _arguments.flag(name, "flatten", flatten):
        return summed.to_dense().reshape(call.out_channels, *call.output_size, *shape)
    with warnings.catch_warnings():  # torch says at each first use that its CSR is in beta
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return summed.to_sparse_csr()


def im2col(
    input: Tensor, kernel_size: Size, stride: Size = 1, padding: Padding = 0, dilation: Size = 1, *, flip: bool = False
) -> Tensor:
    """Windows as columns, in any number of dimensions; :class:`torch.nn.Unfold` in two.

    Args:
        input: ``(batch, channels, *size)``.
        kernel_size, stride, padding, dilation: as for :func:`convarium.conv2d`, with zeros outside.
        flip: taps in the order of a true convolution.

    Returns:
        ``(batch, channels * prod(kernel_size), prod(output_size))``.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.matrix.im2col(torch.randn(1, 1, 9, 9), 3).shape
        torch.Size([1, 9, 49])
    """
    name = "matrix.im2col"
    check_tensors(name, input=input)
    if input.ndim < 3:
        raise ValueError(f"{name}: input must be (batch, channels, *size), got shape {tuple(input.shape)}")
    axes = _axes(name, tuple(input.shape[2:]), kernel_size, stride, padding, dilation, flip)
    flat, inside = (
        torch.from_numpy(table.T.copy()).to(input.device) for table in window_places(axes)
    )  # (taps, positions)
    windows = torch.where(inside, input.flatten(2)[:, :, flat], torch.zeros((), dtype=input.dtype, device=input.device))
    return windows.flatten(1, 2)


def col2im(
    columns: Tensor,
    input_size: Size,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    *,
    flip: bool = False,
) -> Tensor:
    """The transpose of :func:`im2col`: every window added at its place; :class:`torch.nn.Fold` in two dimensions.

    Args:
        columns: ``(batch, channels * prod(kernel_size), prod(output_size))``.
        input_size: ``size`` of the result, one number a direction.
        others: as for :func:`im2col`.

    Returns:
        ``(batch, channels, *input_size)``.

    Examples:
        >>> import torch, convarium as cv
        >>> windows = cv.matrix.im2col(torch.ones(1, 1, 3, 3), 2)
        >>> cv.matrix.col2im(windows, (3, 3), 2)  # how many windows hold each place
        tensor([[[[1., 2., 1.],
                  [2., 4., 2.],
                  [1., 2., 1.]]]])
    """
    name = "matrix.col2im"
    check_tensors(name, columns=columns)
    size = _size(name, input_size)
    axes = _axes(name, size, kernel_size, stride, padding, dilation, flip)
    flat, inside = (torch.from_numpy(table.T.copy()).to(columns.device) for table in window_places(axes))
    taps, positions = flat.shape
    if columns.ndim != 3 or columns.shape[1] % taps or columns.shape[2] != positions:
        raise ValueError(
            f"{name}: columns must be (batch, channels * {taps}, {positions}), got shape {tuple(columns.shape)}"
        )
    split = columns.unflatten(1, (-1, taps))
    split = torch.where(inside, split, torch.zeros((), dtype=columns.dtype, device=columns.device))
    result = split.new_zeros(*split.shape[:2], math.prod(size))
    return result.index_add(2, flat.flatten(), split.flatten(2)).unflatten(2, size)


@dataclass(frozen=True)
class Tables:
    """The precomputed shapes of a kernel on an image, the lecture's "standard tabulation".

    Attributes:
        output_size: how many windows there are, in each direction.
        windows: ``(prod(output_size), prod(kernel_size))``, int64: the flat place of the input that each window reads through
            each tap, -1 in the padding.
        matrix_shape: of M, for one channel.
        matrix_entries: how many entries of M come from a weight.
        im2col_shape: of the windows as columns, for one channel.
    """

    output_size: tuple[int, ...]
    windows: Table
    matrix_shape: tuple[int, int]
    matrix_entries: int
    im2col_shape: tuple[int, int]


def tables(
    input_size: Size,
    kernel_size: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    *,
    flip: bool = False,
) -> Tables:
    """The shapes and index tables of a kernel on an image of this size.

    Examples:
        >>> import convarium as cv
        >>> found = cv.matrix.tables((9, 9), (3, 3))
        >>> found.matrix_shape, found.matrix_entries, found.im2col_shape
        ((49, 81), 441, (9, 49))
        >>> found.windows[0]
        array([ 0,  1,  2,  9, 10, 11, 18, 19, 20])
    """
    name = "matrix.tables"
    size = _size(name, input_size)
    axes = _axes(name, size, kernel_size, stride, padding, dilation, flip)
    flat, inside = window_places(axes)
    windows = np.where(inside, flat, -1)
    return Tables(
        output_size=tuple(axis.output for axis in axes),
        windows=windows,
        matrix_shape=(len(windows), math.prod(size)),
        matrix_entries=int(inside.sum()),
        im2col_shape=(windows.shape[1], windows.shape[0]),
    )


def _size(name: str, value: Any) -> tuple[int, ...]:
    """A size in any number of directions; a number is one direction."""
    return (
        _arguments.shape(name, "input_size", value)
        if isinstance(value, Sequence)
        else (_arguments.whole(name, "input_size", value),)
    )


def _axes(
    name: str, size: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, flip: Any
) -> tuple[Axis, ...]:
    n = len(size)
    if n == 0:
        raise ValueError(f"{name}: there must be at least one dimension")
    kernel = positive(name, "kernel_size", kernel, n)
    stride, dilation = positive(name, "stride", stride, n), positive(name, "dilation", dilation, n)
    pads = _arguments.pairs(name, padding, n, size, kernel, stride, dilation)
    outputs = _call.output_sizes(name, n, size, kernel, stride, padding, dilation, "zeros")
    fits_memory(name, input=size, windows=(*outputs, *kernel))
    flip = _arguments.flag(name, "flip", flip)
    return tuple(
        Axis(length, k, output, u, d, before, flip)
        for length, k, output, u, d, (before, _) in zip(size, kernel, outputs, stride, dilation, pads, strict=True)
    )


def _shown(call: _call.Call, size: tuple[int, ...]) -> Table:
    """``(prod(padded size),)``: the flat place of the input that each place of the padded input shows."""
    flat = np.zeros((1,) * len(size), dtype=np.int64)
    for direction, (length, (before, after)) in enumerate(zip(size, call.pads, strict=True)):
        places = indices(length, before, after, call.mode or "zeros", torch.device("cpu")).numpy()
        flat = flat * length + places.reshape([-1 if k == direction else 1 for k in range(len(size))])
    return flat.flatten()


def _by_position(call: _call.Call, weight: Tensor) -> Tensor:
    """``(edges, positions, taps)``: the kernel that each edge uses at each position."""
    n = len(call.tile)
    by_edge = weight if call.by_edge else weight.movedim(1 + n, 1).flatten(0, 1)
    return repeat_tile(by_edge, call.output_size).flatten(1 + n).flatten(1, n)
