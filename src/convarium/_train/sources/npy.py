"""NumPy's ``.npy``: one array of images that may be larger than memory, and beside it one of labels.

Images are as in an ``.npz`` (see :mod:`.arrays`). For each batch the file is opened and read at the places of its images: unlike
with a memory map, a file that was cut short or taken away meanwhile is an error with a name, not the end of the process.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._files.failures import InputError, why
from ..images import Later
from ..samples import PART, Samples, default_size, recolour, resize
from . import arrays


class File(Later):
    """The images of a file, brought to one size and colour as they are read."""

    on_disk = True

    def __init__(self, path: Path, size: tuple[int, int] | None, colour: int | None) -> None:
        array = _header(path)
        self._path, self._dtype, self._entry, self._offset = path, array.dtype, array.shape[1:], array.offset
        self._size, self._colour = size, colour
        self.shape = ()
        first = self[torch.tensor([0])]
        self._size = size or default_size(*first.shape[2:])
        self.shape = (len(array), *first.shape[1:2], *self._size)

    def __getitem__(self, index: Tensor) -> Tensor:
        if len(index) == 0:
            return torch.empty(0, *self.shape[1:])
        return torch.cat([self._brought(part) for part in index.split(max(1, PART // math.prod(self._entry)))])

    def _brought(self, index: Tensor) -> Tensor:
        images = arrays.images(self._path, self._read(index), "its array")
        if self._size is not None:
            images = resize(images, self._size)
        return images if self._colour is None else recolour(images, self._colour)

    def _read(self, index: Tensor) -> arrays.Array:
        rows = np.empty((len(index), *self._entry), self._dtype)
        width = rows[0].nbytes
        try:
            with self._path.open("rb", buffering=0) as file:
                for place in index.argsort().tolist():  # a disk is read forwards
                    number = int(index[place])
                    file.seek(self._offset + number * width)
                    if file.readinto(rows[place].reshape(-1).view(np.uint8)) != width:
                        raise InputError(
                            f"{self._path}: image {number:,} is not there any more; the file was cut short"
                        )
        except OSError as error:
            raise why(self._path, error) from None
        return rows


def read(path: Path, labels: Path | None, size: tuple[int, int] | None, colour: int | None) -> Samples:
    """A file of images and its labels.

    Raises:
        InputError: if either is no such array, or they do not belong together.
    """
    images = File(path, size, colour)
    labels = labels or _labels_beside(path)
    array = _open(labels)
    if array.ndim != 1 or len(array) != images.shape[0]:
        raise InputError(
            f"{labels}: expected one label for each of the {images.shape[0]:,} images of {path.name}, it is "
            f"{arrays.show(array)}"
        )
    numbers, names = arrays.labels(labels, np.asarray(array), None, "its array")
    return Samples(images, numbers, names, f"{path}: {len(numbers):,} images, read as they are needed")


def _header(path: Path) -> np.memmap[Any, Any]:
    array = _open(path)
    if not array.flags.c_contiguous:
        raise InputError(
            f"{path}: is in Fortran's order, so that an image is all over it; write np.ascontiguousarray of it"
        )
    arrays.check_shape(path, array, "its array")
    return array


def _open(path: Path) -> np.memmap[Any, Any]:
    with arrays.opening(path, "damaged, cut short, or not a .npy file"):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.memmap):
        raise InputError(f"{path}: an .npz archive, not one array")
    return found


def _labels_beside(images: Path) -> Path:
    named = [images.stem.replace("images", "labels")] if "images" in images.stem else []
    named += ["y" + images.stem[1:]] if images.stem == "x" or images.stem.startswith("x_") else []
    sought = [f"{name}.npy" for name in dict.fromkeys((*named, "labels"))]
    for name in sought:
        if (beside := images.with_name(name)).is_file():
            return beside
    raise InputError(f"{images}: there is no {' or '.join(sought)} beside it; give its labels with --labels")
