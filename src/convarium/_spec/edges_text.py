"""The edges of a graph as a short text: ``"g:4"`` four groups, ``"i:8"`` eight interlaced, ``"e:..."`` the bits of its mask."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt

from .patterns import Mask, regular
from .shown import shown


def canonical(inputs: int, outputs: int, text: str) -> tuple[str, int]:
    """The text in the one form that all graphs of its edges have, and how many edges; ValueError when it is no graph's."""
    kind, _, rest = text.partition(":")
    if kind in ("g", "i") and rest.isdecimal():
        groups = int(rest)
        if groups and inputs % groups == outputs % groups == 0:
            alike = groups == 1 or inputs == outputs == groups
            return f"{'g' if alike else kind}:{groups}", inputs * outputs // groups
    if kind == "e" and _bits(rest).size == (inputs * outputs + 7) // 8:
        mask = unpacked(inputs, outputs, rest)
        return _regular(mask) or packed(mask), int(mask.sum())
    raise ValueError(f"ChannelGraph: {shown(text[:40])} is no channel graph of {inputs} -> {outputs} channels")


def packed(mask: Mask) -> str:
    return "e:" + base64.b64encode(np.packbits(mask).tobytes()).decode("ascii")


def unpacked(inputs: int, outputs: int, text: str) -> Mask:
    return np.unpackbits(_bits(text), count=inputs * outputs).reshape(outputs, inputs).astype(np.bool_)


def _bits(text: str) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except ValueError:
        return np.empty(0, dtype=np.uint8)  # which no graph has


def _regular(mask: Mask) -> str | None:
    """The text of the groups or the interlaced graph with this mask, if any; the first output's row says how many."""
    outputs, inputs = mask.shape
    reads = int(np.count_nonzero(mask[0]))
    if not reads or inputs % reads or outputs % (inputs // reads):
        return None
    groups = inputs // reads
    fits = (kind for kind in "gi" if np.array_equal(regular(inputs, outputs, kind, groups), mask))
    return next((f"{kind}:{groups}" for kind in fits), None)
