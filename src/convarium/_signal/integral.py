r"""The convolution integral by Gauss's rule on panels that are halved until three halvings in a row change little.

.. math:: (x * w)(t) = \int x(a)\, w(t - a)\, da

Between the breaks of `x` and the mirrored breaks of `w`, which the panels never straddle, the integrand is smooth.
Gauss's points lie inside a panel, so that nothing is evaluated at a jump. Source of the rule: Davis and Rabinowitz,
*Methods of Numerical Integration*, ch. 2.7 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .functions import Function

_CHUNK = 1 << 20  # evaluations at once: bounds the memory
_FEW = 16  # panels to begin with, at least, all segments together
_ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of the integral of the absolute value, in the last error


@dataclass(frozen=True)
class Estimate:
    value: Tensor
    error: Tensor
    step: Tensor
    converged: Tensor
    panels: Tensor  # in each segment


def segments(x: Function, w: Function, t: Tensor) -> Tensor:
    """For every t the ends of the stretches on which the integrand is smooth: ``(times, ends)``, increasing, some equal."""
    low = (t - w.high).clamp(min=x.low)
    high = torch.maximum((t - w.low).clamp(max=x.high), low)
    inner = torch.cat([x.breaks.expand(len(t), -1), t[:, None] - w.breaks.flip(0)], dim=1)
    inner = torch.minimum(torch.maximum(inner, low[:, None]), high[:, None])
    return torch.cat([low[:, None], inner.sort(dim=1).values, high[:, None]], dim=1)


def estimate(x: Function, w: Function, t: Tensor, tolerance: float, step: float | None, halvings: int) -> Estimate:
    """Halve the panels of every t until its error estimate is below `tolerance` times the size of its integral."""
    rows = max(1, _CHUNK // (len(x.breaks) + len(w.breaks) + 2))
    parts = [_estimate(x, w, part, tolerance, step, halvings) for part in t.split(rows)]
    return Estimate(*(torch.cat(column) for column in zip(*map(_columns, parts), strict=True)))


def _columns(part: Estimate) -> tuple[Tensor, ...]:
    return part.value, part.error, part.step, part.converged, part.panels


def _estimate(x: Function, w: Function, t: Tensor, tolerance: float, step: float | None, halvings: int) -> Estimate:
    ends = segments(x, w, t)
    widths = ends[:, 1:] - ends[:, :-1]
    longest, pieces = widths.amax(dim=1), (widths > 0).sum(dim=1).clamp(min=1)
    exact = x.linear and w.linear  # the product of two straight lines: Gauss's rule with two points is exact
    panels = torch.ones_like(pieces) if exact else -(-_FEW // pieces)
    if step is not None:
        panels = torch.maximum(panels, torch.ceil(longest / step).to(panels.dtype))
    value, size = _by_panels(x, w, t, ends, panels)
    error = _ROUNDING * size
    if not exact:
        error = torch.full_like(size, torch.inf)
        active, changes = torch.arange(len(t), device=t.device), list[Tensor]()
        for _ in range(halvings):
            if len(active) == 0:
                break
            panels[active] = 2 * panels[active] + 1  # the one more moves the cuts: no place stays close to one
            finer, size[active] = _by_panels(x, w, t[active], ends[active], panels[active])
            changes = [*changes, (finer - value[active]).abs()][-3:]
            value[active] = finer
            error[active] = _from_changes(changes) + _ROUNDING * size[active]
            going = (error[active] > (tolerance + _ROUNDING) * size[active]) & torch.isfinite(size[active])
            active, changes = active[going], [change[going] for change in changes]
    error = torch.where(torch.isfinite(size), error, torch.nan)
    return Estimate(value, error, longest / panels, error <= (tolerance + _ROUNDING) * size, panels)


def evaluate(x: Function, w: Function, t: Tensor, panels: Tensor) -> Tensor:
    """The integral on panels chosen before: what a derivative is taken of."""
    rows = max(1, _CHUNK // (len(x.breaks) + len(w.breaks) + 2))
    parts = zip(t.split(rows), panels.split(rows), strict=True)
    return torch.cat([_by_panels(x, w, part, segments(x, w, part), some)[0] for part, some in parts])


def _from_changes(changes: list[Tensor]) -> Tensor:
    r"""The error that is left, from what the last halvings changed.

    If every halving changes the value by `r` times what the one before it did, what is left is the geometric series
    :math:`\Delta\,(r + r^2 + \dots)`: next to nothing where the integrand is smooth, the change itself at a jump (`r = 1/2`),
    more at a singularity. At a jump the changes come out by chance, now and then next to nothing, so that one small change
    proves little: three are looked at, the older ones halved once for each halving since, and the result is doubled.
    """
    if len(changes) < 3:
        return torch.full_like(changes[-1], torch.inf)
    scaled = [change / 2**age for age, change in enumerate(reversed(changes))]
    largest = torch.stack(scaled).amax(dim=0)
    ratio = torch.where(changes[-2] > 0, changes[-1] / changes[-2], 0).clamp(max=0.95)
    return 2 * largest * (ratio / (1 - ratio)).clamp(min=1)


def _by_panels(x: Function, w: Function, t: Tensor, ends: Tensor, panels: Tensor) -> tuple[Tensor, Tensor]:
    """The integral, and that of the absolute value, of each t on its own number of panels in each segment."""
    points = 2 if x.linear and w.linear else 5
    values, sizes = [], []
    order = torch.argsort(panels, stable=True)
    for group in _groups(panels[order], (ends.shape[1] - 1) * points):
        at = order[group]
        value, size = _gauss(x, w, t[at], ends[at], int(panels[at[0]]), points)
        values.append(value)
        sizes.append(size)
    back = torch.argsort(order)
    if not values:
        return t.new_zeros(0), t.new_zeros(0)
    kind = torch.promote_types(values[0].dtype, values[-1].dtype)
    return torch.cat([value.to(kind) for value in values])[back], torch.cat(sizes)[back]


def _groups(panels: Tensor, each: int) -> list[slice]:
    """Stretches of equal, sorted `panels`, none with more than a chunk of evaluations."""
    groups, first = [], 0
    counts, lengths = torch.unique_consecutive(panels, return_counts=True)
    for count, length in zip(counts.tolist(), lengths.tolist(), strict=True):
        rows = max(1, _CHUNK // (count * each))
        groups += [slice(at, min(at + rows, first + length)) for at in range(first, first + length, rows)]
        first += length
    return groups


def _gauss(x: Function, w: Function, t: Tensor, ends: Tensor, panels: int, points: int) -> tuple[Tensor, Tensor]:
    nodes, weights = (torch.from_numpy(part).to(t.device) for part in np.polynomial.legendre.leggauss(points))
    place = ((torch.arange(panels, device=t.device)[:, None] + (nodes + 1) / 2) / panels).reshape(-1)  # in 0..1
    weight = (weights / (2 * panels)).expand(panels, -1).reshape(-1)
    # Only stretches that have a length: at the ends of an empty one a function need not be defined.
    at, stretch = (ends[:, 1:] > ends[:, :-1]).nonzero(as_tuple=True)
    value, size = t.new_zeros(len(t)), t.new_zeros(len(t))
    if len(at) == 0:
        return value, size
    left, length = ends[at, stretch], ends[at, stretch + 1] - ends[at, stretch]
    a = left[:, None] + length[:, None] * place
    product = x.evaluate(a.reshape(-1)) * w.evaluate((t[at, None] - a).reshape(-1))
    product = product.reshape(a.shape)
    parts = (product * weight).sum(-1) * length
    sizes = (product.detach().abs() * weight).sum(-1) * length.detach()
    return value.to(parts.dtype).index_add(0, at, parts), size.index_add(0, at, sizes)
