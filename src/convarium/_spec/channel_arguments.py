"""What channel graphs are made of, checked: counts and channel numbers. Messages name the call as it was written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import index
from typing import Any

import numpy as np
import torch

from .arguments import is_sequence
from .limits import CHANNELS, PAIRS
from .shown import shown


def check_count(call: str, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}")
    if not 1 <= value < CHANNELS:
        raise ValueError(f"{call}: {name} must be at least 1 and less than 2**31, got {value}")
    return int(value)


def check_part(call: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating | np.integer):
        raise TypeError(f"{call}: {name} must be a number, more than 0 and at most 1, got {shown(value)}")
    if not 0 < value <= 1:
        raise ValueError(f"{call}: {name} must be more than 0 and at most 1, got {shown(value)}")


def check_bits(call: str, inputs: int, outputs: int) -> None:
    """A graph that is kept as the bits of its mask, made with a byte for each."""
    if inputs * outputs > PAIRS:
        raise ValueError(f"{call}: a graph of {inputs} -> {outputs} channels has more than {PAIRS} pairs of them")


def check_most(call: str, name: str, value: object, most: int) -> int:
    number = check_count(call, name, value)
    if number > most:
        raise ValueError(f"{call}: {name} must be at most in_channels={most}, got {number}")
    return number


def check_groups(call: str, in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int]:
    counts = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
    found = {name: check_count(call, name, value) for name, value in counts.items()}
    check_divides(call, **found)
    return found["in_channels"], found["out_channels"], found["groups"]


def check_divides(call: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Of counts that were checked."""
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            fits = few(divisors(math.gcd(in_channels, out_channels)))
            raise ValueError(f"{call}: groups={groups} does not divide {name}={value}; {fits} would divide both")


def divisors(number: int) -> list[int]:
    """Ascending."""
    low = [g for g in range(1, math.isqrt(number) + 1) if number % g == 0]
    return sorted({*low, *(number // g for g in low)})


def channel_number(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError
    return index(value)


def check_channel(call: str, name: str, value: Any, count: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{call}: {name} must be a channel number, got {shown(value)}")
    if not 0 <= value < count:
        raise ValueError(f"{call}: {name} must be a channel from 0 to {count - 1}, got {value}")


def channel_numbers(call: str, name: str, values: Iterable[int], count: int) -> list[int]:
    try:
        numbers = [channel_number(value) for value in values]
    except TypeError:
        raise TypeError(f"{call}: {name} must be channel numbers, got {shown(values)}") from None
    if not numbers:
        raise ValueError(f"{call}: {name} must be at least one channel")
    for number in numbers:
        if not 0 <= number < count:
            raise ValueError(f"{call}: {name} must be channels from 0 to {count - 1}, got {number}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{call}: {name} has channel {max(numbers, key=numbers.count)} twice")
    return numbers


def edge_pairs(call: str, edges: Any) -> list[tuple[int, int]]:
    """(input, output) pairs, not yet known to be in range."""
    lengths = {_length(row) for row in edges} if is_sequence(edges) and len(edges) == 2 else set()
    if len(lengths) == 1 and not lengths & {None, 2}:
        raise ValueError(f"{call}: edges must be (input, output) pairs, got {shown(edges)}; zip(*edges) would fit")
    found, wrong = [], edges
    try:
        for wrong in edges:
            source, target = (channel_number(end) for end in wrong)
            found.append((source, target))
    except (TypeError, ValueError):
        raise TypeError(f"{call}: edges must be (input, output) pairs of channel numbers, got {shown(wrong)}") from None
    return found


def _length(row: Any) -> int | None:
    return len(row) if is_sequence(row) or (isinstance(row, np.ndarray | torch.Tensor) and row.ndim == 1) else None


def few(numbers: list[int]) -> str:
    text = ", ".join(map(str, numbers[:8]))
    return text + (", ..." if len(numbers) > 8 else "")
