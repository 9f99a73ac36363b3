"""A plan: what will run, and why, before it runs. Shapes alone make it; it is a value, and prints as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._engines import ENGINES
from .._spec.problem import MAPS, Map, Problem
from .choice import Choice, choose
from .machine import Machine, machine


@dataclass(frozen=True, slots=True)
class Plan:
    """The engine for each of the three maps of a problem, with its reason and what it is reckoned to cost.

    ``print(plan)`` shows all of it; ``plan.engines["forward"]`` is a key of :func:`convarium.engines`.
    """

    problem: Problem
    choices: tuple[Choice, ...]
    machine: Machine

    @property
    def engines(self) -> dict[Map, str]:
        """The engine's name, by map."""
        return {choice.map: choice.engine for choice in self.choices}

    @property
    def caveats(self) -> dict[Map, str]:
        """What is not promised, by map; empty where everything is."""
        told = {choice.map: ENGINES[choice.engine].caveat(choice.map, self.problem) for choice in self.choices}
        return {map: caveat for map, caveat in told.items() if caveat is not None}

    def __str__(self) -> str:
        problem = self.problem
        dtype = str(problem.dtype).removeprefix("torch.")
        cost = (
            f"{_count(problem.flops)}FLOP, {_count(problem.bytes)}B moved at least, "
            f"{problem.flops / problem.bytes:.3g} FLOP/B, {_count(problem.parameters).rstrip()} parameters"
        )
        lines = [
            f"{problem.sharing} convolution, {problem.ndim}-D, {dtype} on {problem.device}, {self.machine.threads} threads",
            f"  input       {_shape(problem.input_shape)}",
            f"  weight      {_shape(problem.weight_shape)}, {problem.wiring.graph!r}",
            f"  output      {_shape(problem.output_shape)}",
            f"  each map    {cost}",
        ]
        for choice in self.choices:
            lines.append(f"  {choice.map:11} {choice.engine}, {choice.reason}{self._reckoned(choice)}")
            if (caveat := self.caveats.get(choice.map)) is not None:
                lines.append(f"              but {caveat}")
            against = [f"              not {name}: {why}" for name, why in choice.others]
            lines += [line for line in against if line not in lines]  # what holds for all maps is said once
        return "\n".join(lines)

    def _reckoned(self, choice: Choice) -> str:
        if choice.work is None or choice.seconds is None:
            return ""
        floor = max(
            self.problem.flops / self.machine.speed(self.problem.dtype), self.problem.bytes / self.machine.memory
        )
        return (
            f": about {_count(choice.seconds)}s, {_count(floor)}s at the machine's limits; "
            f"workspace {_count(choice.work.workspace)}B"
        )


def plan(problem: Problem, engine: str = "auto", call: str = "convarium") -> Plan:
    return Plan(problem, tuple(choose(map, problem, engine, call) for map in MAPS), machine())


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _count(number: float) -> str:
    """Four digits and a prefix, with a space before the unit: 1.234 G."""
    if number == 0 or 1 <= number < 1000:
        return f"{number:.4g} "
    power = max(min(int(math.log10(number) // 3), 6), -3)
    return f"{number / 1000**power:.3g} {'nµm kMGTPE'[power + 3].strip()}"
