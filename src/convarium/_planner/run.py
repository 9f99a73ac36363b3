"""Run one map of one problem with the engine that is planned for it."""

from __future__ import annotations

import torch
from torch import Tensor

from .._engines import ENGINES
from .._spec.problem import Map, Problem, result_shape
from .._spec.tensors import autocasting
from .choice import choose


def run(map: Map, problem: Problem, a: Tensor, b: Tensor, engine: str) -> Tensor:
    """``map`` of ``a`` and ``b``: contiguous, and no view of anything, which autograd would let nobody write to. No numbers (an
    empty batch) give zeros without an engine."""
    chosen = ENGINES[choose(map, problem, engine).engine]
    if problem.batch == 0:
        return a.new_zeros(result_shape(map, problem))
    compute = getattr(chosen, map)
    if autocasting(problem.device):  # the face has cast already; products in an engine stay as they are
        with torch.autocast(problem.device, enabled=False):
            result = compute(problem, a, b)
    else:
        result = compute(problem, a, b)
    result = result.contiguous()
    return result.clone() if result._is_view() else result
