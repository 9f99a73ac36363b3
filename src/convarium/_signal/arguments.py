"""Checks of single arguments: the message names the argument, what was expected and what came."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from .._spec.shown import shown


def option(call: str, name: str, value: object, valid: Sequence[str]) -> None:
    listed = ", ".join(repr(entry) for entry in valid)
    if not isinstance(value, str):
        raise TypeError(f"{call}: {name} must be one of {listed}, got {type(value).__name__} {shown(value)}")
    if value not in valid:
        raise ValueError(f"{call}: {name} must be one of {listed}, got {shown(value)}")


def one_axis(call: str, name: str, value: object, rank: int, expected: str = "an integer") -> int:
    if isinstance(value, bool):
        raise TypeError(f"{call}: {name} must be {expected}, got bool {shown(value)}")
    try:
        axis = operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(f"{call}: {name} must be {expected}, got {type(value).__name__} {shown(value)}") from error
    if not -rank <= axis < rank:
        has = (
            f"in {-rank}..{rank - 1} for {rank} dimension{'s' * (rank > 1)}" if rank else "left out: a number has none"
        )
        raise ValueError(f"{call}: {name} must be {has}, got {axis}")
    return axis % rank


def number(call: str, name: str, value: object, *, positive: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{call}: {name} must be a number, got {type(value).__name__} {shown(value)}")
    if not 0 <= value < math.inf or (positive and value == 0):
        expected = "positive and finite" if positive else "finite, 0 or more"
        raise ValueError(f"{call}: {name} must be {expected}, got {shown(value)}")
    return float(value)


def whole(call: str, name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{call}: {name} must be an integer, got {type(value).__name__} {shown(value)}")
    if (count := operator.index(value)) < least:
        raise ValueError(f"{call}: {name} must be {least} or more, got {count}")
    return count


def flag(call: str, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{call}: {name} must be True or False, got {type(value).__name__} {shown(value)}")
    return value
