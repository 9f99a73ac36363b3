"""Run one case: forward, and a whole step as a user times it, ours and its peers in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import convarium as cv

from . import peers
from .cases import Case
from .measure import Timing, interleaved


@dataclass(frozen=True)
class Measured:
    """Timings of a case, by peer."""

    case: Case
    flops: int  # of one map
    weight_bytes: int
    engine: str  # of the three maps, those that differ
    forward: dict[str, Timing]
    step: dict[str, Timing]  # forward and both gradients, results returned fresh and freed


def measure(case: Case) -> Measured:
    graph = case.graph
    plan = getattr(cv, f"plan{case.n}d")(case.input_shape, case.weight_shape, channels=graph)
    input = torch.randn(case.input_shape)
    gradient = torch.randn(case.batch, case.outputs, *case.output)
    forward: dict[str, Callable[[], object]] = {}
    step: dict[str, Callable[[], object]] = {}
    outputs = {}
    for name, (function, shape) in peers.of(case).items():
        weight = _weight(case, shape)
        forward[name] = lambda function=function, weight=weight: function(input, weight)
        step[name] = lambda function=function, weight=weight: _step(function, input, weight, gradient)
        if name != peers.SHARED:
            outputs[name] = function(input, weight)
    if case.kind == "local":
        for name, output in outputs.items():
            torch.testing.assert_close(
                output, outputs[peers.OURS], rtol=1e-3, atol=1e-2, msg=f"{case.name}: {name} differs"
            )
    return Measured(
        case,
        plan.problem.flops,
        plan.problem.parameters * 4,
        "/".join(dict.fromkeys(plan.engines.values())),
        interleaved(forward),
        interleaved(step),
    )


def _weight(case: Case, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def _step(function: peers.Convolution, input: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    input, weight = input.detach().requires_grad_(), weight.detach().requires_grad_()
    return torch.autograd.grad(function(input, weight), (input, weight), gradient)
