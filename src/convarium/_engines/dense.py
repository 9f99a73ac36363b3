"""A graph run dense: its weight with zeros where it has no edge, through another engine's dense convolution.

For graphs that have most of their edges anyway. A zero times NaN or infinity is NaN: one in an input reaches every output, and
one in a gradient every input. So it is never chosen by itself, only asked for by name.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

from torch import Tensor

from .._spec.channels import ChannelGraph
from .._spec.problem import Map, Problem
from .._spec.wiring import Wiring
from .._spec.work import Work
from . import aten, matmul, native
from ._zeros import edges_alone, with_zeros

SUMMARY = "any graph as a dense convolution, with zeros where it has no edge"
UNASKED: str | None = "a NaN passes zeros where the graph has no edge; engine='dense' asks for it"
IS_TORCH = False
_BELOW = (aten, native, matmul)  # the first that can runs it


def missing() -> str | None:
    return None


def supports(map: Map, problem: Problem) -> str | None:
    if not problem.wiring.by_edge and problem.wiring.groups != 1:
        return "a weight in groups is not by edge; give channels=ChannelGraph.groups(...) and one kernel an edge"
    if problem.wiring.n_edges == 0:
        return "the graph has no edges"
    return (
        None
        if _engine(map, problem) is not None
        else f"no engine runs it dense: {matmul.supports(map, _filled(problem))}"
    )


def caveat(map: Map, problem: Problem) -> str | None:
    if problem.wiring.graph.is_full:
        return str(told) if (told := _running(map, problem).caveat(map, _filled(problem))) else None
    return "a NaN or infinity also meets zeros where the graph has no edge, and makes them NaN"


def work(map: Map, problem: Problem) -> Work | None:
    engine, filled = _engine(map, problem), _filled(problem)
    assert engine is not None, "supports() was not asked"
    found: Work = engine.work(map, filled)
    kernels = filled.bytes - problem.bytes + problem.parameters * problem.dtype.itemsize  # the dense weight
    return dataclasses.replace(found, bytes=found.bytes + 2 * kernels, workspace=found.workspace + kernels)


def forward(problem: Problem, input: Tensor, weight: Tensor) -> Tensor:
    return _running("forward", problem).forward(_filled(problem), input, _with_zeros(problem, weight))


def grad_input(problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor:
    return _running("grad_input", problem).grad_input(_filled(problem), grad_output, _with_zeros(problem, weight))


def grad_weight(problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor:
    every = _running("grad_weight", problem).grad_weight(_filled(problem), input, grad_output)
    return edges_alone(every, problem.wiring, problem.ndim) if problem.wiring.by_edge else every


def _with_zeros(problem: Problem, weight: Tensor) -> Tensor:
    return with_zeros(weight, problem.wiring, problem.ndim) if problem.wiring.by_edge else weight


def _running(map: Map, problem: Problem) -> Any:
    engine = _engine(map, problem)
    assert engine is not None, "supports() was not asked"
    return engine


def _engine(map: Map, problem: Problem) -> Any:
    return next((engine for engine in _BELOW if engine.supports(map, _filled(problem)) is None), None)


@lru_cache(maxsize=512)
def _filled(problem: Problem) -> Problem:
    """The same convolution of all channels."""
    wiring = problem.wiring
    return dataclasses.replace(
        problem, wiring=Wiring(ChannelGraph.dense(wiring.in_channels, wiring.out_channels), by_edge=False)
    )
