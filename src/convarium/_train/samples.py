"""Labelled images in memory, and the one way in which an image is brought to another size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from .._files.failures import InputError

KEEP = 32  # images up to this side are kept as they are, larger ones are brought to it


@dataclass(frozen=True, slots=True)
class Samples:
    """Images ``(N, C, H, W)``, float32 from 0 to 1, their labels ``(N,)`` as indices into ``names``.

    ``held_out`` marks the images of a test set that the source itself has (as MNIST does), or is None.
    ``origin`` says in words where they come from and what was done to them.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]
    origin: str
    held_out: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> Samples:
        held_out = None if self.held_out is None else self.held_out[index]
        return replace(self, images=self.images[index], labels=self.labels[index], held_out=held_out)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.images.shape[2:]
        return height, width

    @property
    def background(self) -> float:
        """What the images' outermost pixels mostly are: the median of their brightness."""
        edges = (self.images[..., 0, :], self.images[..., -1, :], self.images[..., 0], self.images[..., -1])
        return float(torch.cat([edge.flatten() for edge in edges]).median())

    def digest(self) -> str:
        """A fingerprint of images and labels, so that a run can tell whether its data changed."""
        state = hashlib.sha256(repr((tuple(self.images.shape), self.names)).encode())
        state.update(self.images.contiguous().numpy().tobytes())
        state.update(self.labels.contiguous().numpy().tobytes())
        return state.hexdigest()


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring ``(N, C, H, W)`` to another height and width: bilinear, averaging where it shrinks."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False).clamp_(0, 1)


def default_size(height: int, width: int) -> tuple[int, int]:
    """The size images are brought to when none is asked for: their own up to 32, else the longer side becomes 32."""
    longer = max(height, width)
    if longer <= KEEP:
        return height, width
    return max(5, round(height * KEEP / longer)), max(5, round(width * KEEP / longer))


def check_classes(samples: Samples) -> Samples:
    """Refuse what cannot be classified: no images, one class, a label without a name."""
    if len(samples) == 0:
        raise InputError(f"{samples.origin}: there are no images")
    if len(samples.names) < 2:
        raise InputError(f"{samples.origin}: expected at least two classes, got {len(samples.names)}")
    return samples
