"""Run one case: forward, and a whole step as a user times it, ours and its peers in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import convarium as cv
from convarium._native.memory import in_large_pages

from . import peers
from .cases import Case
from .measure import Timing, interleaved


@dataclass(frozen=True)
class Measured:
    """Timings of a case, by peer."""

    case: Case
    flops: int  # of one map
    bytes: int  # of input, weight and output
    weight_bytes: int
    engine: str  # of the three maps, those that differ
    forward: dict[str, Timing]
    step: dict[str, Timing]  # forward and both gradients, results returned fresh and freed


def measure(case: Case) -> Measured:
    plan = getattr(cv, f"plan{case.n}d")(
        case.input_shape, case.weight_shape, padding=case.padding, channels=case.graph,
        groups=1 if case.graph is not None else case.groups,
    )  # fmt: skip
    input, gradient = torch.randn(case.input_shape), torch.randn(case.batch, case.outputs, *case.output)
    forward: dict[str, Callable[[], object]] = {}
    step: dict[str, Callable[[], object]] = {}
    parts, expected, all_peers = {}, None, peers.of(case)
    for name, peer in all_peers.items():
        weight, parts[name] = peer.prepare(_weight(case, peer.weight)), peer.part
        size = case.output[-1] // peer.part
        x, g = (input, gradient) if peer.part == 1 else (input[..., : size + case.kernel[-1] - 1], gradient[..., :size])
        forward[name] = lambda peer=peer, x=x, weight=weight: peer.function(x, weight)
        if peer.learns:
            step[name] = lambda peer=peer, x=x, weight=weight, g=g: _step(peer.function, x, weight, g)
        output = peer.function(x, weight)
        if name == peers.OURS:
            expected = output
        elif peer.same:
            tolerance = 1e-4 * float(expected.abs().max())
            torch.testing.assert_close(
                output, expected[..., :size], rtol=1e-3, atol=tolerance, msg=f"{case.name}: {name} differs"
            )
    return Measured(
        case,
        plan.problem.flops,
        plan.problem.bytes,
        plan.problem.parameters * 4,
        "/".join(dict.fromkeys(plan.engines.values())),
        *({name: timing.times(parts[name]) for name, timing in _timed(calls, all_peers)} for calls in (forward, step)),
    )


def _timed(calls: dict[str, Callable[[], object]], all_peers: dict[str, peers.Peer]) -> Iterator[tuple[str, Timing]]:
    yield from interleaved({name: call for name, call in calls.items() if not all_peers[name].apart}).items()
    for name, call in calls.items():
        if all_peers[name].apart:
            yield from interleaved({name: call}).items()


def _weight(case: Case, shape: tuple[int, ...]) -> Tensor:
    weight = torch.empty(shape)
    in_large_pages(weight)  # as layers have it; the same for all peers
    return weight.normal_(generator=torch.Generator().manual_seed(1))


def _step(function: peers.Convolution, input: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    input, weight = input.detach().requires_grad_(), weight.detach().requires_grad_()
    return torch.autograd.grad(function(input, weight), (input, weight), gradient)
