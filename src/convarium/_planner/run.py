"""Run one map of one problem with the engine that is planned for it."""

from __future__ import annotations

import torch
from torch import Tensor

from .._engines import ENGINES
from .._spec.problem import Map, Problem, result_shape
from .._spec.tensors import autocasting
from .choice import choose


def run(map: Map, problem: Problem, a: Tensor, b: Tensor, engine: str) -> Tensor:
    """``map`` of ``a`` and ``b``; no numbers (an empty batch) give zeros without an engine."""
    chosen = ENGINES[choose(problem, engine).engine]
    if problem.batch == 0:
        return a.new_zeros(result_shape(map, problem))
    compute = getattr(chosen, map)
    if torch.is_autocast_enabled(
        problem.device
    ):  # the face has cast already; products inside an engine stay as they are
        with torch.autocast(problem.device, enabled=False):
            return compute(problem, a, b)
    return compute(problem, a, b)
