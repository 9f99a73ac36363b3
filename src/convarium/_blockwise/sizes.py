"""How large a block of the result is."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from .._spec.arguments import positive
from .._spec.shown import shown, written

TARGET = 64 * 2**20  # bytes that a block reads and makes; a worker holds a few times as many while it computes

Bytes = Callable[[Sequence[int]], int]


def block_size(
    call: str,
    chunks: Any,
    sizes: Sequence[int],
    batch: Sequence[int],
    needs: Bytes,
    least: Sequence[int],
    steps: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """The block's size along `batch` and `sizes`, axes of the result.

    ``'auto'`` halves what is longest until what a block `needs` is near the target: the batch first, which no window reaches
    over, then `sizes`, in multiples of their `steps`, but not below `least`.
    """
    step = tuple(steps or (1,) * len(sizes))
    if isinstance(chunks, str):
        if chunks != "auto":
            raise ValueError(f"{call}: chunks must be 'auto', a number or one a direction, got {shown(chunks)}")
        return _auto(sizes, batch, needs, least, step)
    asked = tuple(map(min, positive(call, "chunks", chunks, len(sizes)), (max(size, 1) for size in sizes)))
    found = _auto((), batch, lambda block: needs((*block, *asked)), (), ()) + asked
    if (most := needs(found)) > (memory := _memory()):
        fit = _auto(sizes, batch, needs, least, step)[len(batch) :]
        raise ValueError(
            f"{call}: chunks={shown(chunks)} needs {_gib(most)} GiB for a block, and this machine has {_gib(memory)} GiB of "
            f"memory; chunks={written(fit)} would fit"
        )
    return found


def _auto(
    sizes: Sequence[int], batch: Sequence[int], needs: Bytes, least: Sequence[int], steps: Sequence[int]
) -> tuple[int, ...]:
    block = [max(length, 1) for length in (*batch, *sizes)]
    step = [1] * len(batch) + list(steps)
    floor = [1] * len(batch) + [max(*each) for each in zip(least, steps, strict=True)]
    for axes in (range(len(batch)), range(len(batch), len(block))):
        while needs(block) > TARGET and (left := [axis for axis in axes if block[axis] > floor[axis]]):
            axis = max(left, key=block.__getitem__)
            half = -(-block[axis] // 2)
            block[axis] = max(-(-half // step[axis]) * step[axis], floor[axis])
    return tuple(block)


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return 2**63


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
