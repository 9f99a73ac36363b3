"""How large a block of the result is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._native.allowed import allowed
from .._spec.arguments import positive
from .._spec.shown import shown, written

TARGET = 64 * 2**20  # bytes that a block reads and makes; a worker holds a few times as many while it computes

Bytes = Callable[[Sequence[int]], int]


def block_size(
    call: str,
    chunks: Any,
    shape: Sequence[int],
    axes: Sequence[int],
    needs: Bytes,
    least: Sequence[int],
    steps: Sequence[int] | None = None,
    whole: Sequence[int] = (),
) -> tuple[int, ...]:
    """The block's size along each axis of a result of this shape, of which `chunks` says those along `axes`.

    ``'auto'`` halves what is longest until what a block `needs` is near the target: the others first, which no window reaches
    over, but for those that stay `whole`; then `axes`, in multiples of their `steps`, but not below `least`.
    """
    others = [axis for axis in range(len(shape)) if axis not in axes and axis not in whole]
    step, floor = [1] * len(shape), [1] * len(shape)
    for axis, each, low in zip(axes, steps or step, least, strict=False):
        step[axis], floor[axis] = each, max(each, low)

    def halved(block: list[int], *parts: Sequence[int]) -> list[int]:
        for part in parts:
            while needs(block) > TARGET and (left := [axis for axis in part if block[axis] > floor[axis]]):
                axis = max(left, key=block.__getitem__)
                half = -(-block[axis] // 2)
                block[axis] = max(-(-half // step[axis]) * step[axis], floor[axis])
        return block

    most = [max(length, 1) for length in shape]
    if isinstance(chunks, str):
        if chunks != "auto":
            raise ValueError(f"{call}: chunks must be 'auto', a number or one a direction, got {shown(chunks)}")
        return tuple(halved(most, others, axes))
    block = list(most)
    for axis, asked in zip(axes, positive(call, "chunks", chunks, len(axes)), strict=True):
        block[axis] = min(asked, block[axis])
    block = halved(block, others)
    memory = allowed()
    if memory is not None and needs(block) > memory:
        fit = halved(most, others, axes)
        raise ValueError(
            f"{call}: chunks={shown(chunks)} needs {_gib(needs(block))} GiB for a block, and this machine has {_gib(memory)} GiB "
            f"of memory; chunks={written([fit[axis] for axis in axes])} would fit"
        )
    return tuple(block)


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
