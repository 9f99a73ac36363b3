"""A plan: what will run, and why, before it runs. Shapes alone make it; it is a value, and prints as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._engines import ENGINES
from .._spec.problem import Problem
from .choice import Choice, choose


@dataclass(frozen=True, slots=True)
class Plan:
    """The engine for each of the three maps of a problem, with its reason; ``print(plan)`` shows all of it."""

    problem: Problem
    choice: Choice

    @property
    def engine(self) -> str:
        """The engine's name, a key of :func:`convarium.engines`."""
        return self.choice.engine

    @property
    def caveat(self) -> str | None:
        """What the engine does not promise for this problem, or None."""
        tell = getattr(ENGINES[self.engine], "caveat", None)
        return tell(self.problem) if tell is not None else None

    def __str__(self) -> str:
        problem = self.problem
        dtype = str(problem.dtype).removeprefix("torch.")
        cost = (
            f"{_count(problem.flops)}FLOP, {_count(problem.bytes)}B moved at least, "
            f"{problem.flops / problem.bytes:.3g} FLOP/B, {_count(problem.parameters).rstrip()} parameters"
        )
        lines = [
            f"{problem.sharing} convolution, {problem.ndim}-D, {dtype} on {problem.device}",
            f"  input       {_shape(problem.input_shape)}",
            f"  weight      {_shape(problem.weight_shape)}, {problem.wiring.graph!r}",
            f"  output      {_shape(problem.output_shape)}",
            f"  each map    {cost}",
            f"  engine      {self.engine} ({ENGINES[self.engine].SUMMARY})",
            f"  because     {self.choice.reason}",
        ]
        if self.caveat is not None:
            lines.append(f"  but         {self.caveat}")
        lines += [f"  not {name}: {why}" for name, why in self.choice.others]
        return "\n".join(lines)


def plan(problem: Problem, engine: str = "auto", call: str = "convarium") -> Plan:
    return Plan(problem, choose(problem, engine, call))


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _count(number: float) -> str:
    """Four digits and a prefix, with a space before the unit: 1.234 G."""
    if number < 1000:
        return f"{number:g} "
    power = min(int(math.log10(number) // 3), 6)
    return f"{number / 1000**power:.4g} {' kMGTPE'[power]}"
