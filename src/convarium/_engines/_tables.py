"""A dimension of channels, read and written through a table ``(N, M)`` of them: views where the table counts evenly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .._spec.channels import Indices
from .._spec.wiring import Bicliques, Wiring


def kernel_rows(weight: Tensor, wiring: Wiring, blocks: Bicliques, n: int) -> tuple[Tensor, Indices]:
    """The weight of ``n`` directions as ``(rows, inputs of a row, *tile, *kernel)``, and the table of the rows of each block.

    A row is an output where all outputs read equally many inputs, else an edge.
    """
    if not wiring.by_edge:
        return weight.movedim(1 + n, 1), blocks.outputs
    if (parents := wiring.parents()) is not None:
        return weight.unflatten(0, (-1, parents)), blocks.outputs
    begins = np.searchsorted(wiring.edges()[1], blocks.outputs)
    edges = begins[..., None] + np.arange(blocks.inputs.shape[1])
    return weight.unsqueeze(1), edges.reshape(len(edges), -1)


def spread(tensor: Tensor, dim: int, table: Indices) -> Tensor:
    """``tensor`` with dimension ``dim`` replaced by two, the channels of ``table``: a view where the table is regular."""
    steps = _steps(table)
    if steps is None:
        return tensor.index_select(dim, _index(table, tensor)).unflatten(dim, table.shape)
    along = tensor.stride(dim)
    sizes = (*tensor.shape[:dim], *table.shape, *tensor.shape[dim + 1 :])
    strides = (*tensor.stride()[:dim], *(step * along for step in steps), *tensor.stride()[dim + 1 :])
    return tensor.as_strided(sizes, strides, tensor.storage_offset() + int(table[0, 0]) * along)


def write(tensor: Tensor, dim: int, table: Indices, values: Tensor) -> None:
    """Set the channels of ``table`` (each is in it once) to ``values``."""
    if _steps(table) is None:
        tensor.index_copy_(dim, _index(table, tensor), values.flatten(dim, dim + 1))
    else:
        spread(tensor, dim, table).copy_(values)


def add(tensor: Tensor, dim: int, table: Indices, values: Tensor) -> None:
    """Add ``values`` to the channels of ``table``, in which a channel may be more than once."""
    steps = _steps(table)
    if steps is None or not _apart(table, steps):
        tensor.index_add_(dim, _index(table, tensor), values.flatten(dim, dim + 1))
    else:
        spread(tensor, dim, table).add_(values)


def _steps(table: Indices) -> tuple[int, int] | None:
    """The two steps of a table that counts evenly, ``table[n, m] = table[0, 0] + n * a + m * b``; None if it does not."""
    a = int(table[1, 0] - table[0, 0]) if table.shape[0] > 1 else 0
    b = int(table[0, 1] - table[0, 0]) if table.shape[1] > 1 else 0
    even = table[0, 0] + np.arange(table.shape[0])[:, None] * a + np.arange(table.shape[1]) * b
    return (a, b) if a >= 0 and b >= 0 and np.array_equal(even, table) else None


def _apart(table: Indices, steps: tuple[int, int]) -> bool:
    """Whether an even table certainly holds no channel twice: one step jumps over all of the other's."""
    (rows, columns), (a, b) = table.shape, steps
    return ((rows == 1 or a > b * (columns - 1)) and (columns == 1 or b > 0)) or (
        (columns == 1 or b > a * (rows - 1)) and (rows == 1 or a > 0)
    )


def _index(table: Indices, like: Tensor) -> Tensor:
    return torch.from_numpy(table.flatten()).to(like.device)
