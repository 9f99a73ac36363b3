"""Image files of any size as arrays that are read by parts, and back: Zarr, TIFF, NumPy, PNG and JPEG."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._files import atomic
from .._files.failures import InputError, extra, why
from .graph import EXTRA

FORMATS = (".zarr", ".tif", ".tiff", ".npy", ".png")
READ_ONLY = (".jpg", ".jpeg")
BAND = 64 * 2**20  # bytes of a result that are written at a time


@dataclass(frozen=True)
class Image:
    """An array, and a letter for each axis where the file says what it is: Y, X, Z, S for colours, C, T and others."""

    array: Any
    axes: str | None


def read(path: Path) -> Image:
    """The image in a file or a Zarr folder; of large ones nothing is read yet.

    Raises:
        InputError: there is none, or not one that can be read.
    """
    inside = next((folder for folder in (path, *path.parents) if folder.suffix == ".zarr"), None)
    suffix = ".zarr" if inside is not None else path.suffix.lower()
    if suffix not in (*FORMATS, *READ_ONLY):
        raise InputError(f"{path}: is not one of {', '.join((*FORMATS, *READ_ONLY))}")
    if not path.exists():
        raise InputError(f"{path}: no such file or directory")
    try:
        return {".zarr": _zarr, ".npy": _npy, ".tif": _tiff, ".tiff": _tiff}.get(suffix, _picture)(path)
    except OSError as error:
        if error.errno is None:
            raise InputError(f"{path}: cannot be read as {suffix}: {error}") from None
        raise why(path, error) from None


def _zarr(path: Path) -> Image:
    zarr = extra("zarr", EXTRA)
    try:
        found = zarr.open(path, mode="r")
    except Exception as error:
        raise InputError(f"{path}: is no whole Zarr array: {error}") from None
    if hasattr(found, "members"):
        names = ", ".join(f"{path / name}" for name in sorted(found.array_keys())) or "none"
        raise InputError(f"{path}: is a group of arrays; name one of them: {names}")
    return Image(found, None)


def _npy(path: Path) -> Image:
    try:
        return Image(np.load(path, mmap_mode="r", allow_pickle=False), None)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: is no whole .npy file of numbers: {error}") from None


def _tiff(path: Path) -> Image:
    tifffile = extra("tifffile", EXTRA)
    try:
        with tifffile.TiffFile(path) as file:
            axes = file.series[0].axes
        with contextlib.suppress(ValueError):  # compressed, or in tiles
            return Image(tifffile.memmap(path, mode="r"), axes)
        return Image(_Tiles(path), axes)
    except (tifffile.TiffFileError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{path}: is no TIFF that can be read: {error}") from None


class _Tiles:
    """A TIFF whose tiles are read when they are asked for; known by its file, which is closed with it."""

    def __init__(self, path: Path) -> None:
        store = extra("tifffile", EXTRA).imread(path, aszarr=True, level=0)
        weakref.finalize(self, store.close)
        self._array = extra("zarr", EXTRA).open_array(store, mode="r")
        self._path, self.shape, self.dtype = path.resolve(), self._array.shape, self._array.dtype

    def __getitem__(self, parts: Any) -> Any:
        try:
            return self._array[parts]
        except Exception as error:  # of whatever decoder its tiles need
            raise InputError(f"{self._path}: is damaged, or cannot be read: {error}") from None

    def __dask_tokenize__(self) -> tuple[str, int, int]:
        found = self._path.stat()
        return str(self._path), found.st_size, found.st_mtime_ns


def _picture(path: Path) -> Image:
    pillow = extra("PIL.Image", EXTRA)
    try:
        with pillow.open(path) as image:
            if image.mode not in ("L", "I;16", "I", "F", "RGB"):
                raise InputError(f"{path}: has colours of kind {image.mode}; grey and RGB are read")
            return Image(np.asarray(image), "YXS" if image.mode == "RGB" else "YX")
    except (extra("PIL", EXTRA).UnidentifiedImageError, pillow.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"{path}: is no picture that can be read: {error}") from None


def check_target(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse a name or a kind of numbers that cannot be written, before anything is computed."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: is not one of {', '.join(FORMATS)}")
    if path.suffix.lower() != ".zarr" and path.is_dir():
        raise InputError(f"{path}: is a directory")
    if path.suffix.lower() == ".png":
        grey = len(shape) == 2 and dtype.kind == "u" and dtype.itemsize <= 2
        if not grey and not (len(shape) == 3 and shape[2] == 3 and dtype == np.uint8):
            raise InputError(
                f"{path}: a PNG holds 8- or 16-bit grey or 8-bit RGB, and the result is {dtype} of shape {shape}; .tif would fit"
            )


def write(array: Any, path: Path, axes: str | None) -> None:
    """A Zarr array of a result as a file of another format; all of it or none."""
    try:
        with atomic.beside(path) as part:
            if path.suffix.lower() == ".png":
                extra("PIL.Image", EXTRA).fromarray(array[:]).save(part, format="PNG")
            else:
                target = _mapped(part, path.suffix.lower(), array, axes)
                for band in _bands(array):
                    target[band] = array[band]
                target.flush()
                del target  # Windows renames no file that is mapped
    except OSError as error:
        raise why(path, error) from None


def _mapped(part: Path, suffix: str, array: Any, axes: str | None) -> Any:
    """A new file for so many numbers, as an array in it."""
    if suffix == ".npy":
        return np.lib.format.open_memmap(part, "w+", array.dtype, array.shape)
    colours = "rgb" if axes is not None and axes.endswith("S") and array.shape[-1] in (3, 4) else "minisblack"
    named = {"axes": axes} if axes is not None and "Q" not in axes else {}
    return extra("tifffile", EXTRA).memmap(
        part, shape=array.shape, dtype=array.dtype, photometric=colours, metadata=named
    )


def _bands(array: Any) -> Iterator[slice]:
    """Parts of the first axis that end where chunks do."""
    row = math.prod(array.shape[1:]) * array.dtype.itemsize
    step = max(BAND // max(row * array.chunks[0], 1), 1) * array.chunks[0]
    return (slice(start, start + step) for start in range(0, array.shape[0], step))
