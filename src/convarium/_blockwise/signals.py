"""Convolution of a signal in blocks: the part of the whole that a block's window makes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._signal.arrays import enter
from .._signal.choice import METHODS, compute
from .._signal.window import Window, window
from .._spec.arguments import one_of
from .._spec.call import fitting_mode
from .graph import Block, Graph
from .reading import Array, source
from .sizes import block_size
from .spans import span

if TYPE_CHECKING:
    import dask.array


def signal_in_blocks(
    call: str, x: Any, w: Any, mode: Any, axes: Any, method: Any, fill: Any, chunks: Any
) -> dask.array.Array:
    """`x` with `w`, which ``'correlate'`` turns, as :mod:`convarium.signal` has them."""
    x, w = source(call, "x", x), np.asarray(source(call, "w", w))
    one_of(call, "method", method, METHODS)
    whole = window(call, x.shape, w.shape, mode, axes)
    if mode == "valid" and any(whole.x[axis] < whole.w[axis] for axis in whole.axes):
        raise ValueError(
            f"{call}: mode='valid' needs x at least as large as w along every convolved axis, got x {whole.x} and w {whole.w}; "
            f"convarium.{call}, in memory, would fit"
        )
    if call == "correlate":
        w = np.flip(w.conj() if w.dtype.kind == "c" else w, whole.axes)  # conj makes numbers of booleans
    reach = tuple(_reach(whole, place) for place in range(len(whole.axes)))
    fill = fitting_mode(call, fill, reach, tuple(whole.x[axis] for axis in whole.axes)) or "zeros"
    place = {axis: at for at, axis in enumerate(whole.axes)}
    output, dtype = whole.output, np.result_type(x.dtype, w.dtype)

    def read(axis: int, low: int, high: int) -> tuple[int, int]:
        """The entries of `x`, or past its ends, that some entries of the result read."""
        if axis not in place:
            return (0, 1) if whole.x[axis] == 1 else (low, high)
        first = whole.start[place[axis]]
        return low + first - (whole.w[axis] - 1), high + first

    def needs(block: Sequence[int]) -> int:
        reads = [min(n, length + k - 1) for n, length, k in zip(whole.x, block, whole.w, strict=True)]
        return (math.prod(reads) + math.prod(block)) * dtype.itemsize

    least = [max(whole.w[axis], 64) for axis in whole.axes]  # less would read the same again and again
    block = block_size(call, chunks, output, whole.axes, needs, least)

    graph = Graph(call, x, w, mode, whole.axes, method, fill, block)
    reader, kernel = graph.reader("x", x), graph.constant("w", w)

    def arguments(here: Block) -> tuple[Any, ...]:
        reads = [read(axis, *ends) for axis, ends in enumerate(here)]
        spans = [span(*ends, whole.x[axis], fill) for axis, ends in enumerate(reads)]
        start = []
        for axis in whole.axes:
            low = reads[axis][0]
            start.append(here[axis][0] + whole.start[place[axis]] - (max(low, 0) if fill == "zeros" else low))
        return reader.window(spans), kernel, tuple(start), here

    return graph.array(output, block, dtype, SignalBlock(call, whole.axes, method), arguments)


def _reach(whole: Window, place: int) -> tuple[int, int]:
    """How far the result reads before `x` and after it, along a convolved axis."""
    axis, start, size = whole.axes[place], whole.start[place], whole.size[place]
    return max(whole.w[axis] - 1 - start, 0), max(start + size - whole.x[axis], 0)


@dataclasses.dataclass(frozen=True)
class SignalBlock:
    """One block of the result: the same sum over the entries that were read."""

    call: str
    axes: tuple[int, ...]
    method: str

    def __call__(self, x: Array, w: Array, start: tuple[int, ...], here: Block) -> Array:
        for axis, (low, high) in enumerate(here):
            if axis not in self.axes and w.shape[axis] != 1:
                w = w.take(range(low, high), axis)
        size = tuple(here[axis][1] - here[axis][0] for axis in self.axes)
        (left, right), leave = enter(self.call, x=x, w=w)
        return np.asarray(leave(compute(left, right, Window(x.shape, w.shape, self.axes, start, size), self.method)))
