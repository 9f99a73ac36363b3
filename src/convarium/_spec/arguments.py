"""Single arguments of a call, checked and put into one form: numbers, sizes, padding, flags and names.

Sizes may be symbolic (while a program is being traced), so nothing here hashes, rounds or branches on them more than a
check has to.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
import torch

from .geometry import same_padding
from .limits import WORD
from .shown import shown, written

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
PADDING_NAMES = ("valid", "same", "full")


def directions(call: str, name: str, value: Any, n: int) -> Ints:
    """A number, or one number a direction."""
    if is_sequence(value):
        if len(value) != n:
            hint = "; padding before and after is written in pairs, ((before, after), ...)" if name == "padding" else ""
            raise ValueError(f"{call}: {name} must be {_so_many(n)}, got {shown(value)}{hint}")
        return tuple(whole(call, name, item) for item in value)
    return (whole(call, name, value),) * n


def pairs(call: str, padding: Any, n: int, size: Ints, kernel: Ints, stride: Ints, dilation: Ints) -> Pairs:
    """Padding before and after, from a number, a number a direction, pairs, or ``'valid'``, ``'same'``, ``'full'``."""
    if isinstance(padding, str):
        if padding not in PADDING_NAMES:
            hint = f"; padding_mode={padding!r} would fit" if padding in PADDING_MODES else ""
            raise ValueError(
                f"{call}: padding must be numbers, pairs, or one of {_names(PADDING_NAMES)}, got {shown(padding)}{hint}"
            )
        if padding == "valid":
            return ((0, 0),) * n
        if padding == "full":
            return tuple((d * (k - 1), d * (k - 1)) for d, k in zip(dilation, kernel, strict=True))
        return tuple(same_padding(*axis) for axis in zip(size, kernel, stride, dilation, strict=True))
    if is_sequence(padding) and any(is_sequence(side) for side in padding):
        if len(padding) != n or any(not is_sequence(side) or len(side) != 2 for side in padding):
            raise ValueError(
                f"{call}: padding by pairs must be ((before, after), ...), one pair a direction, {n} in all, got {shown(padding)}"
            )
        found = tuple((whole(call, "padding", before), whole(call, "padding", after)) for before, after in padding)
    else:
        found = tuple((side, side) for side in directions(call, "padding", padding, n))
    for pair in found:
        if min(pair) < 0:
            raise ValueError(f"{call}: padding must not be negative, got {shown(padding)}")
    return found


def whole(call: str, name: str, value: Any, least: int | None = None) -> int:
    """A whole number; of those, numbers from `least` on."""
    if isinstance(value, bool):
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}")
    try:
        found = index(value) if type(value) is not int else value
    except TypeError:
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}") from None
    if type(found) is int and not -WORD < found < WORD:
        raise ValueError(f"{call}: {name} must be less than 2**63, got {found}")
    if least is not None and found < least:
        raise ValueError(f"{call}: {name} must be at least {least}, got {shown(value)}")
    return found


def is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _so_many(n: int) -> str:
    return "a number, alone or in a sequence" if n == 1 else f"a number or {n} of them, one a direction"


def positive(call: str, name: str, value: Any, n: int) -> Ints:
    """A positive number in each direction, given as one or as ``n``."""
    found = directions(call, name, value, n)
    for item in found:
        if item < 1:
            raise ValueError(f"{call}: {name} must be at least 1, got {shown(value)}")
    return found


def one_of(call: str, name: str, value: Any, names: Sequence[str]) -> str:
    """One of some names."""
    if not isinstance(value, str):
        raise TypeError(f"{call}: {name} must be one of {_names(names)}, got {shown(value)}")
    if value not in names:
        raise ValueError(f"{call}: {name} must be one of {_names(names)}, got {shown(value)}")
    return value


def flag(call: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{call}: {name} must be True or False, got {shown(value)}")
    return value


def padding_mode_name(call: str, mode: Any) -> str:
    return one_of(call, "padding_mode", mode, PADDING_MODES)


def more_output(call: str, value: Any, n: int, stride: Ints, dilation: Ints) -> Ints:
    """More output after the end, less than what a stride or a dilation leaves undecided."""
    found = directions(call, "output_padding", value, n)
    for e, u, d in zip(found, stride, dilation, strict=True):
        if e < 0 or e >= max(u, d):
            raise ValueError(
                f"{call}: output_padding must be at least 0 and less than stride or dilation, got {shown(value)} "
                f"with stride {written(stride)} and dilation {written(dilation)}"
            )
    return found


def shape(call: str, name: str, value: Any) -> Ints:
    """A shape given as a sequence of whole numbers."""
    if not is_sequence(value):
        hint = "; its .shape is one" if hasattr(value, "shape") else ""
        if isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 1 and "int" in str(value.dtype):
            hint = f"; tuple({name}) would fit"
        raise TypeError(f"{call}: {name} must be a shape, a sequence of whole numbers, got {shown(value)}{hint}")
    found = tuple(whole(call, name, item) for item in value)
    for item in found:
        if item < 0:
            raise ValueError(f"{call}: {name} must not be negative, got {written(found)}")
    return found


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
