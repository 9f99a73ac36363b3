"""A plan: what will run, and why, before it runs. Shapes alone make it; it is a value, and prints as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .._engines import ENGINES
from .._spec.problem import MAPS, Map, Problem
from .blocks import blocks_of
from .choice import Choice, choose, unasked
from .machine import Machine
from .profile import machine

_TURNED: dict[Map, Map] = {"forward": "grad_input", "grad_input": "forward", "grad_weight": "grad_weight"}


@dataclass(frozen=True, slots=True)
class Plan:
    """The engine for each of the three maps of a problem, with its reason and what it is reckoned to cost.

    ``print(plan)`` shows all of it; ``plan.engines["forward"]`` is a key of :func:`convarium.engines`. The plan of a transposed
    convolution names the maps as the transposed one has them: its forward is the other's grad_input. The floor is that of the
    sum as it is written; transforms need fewer operations, and may stay below it.
    """

    problem: Problem
    choices: tuple[Choice, ...]
    machine: Machine
    transposed: bool = False

    @property
    def engines(self) -> dict[Map, str]:
        """The engine's name, by map."""
        return {map: choice.engine for map, choice in self._by_map.items()}

    @property
    def caveats(self) -> dict[Map, str]:
        """What is not promised, by map; empty where everything is."""
        told = {map: ENGINES[c.engine].caveat(c.map, self.problem) for map, c in self._by_map.items()}
        return {map: caveat for map, caveat in told.items() if caveat is not None}

    @property
    def floor(self) -> float:
        """Seconds that any engine needs for a map at the machine's limits: computing, or moving the three tensors once."""
        return max(self.problem.flops / self.machine.speed(self.problem.dtype), self.machine.moving(self.problem.bytes))

    @property
    def intensity(self) -> float:
        """FLOP for each byte of the three tensors."""
        return self.problem.flops / self.problem.bytes

    @property
    def _by_map(self) -> dict[Map, Choice]:
        by_map = {(_TURNED[choice.map] if self.transposed else choice.map): choice for choice in self.choices}
        return {map: by_map[map] for map in MAPS}

    def to_dict(self) -> dict[str, Any]:
        """All that is printed, as data: seconds, bytes and operations."""
        problem, first, last = self.problem, *self._ends
        return {
            "kind": self._kind,
            "dtype": str(problem.dtype).removeprefix("torch."),
            "device": problem.device,
            "threads": self.machine.threads,
            "machine": self.machine.origin,
            "input": list(first),
            "weight": list(self._weight),
            "output": list(last),
            "channels": blocks_of(problem.wiring).to_dict(),
            "flops": problem.flops,
            "bytes": problem.bytes,
            "intensity": self.intensity,
            "parameters": problem.parameters,
            "floor_seconds": self.floor,
            "maps": {
                map: {
                    "engine": choice.engine,
                    "reason": choice.reason,
                    "seconds": choice.seconds,
                    "bytes": None if choice.work is None else choice.work.bytes,
                    "workspace": None if choice.work is None else choice.work.workspace,
                    "caveat": self.caveats.get(map),
                    "others": self._others(choice),
                }
                for map, choice in self._by_map.items()
            },
        }

    def __str__(self) -> str:
        problem, first, last = self.problem, *self._ends
        dtype = str(problem.dtype).removeprefix("torch.")
        speed, threads = self.machine.speed(problem.dtype), self.machine.threads
        computing = problem.flops / speed
        limit = "computing" if computing >= self.floor else "moving the tensors once"
        lines = [
            f"{self._kind}, {problem.ndim}-D, {dtype} on {problem.device}, {threads} threads",
            f"  input        {_shape(first)}",
            f"  weight       {_shape(self._weight)}, {problem.wiring.graph!r}",
            f"  output       {_shape(last)}",
            *([] if problem.wiring.graph.is_full else [f"  channels     {blocks_of(problem.wiring)}"]),
            f"  each map     {_count(problem.flops)}FLOP, {_count(problem.bytes)}B at least, "
            f"{self.intensity:.3g} FLOP/B, {_count(problem.parameters).strip()} parameters",
            f"  floor        {_count(self.floor)}s, {limit}",
            f"  limits       {_count(speed)}FLOP/s, {_count(self.machine.memory)}B/s, "
            f"{_count(threads * self.machine.cache)}B/s in {_count(threads * self.machine.near)}B of cache",
            f"               {self.machine.origin}",
            "",
            "  map          engine         time  of floor     moved  workspace  why",
        ]
        for map, choice in self._by_map.items():
            lines.append(f"  {map:13}{choice.engine:10} {self._cost(choice)}  {choice.reason}".rstrip())
        against = {name: self._against(name) for name in ENGINES}
        lines += ["", "  why not", *(f"    {name:11}{why}" for name, why in against.items() if why)]
        if caveats := _together(self.caveats):
            lines += ["", "  but", *(f"    {caveat}" for caveat in caveats)]
        return "\n".join(line.rstrip() for line in lines)

    @property
    def _kind(self) -> str:
        return f"{'transposed ' if self.transposed else ''}{self.problem.sharing} convolution"

    @property
    def _ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        ends = self.problem.input_shape, self.problem.output_shape
        return ends[::-1] if self.transposed else ends

    @property
    def _weight(self) -> tuple[int, ...]:
        """The weight's shape, without a tile where kernels are shared."""
        shape, n = self.problem.weight_shape, self.problem.ndim
        return shape if max(self.problem.tile) > 1 else (shape[0], *shape[1 + n :])

    def _cost(self, choice: Choice) -> str:
        if choice.work is None or choice.seconds is None:
            return f"{'not reckoned':>38}"
        share = f"{100 * self.floor / choice.seconds:.0f} %"
        return f"{_count(choice.seconds):>7}s  {share:>8}  {_count(choice.work.bytes):>7}B  {_count(choice.work.workspace):>8}B"

    def _against(self, name: str) -> str:
        """Why an engine does not run, once where that holds for all maps that it does not run."""
        lost = {map: c for map, c in self._by_map.items() if c.engine != name}
        why = {map: dict(c.others)[name] for map, c in lost.items()}
        long = {map: took for map, c in lost.items() if (took := unasked(name, c, self.problem, self.machine))}
        return "; ".join(_together(why) + _together(long))

    def _others(self, choice: Choice) -> dict[str, str]:
        long = {name: unasked(name, choice, self.problem, self.machine) for name, _ in choice.others}
        return {name: "; ".join(filter(None, (why, long[name]))) for name, why in choice.others}


def _together(by_map: dict[Map, str]) -> list[str]:
    """What is said of maps, each saying once, with its maps where they are not all that anything is said of."""
    said: dict[str, list[str]] = {}
    for map, what in by_map.items():
        said.setdefault(what, []).append(map)
    if len(said) == 1 and len(by_map) == len(MAPS):
        return list(said)
    return [f"{', '.join(maps)}: {what}" for what, maps in said.items()]


def plan(problem: Problem, engine: str = "auto", call: str = "convarium", transposed: bool = False) -> Plan:
    return Plan(problem, tuple(choose(map, problem, engine, call) for map in MAPS), machine(), transposed)


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _count(number: float) -> str:
    """Three digits and a prefix, with a space before the unit: 1.23 G."""
    if number == 0 or 1 <= number < 1000:
        return f"{number:.3g} "
    power = max(min(int(math.log10(number) // 3), 6), -3)
    return f"{number / 1000**power:.3g} {'nµm kMGTPE'[power + 3].strip()}"
