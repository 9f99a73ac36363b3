"""Rows that travel between ranks, and their gradients on the way back.

A journey is two steps, :func:`depart` and :func:`arrive`, so that there can be computing between them. Each is the other's
derivative: where arriving is differentiated the gradients set out, where departing is they come in. So the way back leaves the
same time between them, and derivatives of every order travel the same roads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ._bands import Route, with_size


@dataclass(slots=True)
class Traffic:
    """Bytes that this process sent while it was counted."""

    bytes: int = 0
    messages: int = 0


_counted: list[Traffic] = []


@contextmanager
def counting() -> Iterator[Traffic]:
    """Count the rows that this process sends to its neighbours; sums over all ranks (of shared weights' gradients) are not rows.

    Examples:
        >>> import convarium as cv
        >>> with cv.distributed.counting() as traffic:
        ...     pass  # steps of a sharded module
        >>> traffic
        Traffic(bytes=0, messages=0)
    """
    traffic = Traffic()
    _counted.append(traffic)
    try:
        yield traffic
    finally:
        _counted.remove(traffic)


class Flight:
    """One journey: rows along ``dim`` of one tensor, by a route."""

    reverse: Flight  # of the gradients, once they have set out

    def __init__(self, route: Route, group: dist.ProcessGroup, dim: int) -> None:
        self.route, self.group, self.dim = route, group, dim

    def turn(self) -> Flight:
        """The journey back."""
        self.reverse = Flight(self.route.reverse, self.group, self.dim)
        return self.reverse

    def depart(self, rows: Tensor) -> None:
        rank, ops = self.group.rank(), []
        staying: list[Tensor] = []
        self._sent: list[Tensor] = []  # not to be freed before it has arrived
        self._got: list[Tensor] = []
        for piece in self.route.takes:
            part = rows.narrow(self.dim, piece.start, piece.stop - piece.start)
            if piece.peer == rank:
                staying.append(part)
                continue
            self._sent.append(_bytes(part.contiguous()))
            ops.append(dist.P2POp(dist.isend, self._sent[-1], group=self.group, group_peer=piece.peer))
        for piece in self.route.puts:
            if piece.peer == rank:
                self._got.append(staying.pop(0))
                continue
            self._got.append(rows.new_empty(with_size(rows.shape, self.dim, piece.stop - piece.start)))
            ops.append(dist.P2POp(dist.irecv, _bytes(self._got[-1]), group=self.group, group_peer=piece.peer))
        for traffic in _counted:
            traffic.bytes += sum(message.numel() for message in self._sent)
            traffic.messages += len(self._sent)
        self._empty = rows.new_empty(with_size(rows.shape, self.dim, 0))
        self._works = dist.batch_isend_irecv(ops) if ops else []

    def arrive(self, onto: Tensor | None = None) -> Tensor:
        """The result; where pieces are summed, added onto a tensor if there is one."""
        for work in self._works:
            work.wait()
        got, empty = self._got, self._empty
        del self._works, self._got, self._sent, self._empty
        if not self.route.summed:
            return torch.cat(got, self.dim) if got else empty
        result = empty.new_zeros(with_size(empty.shape, self.dim, self.route.result)) if onto is None else onto
        for piece, part in zip(self.route.puts, got, strict=True):
            result.narrow(self.dim, piece.start, piece.stop - piece.start).add_(part)
        return result


class _Depart(torch.autograd.Function):
    """Rows to a token, which has no numbers and only says that the journey began."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, flight: Flight) -> Tensor:
        ctx.flight = flight
        flight.depart(rows)
        return rows.new_empty(0)

    @staticmethod
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor, None]:
        return arrive(token, ctx.flight.reverse), None


class _Arrive(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token: Tensor, flight: Flight) -> Tensor:
        ctx.flight = flight
        ctx.save_for_backward(token)
        return flight.arrive()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        _ = (
            ctx.saved_tensors
        )  # under activation checkpointing, every rank computes forward again before gradients set out
        return depart(gradient, ctx.flight.turn()), None


def depart(rows: Tensor, flight: Flight) -> Tensor:
    """Send what others need; returns the token that :func:`arrive` takes."""
    return _Depart.apply(rows, flight)


def arrive(token: Tensor, flight: Flight) -> Tensor:
    """Wait for what comes; returns the rows that the route makes of it."""
    return _Arrive.apply(token, flight)


def travel(rows: Tensor, route: Route, group: dist.ProcessGroup, dim: int) -> Tensor:
    """Both at once."""
    if route.stays(group.rank()):
        return rows
    flight = Flight(route, group, dim)
    return arrive(depart(rows, flight), flight)


def _bytes(tensor: Tensor) -> Tensor:
    """A contiguous tensor's bytes: what any backend sends, whatever the numbers are."""
    return tensor.view(-1).view(torch.uint8)
