"""One warning where the C++ core would run and was not built: pip says so in what it does not show.

Here the planner knows an engine by name: what is not there cannot be asked what it costs.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

from .._engines import native
from .._native import library
from .._spec.problem import Problem
from .._spec.work import Work
from .machine import Machine
from .reckon import seconds

_EFFICIENCY = 0.5  # of the core, about
_LEAST = 1e-3  # seconds lost in a map, of which nobody is told
_RATIO = 1.5


def tell(problem: Problem, took: float, machine: Machine) -> None:
    """Warn, once in a process, if a map that takes so long would be much quicker with the core."""
    core = library.load()
    if not isinstance(core, library.MissingCore) or isinstance(core, library.SwitchedOff):
        return
    if native.cannot(problem) is not None:
        return
    work = Work(problem.flops * problem.inside, _EFFICIENCY, problem.bytes, 0, native.CALLS)
    with_core = seconds(work, problem, machine)
    if took > with_core * _RATIO and took - with_core > _LEAST:
        _warn(str(core))


@lru_cache(maxsize=1)
def _warn(why: str) -> None:
    warnings.warn(
        f"convarium runs without its C++ core, and slower: {why}; convarium.engines() says what runs, and "
        f"{library.VARIABLE}={library.NONE} in the environment that this is meant",
        RuntimeWarning,
        stacklevel=2,
    )
