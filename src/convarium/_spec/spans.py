"""The positions of one direction, cut where their windows change.

Near an edge a window hangs over and holds fewer taps; under a tile, kernels take turns. A :class:`Span` is a set of
positions that agree in both: position ``first + r + tile * q``, for ``r < phases`` and ``q < rounds``, uses kernel
``phase + r`` and sees just ``taps`` taps, all of them inside the input. The spans of an axis cover every position whose
window holds any of the input, once. A product of spans, one a direction, is a box, and over a box the windows of a
convolution are one strided view of the unpadded input, whatever the padding.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .geometry import Axis


@dataclass(frozen=True, slots=True)
class Span:
    """Positions of one direction whose windows are alike; taps are counted as the input runs, also for a flipped kernel."""

    first: int
    phase: int
    phases: int
    rounds: int
    tap: int
    taps: int
    start: int  # the input position that the first position sees through its first tap


@lru_cache(maxsize=4096)
def spans(axis: Axis, tile: int) -> tuple[Span, ...]:
    """The spans of an axis whose kernels take turns with period ``tile``."""
    corners = np.arange(axis.output, dtype=np.int64) * axis.stride - axis.padding
    first_tap = np.maximum(-(corners // axis.dilation), 0)  # the first m with corner + m * dilation >= 0
    last_tap = np.minimum((axis.size - 1 - corners) // axis.dilation, axis.kernel - 1)
    changes = np.flatnonzero((np.diff(first_tap) != 0) | (np.diff(last_tap) != 0)) + 1
    bounds = [0, *changes.tolist(), axis.output]
    found: list[Span] = []
    for begin, end in itertools.pairwise(bounds):
        tap, taps = int(first_tap[begin]), int(last_tap[begin] - first_tap[begin]) + 1
        position = begin
        while taps > 0 and position < end:
            phase, left = position % tile, end - position
            if phase == 0 and left >= tile:
                phases, rounds = tile, left // tile
            else:
                phases, rounds = min(tile - phase, left), 1
            start = position * axis.stride + tap * axis.dilation - axis.padding
            found.append(Span(position, phase, phases, rounds, tap, taps, start))
            position += phases * rounds
    return tuple(found)
