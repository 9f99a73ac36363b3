"""IDX, the format of MNIST: a magic number, sizes, and nothing but numbers behind them.

Bytes 0 and 1 are zero, byte 2 is the type, byte 3 the number of dimensions; then one big-endian 32-bit size for each, then
the values in C order. Every promise of the header is checked against what is there before anything is made of it.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..._files.failures import InputError, why
from ..samples import Samples, default_size, resize

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 2**34  # bytes; a header that promises more is taken for damaged


def parse(path: Path) -> NDArray[np.generic]:
    """Read one IDX file, gzip-compressed or not, whatever its name.

    Raises:
        InputError: if it is no IDX file, cut short, has bytes behind its end, or its compression is damaged.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if compressed else path.open("rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
                raise InputError(
                    f"{path}: not an IDX file (it begins with {magic.hex() or 'nothing'}, an IDX file with 0000TTNN)"
                )
            n_dimensions = magic[3]
            header = file.read(4 * n_dimensions)
            if len(header) < 4 * n_dimensions:
                raise InputError(f"{path}: cut short inside the header ({n_dimensions} sizes announced)")
            shape = struct.unpack(f">{n_dimensions}I", header)
            dtype = np.dtype(TYPES[magic[2]])
            expected = math.prod(shape) * dtype.itemsize
            sizes = " x ".join(map(str, shape))
            if expected > LARGEST:
                raise InputError(
                    f"{path}: the header announces {sizes} values, {expected:,} bytes: damaged, or not for memory"
                )
            body = file.read(expected + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: damaged gzip compression ({str(error).lower()})") from None
    except OSError as error:
        raise why(path, error) from None
    if len(body) < expected:
        raise InputError(f"{path}: cut short: {sizes} values need {expected:,} bytes, {len(body):,} are there")
    if len(body) > expected:
        raise InputError(f"{path}: more bytes than the {expected:,} that {sizes} values need")
    return np.frombuffer(body, dtype).reshape(shape)


def looks_like(path: Path) -> bool:
    """Whether a file is meant as IDX, by its first bytes or its name; only :func:`parse` says whether it is sound."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise why(path, error) from None
    return start[:2] == b"\x1f\x8b" or (len(start) == 4 and start[:2] == b"\0\0") or "idx" in path.name


def is_folder(path: Path) -> bool:
    return any("idx" in entry.name and entry.is_file() for entry in path.iterdir())


def read_folder(path: Path, size: tuple[int, int] | None) -> Samples:
    """The image files of a folder with their label files; what is named ``t10k`` or ``test`` becomes the test set."""
    found = sorted(entry for entry in path.iterdir() if "idx" in entry.name and "images" in entry.name)
    if not found:
        raise InputError(f"{path}: IDX files, but none has 'images' in its name")
    stems = [entry.name.removesuffix(".gz") for entry in found]
    for entry, stem in zip(found, stems, strict=True):
        if stems.count(stem) > 1 and entry.name.endswith(".gz"):
            raise InputError(f"{entry}: there is also {stem}; remove one of them")
    parts = [read_pair(entry, None, size) for entry in found]
    shapes = {part.images.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise InputError(f"{path}: the image files differ in size; --size brings them to one")
    is_test = [entry.name.startswith(("t10k", "test")) for entry in found]
    held_out = None
    if any(is_test) and not all(is_test):
        held_out = torch.cat([torch.full((len(part),), test) for part, test in zip(parts, is_test, strict=True)])
    images = torch.cat([cast(torch.Tensor, part.images) for part in parts])
    labels = torch.cat([part.labels for part in parts])
    names = tuple(map(str, range(int(labels.max()) + 1 if len(labels) else 0)))
    origin = f"{path}: {len(images):,} IDX images" + (
        f", {int(held_out.sum()):,} of them its own test set" if held_out is not None else ""
    )
    return Samples(images, labels, names, origin, held_out)


def read_pair(images_path: Path, labels_path: Path | None, size: tuple[int, int] | None) -> Samples:
    """An image file and its label file, which is looked for beside it when it is not given."""
    images = parse(images_path)
    if images.ndim != 3:
        raise InputError(f"{images_path}: expected images (count x rows x columns), it has {images.ndim} dimensions")
    if images.dtype != np.uint8:
        raise InputError(f"{images_path}: expected images of unsigned bytes, they are {images.dtype.name}")
    if 0 in images.shape:
        raise InputError(f"{images_path}: there are no images")
    labels_path = labels_path or _labels_beside(images_path)
    labels = parse(labels_path)
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise InputError(
            f"{labels_path}: expected labels (one whole number an image), it has {labels.ndim} dimensions of {labels.dtype.name}"
        )
    if len(labels) != len(images):
        raise InputError(f"{labels_path}: {len(labels):,} labels for the {len(images):,} images of {images_path.name}")
    whole = labels.astype(np.int64)
    if whole.min() < 0 or whole.max() > 9999:
        raise InputError(f"{labels_path}: labels from {whole.min()} to {whole.max()}; expected 0 to at most 9999")
    size = size or default_size(*images.shape[1:])
    pixels = resize(torch.from_numpy(images.copy()).unsqueeze(1).float().div_(255), size)
    names = tuple(map(str, range(int(whole.max()) + 1)))
    return Samples(pixels, torch.from_numpy(whole), names, f"{images_path}: {len(images):,} IDX images")


def _labels_beside(images: Path) -> Path:
    if "images" not in images.name:
        raise InputError(f"{images}: no 'images' in its name to find the label file by; give it with --labels")
    plain = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    for name in (plain, plain + ".gz"):
        if (images.parent / name).is_file():
            return images.parent / name
    raise InputError(f"{images}: its label file {plain} is not beside it; give it with --labels")
