"""The definition, as the lecture writes it: each output is the sum of a window times its kernel, entry by entry.

    z[b, j, s] = sum over edges (i, j) of the channel graph, and over taps m, of  v[b, i, s*u + m*d - p] * w[(i, j), s % l, m]

Every weight is seen by edge here: a kernel ``w[e]`` for edge ``e`` from input ``i`` to output ``j``. ``Window tables`` say
which input position output ``s`` reads through tap ``m``; a tap in the padding is left out, so that a NaN in a weight stays
where its taps are. Slow, for any problem, and the judge of all others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .._spec.problem import Map, Problem
from .._spec.work import Work

SUMMARY = "windows, Hadamard products and sums, as the formula is written; the judge of the others"


UNASKED: str | None = "it is the slow judge of the others"
IS_TORCH = False


def missing() -> str | None:
    return None


def supports(map: Map, problem: Problem) -> str | None:
    return None


def caveat(map: Map, problem: Problem) -> str | None:
    return None


def work(map: Map, problem: Problem) -> Work | None:
    return None  # nobody waits for it


def forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    sources, targets = _edges(problem, input.device)
    windows, inside = _windows(problem, input)  # (B, C, S, K): v[b, i, s*u + m*d - p]
    kernels = _kernels(problem, weight)  # (E, S, K): w[e, s % l, m]
    output = windows.new_zeros(problem.batch, problem.wiring.out_channels, windows.shape[2])
    hadamard = torch.where(inside, windows[:, sources] * kernels, 0)
    output.index_add_(1, targets, hadamard.sum(dim=-1))
    return output.reshape(problem.output_shape).to(input.dtype)


def grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    sources, targets = _edges(problem, grad_output.device)
    positions, inside = _positions(problem, grad_output.device)
    kernels = _kernels(problem, weight)  # (E, S, K)
    gradient = _wide(grad_output).flatten(2)[:, targets]  # (B, E, S): g[b, j, s]
    terms = torch.where(inside, gradient[..., None] * kernels, 0)  # what (e, s, m) gives to the input it read
    result = terms.new_zeros(problem.batch, problem.wiring.in_channels, math.prod(problem.input_size))
    by_place = terms.new_zeros(problem.batch, sources.numel(), result.shape[2])
    by_place.index_add_(2, positions.flatten(), terms.flatten(2))
    result.index_add_(1, sources, by_place)
    return result.reshape(problem.input_shape).to(grad_output.dtype)


def grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    sources, targets = _edges(problem, input.device)
    windows, inside = _windows(problem, input)  # (B, C, S, K)
    gradient = _wide(grad_output).flatten(2)  # (B, O, S)
    terms = torch.where(inside, windows[:, sources] * gradient[:, targets][..., None], 0)
    by_position = terms.sum(dim=0)  # (E, S, K): the gradient if no two positions shared a kernel ...
    phases = _phases(problem, input.device)
    shared = by_position.new_zeros(sources.numel(), math.prod(problem.tile), by_position.shape[2])
    shared.index_add_(1, phases, by_position)  # ... added over the positions that share one
    shared = shared.reshape(sources.numel(), *problem.tile, *problem.kernel_size)
    if not problem.wiring.by_edge:
        parents = problem.wiring.n_edges // problem.wiring.out_channels
        shared = shared.unflatten(0, (problem.wiring.out_channels, parents)).movedim(1, 1 + problem.ndim)
    return shared.to(input.dtype).contiguous()


def _wide(tensor: Tensor) -> Tensor:
    """Sums of half-precision numbers are made in float32."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _edges(problem: Problem, device: torch.device) -> tuple[Tensor, Tensor]:
    sources, targets = torch.tensor(problem.wiring.edges(), device=device)
    return sources, targets


def _positions(problem: Problem, device: torch.device) -> tuple[Tensor, Tensor]:
    """``(S, K)``: the flat input position of each output and tap, and whether it is inside the input (0 where not)."""
    n = problem.ndim
    flat = torch.zeros((), dtype=torch.int64, device=device)
    inside = torch.ones((), dtype=torch.bool, device=device)
    for direction, axis in enumerate(problem.axes):
        shape = [1] * (2 * n)
        shape[direction], shape[n + direction] = axis.output, axis.kernel
        table = torch.tensor(axis.table(), device=device).reshape(shape)
        flat = flat * axis.size + table.clamp(min=0)
        inside = inside & (table >= 0)
    shape = [math.prod(problem.output_size), math.prod(problem.kernel_size)]
    return torch.where(inside, flat, 0).reshape(shape), inside.reshape(shape)


def _windows(problem: Problem, input: Tensor) -> tuple[Tensor, Tensor]:
    positions, inside = _positions(problem, input.device)
    return _wide(input).flatten(2)[:, :, positions], inside


def _phases(problem: Problem, device: torch.device) -> Tensor:
    """``(S,)``: the flat place in the tile of the kernel that each position uses, ``s % l``."""
    flat = torch.zeros((), dtype=torch.int64, device=device)
    for direction, (axis, tile) in enumerate(zip(problem.axes, problem.tile, strict=True)):
        phase = torch.arange(axis.output, device=device) % tile
        flat = flat * tile + phase.reshape([-1 if k == direction else 1 for k in range(problem.ndim)])
    return flat.flatten()


def _kernels(problem: Problem, weight: Tensor) -> Tensor:
    """``(E, S, K)``: the kernel that each edge uses at each position."""
    if not problem.wiring.by_edge:
        weight = weight.movedim(1 + problem.ndim, 1).flatten(0, 1)
    places, taps = math.prod(problem.tile), math.prod(problem.kernel_size)
    kernels = _wide(weight).reshape(weight.shape[0], places, taps)
    return kernels[:, _phases(problem, weight.device)]
