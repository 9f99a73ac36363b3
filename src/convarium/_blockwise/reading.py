"""Arrays that are read a window at a time: Dask's, and whatever else takes slices (NumPy, memory maps, Zarr, HDF5)."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from operator import getitem
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .spans import Span

Array: TypeAlias = "npt.NDArray[Any]"
Task: TypeAlias = "tuple[Any, ...]"


def source(call: str, name: str, value: Any) -> Any:
    """The array itself where it has a shape, a dtype and slices, else what NumPy makes of it."""
    if isinstance(value, Tensor):
        raise TypeError(f"{call}: {name} is a torch.Tensor, which is in memory; {name}.numpy() would fit")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{call}: {name} is a masked array, whose mask would be lost; {name}.filled(0) would fit")
    if not all(hasattr(value, attribute) for attribute in ("shape", "dtype", "__getitem__")):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{call}: {name} is no array of numbers: {error}") from error
    kind = np.dtype(value.dtype).kind
    if kind not in "buifc":
        raise TypeError(f"{call}: {name} has dtype {value.dtype}; expected bool, integer, floating or complex numbers")
    if any(isinstance(length, float) for length in value.shape):  # NaN: Dask does not know
        raise ValueError(f"{call}: {name} has chunks of unknown size; {name}.compute_chunk_sizes() would fit")
    return value


def is_dask(value: Any) -> bool:
    return hasattr(value, "__dask_graph__") and hasattr(value, "chunks")


def identified(value: Any) -> Any:
    """What tells an array from another without reading it: Dask's name for it, or its files and when they were written."""
    if is_dask(value):
        return value.name
    if isinstance(root := getattr(getattr(value, "store", None), "root", None), Path):  # Zarr, in a folder
        return _files((root / value.path).resolve()), str(value.dtype), value.shape
    if isinstance(name := getattr(getattr(value, "file", None), "filename", None), str):  # HDF5
        return _files(Path(name).resolve()), value.name
    return value


def _files(path: Path) -> tuple[str, int, int, int]:
    """A file, or a folder with all that is in it."""
    found = [one.stat() for one in ([path] if path.is_file() else path.rglob("*"))]
    return str(path), len(found), sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)


class Reader:
    """Windows of one array, as tasks of a graph."""

    def __init__(self, array: Any, key: str) -> None:
        self.own: dict[Any, Any] = {}  # what the graph needs besides the tasks
        self.dependencies: list[Any] = []
        self._name, self._bounds = key, None
        if is_dask(array):
            self._name = array.name
            self.dependencies.append(array)
            self._bounds = [list(itertools.accumulate(chunks, initial=0)) for chunks in array.chunks]
        else:
            self.own[key] = array

    def window(self, spans: Sequence[Span]) -> Task:
        """A task whose value is the window."""
        along = [self._along(axis, one) for axis, one in enumerate(spans)]
        places = [one.places for one in spans]
        return (joined, self._pieces(along, ()), places if any(at is not None for at in places) else None)

    def _along(self, axis: int, one: Span) -> list[tuple[int, slice]]:
        """Which chunks an axis' parts are in, and where in each."""
        parts = one.parts or ((0, 0),)
        if self._bounds is None:
            return [(0, slice(*part)) for part in parts]
        found, bounds = [], self._bounds[axis]
        for start, stop in parts:
            chunk = min(bisect_right(bounds, start) - 1, len(bounds) - 2)
            while True:
                first, end = bounds[chunk], bounds[chunk + 1]
                found.append((chunk, slice(max(start, first) - first, min(stop, end) - first)))
                if stop <= end:
                    break
                chunk += 1
        return found

    def _pieces(self, along: list[list[tuple[int, slice]]], chosen: tuple[tuple[int, slice], ...]) -> Any:
        """Lists in lists, a level an axis, as :func:`numpy.block` joins them."""
        if len(chosen) < len(along):
            return [self._pieces(along, (*chosen, one)) for one in along[len(chosen)]]
        slices = tuple(part for _, part in chosen)
        if self._bounds is None:
            return (read, self._name, slices)
        return (getitem, (self._name, *(chunk for chunk, _ in chosen)), slices)


def read(array: Any, slices: tuple[slice, ...]) -> Array:
    return np.asarray(array[slices])


def joined(pieces: Any, places: list[tuple[int, ...] | None] | None) -> Array:
    """The window of its pieces, and of its entries those that are shown."""
    one = pieces
    while isinstance(one, list) and len(one) == 1:
        (one,) = one
    window: Array = np.block(pieces) if isinstance(one, list) else one
    for axis, at in enumerate(places or ()):
        if at is not None:
            window = np.take(window, at, axis)
    return window
