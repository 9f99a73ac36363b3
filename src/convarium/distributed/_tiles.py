"""Which kernels of a tile some neighbouring positions use: position ``s`` that of ``s`` modulo their number."""

from __future__ import annotations

import torch
from torch import Tensor


def taken(kernels: Tensor, dim: int | None, first: int, count: int) -> Tensor:
    """Those of positions ``first ... first + count - 1``, until they begin again; a view where they lie side by side.

    ``dim`` is the dimension in which kernels take turns; None where one serves all positions.
    """
    if dim is None:
        return kernels
    places = _places(kernels.shape[dim], first, count)
    return (
        kernels.narrow(dim, *places)
        if isinstance(places, tuple)
        else kernels.index_select(dim, places.to(kernels.device))
    )


def add(sums: Tensor, part: Tensor, dim: int | None, first: int, count: int) -> None:
    """Add to these kernels, in place: the transpose of :func:`taken`."""
    if dim is None:
        sums.add_(part)
    elif isinstance(places := _places(sums.shape[dim], first, count), tuple):
        sums.narrow(dim, *places).add_(part)
    else:
        sums.index_add_(dim, places.to(sums.device), part)


def _places(period: int, first: int, count: int) -> tuple[int, int] | Tensor:
    """The first and their number where they lie side by side, else each."""
    start, count = first % period, min(count, period)
    return (start, count) if start + count <= period else torch.arange(start, start + count) % period
