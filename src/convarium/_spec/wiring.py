"""How a weight tensor meets the channels: a graph, how many copies of it lie side by side, and how kernels are laid out.

A weight comes in one of two layouts: *by output*, ``(out_channels, *tile, in_channels / groups, *kernel)``, as the lecture
and PyTorch write it, for dense and grouped graphs; or *by edge*, ``(edges, *tile, *kernel)``, for any graph. An operator
carries the wiring as a short string: ``"4"`` is four groups by output, ``"16x32:i:8"`` an interlaced graph by edge, and
``"3*16x32:i:8"`` three copies of that, which is what a mapped axis of ``vmap`` becomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .channels import ChannelGraph, Indices


class Bicliques(NamedTuple):
    """Bicliques of one shape: block ``n`` joins each of ``outputs[n]`` with each of ``inputs[n]``."""

    outputs: Indices  # (blocks, outputs of a block)
    inputs: Indices  # (blocks, inputs of a block)


@dataclass(frozen=True, slots=True)
class Wiring:
    """``copies`` of ``graph`` side by side, and whether the weight is laid out by edge or by output."""

    graph: ChannelGraph
    by_edge: bool
    copies: int = 1

    @property
    def in_channels(self) -> int:
        return self.copies * self.graph.in_channels

    @property
    def out_channels(self) -> int:
        return self.copies * self.graph.out_channels

    @property
    def groups(self) -> int | None:
        """The number of groups, as PyTorch means it, where the graph is groups; else None."""
        kind, _, number = self.graph.text.partition(":")
        return self.copies * int(number) if kind == "g" else None

    @property
    def n_edges(self) -> int:
        if (groups := self.groups) is not None:
            return self.in_channels * self.out_channels // groups
        return self.copies * self.graph.n_edges

    @property
    def text(self) -> str:
        """The string that an operator carries; :func:`parse_wiring` reads it back."""
        if not self.by_edge:
            return str(self.groups)
        copies = f"{self.copies}*" if self.copies > 1 else ""
        return f"{copies}{self.graph.in_channels}x{self.graph.out_channels}:{self.graph.text}"

    def weight_shape(self, tile: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        if self.by_edge:
            return (self.n_edges, *tile, *kernel)
        return (self.out_channels, *tile, self.n_edges // self.out_channels, *kernel)

    def parents(self) -> int | None:
        """How many inputs each output reads, where that is the same for all; else None."""
        classes = self.bicliques()
        alike = len(classes) == 1 and classes[0].outputs.size == self.out_channels
        return classes[0].inputs.shape[1] if alike else None

    def edges(self) -> Indices:
        """``(2, n_edges)``: input and output channel of each edge, sorted by output and then input."""
        return _copied(self.graph.edges, self)

    def bicliques(self) -> tuple[Bicliques, ...]:
        """The wiring as complete blocks, those of equal shape together; outputs that read nothing are in none."""
        return _bicliques(self)


def parse_wiring(text: str, in_channels: int, out_channels: int) -> Wiring:
    """The wiring whose :attr:`Wiring.text` this is, for these channels; ValueError when it is none of theirs."""
    if text.isdecimal():
        return _by_output(in_channels, out_channels, int(text))
    wiring = parse_edges(text)
    if (wiring.in_channels, wiring.out_channels) != (in_channels, out_channels):
        raise ValueError(
            f"channels: the graph has {wiring.in_channels} -> {wiring.out_channels} channels, "
            f"the tensors have {in_channels} -> {out_channels}"
        )
    return wiring


@lru_cache(maxsize=1024)
def parse_edges(text: str) -> Wiring:
    """The wiring by edge that ``text`` describes (the number of channels is part of it)."""
    copies, star, rest = text.partition("*")
    if not star:
        copies, rest = "1", text
    sizes, _, graph = rest.partition(":")
    inputs, cross, outputs = sizes.partition("x")
    if not (copies.isdecimal() and int(copies) and cross and inputs.isdecimal() and outputs.isdecimal() and graph):
        raise ValueError(f"channels: {text[:40]!r} does not describe channels")
    return Wiring(ChannelGraph(int(inputs), int(outputs), graph), by_edge=True, copies=int(copies))


@lru_cache(maxsize=1024)
def _by_output(in_channels: int, out_channels: int, groups: int) -> Wiring:
    return Wiring(ChannelGraph.groups(in_channels, out_channels, groups), by_edge=False)


def repeated(text: str, times: int) -> str:
    """The text of ``times`` copies, side by side, of the wiring that ``text`` describes."""
    if text.isdecimal():
        return str(times * int(text))
    copies, star, rest = text.partition("*")
    return f"{times * int(copies)}*{rest}" if star else f"{times}*{text}"


@lru_cache(maxsize=256)
def _bicliques(wiring: Wiring) -> tuple[Bicliques, ...]:
    graph = wiring.graph
    kind, _, number = graph.text.partition(":")
    if (groups := wiring.groups) is not None:
        return (Bicliques(*(np.arange(c).reshape(groups, -1) for c in (wiring.out_channels, wiring.in_channels))),)
    if kind == "i":
        channels = (graph.out_channels, graph.in_channels)
        tables = [Bicliques(*(np.arange(c).reshape(-1, int(number)).T for c in channels))]
    else:
        alike: dict[tuple[int, int], list[int]] = {}
        for index, block in enumerate(graph.blocks):
            if block.inputs:
                alike.setdefault((len(block.outputs), len(block.inputs)), []).append(index)
        tables = [
            Bicliques(*(np.array([graph.blocks[i][side] for i in members], dtype=np.int64) for side in (0, 1)))
            for members in alike.values()
        ]
    return tuple(
        Bicliques(
            np.concatenate([table.outputs + copy * graph.out_channels for copy in range(wiring.copies)]),
            np.concatenate([table.inputs + copy * graph.in_channels for copy in range(wiring.copies)]),
        )
        for table in tables
    )


def _copied(edges: Indices, wiring: Wiring) -> Indices:
    steps = np.array([[wiring.graph.in_channels], [wiring.graph.out_channels]])
    return np.concatenate([edges + copy * steps for copy in range(wiring.copies)], axis=1)
