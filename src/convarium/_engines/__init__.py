"""The engines: ways to compute the three maps, one a file. A new one joins by being listed in :data:`ENGINES`.

The planner knows no engine by name: it asks each whether it can run a map and what that costs, and takes the cheapest.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from .._spec.problem import Map, Problem
from .._spec.work import Work
from . import aten, definition, dense, matmul, native, spectral


class Engine(Protocol):
    """What a module offers to be an engine. Results have the shape of :func:`convarium._spec.problem.result_shape`."""

    SUMMARY: str  # what it does, in a line
    UNASKED: str | None  # why it is never chosen, only asked for by name; None: it may be chosen
    IS_TORCH: bool  # whether a call of torch's own form may go to torch's own function instead

    def missing(self) -> str | None:
        """Why it cannot run on this machine at all, or None."""

    def supports(self, map: Map, problem: Problem) -> str | None:
        """Why it cannot run this, or None."""

    def caveat(self, map: Map, problem: Problem) -> str | None:
        """What it does not promise for what it runs, or None."""

    def work(self, map: Map, problem: Problem) -> Work | None:
        """What it costs; None where nobody reckons it, of an engine that is never chosen."""

    def forward(self, problem: Problem, input: Tensor, weight: Tensor) -> Tensor: ...
    def grad_input(self, problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor: ...
    def grad_weight(self, problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor: ...


ENGINES: dict[str, Engine] = {
    "aten": aten,
    "native": native,
    "matmul": matmul,
    "spectral": spectral,
    "dense": dense,
    "definition": definition,
}
