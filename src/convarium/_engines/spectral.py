r"""Fourier transforms: a sum over a kernel becomes one product a frequency, whatever the kernel's size.

With ``X``, ``W`` and ``Z`` the transforms of a segment of the input, of a kernel and of the output (zeros between the taps of a
dilated kernel, and between the gradients of a strided output), and ``~`` a reversal,

    forward       Z = sum over inputs of  X W~
    grad_input    X = sum over outputs of Z W
    grad_weight   W = sum over samples of X Z~

A transform is circular; its length is one at which nothing that is asked for is aliased. A long direction is cut into segments
that overlap by the kernel's reach (overlap-save: Oppenheim and Schafer, *Discrete-Time Signal Processing*, ch. 8.7), and channels
and samples into parts, so that the workspace stays bounded. Where there is a stride, every ``stride``-th output is kept.

Errors are relative to the largest values of a segment, not to each output, and grow with the logarithm of its length only: for
normal random numbers 2.5e-7 of the largest output in float32 at 100 taps and 3.6e-7 at 30,000, 6e-16 and 7e-16 in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .._spec.geometry import Axis
from .._spec.lengths import fast_length, transform_length
from .._spec.problem import Map, Problem, result_shape
from .._spec.wiring import Bicliques
from .._spec.work import Work, first_touch
from ._tables import add, kernel_rows, spread

SUMMARY = "Fourier transforms of overlapping segments, for large kernels that positions share"
UNASKED: str | None = None
IS_TORCH = False
WORKSPACE = 12 * 2**20  # bytes of the spectra of a part
POINTS = 2**19  # of a segment, where kernels allow it

_TRANSFORMS = 0.07  # of a matrix product's speed, counting 5 N log2 N operations
_PRODUCTS = 0.02


def missing() -> str | None:
    return None


def supports(map: Map, problem: Problem) -> str | None:
    if max(problem.tile) > 1:
        return "kernels that take turns have no transform in common"
    return None


def caveat(map: Map, problem: Problem) -> str | None:
    return "a NaN or infinity reaches a whole segment, and errors are relative to the largest values in it"


def work(map: Map, problem: Problem) -> Work:
    """Transforms of the three tensors, and a product of complex numbers for each sample, edge, segment and frequency."""
    lines = _lines(map, problem)
    points, segments = math.prod(line.length for line in lines), math.prod(len(line.segments) for line in lines)
    shape = _Spectra.of(problem, lines)
    transforms, products, calls = 0.0, 0.0, 0
    for blocks in problem.wiring.bicliques():
        (n, j), i = blocks.outputs.shape, blocks.inputs.shape[1]
        sizes = _part_sizes(n, j, i, problem.batch, shape.bytes)
        outputs_again, inputs_again = -(-i // sizes.inputs), -(-j // sizes.outputs)
        samples = max(problem.batch, 1) * segments
        transforms += samples * n * (i * inputs_again + j * outputs_again) + n * j * i
        products += samples * n * j * i
        calls += (
            8 * segments * -(-n // sizes.blocks) * outputs_again * inputs_again * -(-problem.batch // sizes.samples)
        )
    half = 1 if problem.dtype.is_complex else 0.5
    transforming = transforms * 5 * points * max(math.log2(points), 1) * half
    multiplying = products * 8 * points * half
    took = transforming / _TRANSFORMS + multiplying / _PRODUCTS
    moved = problem.bytes + 3 * transforms * shape.bytes
    moved += first_touch(math.prod(result_shape(map, problem)) * problem.dtype.itemsize)
    flops = transforming + multiplying
    return Work(flops, flops / took if took else 1, moved, 3 * WORKSPACE, calls, _wide(problem.dtype))


def forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    return _filter("forward", problem, input, weight)


def grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    return _filter("grad_input", problem, grad_output, weight)


def grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    n, lines = problem.ndim, _lines("grad_weight", problem)
    spectra = _Spectra.of(problem, lines)
    result = input.new_zeros(problem.weight_shape, dtype=_wide(input.dtype))
    for blocks in problem.wiring.bicliques():
        rows, table = kernel_rows(result, problem.wiring, blocks, n)
        kernels = result.new_zeros(*blocks.outputs.shape, blocks.inputs.shape[1], *problem.kernel_size)
        for part in _parts(blocks, problem.batch, spectra.bytes):
            sums: dict[
                tuple[int, ...], Tensor
            ] = {}  # by where the weights lie, which differs where a segment is cut short
            for segments, batch in itertools.product(
                itertools.product(*(line.segments for line in lines)), part.batches
            ):
                x = spectra.transform(
                    spread(_read(problem, input[batch], segments), 1, part.of(blocks.inputs, part.inputs))
                )
                windows = [range(each.first, each.first + each.size) for each in segments]
                signal = _between(grad_output[batch], windows, [axis.stride for axis in problem.axes])
                z = spectra.transform(spread(signal, 1, part.of(blocks.outputs, part.outputs)), turned=True)
                at = tuple(each.at for each in segments)
                product = _sum("bnif,bnjf->njif", x, z)
                sums[at] = sums[at].add_(product) if at in sums else product
            for at, product in sums.items():
                taps = spectra.back(product)
                for direction, (begin, axis) in enumerate(zip(at, problem.axes, strict=True)):
                    taps = _circular(taps, direction - n, begin, axis.reach, axis.dilation)
                kernels[part.blocks, part.outputs, part.inputs] += taps
        if problem.flip:
            kernels = kernels.flip(tuple(range(-n, 0)))
        add(rows, 0, table, kernels.reshape(*table.shape, *rows.shape[1:]))
    return result.to(input.dtype)


def _filter(map: Map, problem: Problem, read: Tensor, weight: Tensor) -> Tensor:
    """forward, or grad_input, which is the same with the kernel not turned, and channels read the other way."""
    n, back, lines = problem.ndim, map == "grad_input", _lines(map, problem)
    spectra = _Spectra.of(problem, lines)
    result = read.new_zeros(result_shape(map, problem), dtype=_wide(read.dtype))
    equation = "bnjf,njif->bnif" if back else "bnif,njif->bnjf"
    steps = [1 if back else axis.stride for axis in problem.axes]
    for blocks in problem.wiring.bicliques():
        rows, table = kernel_rows(weight, problem.wiring, blocks, n)
        kernels = spread(rows, 0, table).reshape(*blocks.outputs.shape, blocks.inputs.shape[1], *problem.kernel_size)
        if problem.flip:
            kernels = kernels.flip(tuple(range(-n, 0)))
        for part in _parts(blocks, problem.batch, spectra.bytes):
            own = kernels[part.blocks, part.outputs, part.inputs]
            spaced = _between(
                own, [range(axis.reach) for axis in problem.axes], [axis.dilation for axis in problem.axes]
            )
            w = spectra.transform(spaced, turned=not back)
            inputs, outputs = part.of(blocks.inputs, part.inputs), part.of(blocks.outputs, part.outputs)
            for segments, batch in itertools.product(
                itertools.product(*(line.segments for line in lines)), part.batches
            ):
                x = spectra.transform(
                    spread(_read(problem, read[batch], segments, back), 1, outputs if back else inputs)
                )
                values = spectra.back(_sum(equation, x, w))
                places = result[batch]
                for direction, (each, step) in enumerate(zip(segments, steps, strict=True)):
                    values = _circular(values, direction - n, each.at, each.size, step)
                    places = places.narrow(direction - n, each.first // step, values.shape[direction - n])
                add(places, 1, inputs if back else outputs, values)
    return result.to(read.dtype)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Half-precision numbers are transformed and summed in float32."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


# -- signals -----------------------------------------------------------------------------------------------------------


def _read(problem: Problem, signal: Tensor, segments: tuple[_Segment, ...], back: bool = False) -> Tensor:
    """What segments read of an input, or of the gradient of an output, with zeros between what a stride has left."""
    return _between(
        signal,
        [range(each.begin, each.end) for each in segments],
        [axis.stride if back else 1 for axis in problem.axes],
    )


def _between(signal: Tensor, places: list[range], steps: list[int]) -> Tensor:
    """``signal``, whose entries lie ``steps`` apart, at some places: zeros lie between."""
    n = len(places)
    signal = signal.to(_wide(signal.dtype))
    for direction, (place, step) in enumerate(zip(places, steps, strict=True)):
        begin, end = -(-place.start // step), -(-place.stop // step)
        signal = signal.narrow(direction - n, begin, end - begin)
    if max(steps) == 1:
        return signal
    spaced = signal.new_zeros(*signal.shape[:-n], *map(len, places))
    at: Any = (..., *(slice(-place.start % step, None, step) for place, step in zip(places, steps, strict=True)))
    spaced[at] = signal
    return spaced


def _circular(signal: Tensor, dim: int, begin: int, size: int, step: int) -> Tensor:
    """Entries ``begin``, ``begin + step``, ... of ``size``, where what lies before the first is at the end."""
    if begin >= 0:
        at: Any = (..., slice(None, None, step), *(slice(None),) * (-dim - 1))
        return signal.narrow(dim, begin, size)[at]
    before = min(-begin, size)
    parts = [signal.narrow(dim, signal.shape[dim] + begin, before), signal.narrow(dim, 0, size - before)]
    return _circular(torch.cat(parts, dim), dim, 0, size, step)


@dataclass(frozen=True, slots=True)
class _Spectra:
    """Transforms of some lengths along the last directions, which are then one, of frequencies."""

    lengths: tuple[int, ...]
    is_complex: bool
    bytes: int  # of one

    @staticmethod
    def of(problem: Problem, lines: tuple[_Line, ...]) -> _Spectra:
        lengths = tuple(line.length for line in lines)
        size = 16 if problem.dtype in (torch.float64, torch.complex128) else 8
        kept = lengths[-1] if problem.dtype.is_complex else lengths[-1] // 2 + 1
        return _Spectra(lengths, problem.dtype.is_complex, math.prod(lengths[:-1]) * kept * size)

    def transform(self, signal: Tensor, turned: bool = False) -> Tensor:
        n = len(self.lengths)
        dims = tuple(range(-n, 0))
        if self.is_complex:
            spectrum = torch.fft.fftn(signal.conj() if turned else signal, self.lengths, dims)
        else:
            spectrum = torch.fft.rfftn(signal, self.lengths, dims)
        return (spectrum.conj() if turned else spectrum).flatten(-n)

    def back(self, spectrum: Tensor) -> Tensor:
        n = len(self.lengths)
        dims = tuple(range(-n, 0))
        if self.is_complex:
            return torch.fft.ifftn(spectrum.unflatten(-1, self.lengths), self.lengths, dims)
        return torch.fft.irfftn(spectrum.unflatten(-1, (*self.lengths[:-1], -1)), self.lengths, dims)


def _sum(equation: str, a: Tensor, b: Tensor) -> Tensor:
    """An einsum over spectra; without a matrix product a frequency where these would have one row or column."""
    letters, result = equation.split("->")
    first, second = letters.split(",")
    sizes = dict(zip(first, a.shape, strict=True)) | dict(zip(second, b.shape, strict=True))
    summed = next(letter for letter in first if letter not in result)
    if sizes[summed] > 1 and sizes["i"] * sizes["j"] > 1:
        return torch.einsum(equation, a, b)
    every = "bnjif"
    broad = [
        tensor[tuple(slice(None) if letter in letters else None for letter in every)]
        for tensor, letters in ((_ordered(a, first, every), first), (_ordered(b, second, every), second))
    ]
    return (broad[0] * broad[1]).sum(every.index(summed))


def _ordered(tensor: Tensor, letters: str, order: str) -> Tensor:
    return tensor.permute([letters.index(letter) for letter in order if letter in letters])


# -- parts of the channels and samples ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sizes:
    blocks: int
    outputs: int
    inputs: int
    samples: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Slices of blocks of channels, of the outputs and inputs of each, and the samples in turn."""

    blocks: slice
    outputs: slice
    inputs: slice
    batches: tuple[slice, ...]

    def of(self, table: Any, side: slice) -> Any:
        return table[self.blocks, side]


