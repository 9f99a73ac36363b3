"""Who owns which positions of a direction, and what a band of outputs reads: whole numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from .._blockwise.spans import Span, span

Ends = tuple[int, int]


def with_size(shape: Sequence[int], at: int, size: int) -> tuple[int, ...]:
    """A shape with another size in one place, counted from the front."""
    return (*shape[:at], size, *shape[at + 1 :])


@dataclass(frozen=True, slots=True)
class Bands:
    """A direction cut as :class:`torch.distributed.tensor.Shard` cuts it: each rank has ``ceil(size / ranks)`` positions,
    the last ones what is left, which may be nothing."""

    size: int
    ranks: int

    def of(self, rank: int) -> Ends:
        step = -(-self.size // self.ranks)
        return min(rank * step, self.size), min((rank + 1) * step, self.size)

    def owners(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The ranks that own ``start ... stop - 1``, each with what it owns of them."""
        while start < stop:
            rank = start // -(-self.size // self.ranks)
            end = min(self.of(rank)[1], stop)
            yield rank, start, end
            start = end


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows that travel: to or from ``peer``, ``start ... stop - 1`` of what is sent, or of what is made of it."""

    peer: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Route:
    """What a rank sends (``takes``, of its ``source`` rows) and what it makes of what it gets (``puts``, ``result`` rows).

    Pieces of one pair of ranks are in the same order on both. Where ``summed``, pieces are added into zeros; else they follow
    upon each other and are the whole result.
    """

    takes: tuple[Piece, ...]
    puts: tuple[Piece, ...]
    source: int
    result: int
    summed: bool

    @property
    def reverse(self) -> Route:
        """The transpose: every piece travels back."""
        return Route(self.puts, self.takes, self.result, self.source, not self.summed)

    def stays(self, rank: int) -> bool:
        """Whether the result is what the rank has, and nothing travels from or to it."""
        return self.source == self.result and self.takes == self.puts == (Piece(rank, 0, self.source),)

    def sent(self, rank: int) -> int:
        """The rows that leave a rank."""
        return sum(piece.stop - piece.start for piece in self.takes if piece.peer != rank)


@dataclass(frozen=True, slots=True)
class Work:
    """What a layer takes: how rows travel from and to a rank, and the operations of one map on all ranks together."""

    route: Callable[[int], Route]
    operations: int = 0


def fetching(needs: Sequence[Sequence[Ends]], bands: Bands, rank: int) -> Route:
    """The route by which each rank gets the rows it needs, ``needs[rank]``, of a direction that is cut in bands."""
    low, high = bands.of(rank)
    takes = [
        Piece(peer, max(start, low) - low, min(stop, high) - low)
        for peer, parts in enumerate(needs)
        for start, stop in parts
        if max(start, low) < min(stop, high)
    ]
    puts, at = [], 0
    for part in needs[rank]:
        for owner, start, stop in bands.owners(*part):
            puts.append(Piece(owner, at, at + stop - start))
            at += stop - start
    return Route(tuple(takes), tuple(puts), high - low, at, summed=False)


@dataclass(frozen=True, slots=True)
class Cut:
    """What a rank computes of a direction: outputs ``start ... stop - 1``, from the rows that ``route`` brings.

    ``places`` puts these in order where a padding mode shows some of them more than once; ``pads`` is how far windows hang over
    the ends of the input.
    """

    start: int
    stop: int
    route: Route
    places: tuple[int, ...] | None
    pads: Ends


@lru_cache(maxsize=4096)
def cut(size: int, output: int, extent: int, stride: int, before: int, mode: str | None, ranks: int, rank: int) -> Cut:
    """How windows of ``extent`` rows, every ``stride`` rows, the first one ``before`` ahead of the input, are shared out.

    Examples:
        >>> here = cut(size=8, output=8, extent=3, stride=1, before=1, mode=None, ranks=2, rank=0)
        >>> here.start, here.stop, here.pads, here.route.result, here.route.sent(0)
        (0, 4, (1, 0), 5, 1)
    """
    outputs, inputs = Bands(output, ranks), Bands(size, ranks)
    reads = _reads(size, output, extent, stride, before, mode, ranks)
    start, stop = outputs.of(rank)
    pads = (0, 0)
    if mode is None and reads[rank].parts:
        pads = max(before - start * stride, 0), max((stop - 1) * stride - before + extent - size, 0)
    route = fetching([read.parts for read in reads], inputs, rank)
    return Cut(start, stop, route, reads[rank].places, pads)


@lru_cache(maxsize=1024)
def _reads(
    size: int, output: int, extent: int, stride: int, before: int, mode: str | None, ranks: int
) -> tuple[Span, ...]:
    bands = map(Bands(output, ranks).of, range(ranks))
    return tuple(_read(*band, size, extent, stride, before, mode) for band in bands)


def _read(start: int, stop: int, size: int, extent: int, stride: int, before: int, mode: str | None) -> Span:
    if start == stop:
        return Span(())
    return span(start * stride - before, (stop - 1) * stride - before + extent, size, mode or "zeros")


@dataclass(frozen=True, slots=True)
class Part:
    """What some rows give to some outputs: to ``count`` of them from ``first`` on, counted in the band, from ``rows`` rows from
    ``skip`` on, counted in the tensor that has them, by ``taps`` taps of the kernel from ``tap`` on; ``pads`` stands for all
    other rows that these read."""

    first: int
    count: int
    skip: int
    rows: int
    tap: int
    taps: int
    pads: Ends


@dataclass(frozen=True, slots=True)
class Overlap:
    """A :class:`Cut` as a sum: what the own rows give, while the others travel, and what these give to the outputs at the
    band's edges. The rows that ``route`` brings are those before the band and, behind them, those after it."""

    own: Part
    edges: tuple[Part, ...]
    route: Route


