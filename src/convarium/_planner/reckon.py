"""How long a work is reckoned to take on a machine."""

from __future__ import annotations

from .._spec.problem import Problem
from .._spec.work import Work
from .machine import Machine


def seconds(work: Work, problem: Problem, machine: Machine) -> float:
    """Computing and moving overlap, calls do not."""
    computing = work.flops / (work.efficiency * machine.speed(work.dtype or problem.dtype))
    return max(computing, machine.moving(work.bytes)) + work.calls * machine.call
