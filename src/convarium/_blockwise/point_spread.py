r"""A point spread that varies over a field: what a point of light at each place looks like.

Kernels are given at the centres of equal parts of the field, and between centres they are interpolated linearly, each
direction by itself; beyond the outer centres they stay as they are. So light `u` is seen as

.. math::
    y = \sum_g (m_g u) * p_g

with :math:`m_g` the weights of interpolation, which sum to 1 at each place: a few ordinary convolutions wherever they are not
zero (Nagy and O'Leary, *Restoring images degraded by spatially variant blur*, SIAM J. Sci. Comput. 19, 1998). A kernel belongs
to the place where the light comes from, so this is a transposed local convolution, and its input gradient a local one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import functional


@dataclass(frozen=True)
class Cell:
    """Places of one direction, ``start ... stop - 1``, that take the same one or two kernels."""

    start: int
    stop: int
    nodes: tuple[int, ...]
    weights: tuple[Tensor, ...]  # of each node, at each place


@dataclass(frozen=True)
class PointSpread:
    """``kernels`` of shape ``(*grid, *taps)``, over a field of this size."""

    kernels: Tensor
    field: tuple[int, ...]

    @property
    def taps(self) -> tuple[int, ...]:
        return tuple(self.kernels.shape[len(self.field) :])

    def spread(self, light: Tensor, origin: Sequence[int]) -> Tensor:
        """``(batch, *size)`` to ``(batch, *(size + taps - 1))``: all that is seen of light whose first place is `origin`."""
        n, taps = len(self.field), self.taps
        convolve = getattr(functional, f"conv{n}d")
        along = [list(self._cells(d, first, light.shape[1 + d])) for d, first in enumerate(origin)]
        seen: Tensor | None = None
        for cell in itertools.product(*along):
            part = light[(slice(None), *(slice(one.start, one.stop) for one in cell))].unsqueeze(1)
            for direction, one in enumerate(cell):
                shape = [1, 1, len(one.nodes), *(1,) * n]
                shape[3 + direction] = one.stop - one.start
                part = (part.unsqueeze(2) * torch.stack(one.weights).reshape(shape)).flatten(1, 2)
            kernels = self.kernels[np.ix_(*(one.nodes for one in cell))].reshape(1, -1, *taps)
            own = convolve(part, kernels, padding="full", flip=True)[:, 0]
            if all(len(cells) == 1 for cells in along):
                return own
            if seen is None:
                seen = light.new_zeros(
                    len(light), *(size + k - 1 for size, k in zip(light.shape[1:], taps, strict=True))
                )
            seen[(slice(None), *(slice(one.start, one.stop + k - 1) for one, k in zip(cell, taps, strict=True)))] += own
        assert seen is not None  # no direction is empty
        return seen

    def _cells(self, direction: int, origin: int, length: int) -> Iterator[Cell]:
        grid, size = self.kernels.shape[direction], self.field[direction]
        places = torch.arange(origin, origin + length, dtype=torch.float64)
        at = ((places + 0.5) * grid / size - 0.5).clamp(0, grid - 1)
        left = at.floor()
        after = (at - left).to(self.kernels.dtype)
        for node in left.unique().long().tolist():
            (where,) = torch.nonzero(left == node, as_tuple=True)
            start, stop = int(where[0]), int(where[-1]) + 1
            share = after[start:stop]
            if bool((share == 0).all()):
                yield Cell(start, stop, (node,), (torch.ones_like(share),))
            else:
                yield Cell(start, stop, (node, node + 1), (1 - share, share))
