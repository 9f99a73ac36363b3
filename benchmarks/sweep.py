"""Whether ``engine="auto"`` is the best engine by hand: random problems of the whole family, each map by each engine that can.

A problem is a line that makes it again; a *loss* is how much longer the planner's choice took than the quickest engine.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

import convarium as cv
from convarium._engines import ENGINES
from convarium._planner.choice import choose, contenders
from convarium._planner.profile import machine
from convarium._spec.problem import MAPS, Problem

from .measure import interleaved

ALLOWED = 1.1
DTYPES = (torch.float32, torch.float32, torch.float64, torch.bfloat16)
_LEAST, _MOST = 2e-4, 0.2  # seconds that a map is reckoned to take
_ONCE = 5.0  # an engine that is reckoned to take longer is not tried
_FAR = 8  # one that took so many times as long as the quickest is not timed again


@dataclass(frozen=True)
class Found:
    """One map of one problem: what was planned, what was quickest, and seconds by engine."""

    line: str
    map: str
    planned: str
    times: dict[str, float]
    reckoned: dict[str, float]

    @property
    def best(self) -> str:
        return min(self.times, key=lambda name: self.times[name])

    @property
    def loss(self) -> float:
        return self.times[self.planned] / self.times[self.best]

    def __str__(self) -> str:
        each = ", ".join(
            f"{name} {1e3 * took:.2f} ms (reckoned {1e3 * self.reckoned[name]:.2f})"
            for name, took in self.times.items()
        )
        return f"{self.loss:5.2f}x  {self.map:11} {self.planned} planned: {each}\n        {self.line}"


def sweep(limit: float, seed: int, say: Callable[[Found], None]) -> list[Found]:
    """Random problems for so many seconds."""
    found: list[Found] = []
    chance, until = random.Random(seed), time.perf_counter() + limit
    while not found or time.perf_counter() < until:
        line, problem = draw(chance)
        for one in _measured(line, problem):
            found.append(one)
            say(one)
    return found


def summary(found: list[Found]) -> str:
    losses = sorted(one.loss for one in found)
    within = sum(loss <= ALLOWED for loss in losses) / len(losses)
    mean = math.exp(sum(map(math.log, losses)) / len(losses))
    return (
        f"{len(found)} maps: {100 * within:.0f} % within 10 % of the best engine by hand, "
        f"{100 * (mean - 1):.1f} % lost in the geometric mean, {losses[-1]:.2f}x at worst"
    )


def draw(chance: random.Random) -> tuple[str, Problem]:
    """A problem that is worth planning, and the call that plans it."""
    while True:
        n = chance.choice((1, 2, 2, 2, 3))
        channels = [2 ** chance.randint(0, 8) for _ in range(2)]
        kernel = [chance.choice((1, 3, 3, 3, 5, 7, 11, 31)) if n < 3 else chance.choice((1, 2, 3)) for _ in range(n)]
        size = [chance.choice({1: (256, 4096, 40000), 2: (8, 14, 28, 56, 112), 3: (6, 12, 20)}[n]) for _ in range(n)]
        batch = chance.choice((1, 2, 8, 16, 32, 64))
        stride, dilation = _directions(chance, n, (1, 1, 1, 2)), _directions(chance, n, (1, 1, 1, 2, 3))
        same, dtype = chance.random() < 0.5, chance.choice(DTYPES)
        options = f", stride={stride}" * (max(stride) > 1) + f", dilation={dilation}" * (max(dilation) > 1)
        options += ", padding='same'" * same + f", dtype={dtype}" * (dtype != torch.float32)
        axes = zip(size, kernel, stride, dilation, strict=True)
        size_out = [-(-s // u) if same else (s - d * (k - 1) - 1) // u + 1 for s, k, u, d in axes]
        tile = {"shared": [], "tiled": [2] * n, "local": size_out}[
            chance.choice(("shared", "shared", "tiled", "local"))
        ]
        joined, front, inner = _channels(chance, channels)
        try:
            line = f"cv.plan{n}d({(batch, channels[0], *size)}, {(front, *tile, *inner, *kernel)}{options}{joined})"
            plan = eval(line, {"cv": cv, "torch": torch})  # our own line, so that what is printed is what was run
        except ValueError:
            continue
        longest = max(choice.seconds for choice in plan.choices)
        if longest <= _MOST and min(choice.seconds for choice in plan.choices) >= _LEAST and plan.problem.bytes < 5e8:
            return line, plan.problem


def _directions(chance: random.Random, n: int, among: tuple[int, ...]) -> tuple[int, ...]:
    """One number for all directions, or each its own."""
    one = chance.choice(among)
    return tuple(chance.choice(among) for _ in range(n)) if chance.random() < 0.3 else (one,) * n


def _channels(chance: random.Random, channels: list[int]) -> tuple[str, int, tuple[int, ...]]:
    """How a call says which channels are joined; the first dimension of its weight, and that of inputs."""
    inputs, outputs = channels
    kind = chance.choice(("dense", "dense", "groups", "depthwise", "interlaced", "random"))
    if kind == "interlaced":
        groups = math.gcd(inputs, outputs)
        return f", channels=cv.ChannelGraph.interlaced({inputs}, {outputs}, {groups})", inputs * outputs // groups, ()
    if kind == "random":
        parents = max(1, inputs // chance.choice((2, 4, 16)))
        graph = f"cv.ChannelGraph.random_regular({inputs}, {outputs}, {parents}, seed={chance.randrange(1000)})"
        return f", channels={graph}", outputs * parents, ()
    groups = {"dense": 1, "groups": min(math.gcd(inputs, outputs), 4), "depthwise": inputs}[kind]
    rows = inputs if kind == "depthwise" else outputs
    return f", groups={groups}" * (groups > 1), rows, (inputs // groups,)


def _measured(line: str, problem: Problem) -> list[Found]:
    input, weight, output = (
        torch.randn(s, dtype=problem.dtype) for s in (problem.input_shape, problem.weight_shape, problem.output_shape)
    )
    pairs = {"forward": (input, weight), "grad_input": (output, weight), "grad_weight": (input, output)}
    found = []
    for map in MAPS:
        reckoned = {name: took for name, (took, _) in contenders(map, problem, machine())[0].items()}
        planned = choose(map, problem).engine
        calls = {
            name: lambda name=name, map=map: getattr(ENGINES[name], map)(problem, *pairs[map])
            for name, took in reckoned.items()
            if took < _ONCE or name == planned
        }
        found.append(Found(line, map, planned, timed(calls), reckoned))
    return found


def timed(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each call: of those far behind the quickest, the better of two; of the others, the lower quartile of many."""
    times = {name: min(_once(call), _once(call)) for name, call in calls.items()}
    near = {name: call for name, call in calls.items() if times[name] <= _FAR * min(times.values())}
    return times | {name: timing.low for name, timing in interleaved(near, 0.6, least=3, most=15).items()}


def _once(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
