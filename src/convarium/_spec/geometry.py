"""Where windows lie, one direction at a time.

Output position ``s`` sees the input at ``s * stride + m * dilation - padding`` through tap ``m`` of the kernel (through tap
``kernel - 1 - m`` when the kernel is flipped). What lies outside ``0 .. size - 1`` is zero, and that is all that padding
with zeros means: so an :class:`Axis` knows the padding before, and the padding after only shows in the number of outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a convolution: sizes of input, kernel and output, and how windows step over the input."""

    size: int
    kernel: int
    output: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    flip: bool = False

    @property
    def reach(self) -> int:
        """Input positions from a window's first to its last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def inside(self) -> float:
        """The part of all outputs' taps that meets the input; the rest is padding."""
        return _inside(self)

    def table(self) -> Table:
        """``(output, kernel)``: the input position that each output reads through each tap, -1 where it is padding."""
        return _table(self)


@lru_cache(maxsize=1024)
def _inside(axis: Axis) -> float:
    offsets = np.arange(axis.kernel, dtype=np.int64) * axis.dilation - axis.padding
    first = np.clip(-(offsets // axis.stride), 0, axis.output)  # the first output that reads place 0 or a later one
    end = np.clip((axis.size - 1 - offsets) // axis.stride + 1, 0, axis.output)
    return float(np.maximum(end - first, 0).sum()) / (axis.kernel * axis.output)


@lru_cache(maxsize=1024)
def _table(axis: Axis) -> Table:
    taps = np.arange(axis.kernel, dtype=np.int64)
    if axis.flip:
        taps = taps[::-1]
    table = np.arange(axis.output, dtype=np.int64)[:, None] * axis.stride + taps * axis.dilation - axis.padding
    table = np.where((table < 0) | (table >= axis.size), -1, table)
    table.setflags(write=False)
    return table


def window_places(axes: tuple[Axis, ...]) -> tuple[Table, npt.NDArray[np.bool_]]:
    """``(positions, taps)``: the flat place that each position reads through each tap, and whether it is in the input."""
    n = len(axes)
    flat, inside = np.zeros((), dtype=np.int64), np.ones((), dtype=np.bool_)
    for direction, axis in enumerate(axes):
        shape = [1] * (2 * n)
        shape[direction], shape[n + direction] = axis.output, axis.kernel
        table = axis.table().reshape(shape)
        flat = flat * axis.size + np.maximum(table, 0)
        inside = inside & (table >= 0)
    shape = [math.prod(axis.output for axis in axes), math.prod(axis.kernel for axis in axes)]
    return flat.reshape(shape), inside.reshape(shape)


def output_size(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """How many windows fit: ``(size + before + after - dilation * (kernel - 1) - 1) // stride + 1``."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def transposed_size(output: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """The least input that has so many windows: what a transposed convolution makes, without more output after the end."""
    return (output - 1) * stride - before - after + dilation * (kernel - 1) + 1


def same_output(size: int, stride: int) -> int:
    """How many windows ``padding="same"`` makes room for: ``ceil(size / stride)``."""
    return (size + stride - 1) // stride


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding that makes the output :func:`same_output` long; the odd one goes after (ONNX's ``SAME_UPPER``)."""
    reach = dilation * (kernel - 1)
    if stride == 1:
        total = reach
    else:
        total = (same_output(size, stride) - 1) * stride + reach + 1 - size
        total = (total + abs(total)) // 2  # max(total, 0), in a form that symbolic sizes follow
    return total // 2, total - total // 2
