"""What the networks are given, checked."""

from __future__ import annotations

from .._spec.shown import shown


def positive_number(call: str, name: str, value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}")
    if value < least:
        raise ValueError(f"{call}: {name} must be at least {least}, got {value}")
    return value
