r"""A point spread that varies over a field: what a point of light at each place looks like.

Kernels are given at the centres of equal parts of the field, and between centres they are interpolated linearly, each
direction by itself; beyond the outer centres they stay as they are. So light `u` is seen as

.. math::
    y = \sum_g (m_g u) * p_g

with :math:`m_g` the weights of interpolation, which sum to 1 at each place: a few ordinary convolutions wherever they are not
zero (Nagy and O'Leary, *Restoring images degraded by spatially variant blur*, SIAM J. Sci. Comput. 19, 1998). A kernel belongs
to the place where the light comes from: this is a transposed local convolution, and its input gradient a local one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import functional, grad

PIECE = {
    1: 2**16,
    2: 512,
    3: 96,
}  # places of a direction at a time: the weighted copies of a piece are what takes memory


@dataclass(frozen=True)
class Part:
    """Places of one direction, ``start ... stop - 1``, that take the same one or two kernels."""

    start: int
    stop: int
    nodes: tuple[int, ...]
    weights: Tensor  # (nodes, places)


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
        convolve = getattr(functional, f"conv{len(self.field)}d")
        seen = light.new_zeros(len(light), *(size + k - 1 for size, k in zip(light.shape[1:], self.taps, strict=True)))
        for inner, outer, kernels, weights in self._pieces(light.shape[1:], origin):
            seen[outer] += convolve(light[inner].unsqueeze(1) * weights, kernels, padding="full", flip=True)[:, 0]
        return seen

    def gather(self, seen: Tensor, origin: Sequence[int]) -> Tensor:
        """The transpose of :meth:`spread`: ``(batch, *(size + taps - 1))`` to ``(batch, *size)``."""
        transposed = getattr(grad, f"conv{len(self.field)}d_input")
        light = seen.new_empty(len(seen), *(size - k + 1 for size, k in zip(seen.shape[1:], self.taps, strict=True)))
        for inner, outer, kernels, weights in self._pieces(light.shape[1:], origin):
            size = (len(seen), kernels.shape[1], *light[inner].shape[1:])
            reached = transposed(size, kernels, seen[outer].unsqueeze(1), padding="full", flip=True)
            light[inner] = reached.mul_(weights).sum(1)
        return light

    def _pieces(
        self, size: Sequence[int], origin: Sequence[int]
    ) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], Tensor, Tensor]]:
        """Where pieces of the light are, where they are seen, their kernels ``(1, nodes, *taps)`` and the weights of these."""
        n, taps = len(self.field), self.taps
        along = [list(self._parts(direction, origin[direction], size[direction])) for direction in range(n)]
        for piece in itertools.product(*along):
            inner = (slice(None), *(slice(part.start, part.stop) for part in piece))
            outer = (slice(None), *(slice(part.start, part.stop + k - 1) for part, k in zip(piece, taps, strict=True)))
            kernels = self.kernels[np.ix_(*(part.nodes for part in piece))].reshape(1, -1, *taps)
            weights = piece[0].weights
            for part in piece[1:]:
                weights = torch.einsum("a...,bp->ab...p", weights, part.weights).flatten(0, 1)
            yield inner, outer, kernels, weights

    def _parts(self, direction: int, origin: int, length: int) -> Iterator[Part]:
        grid, size = self.kernels.shape[direction], self.field[direction]
        places = torch.arange(origin, origin + length, dtype=torch.float64)
        at = ((places + 0.5) * grid / size - 0.5).clamp(0, grid - 1)
        left = at.floor()
        share = (at - left).to(self.kernels.dtype)
        ends = [0, *(torch.nonzero(torch.diff(left)).flatten() + 1).tolist(), length]
        for first, end in itertools.pairwise(ends):
            for start in range(first, end, PIECE[len(self.field)]):
                here = share[start : min(start + PIECE[len(self.field)], end)]
                node, stop = int(left[start]), start + len(here)
                if bool((here == 0).all()):
                    yield Part(start, stop, (node,), torch.ones_like(here)[None])
                else:
                    yield Part(start, stop, (node, node + 1), torch.stack([1 - here, here]))
