"""Checks of the arguments that signals alone have: axes and real numbers."""

from __future__ import annotations

import math

import numpy as np

from .._spec.arguments import whole
from .._spec.shown import shown


def one_axis(call: str, name: str, value: object, rank: int) -> int:
    axis = whole(call, name, value)
    if not -rank <= axis < rank:
        has = (
            f"in {-rank}..{rank - 1} for {rank} dimension{'s' * (rank > 1)}" if rank else "left out: a number has none"
        )
        raise ValueError(f"{call}: {name} must be {has}, got {axis}")
    return axis % rank


def number(call: str, name: str, value: object, *, positive: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{call}: {name} must be a number, got {shown(value)}")
    if not 0 <= value < math.inf or (positive and value == 0):
        expected = "positive and finite" if positive else "finite, 0 or more"
        raise ValueError(f"{call}: {name} must be {expected}, got {shown(value)}")
    return float(value)
