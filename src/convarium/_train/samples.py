"""Labelled images, and the one way in which an image is brought to another size or to other colours."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from .._files.failures import InputError
from .images import Images, chosen

PART = 2**24  # numbers of images that are looked at together where all are
SEEN = 65536  # images that tell what a background is
KEEP = 32  # images up to this side are kept as they are, larger ones are brought to it


@dataclass(frozen=True, slots=True)
class Samples:
    """Images ``(N, C, H, W)``, float32 from 0 to 1, in memory or not, their labels ``(N,)`` as indices into ``names``.

    ``held_out`` marks the images of a test set that the source itself has (as MNIST does), or is None.
    ``origin`` says in words where they come from and what was done to them.
    """

    images: Images
    labels: Tensor
    names: tuple[str, ...]
    origin: str
    held_out: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> Samples:
        held_out = None if self.held_out is None else self.held_out[index]
        return replace(self, images=chosen(self.images, index), labels=self.labels[index], held_out=held_out)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.images.shape[2:]
        return height, width

    @property
    def background(self) -> float:
        """What the images' outermost pixels mostly are: the median of their brightness, of many images that of some."""
        some = torch.arange(0, len(self), -(-len(self) // SEEN))
        edges = []
        for part in self._parts(some):
            edges += [part[..., 0, :], part[..., -1, :], part[..., 0], part[..., -1]]
        return float(torch.cat([edge.flatten() for edge in edges]).median())

    def digest(self) -> str:
        """A fingerprint of images and labels, so that a run can tell whether its data changed."""
        state = hashlib.sha256(repr((tuple(self.images.shape), self.names)).encode())
        for part in self._parts(torch.arange(len(self))):
            state.update(part.contiguous().numpy().tobytes())
        state.update(self.labels.contiguous().numpy().tobytes())
        return state.hexdigest()

    def _parts(self, index: Tensor) -> Iterator[Tensor]:
        return map(self.images.__getitem__, index.split(max(1, PART // math.prod(self.images.shape[1:]))))


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring ``(N, C, H, W)`` to another height and width: bilinear, averaging where it shrinks."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False).clamp_(0, 1)


def recolour(images: Tensor, colour: int) -> Tensor:
    """Grey to three equal channels, or three channels to their luminance as Pillow weighs it."""
    if images.shape[1] == colour:
        return images
    if colour == 1:
        return (images * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    return images.expand(-1, colour, -1, -1).contiguous()


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
