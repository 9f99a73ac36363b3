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
from convarium._planner.choice import choose, seconds
from convarium._planner.profile import machine
from convarium._spec.problem import MAPS, Problem

from .measure import interleaved

ALLOWED = 1.1
_LEAST, _MOST = 2e-4, 0.2  # seconds that a map is reckoned to take


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
    while time.perf_counter() < until:
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
        stride = chance.choice((1, 1, 1, 2))
        options = f", stride={stride}" if stride > 1 else ""
        if chance.random() < 0.5:
            options += ", padding='same'"
        try:
            size_out = [
                -(-s // stride) if "same" in options else (s - k) // stride + 1
                for s, k in zip(size, kernel, strict=True)
            ]
            sharing = chance.choice(("shared", "shared", "tiled", "local"))
            tile = {"shared": [], "tiled": [2] * n, "local": size_out}[sharing]
            graph = chance.choice(("dense", "dense", "groups", "depthwise", "interlaced"))
            if graph == "interlaced":
                groups = math.gcd(*channels)
                options += f", channels=cv.ChannelGraph.interlaced({channels[0]}, {channels[1]}, {groups})"
                weight = (channels[0] * channels[1] // groups, *tile, *kernel)
            else:
                groups = {"dense": 1, "groups": min(math.gcd(*channels), 4), "depthwise": channels[0]}[graph]
                channels[1] = channels[0] if graph == "depthwise" else channels[1]
                options += f", groups={groups}" if groups > 1 else ""
                weight = (channels[1], *tile, channels[0] // groups, *kernel)
            line = f"cv.plan{n}d({(batch, channels[0], *size)}, {tuple(weight)}{options})"
            plan = eval(line, {"cv": cv})  # our own line, so that what is printed is what was run
        except ValueError:
            continue
        longest = max(choice.seconds for choice in plan.choices)
        if longest <= _MOST and min(choice.seconds for choice in plan.choices) >= _LEAST and plan.problem.bytes < 5e8:
            return line, plan.problem


def _measured(line: str, problem: Problem) -> list[Found]:
    input, weight, output = (torch.randn(s) for s in (problem.input_shape, problem.weight_shape, problem.output_shape))
    pairs = {"forward": (input, weight), "grad_input": (output, weight), "grad_weight": (input, output)}
    found = []
    for map in MAPS:
        reckoned = {}
        for name, engine in ENGINES.items():
            if (
                engine.UNASKED is None
                and engine.supports(map, problem) is None
                and (work := engine.work(map, problem)) is not None
            ):
                reckoned[name] = seconds(work, problem, machine())
        worth = {name for name, took in reckoned.items() if took < 8 * min(reckoned.values())}
        calls = {name: lambda name=name, map=map: getattr(ENGINES[name], map)(problem, *pairs[map]) for name in worth}
        times = interleaved(calls, 0.6, least=3, most=15)
        found.append(
            Found(
                line, map, choose(map, problem).engine, {name: timing.low for name, timing in times.items()}, reckoned
            )
        )
    return found
