"""What a block of the result reads along one axis of an array: whole numbers alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .._maps.padding import shown


@dataclass(frozen=True)
class Span:
    """Parts of an axis, ``(from, to)``, one after another; and which of their entries, where not all as they lie."""

    parts: tuple[tuple[int, int], ...]
    places: tuple[int, ...] | None = None

    @property
    def length(self) -> int:
        return sum(stop - start for start, stop in self.parts) if self.places is None else len(self.places)


def span(low: int, high: int, size: int, mode: str = "zeros") -> Span:
    """The entries ``low ... high - 1`` of an axis that ``mode`` carries on past its ends; ``'zeros'``: those it has, or none."""
    if mode == "zeros" or (low >= 0 and high <= size):
        start, stop = max(low, 0), min(high, size)
        return Span(((start, stop),) if start < stop else ())
    at = shown(torch.arange(low, high), size, mode).numpy()
    parts, places, before = [], [], 0
    for run in np.split(at, np.flatnonzero(np.abs(np.diff(at)) > 1) + 1):  # neighbours are read together
        first, end = int(run.min()), int(run.max()) + 1
        parts.append((first, end))
        places += (run - first + before).tolist()
        before += end - first
    return Span(tuple(parts), None if places == list(range(before)) else tuple(places))
