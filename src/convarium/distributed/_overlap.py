"""A band of a convolution, computed while rows travel.

A convolution is linear in its rows: the band is what the rank's own rows give, with zeros in the place of all others, and to the
outputs at its edges is added what the others' rows give when they have come. On the way back the gradients of these rows set out
first, and both of the band's own gradients are computed before those of the neighbours come in. Nothing is copied for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .. import functional, grad
from .._spec.channels import ChannelGraph
from . import _tiles
from ._bands import Ends, Overlap, Part
from ._exchange import Flight


@dataclass(frozen=True, slots=True)
class Convolution:
    """The three maps of a layer, for any rows of the direction that is cut, ``at``, and any padding in it."""

    name: str
    n: int
    at: int
    stride: tuple[int, ...]
    pads: tuple[Ends, ...]
    dilation: tuple[int, ...]
    groups: int
    channels: ChannelGraph | None
    flip: bool
    engine: str
    mode: str = "zeros"

    def _geometry(self, pads: Ends) -> tuple[Any, ...]:
        every = (*self.pads[: self.at], pads, *self.pads[self.at + 1 :])
        return self.stride, every, self.dilation, self.groups

    def forward(self, rows: Tensor, weight: Tensor, pads: Ends) -> Tensor:
        rest = (self.mode, self.channels, self.flip, self.engine)
        return functional.convolve_as(self.name, self.n, rows, weight, None, *self._geometry(pads), *rest)

    def grad_input(self, size: torch.Size, weight: Tensor, gradient: Tensor, pads: Ends) -> Tensor:
        map: Callable[..., Tensor] = getattr(grad, f"conv{self.n}d_input")
        return map(
            size, weight, gradient, *self._geometry(pads), channels=self.channels, flip=self.flip, engine=self.engine
        )

    def grad_weight(self, rows: Tensor, size: torch.Size, gradient: Tensor, pads: Ends) -> Tensor:
        map: Callable[..., Tensor] = getattr(grad, f"conv{self.n}d_weight")
        return map(
            rows, size, gradient, *self._geometry(pads), channels=self.channels, flip=self.flip, engine=self.engine
        )


@dataclass(frozen=True, slots=True)
class Band:
    """How a rank computes its band: :func:`overlapped` by parts, ``joined`` from all rows at once, to the same numbers."""

    convolution: Convolution
    overlap: Overlap
    joined: Callable[[Tensor, Tensor], Tensor]
    group: dist.ProcessGroup
    dim: int  # of rows, in input and output
    tile: int | None  # the dimension of the weight in which kernels take turns over them,
    taps: int  # and that of a kernel's taps over them

    def rows(self, tensor: Tensor, part: Part) -> Tensor:
        return tensor.narrow(self.dim, part.skip, part.rows)

    def outputs(self, tensor: Tensor, part: Part) -> Tensor:
        return tensor.narrow(self.dim, part.first, part.count)

    def kernels(self, weight: Tensor, part: Part) -> Tensor:
        return _tiles.taken(self._tapped(weight, part), self.tile, part.first, part.count)

    def add(self, weight: Tensor, kernels: Tensor, part: Part) -> None:
        """Add to what :meth:`kernels` takes."""
        _tiles.add(self._tapped(weight, part), kernels, self.tile, part.first, part.count)

    def _tapped(self, weight: Tensor, part: Part) -> Tensor:
        every = weight.shape[self.taps]
        return weight.narrow(self.taps, every - part.tap - part.taps if self.convolution.flip else part.tap, part.taps)


class _Overlapped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, band: Band) -> Tensor:
        maps, own = band.convolution, band.overlap.own
        flight = Flight(band.overlap.route, band.group, band.dim)
        flight.depart(input)
        output = maps.forward(band.rows(input, own), weight, own.pads)
        halo = flight.arrive()
        for edge in band.overlap.edges:
            part = maps.forward(band.rows(halo, edge), band.kernels(weight, edge), edge.pads)
            band.outputs(output, edge).add_(part)
        ctx.save_for_backward(input, weight, halo)
        ctx.band, ctx.flight = band, flight
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        input, weight, halo = ctx.saved_tensors
        band: Band = ctx.band
        by_input, by_weight, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():  # to be differentiated again
            operands = [input] * by_input + [weight] * by_weight
            found = list(torch.autograd.grad(band.joined(input, weight), operands, gradient, create_graph=True))
            return found.pop(0) if by_input else None, found.pop(0) if by_weight else None, None
        maps, own, edges = band.convolution, band.overlap.own, band.overlap.edges
        grad_input = grad_weight = None
        if by_input:
            kernels, back, grad_halo = weight.conj(), ctx.flight.turn(), torch.zeros_like(halo)
            for edge in edges:
                of_edge = band.rows(grad_halo, edge)
                of_edge += maps.grad_input(
                    of_edge.shape, band.kernels(kernels, edge), band.outputs(gradient, edge), edge.pads
                )
            back.depart(grad_halo)
            grad_input = maps.grad_input(band.rows(input, own).shape, kernels, gradient, own.pads)
        if by_weight:
            grad_weight = maps.grad_weight(band.rows(input.conj(), own), weight.shape, gradient, own.pads)
            for edge in edges:
                rows, of_edge = band.rows(halo.conj(), edge), band.outputs(gradient, edge)
                part = maps.grad_weight(rows, band.kernels(weight, edge).shape, of_edge, edge.pads)
                band.add(grad_weight, part, edge)
        if grad_input is not None:
            if own.rows < input.shape[band.dim]:  # some rows are a neighbour's alone to read, or nobody's
                read, grad_input = grad_input, torch.zeros_like(input)
                band.rows(grad_input, own).copy_(read)
            back.arrive(grad_input)
        return grad_input, grad_weight, None


def overlapped(input: Tensor, weight: Tensor, band: Band) -> Tensor:
    """The band; its derivatives of higher orders are those of ``band.joined``."""
    result: Tensor = _Overlapped.apply(input, weight, band)
    return result
