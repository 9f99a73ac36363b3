"""PyTorch's own convolution, where few kernels are shared by many positions.

Shared weights are one call of it. A small tile is a call for each of its kernels, which takes every ``tile``-th position: the
stride times the tile. Such calls copy what they read and write, so they take a part of the batch, or of the positions, each.
Channels may be dense, grouped, or any graph that a permutation of channels makes groups of.
Complex numbers are four real calls (the maps are bilinear).

NaN and infinity in an input reach their receptive field and nothing else. In a weight or a gradient they may also be
multiplied with the zeros of padding: PyTorch does so in some of its algorithms and not in others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .._spec.geometry import Axis, output_size
from .._spec.problem import Map, Problem, result_shape
from .._spec.work import Work, first_touch
from ._groups import Groups, groups_of, take

SUMMARY = "torch's own convolution; a small tile as one strided call for each of its kernels"
MOST_KERNELS = 16  # calls that a tile may be split into
WORKSPACE = 4 * 2**20  # bytes that a call of a tile reads and writes; torch's copies come to four times that at most
LARGEST = 2**31 - 1  # elements of a tensor: past this, torch's convolutions have returned wrong numbers in silence


UNASKED: str | None = None
IS_TORCH = True


def missing() -> str | None:
    return None


def supports(map: Map, problem: Problem) -> str | None:
    if problem.ndim > 3:
        return f"torch convolves in 1 to 3 dimensions, not {problem.ndim}"
    if (kernels := math.prod(problem.tile)) > MOST_KERNELS:
        return f"{kernels} kernels take turns, each a call of its own; the most is {MOST_KERNELS}"
    if groups_of(problem.wiring) is None:
        return "no permutation of channels makes this graph groups"
    if max(math.prod(s) for s in (problem.input_shape, problem.weight_shape, problem.output_shape)) > LARGEST:
        return f"a tensor of more than {LARGEST} elements"
    slight = any(_is_slight(axis, tile) for axis, tile in zip(problem.axes, problem.tile, strict=True))
    if slight and problem.dtype.itemsize == 2 and problem.device == "cpu":
        return "torch's 16-bit convolutions of so few places are wrong, or crash, on CPUs with units for them (pytorch #169688)"
    return None


def _is_slight(axis: Axis, tile: int) -> bool:
    """A window larger than the input, a dilated kernel of one tap, a stride to nowhere: of 16,000 random problems of 16 bits
    in oneDNN 3.12 on AMX, those that came out as memory that nobody wrote, or did not come out, had one of these."""
    return (
        axis.reach > axis.size
        or (axis.kernel == 1 and axis.dilation > 1)
        or (axis.output // tile == 1 and axis.stride * tile > 1)
    )


def caveat(map: Map, problem: Problem) -> str | None:
    """What is not promised: see the module."""
    hangs_over = problem.inside < 1
    return "a NaN or infinity in a weight or a gradient may also meet the zeros of padding" if hangs_over else None


def work(map: Map, problem: Problem) -> Work:
    """A tile is strided, and its parts are copied."""
    efficiency = _efficiency(map, problem)
    kernels = math.prod(problem.tile)
    fresh = first_touch(math.prod(result_shape(map, problem)) * problem.dtype.itemsize)
    channels = _groups_of(problem)
    copied = [problem.input_shape] * (channels.inputs is not None) + [problem.output_shape] * (
        channels.outputs is not None
    )
    permuted = sum(math.prod(shape) for shape in copied) * problem.dtype.itemsize
    if kernels == 1:
        relaid = 2 * problem.bytes  # into blocks of channels, and back
        calls = 1 if map == "forward" else 3  # a gradient by itself is dearer than in a step of torch's own
        return Work(problem.flops, efficiency, relaid + 2 * permuted + fresh, permuted, calls)
    strided = (0.4 if map == "forward" else 0.15) * (0.3 if problem.ndim == 3 else 1)
    return Work(
        problem.flops, strided * efficiency, 3 * problem.bytes + fresh, min(problem.bytes, 5 * WORKSPACE), 4 * kernels
    )


def _efficiency(map: Map, problem: Problem) -> float:
    """As measured on CPUs with oneDNN: best with many channels, and for some depthwise kernels; else far from it."""
    channels = _groups_of(problem)
    groups, outputs, inputs = channels.count, channels.children, channels.parents
    strided = max(axis.stride for axis in problem.axes) > 1
    if groups > 1 and inputs == 1:  # depthwise: kernels for many groups, no wider than a few vectors
        wide = problem.kernel_size[-1]
        plain = outputs == 1 and problem.dtype != torch.float64 and all(axis.dilation == 1 for axis in problem.axes)
        widest = {"forward": 14, "grad_input": 64, "grad_weight": 3}[map]
        few = min(groups / 16, 1.0)
        if not plain or strided or wide > widest or (problem.ndim == 1 and groups < 16):
            return 0.02 * few
        return (0.7 if map == "forward" else 0.5 if math.prod(problem.kernel_size) >= 25 else 0.4) * few
    narrow = min(inputs, outputs)
    if groups > 1:
        if map == "grad_weight" and narrow < 8:
            return narrow / 50
        permuted = narrow >= 8 and (channels.inputs is not None or channels.outputs is not None)
        return min(narrow / (20 if narrow >= 4 else 40), 1.0) * (0.45 if permuted else 1)
    slow = (0.25 if problem.ndim == 1 and outputs < 16 else 1.0) * (0.5 if narrow < 32 else 1.0)
    if map == "grad_input":
        slow *= (0.15 if problem.ndim == 3 and strided else 1.0) * (0.3 if inputs < 8 else 1.0)
        return slow * min(narrow / 16, 1.0)
    slow *= (0.4 if inputs < 3 else 1.0) * min(outputs / 16, 1.0)
    if problem.dtype in (torch.float64, torch.complex128):
        return 0.3 * slow
    best = map == "forward" or (problem.ndim == 2 and narrow >= 16)
    return slow * (1.0 if best else 0.6)


def forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    return _by_real_parts(_forward, problem, input, weight)


def grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    return _by_real_parts(_grad_input, problem, grad_output, weight)


def grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    return _by_real_parts(_grad_weight, problem, input, grad_output)


def _forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    channels = _groups_of(problem)
    source, kernels = take(input, 1, channels.inputs), _kernels(problem, channels, weight)

    def convolve(call: _Call) -> Tensor:
        return torch.ops.aten.convolution(
            call.region(source), kernels[call.kernel], None,
            call.stride, call.padding, call.dilation, False, [0] * problem.ndim, channels.count,
        )  # fmt: skip

    calls = _calls(problem)
    if len(calls) == 1:
        return take(convolve(calls[0]), 1, channels.outputs_back)
    output = input.new_empty(problem.output_shape)
    for call in calls:
        output[call.positions] = convolve(call)
    return take(output, 1, channels.outputs_back)


def _grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    channels = _groups_of(problem)
    gradient, kernels = take(grad_output, 1, channels.outputs), _kernels(problem, channels, weight)

    def transpose(call: _Call) -> Tensor:
        shape = (call.samples, problem.wiring.in_channels, *call.region_size)
        part, _, _ = torch.ops.aten.convolution_backward(
            gradient[call.positions], gradient.new_empty(1).expand(shape), kernels[call.kernel], None,
            call.stride, call.padding, call.dilation, False, [0] * problem.ndim, channels.count, [True, False, False],
        )  # fmt: skip
        return part

    calls = _calls(problem)
    if len(calls) == 1 and calls[0].whole:
        return take(transpose(calls[0]), 1, channels.inputs_back)
    result = gradient.new_zeros(problem.input_shape)
    for call in calls:
        call.add_region(result, transpose(call))
    return take(result, 1, channels.inputs_back)


def _grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    channels = _groups_of(problem)
    source, gradient = take(input, 1, channels.inputs), take(grad_output, 1, channels.outputs)
    parents, calls = channels.parents, _calls(problem)
    cut = len(calls) > math.prod(problem.tile)
    dtype = torch.float32 if cut and problem.dtype.itemsize == 2 else input.dtype  # sums of parts are rounded once
    shape = (problem.wiring.out_channels, *problem.tile, parents, *problem.kernel_size)
    result = (source.new_zeros if cut else source.new_empty)(shape, dtype=dtype)
    for call in calls:
        region = call.region(source).to(dtype)
        shape = (problem.wiring.out_channels, parents, *problem.kernel_size)
        _, part, _ = torch.ops.aten.convolution_backward(
            gradient[call.positions].to(dtype), region, region.new_empty(1).expand(shape), None,
            call.stride, call.padding, call.dilation, False, [0] * problem.ndim, channels.count, [False, True, False],
        )  # fmt: skip
        if cut:
            result[call.kernel] += part
        else:
            result[call.kernel] = part
    result = result.to(input.dtype)
    if problem.flip:
        result = result.flip(tuple(range(2 + problem.ndim, 2 + 2 * problem.ndim)))
    return channels.weight(result, problem.wiring.by_edge, problem.ndim).contiguous()


def _by_real_parts(map: Callable[[Problem, Tensor, Tensor], Tensor], problem: Problem, a: Tensor, b: Tensor) -> Tensor:
    if not problem.dtype.is_complex:
        return map(problem, a, b)
    (a_real, a_imag), (b_real, b_imag) = ((t.real.contiguous(), t.imag.contiguous()) for t in (a, b))
    real = map(problem, a_real, b_real) - map(problem, a_imag, b_imag)
    return torch.complex(real, map(problem, a_real, b_imag) + map(problem, a_imag, b_real))


def _groups_of(problem: Problem) -> Groups:
    groups = groups_of(problem.wiring)
    assert groups is not None, "supports() was not asked"
    return groups


def _kernels(problem: Problem, channels: Groups, weight: Tensor) -> Tensor:
    """``(O, *tile, I, *kernel)``, outputs in the order of their groups, taps as a correlation has them."""
    kernels = channels.kernels(weight, problem.wiring.by_edge, problem.ndim)
    return kernels.flip(tuple(range(2 + problem.ndim, 2 + 2 * problem.ndim))) if problem.flip else kernels


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: every ``tile``-th position of a part, which share a kernel, and the part of the input that they read."""

    positions: tuple[slice, ...]  # of the output
    kernel: tuple[slice | int, ...]  # which of the kernels
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]  # what torch pads itself, on both sides
    begin: tuple[int, ...]  # the region of the input, which may hang over it on either side
    region_size: tuple[int, ...]
    input_size: tuple[int, ...]
    whole: bool  # the region is the input

    @property
    def samples(self) -> int:
        return int(self.positions[0].stop - self.positions[0].start)

    def region(self, signal: Tensor) -> Tensor:
        if self.whole:
            return signal
        ours, theirs = self._overlap()
        region = signal.new_zeros(self.samples, signal.shape[1], *self.region_size)
        region[theirs] = signal[ours]
        return region

    def add_region(self, result: Tensor, part: Tensor) -> None:
        ours, theirs = self._overlap()
        result[ours] += part[theirs]

    def _overlap(self) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where input and region overlap, as places of the input and of the region."""
        ours, theirs = [self.positions[0], slice(None)], [slice(None)] * 2
        for begin, length, size in zip(self.begin, self.region_size, self.input_size, strict=True):
            low = min(max(begin, 0), size)
            high = max(min(begin + length, size), low)
            ours.append(slice(low, high))
            theirs.append(slice(low - begin, high - begin) if high > low else slice(0, 0))
        return tuple(ours), tuple(theirs)


@lru_cache(maxsize=512)
def _calls(problem: Problem) -> tuple[_Call, ...]:
    every = range(problem.batch)
    if _is_one_call(problem):
        return (_call(problem, every, tuple(range(axis.output) for axis in problem.axes)),)
    phases = itertools.product(
        *(
            [range(first, axis.output, tile) for first in range(tile)]
            for axis, tile in zip(problem.axes, problem.tile, strict=True)
        )
    )
    return tuple(_call(problem, *part) for places in phases for part in _fitting(problem, every, places))


def _is_one_call(problem: Problem) -> bool:
    """Of the input as it lies: one kernel, and with as much padding on both sides, which torch can do, an output as long."""
    return math.prod(problem.tile) == 1 and all(
        output_size(axis.size, axis.kernel, axis.stride, axis.dilation, axis.padding, axis.padding) == axis.output
        for axis in problem.axes
    )


def _fitting(problem: Problem, samples: range, places: tuple[range, ...]) -> Iterator[tuple[range, tuple[range, ...]]]:
    """Samples and places, halved until what a call reads and writes fits in the workspace; no side of places to less than two."""
    wiring = problem.wiring
    reads, writes = math.prod(_lengths(problem, places)), math.prod(map(len, places))
    numbers = len(samples) * (wiring.in_channels * reads + wiring.out_channels * writes)
    longest = max(range(problem.ndim), key=lambda d: len(places[d]))
    if numbers * max(problem.dtype.itemsize, 4) <= WORKSPACE or (len(samples) == 1 and len(places[longest]) < 4):
        yield samples, places
    elif (middle := len(samples) // 2) > 0:
        for half in (samples[:middle], samples[middle:]):
            yield from _fitting(problem, half, places)
    else:
        middle = len(places[longest]) // 2
        for part in (places[longest][:middle], places[longest][middle:]):
            yield from _fitting(problem, samples, (*places[:longest], part, *places[longest + 1 :]))


def _lengths(problem: Problem, places: tuple[range, ...]) -> list[int]:
    """Of the region of the input that places read."""
    return [(p[-1] - p[0]) * axis.stride + axis.reach for p, axis in zip(places, problem.axes, strict=True)]


def _call(problem: Problem, samples: range, places: tuple[range, ...]) -> _Call:
    whole, axes, n = _is_one_call(problem), problem.axes, problem.ndim
    return _Call(
        kernel=(slice(None), *(p[0] % tile for p, tile in zip(places, problem.tile, strict=True))),
        positions=(_slice(samples), slice(None), *map(_slice, places)),
        stride=tuple(axis.stride * tile for axis, tile in zip(axes, problem.tile, strict=True)),
        dilation=tuple(axis.dilation for axis in axes),
        padding=tuple(axis.padding for axis in axes) if whole else (0,) * n,
        begin=(0,) * n if whole else tuple(p[0] * a.stride - a.padding for p, a in zip(places, axes, strict=True)),
        region_size=problem.input_size if whole else tuple(_lengths(problem, places)),
        input_size=problem.input_size,
        whole=whole,
    )


def _slice(places: range) -> slice:
    return slice(places.start, places.stop, places.step)
