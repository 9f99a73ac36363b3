"""Which engine runs a problem, and why.

The rule, until engines compete by cost: torch's own convolution where one kernel is shared by all positions, the C++ core
everywhere else. Where that cannot run, torch's convolution for each kernel of a small tile, and windows as a matrix for the
rest, also where the calls that a tile would be split into are small. The definition is never chosen; it is asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .._engines import ENGINES
from .._spec.call import Call, one_of
from .._spec.problem import Problem

_PREFERENCE = (
    ("aten", "few kernels serve many positions, as torch's convolution is made for"),
    ("native", "kernels that are not shared by all positions, or any channel graph, at the speed of the machine"),
    ("matmul", "windows as a matrix: the portable way for any tile and any channel graph"),
)
SMALL_CALL = (
    2**20
)  # multiply-adds: below this a call of torch's convolution for each kernel of a tile takes longer than matmul


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, why it runs, and why each other one does not."""

    engine: str
    reason: str
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
    choose(problem, engine, name)


@lru_cache(maxsize=4096)
def choose(problem: Problem, requested: str = "auto", call: str = "convarium") -> Choice:
    """The engine for a problem; an engine asked for by name runs or is refused with its reason, nothing falls back."""
    check_engine(call, requested)
    if requested != "auto":
        if (why_not := ENGINES[requested].supports(problem)) is not None:
            raise ValueError(f"{call}: engine={requested!r} cannot do this: {why_not}; engine='auto' can")
        return Choice(
            requested, "asked for by name", tuple((name, "not asked for") for name in ENGINES if name != requested)
        )
    refusals = {name: engine.supports(problem) for name, engine in ENGINES.items()}
    kernels = math.prod(problem.tile)
    if refusals["aten"] is None and kernels > 1 and refusals["native"] is None:
        refusals["aten"] = f"{kernels} kernels take turns, each a call of its own; the C++ core takes them together"
    elif refusals["aten"] is None and kernels > 1 and problem.multiply_adds < kernels * SMALL_CALL:
        refusals["aten"] = f"{kernels} kernels take turns, and a call for each would be small"
    name, reason = next((name, reason) for name, reason in _PREFERENCE if refusals[name] is None)
    others = {other: refusals[other] or f"{name} is preferred" for other in ENGINES if other != name}
    if refusals.get("definition", "") is None:
        others["definition"] = "never chosen: it is the slow judge of the others"
    return Choice(name, reason, tuple(others.items()))
