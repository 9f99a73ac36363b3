"""NumPy's ``.npz``: arrays ``x`` (images) and ``y`` (labels), ``names`` if the classes have any; Keras's names too.

Images are ``(N, H, W)``, ``(N, H, W, channels)`` or ``(N, channels, H, W)`` with 1 or 3 channels, as bytes or as numbers from 0
to 1. Labels are whole numbers from 0, or texts, which are sorted and numbered.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..._files.failures import InputError, why
from ..samples import Samples, default_size, resize

Array = NDArray[np.generic]


def read(path: Path, size: tuple[int, int] | None) -> Samples:
    arrays = _open(path)
    if {"x", "y"} <= arrays.keys():
        x, y, n_test = arrays["x"], arrays["y"], 0
    elif {"x_train", "y_train"} <= arrays.keys():
        if ("x_test" in arrays) != ("y_test" in arrays):
            raise InputError(f"{path}: x_test and y_test belong together, one is missing")
        x, y, n_test = arrays["x_train"], arrays["y_train"], len(arrays.get("x_test", ()))
        if "x_test" in arrays:
            if x.shape[1:] != arrays["x_test"].shape[1:] or x.dtype != arrays["x_test"].dtype:
                raise InputError(
                    f"{path}: x_train is {show(x)}, x_test is {show(arrays['x_test'])}; they do not go together"
                )
            if len(y) != len(x):
                raise InputError(f"{path}: {len(x):,} images in x_train, {len(y):,} labels in y_train")
            x, y = np.concatenate([x, arrays["x_test"]]), np.concatenate([y, arrays["y_test"]])
    else:
        raise InputError(
            f"{path}: expected arrays x and y (or x_train, y_train), it has {', '.join(sorted(arrays)) or 'none'}"
        )
    if y.ndim != 1 or len(y) != len(x):
        raise InputError(f"{path}: y must have one label for each of the {len(x):,} images of x, it is {show(y)}")
    if len(x) == 0:
        raise InputError(f"{path}: there are no images")
    pixels = images(path, x)
    numbers, names = labels(path, y, arrays.get("names"))
    pixels = resize(pixels, size or default_size(*pixels.shape[2:]))
    held_out = torch.arange(len(numbers)) >= len(numbers) - n_test if n_test else None
    origin = f"{path}: {len(numbers):,} images" + (f", {n_test:,} of them its own test set" if n_test else "")
    return Samples(pixels, numbers, names, origin, held_out)


def _open(path: Path) -> dict[str, Array]:
    with opening(path, "damaged, or not an .npz archive"), np.load(path, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: a single array, not an .npz archive")
        wanted = ("x", "y", "names", "x_train", "y_train", "x_test", "y_test")
        chosen = [name for name in archive.files if name in wanted] or archive.files[:5]
        return {name: archive[name] for name in chosen}


@contextlib.contextmanager
def opening(path: Path, otherwise: str) -> Iterator[None]:
    """What NumPy refuses in a file as an InputError of one line: ``otherwise``, where it says nothing better."""
    try:
        yield
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        objects = "Object arrays" in str(error) or "Python objects" in str(error)
        raise InputError(f"{path}: {'arrays of Python objects are not read' if objects else otherwise}") from None
    except OSError as error:
        raise why(path, error) from None


def check_shape(path: Path, x: Array, name: str) -> None:
    """Refuse what cannot be images; ``name`` is what a message calls it."""
    coloured = x.ndim == 4 and {x.shape[1], x.shape[3]} & {1, 3}
    if not (x.ndim == 3 or coloured) or 0 in x.shape:
        raise InputError(f"{path}: {name} must be (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W), it is {show(x)}")


def images(path: Path, x: Array, name: str = "x") -> Tensor:
    """An array of images as ``(N, C, H, W)``, float32 from 0 to 1; ``name`` is what a message calls it."""
    check_shape(path, x, name)
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[1] not in (1, 3):
        x = np.moveaxis(x, 3, 1)
    if x.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(x)).float().div_(255)
    if x.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} must hold bytes, or numbers from 0 to 1, it is {x.dtype.name}")
    pixels = torch.from_numpy(np.ascontiguousarray(x).astype(np.float32))
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"{path}: {name} must hold bytes, or numbers from 0 to 1, it goes from {low:g} to {high:g}")
    return pixels


def labels(path: Path, y: Array, given: Array | None, name: str = "y") -> tuple[Tensor, tuple[str, ...]]:
    """An array of labels as numbers and the names of the classes, which may be given; ``name`` is what a message calls it."""
    if y.dtype.kind == "U":
        if given is not None:
            raise InputError(f"{path}: labels that are texts are their own names; leave out the array names")
        names, index = np.unique(y, return_inverse=True)
        return torch.from_numpy(index.astype(np.int64)), tuple(map(str, names))
    if y.dtype.kind not in "iu":
        raise InputError(f"{path}: {name} must hold whole numbers or texts, it is {y.dtype.name}")
    whole = y.astype(np.int64)
    if whole.min() < 0 or whole.max() > 9999:
        raise InputError(f"{path}: labels from {whole.min()} to {whole.max()}; expected 0 to at most 9999")
    count = int(whole.max()) + 1
    if given is None:
        return torch.from_numpy(whole), tuple(map(str, range(count)))
    if given.ndim != 1 or given.dtype.kind != "U" or len(given) < count:
        raise InputError(f"{path}: names must be at least {count} texts, it is {show(given)}")
    return torch.from_numpy(whole), tuple(map(str, given))


def show(array: Array) -> str:
    """Shape and type, for a message."""
    return f"{tuple(array.shape)} of {array.dtype.name}"