@lru_cache(maxsize=4096)
def overlap(
    size: int, output: int, extent: int, stride: int, before: int, dilation: int, ranks: int, rank: int
) -> Overlap | None:
    """As :func:`cut`, of zeros around, with a tap in every ``dilation`` rows of a window.

    None on all ranks where there is one that reads no rows of its own: they go alike.
    """
    inputs = Bands(size, ranks)
    for each, reads in enumerate(_reads(size, output, extent, stride, before, None, ranks)):
        low, high = inputs.of(each)
        if not any(max(low, start) < min(high, stop) for start, stop in reads.parts):
            return None
    whole = cut(size, output, extent, stride, before, None, ranks, rank)
    start, stop = whole.start, whole.stop
    mine = inputs.of(rank)
    low, high = max(start * stride - before, 0), min((stop - 1) * stride - before + extent, size)

    def part(first: int, end: int, available: Ends, at: int, tap: int, last: int) -> Part | None:
        if first >= end or tap > last:
            return None
        reads = first * stride - before + tap * dilation, (end - 1) * stride - before + last * dilation + 1
        from_, to = max(reads[0], available[0]), min(reads[1], available[1])
        if from_ >= to:
            return None
        pads = from_ - reads[0], reads[1] - to
        return Part(first - start, end - first, at + from_ - available[0], to - from_, tap, last - tap + 1, pads)

    def edge(first: int, end: int, available: Ends, at: int) -> Part | None:
        """With no taps but those that some of these outputs' windows have on the rows."""
        nearest, farthest = available[0] - (end - 1) * stride + before, available[1] - 1 - first * stride + before
        return part(first, end, available, at, max(-(-nearest // dilation), 0), min(farthest // dilation, all_taps - 1))

    all_taps = (extent - 1) // dilation + 1
    own = part(start, stop, mine, 0, 0, all_taps - 1)
    assert own is not None
    last_above = -(-(mine[0] + before) // stride)  # outputs before it read rows before the band
    first_below = (mine[1] + before - extent) // stride + 1  # outputs from it on read rows after it
    above = max(mine[0] - low, 0)
    edges = (
        edge(start, min(max(last_above, start), stop), (low, mine[0]), 0),
        edge(max(min(first_below, stop), start), stop, (mine[1], high), above),
    )
    away = [piece for piece in whole.route.puts if piece.peer != rank]
    ends = list(accumulate((piece.stop - piece.start for piece in away), initial=0))
    puts = tuple(Piece(piece.peer, *ends[k : k + 2]) for k, piece in enumerate(away))
    takes = tuple(piece for piece in whole.route.takes if piece.peer != rank)
    route = Route(takes, puts, whole.route.source, ends[-1], summed=False)
    return Overlap(own, tuple(part for part in edges if part is not None), route)


@dataclass(frozen=True, slots=True)
class Spread:
    """What a rank adds to a direction, the transpose of :class:`Cut`: its positions reach rows ``start ... stop - 1`` of the
    output, of which ``route`` brings every rank its own; ``crops`` is how much of them falls off the ends."""

    start: int
    stop: int
    route: Route
    crops: Ends


@lru_cache(maxsize=4096)
def spread(size: int, output: int, extent: int, stride: int, before: int, ranks: int, rank: int) -> Spread:
    """How ``size`` positions, each of which adds to ``extent`` rows of the output, are shared out; as in :func:`cut`."""
    reached = [_reached(*Bands(size, ranks).of(each), output, extent, stride, before) for each in range(ranks)]
    start, stop, crops = reached[rank]
    needs = [[(low, high)] if low < high else [] for low, high, _ in reached]
    return Spread(start, stop, fetching(needs, Bands(output, ranks), rank).reverse, crops)


def _reached(start: int, stop: int, output: int, extent: int, stride: int, before: int) -> tuple[int, int, Ends]:
    low, high = start * stride - before, (stop - 1) * stride - before + extent
    inside = max(low, 0), min(high, output)
    if start == stop or inside[0] >= inside[1]:
        return 0, 0, (0, 0)
    return *inside, (inside[0] - low, high - inside[1])
