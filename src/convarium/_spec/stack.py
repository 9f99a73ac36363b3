"""Channel graphs one after the other: which channels of each layer an output sees, and what the whole costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import matmul
from typing import Any

import numpy as np

from .arguments import is_sequence, whole
from .channel_arguments import check_channel
from .channels import ChannelGraph, Indices
from .patterns import Mask
from .shown import shown


@dataclass(frozen=True, slots=True, init=False, repr=False)
class ChannelStack:
    """A layered acyclic graph with channels as nodes: ``ChannelStack(first, second, ...)``, each reading the one before.

    A value like :class:`ChannelGraph`: immutable, hashable, and without tensors.

    Raises:
        ValueError: a graph reads another number of channels than the one before it has.

    Examples:
        >>> import convarium as cv
        >>> stack = cv.ChannelStack(cv.ChannelGraph.interlaced(8, 8, 4), cv.ChannelGraph.groups(8, 8, 2))
        >>> stack
        ChannelStack(8 -> 8 -> 8, interlaced 4, groups 2, 48 edges, every output sees every input)
        >>> stack.receptive_field(7)  # of the last layer's channel 7: what it sees of the input, of the middle, itself
        ((0, 1, 2, 3, 4, 5, 6, 7), (4, 5, 6, 7), (7,))
        >>> stack.parameters([3 * 3, 1])
        176
    """

    graphs: tuple[ChannelGraph, ...]

    def __init__(self, *graphs: ChannelGraph) -> None:
        if not graphs:
            raise TypeError("ChannelStack: give at least one ChannelGraph")
        for graph in graphs:
            if not isinstance(graph, ChannelGraph):
                raise TypeError(f"ChannelStack: layers must be ChannelGraphs, got {shown(graph)}{_several(graph)}")
        for n, (first, second) in enumerate(itertools.pairwise(graphs), start=1):
            if first.out_channels != second.in_channels:
                raise ValueError(
                    f"ChannelStack: layer {n + 1} reads {second.in_channels} channels, but layer {n} has {first.out_channels}"
                )
        object.__setattr__(self, "graphs", graphs)

    def __len__(self) -> int:
        return len(self.graphs)

    def __iter__(self) -> Iterator[ChannelGraph]:
        return iter(self.graphs)

    def __getitem__(self, number: int) -> ChannelGraph:
        return self.graphs[number]

    def __matmul__(self, first: ChannelGraph | ChannelStack) -> ChannelStack:
        """``second @ first``, as of graphs: a stack with the layers of ``first`` before those of ``second``.

        Examples:
            >>> import convarium as cv
            >>> a, b = cv.ChannelGraph.depthwise(4), cv.ChannelGraph.dense(4, 2)
            >>> cv.ChannelStack(b) @ a == b @ cv.ChannelStack(a) == cv.ChannelStack(a, b)
            True
        """
        if not isinstance(first, ChannelGraph | ChannelStack):
            return NotImplemented
        return ChannelStack(*_layers(first), *self.graphs)

    def __rmatmul__(self, second: ChannelGraph) -> ChannelStack:
        return ChannelStack(*self.graphs, second) if isinstance(second, ChannelGraph) else NotImplemented

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the input and of each layer."""
        return (self.graphs[0].in_channels, *(graph.out_channels for graph in self.graphs))

    @property
    def reach(self) -> ChannelGraph:
        """Which inputs each output sees, through any of the channels between: the graphs' boolean product."""
        return reduce(matmul, reversed(self.graphs))

    @property
    def is_full(self) -> bool:
        """Whether every output sees every input."""
        return self.reach.is_full

    @property
    def missing(self) -> Any:
        """``(2, n)``, int64: the pairs of an input and an output that does not see it."""
        return self.reach.missing

    @property
    def n_edges(self) -> int:
        return sum(graph.n_edges for graph in self.graphs)

    def receptive_field(self, output: int) -> tuple[tuple[int, ...], ...]:
        """The channels of the input and of each layer that channel ``output`` of the last one sees, and itself."""
        return seen_by("ChannelStack.receptive_field", self, output)

    def influence(self, input: int) -> tuple[tuple[int, ...], ...]:
        """The channels of each layer that see channel ``input`` of the input, after itself.

        Examples:
            >>> import convarium as cv
            >>> cv.ChannelStack(cv.ChannelGraph.groups(4, 4, 2), cv.ChannelGraph.depthwise(4)).influence(0)
            ((0,), (0, 1), (0, 1))
        """
        check_channel("ChannelStack.influence", "input", input, self.widths[0])
        return tuple(_followed([graph.mask().T for graph in self.graphs], input))

    def parameters(self, taps: Sequence[int]) -> int:
        """Numbers in all kernels, of so many ``taps`` each in every layer (9 for 3 x 3), without biases: their sum of taps times
        edges.

        Raises:
            TypeError, ValueError: not one whole number a layer, from 1 on.
        """
        counts = self._per_layer("ChannelStack.parameters", "taps", taps)
        return sum(count * graph.n_edges for count, graph in zip(counts, self.graphs, strict=True))

    def multiply_adds(self, taps: Sequence[int], positions: Sequence[int]) -> int:
        """Multiply-adds of a sample, with so many ``taps`` of a kernel and ``positions`` of the output in every layer: the sum of
        taps times positions times edges.

        Raises:
            TypeError, ValueError: not one whole number a layer, from 1 on.

        Examples:
            >>> import convarium as cv
            >>> stack = cv.ChannelStack(cv.ChannelGraph.interlaced(32, 32, 16), cv.ChannelGraph.groups(32, 64, 2))
            >>> stack.multiply_adds([9, 1], [112 * 112, 112 * 112])  # the first block of clcNet
            20070400
        """
        call = "ChannelStack.multiply_adds"
        counts, places = self._per_layer(call, "taps", taps), self._per_layer(call, "positions", positions)
        each = zip(counts, places, self.graphs, strict=True)
        return sum(count * place * graph.n_edges for count, place, graph in each)

    def _per_layer(self, call: str, name: str, values: Iterable[int]) -> list[int]:
        try:
            found = list(values)
        except TypeError:
            raise TypeError(
                f"{call}: {name} must be one number a layer, {len(self.graphs)}, got {shown(values)}; "
                f"[{shown(values)}] * {len(self.graphs)} gives each the same"
            ) from None
        if len(found) != len(self.graphs):
            raise ValueError(f"{call}: {name} must be one number a layer, {len(self.graphs)}, got {len(found)}")
        return [_counted(call, name, value) for value in found]

    def to_networkx(self) -> Any:
        """A directed NetworkX graph with nodes ``(layer, channel)``, each with its ``layer``; the input is layer 0."""
        import networkx

        found = networkx.DiGraph()
        for layer, width in enumerate(self.widths):
            found.add_nodes_from(((layer, channel) for channel in range(width)), layer=layer)
        for layer, graph in enumerate(self.graphs):
            found.add_edges_from(((layer, i), (layer + 1, j)) for i, j in graph.edges.T.tolist())
        return found

    def diagram(self, output: int | None = None) -> str:
        """The layers as text: a row an output, a column an input; what ``output`` sees is marked.

        A side of more than 64 channels is shown by the density of its parts.

        Examples:
            >>> import convarium as cv
            >>> stack = cv.ChannelStack(cv.ChannelGraph.interlaced(4, 4, 4), cv.ChannelGraph.groups(4, 4, 2))
            >>> print(stack.diagram().splitlines()[-2:])
            ['outputs 0-1 do not see inputs 2-3', 'outputs 2-3 do not see inputs 0-1']
        """
        from .._look.graph_text import diagram

        return diagram(self, output)

    def figure(self, output: int | None = None) -> Any:
        """A matplotlib figure: layers of channels, their edges, and drawn out what ``output`` sees and does not see of the input.

        Without ``output``, those that miss inputs are marked. A large graph is drawn by its blocks, or shaded.

        ``figure.savefig("graph.svg")`` keeps it.
        """
        from .._look.graph_figure import figure

        return figure(self, output)

    def __repr__(self) -> str:
        widths = " -> ".join(map(str, self.widths))
        names = ", ".join(graph.name for graph in self.graphs)
        full = self.widths[0] * self.widths[-1]
        seen = self.reach.n_edges
        reach = "every output sees every input" if seen == full else f"outputs see {100 * seen // full} % of the inputs"
        return f"ChannelStack({widths}, {names}, {self.n_edges} edges, {reach})"


