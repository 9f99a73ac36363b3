"""Receptive fields, one direction at a time: what the positions of a tensor see of the input of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """What the positions of a tensor see of the input at the most, in one direction: position ``s`` sees ``size`` places from
    ``start + s * jump`` on. Before 0 and past the end lies padding: of zeros, or, where it ``wraps``, of other places."""

    start: Fraction
    jump: Fraction
    size: Fraction
    wraps: bool = False

    def of(self, position: int, length: int) -> range:
        """The places of an input so long that a position sees."""
        first = self.start + position * self.jump
        begin, end = math.floor(first), math.ceil(first + self.size)
        if self.wraps and (begin < 0 or end > length):
            return range(length)
        begin, end = max(0, begin), min(length, end)
        return range(begin, max(begin, end))


Fields = tuple[Field, ...]


def own(n: int) -> Fields:
    """Of the input itself."""
    return (Field(Fraction(0), Fraction(1), Fraction(1)),) * n


def whole(fields: Fields, sizes: Sequence[int]) -> Fields:
    """Of what all positions of a tensor of these sizes are put into."""
    return tuple(
        Field(f.start, Fraction(0), f.size + (length - 1) * f.jump, f.wraps)
        for f, length in zip(fields, sizes, strict=True)
    )


def directions(value: Any, n: int) -> tuple[int, ...]:
    found = (value,) if isinstance(value, int) else tuple(value)
    return found * n if len(found) == 1 else found


def each(step: Callable[[Field, int, int, int, int], Field], fields: Fields, *geometry: Any) -> Fields:
    """``geometry``: kernel, stride, dilation and padding before, each a number or one for each direction."""
    numbers = [directions(value, len(fields)) for value in geometry]
    return tuple(step(*one) for one in zip(fields, *numbers, strict=True))


def window(field: Field, kernel: int, stride: int, dilation: int, padding: int) -> Field:
    """Of positions that read a window each."""
    size = field.size + (kernel - 1) * dilation * field.jump
    return Field(field.start - padding * field.jump, field.jump * stride, size, field.wraps)


def reached(field: Field, kernel: int, stride: int, dilation: int, padding: int) -> Field:
    """Of positions of a transposed convolution: position ``h`` is reached from what lies from ``(h + padding - reach) / stride``
    to ``(h + padding) / stride``, both of which may be fractions."""
    reach = Fraction((kernel - 1) * dilation, stride)
    start = field.start + (Fraction(padding, stride) - reach) * field.jump
    return Field(start, field.jump / stride, field.size + reach * field.jump, field.wraps)


def wrapped(fields: Fields) -> Fields:
    """With a padding that shows other places of the same tensor."""
    return tuple(replace(field, wraps=True) for field in fields)


def union(fields: Sequence[Fields]) -> Fields:
    """Of what is added or put side by side, position by position; where steps differ, of all positions together."""
    found = []
    for one in zip(*fields, strict=True):
        start, end = min(f.start for f in one), max(f.start + f.size for f in one)
        jumps = {f.jump for f in one}
        if len(jumps) > 1 and jumps != {max(jumps), Fraction(0)}:
            raise ValueError(f"steps {sorted(jumps)} have no field together")
        found.append(Field(start, min(jumps), end - start, any(f.wraps for f in one)))
    return tuple(found)
