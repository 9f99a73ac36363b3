"""What a graph is called: its constructor and the numbers that make it, or how many blocks and parents it has."""

from __future__ import annotations

import numpy as np

from .patterns import Mask, banded, hierarchical, shuffled


def by_text(inputs: int, text: str) -> str | None:
    """Of a graph that is kept by name."""
    kind, _, number = text.partition(":")
    if text == "g:1":
        return "dense"
    if kind == "g":
        return "depthwise" if int(number) == inputs else f"groups {number}"
    return f"interlaced {number}" if kind == "i" else None


def by_pattern(mask: Mask) -> str | None:
    """Of a graph with the mask of a pattern; the first output and how many inputs each reads leave a few candidates."""
    outputs, inputs = mask.shape
    first = np.flatnonzero(mask[0])
    reads = len(first)
    if not reads or (np.count_nonzero(mask, axis=1) != reads).any():
        return None
    gaps = np.count_nonzero(np.diff(first) > 1)
    for circular in (False, True):
        if gaps <= circular and np.array_equal(banded(inputs, outputs, reads, circular), mask):
            return f"banded {reads}{' circular' * circular}"
    groups = inputs // reads
    if not inputs % reads and not outputs % groups and np.array_equal(shuffled(inputs, outputs, groups), mask):
        return f"shuffled {groups}"
    if inputs != outputs or reads == 1:
        return None
    level = next(n for n in range(64) if reads**n >= first[1])  # the second parent is a step from the first, which is 0
    fits = not inputs % reads ** (level + 1) and np.array_equal(hierarchical(inputs, reads, level), mask)
    return f"hierarchical {reads} level {level}" if fits else None


def by_counts(mask: Mask, blocks: int) -> str:
    """Of any other."""
    parents = np.unique(np.count_nonzero(mask, axis=1)).tolist()
    read = f"{parents[0]} to {parents[-1]} parents" if len(parents) > 1 else f"{parents[0]} parents each"
    return f"{blocks} block{'s' * (blocks > 1)}, {read}" if blocks < len(mask) else read
