"""A Dask array kept as a Zarr array on disk, block by block: what is there after a kill is kept, and the rest computed.

It grows under ``NAME.unfinished`` and gets its name when it is whole. A chunk's file is written beside and renamed by Zarr, so a
file that is there is whole; the array's own attribute says which computation it is of. This is for folders of a file system; into
other stores writes Dask's own ``to_zarr``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files.atomic import SUFFIX
from .._files.failures import InputError, extra, why
from .._spec.shown import written
from .graph import EXTRA
from .reading import Array, is_dask

if TYPE_CHECKING:
    import dask.array
    import zarr

COMPUTATION = "convarium:computation"


def keep(
    call: str,
    array: dask.array.Array,
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    workers: int | None,
    progress: bool,
) -> zarr.Array[Any]:
    """The blocks of `array` at `path`; see :func:`convarium.blockwise.store`."""
    zarr = extra("zarr", EXTRA)
    if not is_dask(array):
        raise TypeError(f"{call}: array must be a Dask array, got {type(array).__name__}")
    _regular(call, array)
    path = Path(path)
    try:
        if path.is_symlink() or not path.name:
            path = path.resolve()  # what it leads to is replaced, not the link
        if path.exists() and not overwrite:
            if (kept := _kept(zarr, path, array)) is not None:
                return kept
            raise InputError(f"{path}: is there already, and is not this result; overwrite=True would replace it")
        unfinished = path.with_name(path.name + SUFFIX)
        for there in (path, unfinished):
            _may_go(zarr, there)
        target = _begun(zarr, array, unfinished, overwrite)
        missing = [
            index
            for index in itertools.product(*map(range, array.numblocks))
            if not _is_there(target, unfinished, index)
        ]
        if missing:
            _compute(array, unfinished, missing, workers, progress)
        _put(unfinished, path)
    except OSError as error:
        raise why(Path(error.filename or path), error) from None
    return zarr.open_array(path, mode="r")


def _regular(call: str, array: dask.array.Array) -> None:
    if array.dtype.kind not in "buifc":
        raise TypeError(f"{call}: array has dtype {array.dtype}; expected bool, integer, floating or complex numbers")
    if any(isinstance(length, float) for length in array.shape):  # NaN: Dask does not know
        raise ValueError(f"{call}: array has blocks of unknown size; array.compute_chunk_sizes() would fit")
    for sizes in array.chunks:
        if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
            fit = tuple(max(sizes) for sizes in array.chunks)
            raise ValueError(
                f"{call}: array has blocks of different sizes, {written(sizes)} along an axis, and Zarr's are equal: "
                f"array.rechunk({fit}) would fit"
            )


def _may_go(zarr: Any, path: Path) -> None:
    """Refuse to replace what is no Zarr array: it may be anything, and a group holds others."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())) and _array_at(zarr, path) is None:
        raise InputError(f"{path}: is no Zarr array; it is not replaced")


def _array_at(zarr: Any, path: Path) -> zarr.Array[Any] | None:
    try:
        return zarr.open_array(path, mode="r")
    except Exception:  # none, or not a whole one
        return None


def _kept(zarr: Any, path: Path, array: dask.array.Array) -> zarr.Array[Any] | None:
    """What is at `path` of this very computation."""
    found = _array_at(zarr, path)
    return found if found is not None and found.attrs.get(COMPUTATION) == array.name else None


def _begun(zarr: Any, array: dask.array.Array, unfinished: Path, overwrite: bool) -> zarr.Array[Any]:
    """What a run before this one has left, or a new array without blocks."""
    if unfinished.exists():
        if not overwrite and _kept(zarr, unfinished, array) is not None:
            for rest in unfinished.rglob("*.partial"):  # of files that a kill left half written
                rest.unlink(missing_ok=True)
            return zarr.open_array(unfinished, mode="r+")
        if not overwrite and any(unfinished.iterdir()):
            raise InputError(
                f"{unfinished}: is another computation's, begun and not finished; overwrite=True would begin anew"
            )
        shutil.rmtree(unfinished)
    if not unfinished.parent.is_dir():
        raise InputError(f"{unfinished.parent}: no such folder")
    chunks = tuple(max(sizes[0], 1) for sizes in array.chunks)
    return zarr.create_array(
        unfinished, shape=array.shape, chunks=chunks, dtype=array.dtype, attributes={COMPUTATION: array.name}
    )


def _is_there(target: zarr.Array[Any], folder: Path, index: Sequence[int]) -> bool:
    return (folder / target.metadata.encode_chunk_key(tuple(index))).exists()


def _compute(
    array: dask.array.Array, folder: Path, missing: Sequence[tuple[int, ...]], workers: int | None, progress: bool
) -> None:
    dask, graphs = extra("dask", EXTRA), extra("dask.highlevelgraph", EXTRA)
    starts = [list(itertools.accumulate(sizes, initial=0)) for sizes in array.chunks]
    name = f"store-{array.name}"
    tasks = {(name, *index): (write, str(folder), _region(starts, index), (array.name, *index)) for index in missing}
    graph = graphs.HighLevelGraph.from_collections(name, tasks, dependencies=[array])
    bar = extra("dask.diagnostics", EXTRA).ProgressBar(out=sys.stderr) if progress else contextlib.nullcontext()
    with bar, dask.config.set({"num_workers": workers} if workers else {}):
        dask.base.compute_as_if_collection(type(array), graph, list(tasks))


def _region(starts: Sequence[Sequence[int]], index: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(at[i], at[i + 1]) for at, i in zip(starts, index, strict=True))


def write(folder: str, region: tuple[slice, ...], block: Array) -> None:
    target = extra("zarr", EXTRA).open_array(folder, mode="r+")
    target.with_config({"write_empty_chunks": True})[region] = block  # zeros are a file too: it says that they are done


def _put(unfinished: Path, path: Path) -> None:
    """Its own name, and what had it before is deleted."""
    old = None
    if path.exists():
        old = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
        os.replace(path, old)
    os.replace(unfinished, path)
    if old is not None:
        shutil.rmtree(old) if old.is_dir() else old.unlink()
