"""The C++ core (``native/``): no copy of all windows, whatever shares a kernel, in the machine's widest vectors.

Windows of many samples are addressed through tables, with the batch innermost, and multiplied with weights that are read where
they lie; or, where positions share kernels, vectors run along the lines of a sample as it lies (``LINES``), so that few samples
do as well as many. What is summed is summed in the same order for any number of threads.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._native import library, memory
from .._spec.geometry import Axis
from .._spec.problem import MAPS, Map, Problem
from .._spec.wiring import Bicliques
from .._spec.work import Work

SUMMARY = "the C++ core: windows through tables, or along lines, in the machine's widest vectors"
UNASKED: str | None = None
IS_TORCH = False
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
WAY = 0  # the core chooses; its tests ask for each
GATHERED, NEIGHBOURS, LINES = 1, 2, 8  # cv_way
LANES = 8  # samples that a vector holds at least
WIDENED = 2**20  # bytes of a block's weights that a thread may hold as float32
CALLS = 3  # that its operator costs as much time as; torch's own convolution has its own gradients


def missing() -> str | None:
    """Why the core cannot run on this machine, or None."""
    core = library.load()
    return str(core) if isinstance(core, library.MissingCore) else None


def supports(map: Map, problem: Problem) -> str | None:
    return missing() or cannot(problem)


def cannot(problem: Problem) -> str | None:
    """Why no core could run this, or None."""
    if problem.device != "cpu":
        return f"it runs on the CPU, not on {problem.device}"
    if problem.dtype not in DTYPES:
        return f"it computes with real numbers of 16 to 64 bits, not with {problem.dtype}"
    if problem.ndim > 3:
        return f"it convolves in 1 to 3 dimensions, not {problem.ndim}"
    return None


def caveat(map: Map, problem: Problem) -> str | None:
    return None


def work(map: Map, problem: Problem) -> Work:
    """Along the lines of samples, or with samples, rounded up to whole vectors and turned to lie innermost; these in slabs."""
    way = _way(map, problem)
    if way == LINES:
        return _along_lines(map, problem)
    blocks = problem.wiring.bicliques()
    outputs = problem.wiring.n_edges / max(sum(each.inputs.size for each in blocks), 1)  # of a block
    inputs = problem.wiring.n_edges / max(sum(each.outputs.size for each in blocks), 1)
    readers = problem.wiring.n_edges / problem.wiring.in_channels
    lanes = -(-problem.batch // LANES) * LANES
    samples = max(problem.batch, 1)
    rounded = lanes / samples
    own = problem.tile == problem.output_size  # each position its own kernel
    if way == NEIGHBOURS and problem.tile[-1] == problem.output_size[-1]:
        fans = readers / (readers + 4)  # what is read of a channel serves all that read it; the core's own line is near
        efficiency = {"forward": 0.7 * fans, "grad_input": 0.7 * fans, "grad_weight": 0.7 * lanes / (lanes + 10)}[map]
    elif way == NEIGHBOURS and map == "grad_weight":
        blocked = sum(each.outputs.size for each in blocks) >= 4 * sum(len(each.outputs) for each in blocks)
        efficiency = 0.24 + 0.17 * min(outputs if blocked else readers, 4)
        efficiency *= math.prod(  # windows that are cut are summed up apart
            axis.output / (axis.output + axis.kernel * (axis.padding > 0)) for axis in problem.axes
        )
    elif way == NEIGHBOURS:
        efficiency = 0.5
    elif map == "grad_weight":  # vectors run over outputs; samples are summed over, and positions that share a kernel
        window = inputs * math.prod(problem.kernel_size)
        terms = problem.batch * (1 if own else math.prod(problem.output_size) / math.prod(problem.tile))
        efficiency = outputs / (outputs + 4) * window / (window + 64) * terms / (terms + 4)
        rounded = -(-outputs // LANES) * LANES / max(outputs, 1)
    elif map == "grad_input" and not own and all(axis.stride == 1 for axis in problem.axes):  # as forward
        efficiency = 0.85 * inputs / (inputs + 8)
    else:  # back, what a window gives is added to it, which few outputs do not make up for
        beside = 0 if map == "forward" else 7 if lanes >= 2 * LANES else 26
        efficiency = 0.85 * outputs / (outputs + 8 + beside)
    numbers = math.prod(problem.input_shape) + math.prod(problem.output_shape)
    turned = numbers * lanes // samples * max(problem.dtype.itemsize, 4)  # halves are computed with as float32
    return Work(
        problem.flops * problem.inside * rounded,
        efficiency or 1,
        problem.bytes + 2 * turned,
        min(turned, _most_held(problem)),
        CALLS,
        dtype=_computed(problem),
    )


def _along_lines(map: Map, problem: Problem) -> Work:
    """Taps in the padding are computed too, and what lanes are left at the end of a line."""
    axis = problem.axes[-1]
    apart = problem.tile[-1] * (axis.stride if map == "grad_input" else 1)
    columns = -(-(axis.size if map == "grad_input" else axis.output) // apart)
    filled = columns / (-(-columns // LANES) * LANES)
    height = problem.axes[-2].kernel if problem.ndim > 1 else 1  # taps that share what is read
    even = all(step == 1 for each, tile in zip(problem.axes, problem.tile, strict=True) for step in (each.stride, tile))
    efficiency = {"forward": 0.9, "grad_input": 0.8, "grad_weight": 0.53}[map] * (
        height / (height + 0.6) if even else 0.5
    )
    planes = math.prod(problem.input_shape[1:]) + math.prod(problem.output_shape[1:])
    return Work(
        problem.flops / filled,
        efficiency,
        problem.bytes,
        min(planes * max(problem.dtype.itemsize, 4), _most_held(problem)),
        CALLS,
        dtype=_computed(problem),
    )


def _way(map: Map, problem: Problem) -> int:
    core = library.load()
    assert isinstance(core, ctypes.CDLL), "supports() was not asked"
    strides = _contiguous(problem.weight_shape)
    return int(core.cv_way_of(_described(problem, strides).structure, MAPS.index(map)))


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[d + 1 :]) for d in range(len(shape)))


def _computed(problem: Problem) -> torch.dtype:
    return torch.float32 if problem.dtype.itemsize == 2 else problem.dtype


def _most_held(problem: Problem) -> float:
    """A tenth of all windows, or 32 MiB."""
    windows = math.prod(problem.output_size) * math.prod(problem.kernel_size) * problem.wiring.in_channels
    return max(windows * problem.batch * problem.dtype.itemsize / 10, 32 * 2**20)


def forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    output = memory.empty(problem.output_shape, problem.dtype)
    _call("cv_forward", problem, weight.stride(), _tensor(input), weight.data_ptr(), _tensor(output))
    return output


def grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    result = memory.empty(problem.input_shape, problem.dtype)
    _call("cv_grad_input", problem, weight.stride(), _tensor(grad_output), weight.data_ptr(), _tensor(result))
    return result


def grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    result = memory.empty(problem.weight_shape, problem.dtype)
    _call("cv_grad_weight", problem, result.stride(), _tensor(input), _tensor(grad_output), result.data_ptr())
    return result


def _call(name: str, problem: Problem, weight_strides: tuple[int, ...], *arguments: Any) -> None:
    core = library.load()
    assert isinstance(core, ctypes.CDLL), "supports() was not asked"
    found = _described(problem, weight_strides)
    if getattr(core, name)(found.structure, *arguments, torch.get_num_threads()):
        raise MemoryError(f"convarium: no memory for the workspace of {name}")


def _tensor(tensor: Tensor) -> library.Tensor:
    batch, channel, *space = tensor.stride()
    return library.Tensor(tensor.data_ptr(), (batch, channel, *(0,) * (3 - len(space)), *space))


@dataclass(frozen=True, slots=True)
class _Description:
    """A problem as the core reads it, and the arrays that it points into."""

    structure: library.Problem
    arrays: tuple[Any, ...]


@lru_cache(maxsize=1024)
def _described(problem: Problem, strides: tuple[int, ...]) -> _Description:
    """``strides`` are the weight's."""
    n, wiring = problem.ndim, problem.wiring
    if wiring.by_edge:
        outputs = wiring.edges()[1]
        rows = np.searchsorted(outputs, np.arange(wiring.out_channels)) * strides[0]
        input_step, tap_steps = strides[0], strides[1 + n :]
    else:
        rows = np.arange(wiring.out_channels) * strides[0]
        input_step, tap_steps = strides[1 + n], strides[2 + n :]
    tile_steps = strides[1 : 1 + n]
    trivial = library.Axis(size=1, kernel=1, output=1, stride=1, dilation=1, begin=0, tile=1, tile_step=0, tap_step=0)
    axes = [trivial] * (3 - n) + [
        _axis(*settings) for settings in zip(problem.axes, problem.tile, tile_steps, tap_steps, strict=True)
    ]
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    bicliques = list(wiring.bicliques())
    if problem.dtype.itemsize == 2:
        most = WIDENED // (4 * math.prod(problem.kernel_size))
        bicliques = [part for alike in bicliques for part in _in_parts(alike, most)]
    tables = [tuple(np.ascontiguousarray(side, dtype=np.int64) for side in part) for part in bicliques]
    classes = (library.Blocks * len(tables))(
        *(
            library.Blocks(outputs.shape[0], outputs.shape[1], inputs.shape[1], outputs.ctypes.data, inputs.ctypes.data)
            for outputs, inputs in tables
        )
    )
    structure = library.Problem(
        problem.batch, wiring.in_channels, wiring.out_channels, (library.Axis * 3)(*axes), rows.ctypes.data, input_step,
        classes, len(tables), DTYPES[problem.dtype], WAY, 0,
    )  # fmt: skip
    return _Description(structure, (rows, tables, classes))


def _in_parts(blocks: Bicliques, most: int) -> Iterator[Bicliques]:
    """Blocks of at most so many edges each: of fewer outputs, but of one at least."""
    outputs, inputs = blocks.outputs.shape[1], blocks.inputs.shape[1]
    cuts = np.linspace(0, outputs, min(-(-outputs * inputs // max(most, 1)), outputs) + 1).astype(int)
    for size in np.unique(np.diff(cuts)):
        parts = [blocks.outputs[:, begin : begin + size] for begin in cuts[:-1][np.diff(cuts) == size]]
        yield Bicliques(np.concatenate(parts), np.tile(blocks.inputs, (len(parts), 1)))


def _axis(axis: Axis, tile: int, tile_step: int, tap_step: int) -> library.Axis:
    """A turned kernel is one that walks backwards from its last tap."""
    dilation, begin = axis.dilation, -axis.padding
    if axis.flip:
        dilation, begin = -dilation, begin + (axis.kernel - 1) * dilation
    return library.Axis(axis.size, axis.kernel, axis.output, axis.stride, dilation, begin, tile, tile_step, tap_step)
