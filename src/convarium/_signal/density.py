"""Whether weights are a density, and by how much they are not."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .arguments import number
from .arrays import readable


def tolerated(call: str, w: object, tolerance: object) -> float:
    """How far from 1 the sum of `w` may be: as given, or half the digits of the dtype that `w` came in."""
    if tolerance is not None:
        return number(call, "tolerance", tolerance, positive=False)
    if isinstance(w, Tensor):
        return math.sqrt(torch.finfo(w.dtype if w.is_floating_point() else torch.float64).eps)
    dtype = np.asarray(w).dtype
    return math.sqrt(float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps))


def check(call: str, w: Tensor, axis: int, tolerance: float) -> None:
    """Refuse weights that are negative or do not sum to 1 along `axis`; the message says where and by how much."""
    values = readable(w)
    if values is None:
        return
    weights = values[0].to(torch.float64)
    wrong = ~(weights >= 0) | torch.isinf(weights)
    if bool(wrong.any()):
        at = wrong.nonzero()[0].tolist()
        value = float(weights[tuple(at)])
        what = "negative" if value < 0 else "not finite"
        raise ValueError(
            f"{call}: w must be a density, without negative weights and with sum 1; w{_index(at)} = {value:g} is {what}"
        )
    sums = weights.sum(axis)
    far = (sums - 1).abs() > tolerance
    if not bool(far.any()):
        return
    at = far.nonzero()[0].tolist()
    total = float(sums[tuple(at)])
    by = f"{1 - total:.3g} short" if total < 1 else f"{total - 1:.3g} too much"
    where = f"w{_index([*map(str, at[:axis]), ':', *map(str, at[axis:])])}" if at else "w"
    divisor = "w.sum()" if w.dim() == 1 else f"w.sum({axis}, keepdims=True)"
    fit = f"; w / {divisor} would fit" if bool((sums > 0).all()) else ""
    raise ValueError(f"{call}: w must be a density, with sum 1; {where} sums to {total:.6g}, {by}{fit}")


def _index(at: list[str]) -> str:
    return f"[{', '.join(map(str, at))}]"
