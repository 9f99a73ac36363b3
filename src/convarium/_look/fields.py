"""Receptive fields, one direction at a time: what the positions of a tensor see of the input of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """What the positions of a tensor see of the input, in one direction: position ``s`` sees ``size`` places from
    ``start + s * jump`` on (before 0 and past the end lies padding)."""

    start: Fraction
    jump: Fraction
    size: Fraction


Fields = tuple[Field, ...]


def own(n: int) -> Fields:
    """Of the input itself."""
    return (Field(Fraction(0), Fraction(1), Fraction(1)),) * n


def whole(fields: Fields, sizes: Sequence[int]) -> Fields:
    """Of what all positions of a tensor of these sizes are put into."""
    return tuple(
        Field(f.start, Fraction(0), f.size + (length - 1) * f.jump) for f, length in zip(fields, sizes, strict=True)
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
    return Field(
        field.start - padding * field.jump, field.jump * stride, field.size + (kernel - 1) * dilation * field.jump
    )


def reached(field: Field, kernel: int, stride: int, dilation: int, padding: int) -> Field:
    """Of positions of a transposed convolution: position ``h`` is reached from what lies from ``(h + padding - reach) / stride``
    to ``(h + padding) / stride``, both of which may be fractions."""
    reach = Fraction((kernel - 1) * dilation, stride)
    start = field.start + (Fraction(padding, stride) - reach) * field.jump
    return Field(start, field.jump / stride, field.size + reach * field.jump)


def union(fields: Sequence[Fields]) -> Fields | None:
    """Of what is added or put side by side; None where the jumps differ."""
    if not fields:
        return None
    found = []
    for each in zip(*fields, strict=True):
        jumps = {field.jump for field in each}
        if len(jumps) > 1:
            return None
        start = min(field.start for field in each)
        found.append(Field(start, jumps.pop(), max(field.start + field.size for field in each) - start))
    return tuple(found)
