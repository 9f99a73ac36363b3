"""The questions that are asked of the same images: what is it, and what is it at that place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .geometry import reduction
from .images import Images, Later, on_disk
from .samples import Samples


@dataclass(frozen=True, slots=True)
class Task:
    """A question.

    Attributes:
        summary: what it asks.
        compose: makes its images (from images, how many of each, a generator).
        placeless: about the best share that a network can get right that sees everything but where it is, by classes.
    """

    summary: str
    compose: Callable[[Samples, int, torch.Generator], Samples]
    placeless: Callable[[int], float] | None = None


def _as_they_are(samples: Samples, repeats: int, generator: torch.Generator) -> Samples:
    return samples


class _Pairs(Later):
    """Two images beside each other, on a background."""

    def __init__(
        self, images: Images, left: Tensor, right: Tensor, places: tuple[int, int], width: int, background: float
    ) -> None:
        self._images, self._sides, self._background = images, tuple(zip((left, right), places, strict=True)), background
        _, channels, height, _ = images.shape
        self.shape, self.on_disk = (len(left), channels, height, width), on_disk(images)

    def __getitem__(self, index: Tensor) -> Tensor:
        width = self._images.shape[3]
        pairs = torch.full((len(index), *self.shape[1:]), self._background)
        for numbers, place in self._sides:
            pairs[..., place : place + width] = self._images[numbers[index]]
        return pairs


def _side_by_side(samples: Samples, repeats: int, generator: torch.Generator) -> Samples:
    """Each image ``repeats`` times on the left, another drawn at random on the right; the label is the left one's.

    A head that averages over positions is told which two there are, not which is where. Gap and margin are two cells of the
    middle layer's input, wide enough that few windows see both, and the distance from one image to the other is a whole
    number of cells, so that a shared kernel meets both alike.
    """
    height, width = samples.size
    cell = reduction(height, width)
    left = torch.arange(len(samples)).repeat(repeats)
    right = torch.randint(len(samples), (len(left),), generator=generator)
    margin = 2 * cell
    gap = 2 * cell + -width % cell
    second = margin + width + gap
    images = _Pairs(samples.images, left, right, (margin, second), second + width + margin, samples.background)
    return Samples(images, samples.labels[left], samples.names, samples.origin)


TASKS = {
    "plain": Task("one image: what is it?", _as_they_are),
    "place": Task(
        "two images side by side: what is the left one?", _side_by_side, lambda classes: (1 + 1 / classes) / 2
    ),
}
