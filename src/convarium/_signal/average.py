"""The weighted average over the past, and what becomes of the weights that fall before the start of the track."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from .choice import compute
from .window import Window


def average(track: Tensor, weights: Tensor, full: Window, renormalize: bool, method: str) -> Tensor:
    """The part of the `full` convolution that uses no observation before its time, as long as the track."""
    (axis,), n = full.axes, track.shape[full.axes[0]]
    sums = compute(track, weights, dataclasses.replace(full, start=(0,), size=(n,)), method)
    if not renormalize:
        return sums
    used = weights.narrow(axis, 0, min(n, weights.shape[axis])).cumsum(axis)
    if (later := n - used.shape[axis]) > 0:
        last = used.narrow(axis, -1, 1)
        used = torch.cat([used, last.expand([later if place == axis else -1 for place in range(last.dim())])], axis)
    known = used != 0
    return torch.where(known, sums / torch.where(known, used, 1), torch.nan)