def _layers(graphs: ChannelGraph | ChannelStack) -> tuple[ChannelGraph, ...]:
    return graphs.graphs if isinstance(graphs, ChannelStack) else (graphs,)


def _several(value: Any) -> str:
    """What to do where layers stand in the place of one."""
    layers = value if is_sequence(value) or isinstance(value, ChannelStack) else ()
    fits = len(layers) and all(isinstance(each, ChannelGraph) for each in layers)
    return "; ChannelStack(*layers) would fit" if fits else ""


def _counted(call: str, name: str, value: Any) -> int:
    """A number of taps or positions: they are counted, over all directions."""
    if is_sequence(value):
        raise TypeError(
            f"{call}: {name} must be whole numbers, one a layer, got {shown(value)}; math.prod({shown(value)}) of them are meant"
        )
    return whole(call, name, value, 1)


def seen_by(call: str, stack: ChannelStack, output: int) -> tuple[tuple[int, ...], ...]:
    """:meth:`ChannelStack.receptive_field`, for a caller of this name, which its errors begin with."""
    check_channel(call, "output", output, stack.widths[-1])
    back = [graph.mask() for graph in reversed(stack.graphs)]
    return tuple(reversed(_followed(back, output)))


def _followed(masks: Iterable[Mask], start: int) -> list[tuple[int, ...]]:
    """From one channel along masks ``(from, to)``: the channels that are met, itself first."""
    here: Indices = np.array([start])
    found: list[tuple[int, ...]] = [(int(start),)]
    for mask in masks:
        here = np.flatnonzero(mask[here].any(axis=0))
        found.append(tuple(here.tolist()))
    return found
