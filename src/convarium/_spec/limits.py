"""How large anything may be."""

from __future__ import annotations

import math

from .shown import written

WORD = 2**63  # whole numbers are below it, and so is a tensor's count of bytes
ELEMENTS = 2**60  # of a tensor whose numbers may be of any width: about what WORD bytes hold
CHANNELS = 2**31
PAIRS = 2**30  # of an input and an output channel, in a graph that is kept as bits


def fits_memory(call: str, **shapes: tuple[int, ...]) -> None:
    """Refuse a tensor that no memory can hold, before anything is allocated; symbolic sizes are left to their program."""
    for name, shape in shapes.items():
        if all(type(length) is int for length in shape) and math.prod(shape) > ELEMENTS:
            raise ValueError(f"{call}: {name} of shape {written(shape)} is larger than memory can be")
