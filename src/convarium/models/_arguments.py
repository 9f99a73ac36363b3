"""What the networks are given, checked."""

from __future__ import annotations

from collections.abc import Sequence

from .._spec.shown import shown


def positive_number(call: str, name: str, value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}")
    if value < least:
        raise ValueError(f"{call}: {name} must be at least {least}, got {value}")
    return value


def height_and_width(call: str, size: int | Sequence[int]) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise ValueError(f"{call}: size must be a number or (height, width), got {shown(size)}")
    return sides
