"""The engines: ways to compute the three maps, one a file. A new one joins by being listed in :data:`ENGINES`.

Each module offers ``SUMMARY`` (one line), ``supports(problem) -> why not, or None``, and the three maps
``forward(problem, input, weight)``, ``grad_input(problem, grad_output, weight)``, ``grad_weight(problem, input,
grad_output)``, with results of :func:`convarium._spec.problem.result_shape`. What an engine cannot promise for a problem that
it runs is told by an optional ``caveat(problem) -> what, or None``; why it cannot run on a machine at all, by an optional
``missing() -> why, or None``.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from .._spec.problem import Problem
from . import aten, definition, matmul, native


class Engine(Protocol):
    SUMMARY: str

    def supports(self, problem: Problem) -> str | None: ...
    def forward(self, problem: Problem, input: Tensor, weight: Tensor) -> Tensor: ...
    def grad_input(self, problem: Problem, grad_output: Tensor, weight: Tensor) -> Tensor: ...
    def grad_weight(self, problem: Problem, input: Tensor, grad_output: Tensor) -> Tensor: ...


ENGINES: dict[str, Engine] = {"aten": aten, "native": native, "matmul": matmul, "definition": definition}
