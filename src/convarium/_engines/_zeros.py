"""A weight by edge as a dense one, with zeros where its graph has no edge, and back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._spec.channels import Indices
from .._spec.wiring import Wiring


def with_zeros(weight: Tensor, wiring: Wiring, n: int) -> Tensor:
    """``(out_channels, *tile, in_channels, *kernel)`` of ``(edges, *tile, *kernel)`` in ``n`` directions."""
    rows = F.pad(weight, [0, 0] * (weight.ndim - 1) + [0, 1])  # the last is no edge's
    every = rows.index_select(0, torch.from_numpy(_rows(wiring)).to(weight.device))
    return every.unflatten(0, (wiring.out_channels, wiring.in_channels)).movedim(1, 1 + n)


def edges_alone(every: Tensor, wiring: Wiring, n: int) -> Tensor:
    """``(edges, *tile, *kernel)`` of what :func:`with_zeros` gives."""
    inputs, outputs = wiring.edges()
    places = torch.from_numpy(outputs * wiring.in_channels + inputs).to(every.device)
    return every.movedim(1 + n, 1).flatten(0, 1).index_select(0, places)


@lru_cache(maxsize=512)
def _rows(wiring: Wiring) -> Indices:
    """``(out_channels * in_channels,)``: the edge of each pair, one past the last where there is none."""
    inputs, outputs = wiring.edges()
    rows = np.full((wiring.out_channels, wiring.in_channels), wiring.n_edges)
    rows[outputs, inputs] = np.arange(wiring.n_edges)
    return rows.reshape(-1)
