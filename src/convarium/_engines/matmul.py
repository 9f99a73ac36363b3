"""Windows as a matrix, and the products by PyTorch: any device, any dtype, any problem, in bounded workspace.

The positions are cut into boxes over which windows are one strided view (:mod:`convarium._spec.spans`), the channels into
complete blocks. Each piece is then a batch of matrix products, with the rows that share a kernel as rows:

    forward       (batch x positions, inputs x taps) @ (inputs x taps, outputs)
    grad_input    (batch x positions, outputs) @ (outputs, inputs x taps), added at the windows
    grad_weight   (outputs, batch x positions) @ (batch x positions, inputs x taps)

A piece is halved until its matrices fit in the workspace. Edges are boxes of their own with fewer taps, so nothing is
padded, nothing is multiplied with zeros, and NaN and infinity reach their receptive field and nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .._spec.problem import Map, Problem, result_shape
from .._spec.spans import Span, spans
from .._spec.wiring import Bicliques
from .._spec.work import Work, first_touch
from ._tables import add, kernel_rows, spread, write

SUMMARY = "windows as a matrix, products by torch in bounded workspace; any device, dtype and channel graph"
WORKSPACE = 6 * 2**20  # bytes of the matrices of one piece; with what torch copies on the way, up to ten times that


UNASKED: str | None = None
IS_TORCH = False


def missing() -> str | None:
    return None


def supports(map: Map, problem: Problem) -> str | None:
    return None


def caveat(map: Map, problem: Problem) -> str | None:
    return None


def work(map: Map, problem: Problem) -> Work:
    """Windows are written and read again, kernels copied where a product wants them in a row."""
    positions, taps = math.prod(problem.output_size), math.prod(problem.kernel_size)
    classes = problem.wiring.bicliques()
    windows = problem.batch * positions * taps * sum(blocks.inputs.size for blocks in classes) * problem.dtype.itemsize
    boxes = math.prod(len(spans(axis, tile)) for axis, tile in zip(problem.axes, problem.tile, strict=True))
    kernels = problem.parameters * problem.dtype.itemsize
    depth = taps * problem.wiring.n_edges / problem.wiring.out_channels
    width = problem.wiring.n_edges / max(sum(blocks.inputs.size for blocks in classes), 1)
    efficiency = (0.1 if map == "grad_input" else 0.18) * depth / (depth + 16) * width / (width + 16)
    moved = problem.bytes + 12 * windows + (9 if map == "grad_weight" else 3) * kernels
    moved += first_touch(math.prod(result_shape(map, problem)) * problem.dtype.itemsize)
    pieces = max(boxes * len(classes), (windows + problem.bytes) // WORKSPACE)
    return Work(
        problem.flops * problem.inside, efficiency or 1, moved, 10 * WORKSPACE, 5 * pieces, _wide(problem.dtype)
    )


def forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    output = input.new_zeros(problem.output_shape)
    for piece in _pieces(problem):
        product = piece.windows(input) @ piece.kernels(weight).mT
        piece.write_output(output, product)
    return output


def grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    result = grad_output.new_zeros(problem.input_shape, dtype=_wide(grad_output.dtype))
    for piece in _pieces(problem):
        columns = piece.outputs(grad_output) @ piece.kernels(weight)
        piece.add_windows(result, columns)
    return result.to(grad_output.dtype)


def grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    result = input.new_zeros(problem.weight_shape, dtype=_wide(input.dtype))
    for piece in _pieces(problem):
        product = piece.outputs(grad_output).mT @ piece.windows(input)
        piece.add_kernels(result, product)
    return result.to(input.dtype)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Half-precision numbers are multiplied and summed in float32."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


@lru_cache(maxsize=128)
def _pieces(problem: Problem) -> tuple[_Piece, ...]:
    boxes = itertools.product(*(spans(axis, tile) for axis, tile in zip(problem.axes, problem.tile, strict=True)))
    whole = (
        _Piece(problem, *part, slice(0, problem.batch)) for part in itertools.product(boxes, problem.wiring.bicliques())
    )
    return tuple(itertools.chain.from_iterable(piece.fitting() for piece in whole))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A box of positions, blocks of channels that are alike, and a part of the batch.

    Letters in comments: N blocks, I inputs and J outputs of one; R phases, Q rounds, K taps of the box; B samples.
    """

    problem: Problem
    box: tuple[Span, ...]
    blocks: Bicliques
    batch: slice

    def fitting(self) -> Iterator[_Piece]:
        """This piece, halved until its matrices fit in the workspace."""
        rows = (self.batch.stop - self.batch.start) * math.prod(span.rounds for span in self.box)
        depth = self.blocks.inputs.shape[1] * math.prod(span.taps for span in self.box)
        width = self.blocks.outputs.shape[1]
        products = len(self.blocks.inputs) * math.prod(span.phases for span in self.box)
        size = products * (rows * depth + depth * width + rows * width) * _wide(self.problem.dtype).itemsize
        halves = self._halves() if size > WORKSPACE else None
        if halves is None:
            yield self
        else:
            for half in halves:
                yield from half.fitting()

    def _halves(self) -> tuple[_Piece, _Piece] | None:
        """Products first, the outermost direction before others, so that kernels stay in a row; then rows of a product."""
        products = {f"{direction} phases": span.phases for direction, span in enumerate(self.box)}
        products |= {"blocks": len(self.blocks.inputs)}
        rows = {f"{direction} rounds": span.rounds for direction, span in enumerate(self.box)}
        rows |= {"batch": self.batch.stop - self.batch.start}
        side = next((name for name, size in products.items() if size > 1), max(rows, key=lambda name: rows[name]))
        middle = (products | rows)[side] // 2
        if middle == 0:
            return None
        if side == "batch":
            cut = self.batch.start + middle
            parts = slice(self.batch.start, cut), slice(cut, self.batch.stop)
            return replace(self, batch=parts[0]), replace(self, batch=parts[1])
        if side == "blocks":
            first, second = (
                Bicliques(*(table[part] for table in self.blocks)) for part in (slice(middle), slice(middle, None))
            )
            return replace(self, blocks=first), replace(self, blocks=second)
        number, _, of = side.partition(" ")
        direction = int(number)
        spans = self._cut(direction, of, middle)
        before, after = self.box[:direction], self.box[direction + 1 :]
        first_box, second_box = ((*before, span, *after) for span in spans)
        return replace(self, box=first_box), replace(self, box=second_box)

    def _cut(self, direction: int, side: str, middle: int) -> tuple[Span, Span]:
        span, stride, tile = self.box[direction], self.problem.axes[direction].stride, self.problem.tile[direction]
        if side == "phases":
            step = middle
            first = replace(span, phases=middle)
            second = replace(span, phases=span.phases - middle, phase=span.phase + middle)
        else:
            step = middle * tile
            first = replace(span, rounds=middle)
            second = replace(span, rounds=span.rounds - middle)
        return first, replace(second, first=span.first + step, start=span.start + step * stride)

    # -- views -------------------------------------------------------------------------------------------------------

    def _windows(self, signal: Tensor) -> Tensor:
        """``(B, C, *R, *Q, *K)``, a view of ``(batch, C, *size)``."""
        signal = signal[self.batch]
        along = signal.stride()[2:]
        steps = list(zip(self.box, self.problem.axes, self.problem.tile, along, strict=True))
        sizes = (
            [span.phases for span in self.box] + [span.rounds for span in self.box] + [span.taps for span in self.box]
        )
        strides = [axis.stride * step for _, axis, _, step in steps]
        strides += [axis.stride * tile * step for _, axis, tile, step in steps]
        strides += [axis.dilation * step for _, axis, _, step in steps]
        offset = signal.storage_offset() + sum(span.start * step for span, _, _, step in steps)
        return signal.as_strided((*signal.shape[:2], *sizes), (*signal.stride()[:2], *strides), offset)

    def _positions(self, signal: Tensor) -> Tensor:
        """``(B, O, *R, *Q)``, a view of ``(batch, O, *output_size)``."""
        signal = signal[self.batch]
        along = signal.stride()[2:]
        steps = list(zip(self.box, self.problem.tile, along, strict=True))
        sizes = [span.phases for span in self.box] + [span.rounds for span in self.box]
        strides = [*along, *(tile * step for _, tile, step in steps)]
        offset = signal.storage_offset() + sum(span.first * step for span, _, step in steps)
        return signal.as_strided((*signal.shape[:2], *sizes), (*signal.stride()[:2], *strides), offset)

    def _places(self, weight: Tensor) -> Tensor:
        """``(rows, I, *R, *K)``, a view of ``(rows, I, *tile, *kernel)``; taps as the kernel has them."""
        n = len(self.box)
        for direction, (span, axis) in enumerate(zip(self.box, self.problem.axes, strict=True)):
            tap = axis.kernel - span.tap - span.taps if axis.flip else span.tap
            weight = weight.narrow(2 + direction, span.phase, span.phases).narrow(2 + n + direction, tap, span.taps)
        return weight

    # -- matrices ----------------------------------------------------------------------------------------------------

    def windows(self, input: Tensor) -> Tensor:
        """``(N*R, B*Q, I*K)``."""
        n = len(self.box)
        parts = spread(self._windows(input), 1, self.blocks.inputs)  # (B, N, I, *R, *Q, *K)
        blocks, phases, rounds, taps = [1], range(3, 3 + n), range(3 + n, 3 + 2 * n), range(3 + 2 * n, 3 + 3 * n)
        return self._matrix(parts.permute(*blocks, *phases, 0, *rounds, 2, *taps), n)

    def outputs(self, output: Tensor) -> Tensor:
        """``(N*R, B*Q, J)``."""
        n = len(self.box)
        parts = spread(self._positions(output), 1, self.blocks.outputs)  # (B, N, J, *R, *Q)
        return self._matrix(parts.permute(1, *range(3, 3 + n), 0, *range(3 + n, 3 + 2 * n), 2), n)

    def kernels(self, weight: Tensor) -> Tensor:
        """``(N*R, J, I*K)``: a row is a kernel, as it lies in memory."""
        n = len(self.box)
        rows, table = kernel_rows(weight, self.problem.wiring, self.blocks, n)
        parts = spread(self._places(rows), 0, table)
        split = parts.reshape(*self._joined, *parts.shape[3:])  # (N, J, I, *R, *K)
        if self.problem.flip:
            split = split.flip(tuple(range(3 + n, 3 + 2 * n)))
        matrix = split.permute(0, *range(3, 3 + n), 1, 2, *range(3 + n, 3 + 2 * n))
        products = math.prod(matrix.shape[: 1 + n])
        return matrix.reshape(products, matrix.shape[1 + n], -1).to(_wide(weight.dtype))

    def _matrix(self, tensor: Tensor, n: int) -> Tensor:
        products = math.prod(tensor.shape[: 1 + n])
        rows = math.prod(tensor.shape[1 + n : 2 + 2 * n])
        return tensor.reshape(products, rows, -1).to(_wide(tensor.dtype))

    # -- results -----------------------------------------------------------------------------------------------------

    def write_output(self, output: Tensor, product: Tensor) -> None:
        n = len(self.box)
        phases, rounds = [span.phases for span in self.box], [span.rounds for span in self.box]
        samples = self.batch.stop - self.batch.start
        split = product.reshape(len(self.blocks.outputs), *phases, samples, *rounds, -1)  # (N, *R, B, *Q, J)
        values = split.permute(1 + n, 0, 2 + 2 * n, *range(1, 1 + n), *range(2 + n, 2 + 2 * n))
        write(self._positions(output), 1, self.blocks.outputs, values.to(output.dtype))

    def add_windows(self, result: Tensor, columns: Tensor) -> None:
        n = len(self.box)
        phases, rounds = [span.phases for span in self.box], [span.rounds for span in self.box]
        taps = [span.taps for span in self.box]
        samples, blocks, inputs = self.batch.stop - self.batch.start, *self.blocks.inputs.shape
        split = columns.reshape(blocks, *phases, samples, *rounds, inputs, *taps)  # (N, *R, B, *Q, I, *K)
        order = (1 + n, 0, 2 + 2 * n, *range(1, 1 + n), *range(2 + n, 2 + 2 * n), *range(3 + 2 * n, 3 + 3 * n))
        values, places = split.permute(order), self._windows(result)  # (B, N, I, *R, *Q, *K), (B, C, *R, *Q, *K)
        for tap in itertools.product(*map(range, taps)):  # windows overlap, the places of one tap do not
            at: Any = (..., *tap)
            add(places[at], 1, self.blocks.inputs, values[at])

    def add_kernels(self, result: Tensor, product: Tensor) -> None:
        n = len(self.box)
        phases, taps = [span.phases for span in self.box], [span.taps for span in self.box]
        blocks, inputs = self.blocks.inputs.shape
        split = product.reshape(blocks, *phases, -1, inputs, *taps)  # (N, *R, J, I, *K)
        values = split.permute(0, 1 + n, 2 + n, *range(1, 1 + n), *range(3 + n, 3 + 2 * n)).flatten(1, 2)
        if self.problem.flip:
            values = values.flip(tuple(range(2 + n, 2 + 2 * n)))
        rows, table = kernel_rows(result, self.problem.wiring, self.blocks, n)
        places = self._places(rows)
        add(places, 0, table, values.reshape(*table.shape, *places.shape[1:]))

    @property
    def _joined(self) -> tuple[int, int, int]:
        """``(N, J, I)``."""
        return (*self.blocks.outputs.shape, self.blocks.inputs.shape[1])
