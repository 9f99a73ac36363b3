"""Which engine runs a map of a problem, and why: of those that can, the one that is reckoned to take the least time.

An engine that is asked for by name runs, or is refused with its reason; nothing falls back in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .._engines import ENGINES
from .._spec.arguments import one_of
from .._spec.call import Call
from .._spec.problem import MAPS, Map, Problem
from .._spec.work import Work
from . import unbuilt
from .machine import Machine
from .profile import machine
from .reckon import seconds

ASKED = "asked for by name"
WHOLE = "torch's own function, with the gradients that it records, takes the least for all maps"
OPERATOR = 2  # calls: what an operator of ours costs around a map, which torch's own function does without


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine for a map, why it runs and what it costs, and why each other one does not."""

    map: Map
    engine: str
    reason: str
    work: Work | None
    seconds: float | None  # reckoned
    others: tuple[tuple[str, str], ...]


def check_engine(call: str, engine: object) -> None:
    """Refuse an engine that does not exist."""
    one_of(call, "engine", engine, ("auto", *ENGINES))


def check_can(name: str, engine: str, call: Call, tensor: Tensor) -> None:
    """Refuse, in the caller's name, an engine that cannot do a call; a program being traced is refused when it runs."""
    if engine == "auto" or torch.compiler.is_compiling():
        return
    batch = tensor.shape[0] if tensor.ndim == len(call.stride) + 2 else 1
    try:
        problem = call.problem(batch, tensor.dtype, tensor.device.type)
    except TypeError:  # symbolic sizes cannot be looked up
        return
    for map in MAPS:
        choose(map, problem, engine, name)


def choose(map: Map, problem: Problem, requested: str = "auto", call: str = "convarium") -> Choice:
    """The engine for a map of a problem, with the threads that torch has now."""
    if requested == "auto":
        return _planned(problem, machine())[map]
    return _asked(map, problem, requested, call, machine())


def only_engine(problem: Problem, requested: str = "auto") -> str | None:
    """The engine of all three maps, where one has them all."""
    return _only_engine(problem, requested, torch.get_num_threads())


@lru_cache(maxsize=4096)
def _only_engine(problem: Problem, requested: str, threads: int) -> str | None:
    chosen = {choose(map, problem, requested).engine for map in MAPS}
    return chosen.pop() if len(chosen) == 1 else None


@lru_cache(maxsize=4096)
def _asked(map: Map, problem: Problem, requested: str, call: str, machine: Machine) -> Choice:
    check_engine(call, requested)
    engine = ENGINES[requested]
    if (why_not := engine.supports(map, problem)) is not None:
        raise ValueError(f"{call}: engine={requested!r} cannot do this: {why_not}; engine='auto' can")
    work = engine.work(map, problem)
    took = None if work is None else seconds(work, problem, machine)
    others = tuple((name, "not asked for") for name in ENGINES if name != requested)
    return Choice(map, requested, ASKED, work, took, others)


@lru_cache(maxsize=4096)
def _planned(problem: Problem, machine: Machine) -> dict[Map, Choice]:
    """For each map the engine that is reckoned to take the least time, or torch's own function for all of them."""
    reckoned = {map: contenders(map, problem, machine) for map in MAPS}
    whole = _whole(problem, machine, [able for able, _ in reckoned.values()])
    planned: dict[Map, Choice] = {}
    for map, (able, against) in reckoned.items():
        best, reason = _quickest(able), "the least time" if len(able) > 1 else "the only one that can"
        if whole is not None and best != whole:
            best, reason = whole, WHOLE
        took, work = able[best]
        unbuilt.tell(problem, took, machine)
        against |= {name: _as_long(longer, took) for name, (longer, _) in able.items()}
        others = tuple((name, against[name]) for name in ENGINES if name != best)
        planned[map] = Choice(map, best, reason, work, took, others)
    return planned


def contenders(map: Map, problem: Problem, machine: Machine) -> tuple[dict[str, tuple[float, Work]], dict[str, str]]:
    """The time and work of each engine that may be chosen, and why the others may not."""
    able: dict[str, tuple[float, Work]] = {}
    against: dict[str, str] = {}
    for name, engine in ENGINES.items():
        if (why_not := engine.supports(map, problem)) is not None:
            against[name] = why_not
        elif engine.UNASKED is not None:
            against[name] = f"never chosen: {engine.UNASKED}"
        elif (work := engine.work(map, problem)) is not None:
            able[name] = (seconds(work, problem, machine), work)
    return able, against


def _whole(problem: Problem, machine: Machine, by_map: list[dict[str, tuple[float, Work]]]) -> str | None:
    """Torch's own function, where all maps by it take no longer than each by its quickest engine, as operators of ours."""
    even = all(axis.output == (axis.size + 2 * axis.padding - axis.reach) // axis.stride + 1 for axis in problem.axes)
    if problem.sharing != "shared" or problem.flip or problem.wiring.by_edge or not even:
        return None
    apart = sum(able[_quickest(able)][0] + OPERATOR * machine.call for able in by_map)
    for name, engine in ENGINES.items():
        if engine.IS_TORCH and all(name in able for able in by_map) and sum(able[name][0] for able in by_map) <= apart:
            return name
    return None


def _quickest(able: dict[str, tuple[float, Work]]) -> str:
    return min(able, key=lambda name: able[name][0])


def unasked(name: str, choice: Choice, problem: Problem, machine: Machine) -> str | None:
    """How long an engine that is never chosen would take beside the chosen one, where it can run and that is reckoned.

    For who reads a plan; planning itself need not reckon it.
    """
    engine = ENGINES[name]
    if engine.UNASKED is None or choice.reason == ASKED or choice.seconds is None:
        return None
    work = engine.work(choice.map, problem) if engine.supports(choice.map, problem) is None else None
    return None if work is None else _as_long(seconds(work, problem, machine), choice.seconds)


def _as_long(longer: float, took: float) -> str:
    ratio = longer / took
    return f"about {ratio:.1f} times as long" if ratio < 10 else f"about {ratio:.0f} times as long"