def _parts(blocks: Bicliques, batch: int, bytes: int) -> Iterator[_Part]:
    (n, j), i = blocks.outputs.shape, blocks.inputs.shape[1]
    sizes = _part_sizes(n, j, i, batch, bytes)
    batches = tuple(_slices(batch, sizes.samples))
    for part in itertools.product(_slices(n, sizes.blocks), _slices(j, sizes.outputs), _slices(i, sizes.inputs)):
        yield _Part(*part, batches)


def _slices(size: int, step: int) -> Iterator[slice]:
    return (slice(begin, min(begin + step, size)) for begin in range(0, size, step))


def _part_sizes(n: int, j: int, i: int, batch: int, bytes: int) -> _Sizes:
    """As many as fit in the workspace, ``bytes`` to a spectrum: fewer samples first, then blocks, outputs and inputs."""
    b = max(batch, 1)
    while (b * n * (i + j) + n * j * i) * bytes > WORKSPACE:
        if b > 1 and b * (i + j) >= j * i:
            b = -(-b // 2)
        elif n > 1:
            n = -(-n // 2)
        elif max(j, i) > 1:
            j, i = (-(-j // 2), i) if j >= i else (j, -(-i // 2))
        elif b > 1:
            b = -(-b // 2)
        else:
            break
    return _Sizes(n, j, i, b)


# -- segments of a direction -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Segment:
    """What is read, ``begin`` to ``end``; and what is written, ``size`` from ``first`` on, which lies at ``at`` in a transform.

    Of a weight gradient, the outputs whose gradients are summed are ``size`` from ``first`` on, and weights lie at ``at``.
    """

    first: int
    size: int
    begin: int
    end: int
    at: int


@dataclass(frozen=True, slots=True)
class _Line:
    length: int  # of the transforms
    segments: tuple[_Segment, ...]

    @property
    def cost(self) -> float:
        return len(self.segments) * self.length * (math.log2(max(self.length, 2)) + 6)


@lru_cache(maxsize=1024)
def _lines(map: Map, problem: Problem) -> tuple[_Line, ...]:
    """A line for each direction, of as few points together as a workspace holds."""
    lines = [_line(map, axis, None) for axis in problem.axes]
    if not all(line.segments for line in lines):
        return tuple(lines)  # there is nothing but padding
    while math.prod(line.length for line in lines) > POINTS:
        shorter = [_line(map, axis, line.length // 2) for axis, line in zip(problem.axes, lines, strict=True)]
        gains = [line.length / other.length for line, other in zip(lines, shorter, strict=True)]
        costs = [other.cost / line.cost for line, other in zip(lines, shorter, strict=True)]
        able = [direction for direction, gain in enumerate(gains) if gain > 1.2]
        if not able:
            break
        best = min(able, key=lambda direction: costs[direction])
        lines[best] = shorter[best]
    return tuple(lines)


@lru_cache(maxsize=1024)
def _line(map: Map, axis: Axis, most: int | None) -> _Line:
    """Of several lengths the one that costs least, no longer than ``most`` where there is such a one."""
    along = (axis.output - 1) * axis.stride + 1  # outputs, those that a stride leaves out counted
    total = axis.size if map == "grad_input" else along
    quantum = 1 if map == "grad_input" else axis.stride
    steps = [total]
    for factor in (2, 3, 4, 6, 8, 12, 16, 24, 32):
        step = (fast_length(factor * axis.reach) - axis.reach + 1) // quantum * quantum
        if 0 < step < total:
            steps.append(step)
    lines = [_cut(map, axis, total, along, step) for step in steps]
    if most is not None:
        lines = [line for line in lines if line.length <= most] or [min(lines, key=lambda line: line.length)]
    return min(lines, key=lambda line: line.cost)


def _cut(map: Map, axis: Axis, total: int, along: int, step: int) -> _Line:
    segments, length, reach = [], 1, axis.reach
    for first in range(0, total, step):
        size = min(step, total - first)
        if map == "grad_input":
            limit, begin, end = along, first + axis.padding - reach + 1, first + axis.padding + size
        else:
            limit, begin, end = axis.size, first - axis.padding, first - axis.padding + size + reach - 1
        begin, end = min(max(begin, 0), limit), min(max(end, 0), limit)
        if begin == end:
            continue  # all of it is padding
        at = first + axis.padding - begin if map == "grad_input" else first - axis.padding - begin
        other, wanted = (size, reach) if map == "grad_weight" else (reach, size)
        start = at if map == "grad_input" else other - 1 + at
        length = max(length, transform_length(end - begin, other, start, wanted))
        segments.append(_Segment(first, size, begin, end, at))
    return _Line(length, tuple(segments))
