"""A folder of images by class: one sub-folder a class, the class named like it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..._files.failures import InputError, why
from ..samples import Samples, default_size, resize
from . import picture

Tell = Callable[[str], None]


def read(path: Path, size: tuple[int, int] | None, colour: int | None = None, skipping: Tell | None = None) -> Samples:
    """Read every image below the sub-folders. Grey unless an image has colours; one size for all.

    Files that cannot be read are left out, and ``skipping`` told of each; without it the first one is an error.

    Raises:
        InputError: naming the first file that is no image, or the class that has none.
    """
    try:
        classes = sorted((e for e in path.iterdir() if e.is_dir() and not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise why(path, error) from None
    if len(classes) < 2:
        raise InputError(f"{path}: expected at least two sub-folders, one a class, found {len(classes)}")
    tensors: list[Tensor] = []
    labels: list[int] = []
    skipped = 0
    for label, folder in enumerate(classes):
        files = _images(folder)
        if not files:
            raise InputError(f"{folder}: no images inside (of {', '.join(sorted(picture.SUFFIXES))})")
        found = [image for file in files if (image := _read(file, colour, skipping)) is not None]
        if not found:
            raise InputError(f"{folder}: none of its {len(files)} images can be read")
        skipped += len(files) - len(found)
        tensors += found
        labels += [label] * len(found)
    channels = colour or max(tensor.shape[0] for tensor in tensors)
    if size is None:
        sizes = {tuple(tensor.shape[1:]) for tensor in tensors}
        first = sizes.pop()
        size = default_size(*first) if not sizes else (32, 32)
    images = torch.cat([resize(tensor.expand(channels, -1, -1)[None], size) for tensor in tensors])
    names = tuple(folder.name for folder in classes)
    kind = "grey" if channels == 1 else "colour"
    origin = f"{path}: {len(images):,} {kind} images in {len(names)} folders, at {size[0]} x {size[1]}"
    if skipped:
        origin += f"; {skipped:,} that cannot be read left out"
    return Samples(images, torch.tensor(labels), names, origin)


def _read(file: Path, colour: int | None, skipping: Tell | None) -> Tensor | None:
    try:
        return picture.read(file, colour)
    except InputError as error:
        if skipping is None:
            raise
        skipping(f"{error}; left out")
        return None


def _images(folder: Path) -> list[Path]:
    found = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        found += [Path(root, name) for name in sorted(files) if not name.startswith(".")]
    return [file for file in found if file.suffix.lower() in picture.SUFFIXES]
