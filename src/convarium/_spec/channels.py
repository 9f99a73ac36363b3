"""Which input channels an output channel reads: the channel dependency graph.

A :class:`ChannelGraph` is a value: immutable, hashable, equal to another when both have the same edges. Regular graphs
(dense, groups, depthwise, interlaced) are kept by name and never spelled out; any other is kept as the bits of its mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from . import exchange, naming, patterns
from .arguments import flag
from .channel_arguments import (
    channel_numbers,
    check_bits,
    check_channel,
    check_count,
    check_groups,
    check_most,
    check_part,
    edge_pairs,
    few,
)
from .edges_text import canonical, packed, unpacked
from .patterns import Mask, regular
from .shown import shown

Indices = npt.NDArray[np.int64]


class Block(NamedTuple):
    """A biclique: every one of ``outputs`` reads every one of ``inputs``, and nothing else."""

    outputs: tuple[int, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ChannelGraph:
    """A channel dependency graph: which input channels each output channel reads (Zhang, *clcNet*, CVPR 2018).

    Make one with :meth:`dense`, :meth:`groups`, :meth:`depthwise`, :meth:`interlaced`, :meth:`shuffled`, :meth:`banded`,
    :meth:`hierarchical`, :meth:`random_regular`, from what you have with :meth:`from_edges`, :meth:`from_mask`,
    :meth:`from_scipy`, :meth:`from_networkx`, :meth:`from_weight` or :meth:`load`, and from others with ``second @ first``,
    ``a | b``, ``a & b``, ``~a`` and :meth:`restrict`. A layer with a graph has one kernel an edge, sorted by output, then input.

    Examples:
        >>> graph = ChannelGraph.interlaced(4, 4, 2)
        >>> graph
        ChannelGraph(4 -> 4, interlaced 2, 8 edges)
        >>> graph.parents(1)
        (1, 3)
        >>> (ChannelGraph.groups(4, 4, 2) @ graph).is_full
        True
    """

    in_channels: int
    out_channels: int
    text: str = ""  # the edges: "g:4" four groups, "i:8" eight interlaced, "e:..." the bits of the mask
    n_edges: int = field(init=False)  # of kernels in a layer with this graph (at each place of its tile)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text:
            raise TypeError(
                "ChannelGraph: make one with ChannelGraph.dense, groups, depthwise, interlaced, from_edges or from_mask"
            )
        for name in ("in_channels", "out_channels"):
            object.__setattr__(self, name, check_count("ChannelGraph", name, getattr(self, name)))
        text, n_edges = canonical(self.in_channels, self.out_channels, self.text)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "n_edges", n_edges)

    @classmethod
    def dense(cls, in_channels: int, out_channels: int) -> ChannelGraph:
        """Every output reads every input."""
        check_groups("ChannelGraph.dense", in_channels, out_channels, 1)
        return cls.groups(in_channels, out_channels, 1)

    @classmethod
    def groups(cls, in_channels: int, out_channels: int, groups: int) -> ChannelGraph:
        """``groups`` blocks side by side, as ``torch.nn.Conv2d(groups=...)``: ``parents(j)`` is the block of ``j``."""
        inputs, outputs, blocks = check_groups("ChannelGraph.groups", in_channels, out_channels, groups)
        return cls(inputs, outputs, f"g:{blocks}")

    @classmethod
    def depthwise(cls, channels: int, multiplier: int = 1) -> ChannelGraph:
        """``multiplier`` outputs for each input, which read it alone: ``parents(j) = {j // multiplier}``."""
        call = "ChannelGraph.depthwise"
        channels, multiplier = check_count(call, "channels", channels), check_count(call, "multiplier", multiplier)
        return cls.groups(channels, check_count(call, "channels * multiplier", channels * multiplier), channels)

    @classmethod
    def interlaced(cls, in_channels: int, out_channels: int, groups: int) -> ChannelGraph:
        """``parents(j) = {i : i mod groups == j mod groups}`` (Zhang, *clcNet*, CVPR 2018, section 3).

        A following ``groups(out_channels, o2, g2)`` sees every input exactly when ``out_channels / g2 >= groups``.
        """
        inputs, outputs, blocks = check_groups("ChannelGraph.interlaced", in_channels, out_channels, groups)
        return cls(inputs, outputs, f"i:{blocks}")

    @classmethod
    def shuffled(cls, in_channels: int, out_channels: int, groups: int) -> ChannelGraph:
        """Groups that read their inputs after a channel shuffle (Zhang et al., *ShuffleNet*, CVPR 2018).

        ``groups(c, o2, g)`` after it sees what a shuffle between two grouped convolutions lets it see.

        Examples:
            >>> import convarium as cv
            >>> cv.ChannelGraph.shuffled(6, 6, 2).parents(0)  # after the shuffle 0 3 1 4 2 5
            (0, 1, 3)
        """
        inputs, outputs, blocks = check_groups("ChannelGraph.shuffled", in_channels, out_channels, groups)
        check_bits("ChannelGraph.shuffled", inputs, outputs)
        return cls(inputs, outputs, packed(patterns.shuffled(inputs, outputs, blocks)))

    @classmethod
    def banded(cls, in_channels: int, out_channels: int, width: int, *, circular: bool = False) -> ChannelGraph:
        """Each output reads ``width`` neighbouring inputs, around its own place among them.

        At the ends the band is shifted inwards, or goes around if ``circular``.

        Examples:
            >>> import convarium as cv
            >>> [cv.ChannelGraph.banded(4, 4, 3).parents(j) for j in range(4)]
            [(0, 1, 2), (0, 1, 2), (1, 2, 3), (1, 2, 3)]
        """
        call = "ChannelGraph.banded"
        inputs, outputs = check_count(call, "in_channels", in_channels), check_count(call, "out_channels", out_channels)
        width = check_most(call, "width", width, inputs)
        check_bits(call, inputs, outputs)
        return cls(inputs, outputs, packed(patterns.banded(inputs, outputs, width, flag(call, "circular", circular))))

    @classmethod
    def hierarchical(cls, channels: int, branching: int, level: int) -> ChannelGraph:
        """One level of a butterfly: outputs read the channels whose number differs from theirs in digit ``level`` alone, written
        in base ``branching``.

        Level 0 is groups of ``branching`` neighbours, each next level joins what is ``branching`` times as far apart; all
        ``log(channels)`` levels one after the other see every channel, with ``channels * branching * log(channels)`` kernels in
        place of ``channels ** 2`` (the graph of a fast Fourier transform).

        Examples:
            >>> import convarium as cv
            >>> [cv.ChannelGraph.hierarchical(8, 2, level).parents(0) for level in range(3)]
            [(0, 1), (0, 2), (0, 4)]
        """
        call = "ChannelGraph.hierarchical"
        channels, branching = check_count(call, "channels", channels), check_count(call, "branching", branching)
        if branching < 2:
            raise ValueError(f"{call}: branching must be at least 2, got {branching}")
        if isinstance(level, bool) or not isinstance(level, int | np.integer):
            raise TypeError(f"{call}: level must be a whole number, got {shown(level)}")
        if not 0 <= level < 31 or channels % branching ** (int(level) + 1):
            most = next(n for n in range(64) if channels % branching ** (n + 1))
            fits = f"level must be from 0 to {most - 1}" if most else f"channels must be a multiple of {branching}"
            raise ValueError(f"{call}: {fits}, got level={level} of {channels} channels with branching={branching}")
        check_bits(call, channels, channels)
        return cls(channels, channels, packed(patterns.hierarchical(channels, branching, int(level))))

    @classmethod
    def random_regular(cls, in_channels: int, out_channels: int, parents: int, *, seed: int) -> ChannelGraph:
        """A random graph in which every output reads ``parents`` inputs and every input is read equally often, or once more.

        The same seed makes the same graph.

        Examples:
            >>> import convarium as cv
            >>> graph = cv.ChannelGraph.random_regular(16, 8, 4, seed=0)
            >>> graph
            ChannelGraph(16 -> 8, 4 parents each, 32 edges)
            >>> {len(graph.children(i)) for i in range(16)}
            {2}
        """
        call = "ChannelGraph.random_regular"
        inputs, outputs = check_count(call, "in_channels", in_channels), check_count(call, "out_channels", out_channels)
        parents = check_most(call, "parents", parents, inputs)
        check_bits(call, inputs, outputs)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"{call}: seed must be a whole number from 0 on, got {shown(seed)}")
        return cls(inputs, outputs, packed(patterns.random_regular(inputs, outputs, parents, int(seed))))

    @classmethod
    def from_weight(cls, weight: torch.Tensor | torch.nn.Module, keep: float = 0.25) -> ChannelGraph:
        r"""The kernels of a layer that are worth keeping: the largest by norm, and the largest of each output.

        The norm of a kernel is over its taps k and, where kernels take turns, over its tile t:
        :math:`\sqrt{\sum_{t, k} |w_{j, i, t, k}|^2}`.

        Args:
            weight: a layer of :mod:`convarium.nn` or a convolution of :mod:`torch.nn`, which knows its tile, groups, graph and
                whether it is transposed: the safe way. Or its weight alone, which must be dense: ``(out_channels, in_channels,
                *kernel)``, or in two and three dimensions with a tile, ``(out_channels, *tile, in_channels, *kernel)``. (Other
                weights can look like these and cannot be told apart: of groups, of a graph, with one kernel an edge, or with a
                tile in one dimension.)
            keep: the part of all its kernels, more than 0 and at most 1, that is kept, rounded; every output that reads
                anything keeps at least one.

        Returns:
            The graph for :meth:`layer.to_graph <convarium.nn.Layer.to_graph>`, of edges that the layer has; for a transposed
            layer, that of the convolution it transposes.

        Raises:
            TypeError: neither a convolution nor a dense tensor with numbers; a part that is no number.
            ValueError: a weight of another shape, or with numbers that are not finite; a layer without a shape yet.

        Examples:
            >>> import torch, convarium as cv
            >>> cv.ChannelGraph.from_weight(cv.nn.Conv2d(8, 16, 3, groups=2), keep=0.25).n_edges  # of 64
            16
            >>> cv.ChannelGraph.from_weight(torch.randn(16, 8, 3, 3), keep=0.25).n_edges
            32
        """
        from .kernels import worth_keeping

        call = "ChannelGraph.from_weight"
        check_part(call, "keep", keep)
        return cls._of_mask(call, worth_keeping(call, weight, float(keep)), allow_empty=True)

    @classmethod
    def from_scipy(cls, matrix: Any, *, allow_empty: bool = False) -> ChannelGraph:
        """The graph of a SciPy sparse matrix ``(out_channels, in_channels)`` of 0 and 1; :meth:`to_scipy` is its inverse."""
        call = "ChannelGraph.from_scipy"
        return cls._of_mask(call, exchange.mask_of_scipy(call, matrix), allow_empty)

    @classmethod
    def from_networkx(cls, graph: Any, *, allow_empty: bool = False) -> ChannelGraph:
        """The graph of a bipartite NetworkX graph: nodes with ``bipartite=0`` are inputs, with ``bipartite=1`` outputs, each
        numbered in the order of the nodes; directed edges lead from inputs to outputs."""
        call = "ChannelGraph.from_networkx"
        return cls._of_mask(call, exchange.mask_of_networkx(call, graph), allow_empty)

    @classmethod
    def load(cls, path: str | Path) -> ChannelGraph:
        """The graph in a file of :meth:`save`.

        Raises:
            ValueError: the file is no such graph.
            OSError: it cannot be read.
        """
        inputs, outputs, text = exchange.read("ChannelGraph.load", path)
        try:
            return cls(inputs, outputs, text)
        except (TypeError, ValueError) as error:
            raise ValueError(f"ChannelGraph.load: {path} is no channel graph: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the graph as JSON, beside the file and then in its place; :meth:`load` reads it back."""
        exchange.write(path, self.in_channels, self.out_channels, self.text)

    @classmethod
    def from_edges(
        cls, in_channels: int, out_channels: int, edges: Iterable[tuple[int, int]], *, allow_empty: bool = False
    ) -> ChannelGraph:
        """The graph with an edge for each ``(input, output)`` pair, in any order (``graph.edges.T`` is such pairs).

        The rows of an array are its pairs, those of a 2 x 2 one too; ``graph.edges`` itself has them as columns.

        Raises:
            ValueError: an array or lists with pairs as columns, a channel out of range, an edge given twice, or an output that
                reads nothing (unless ``allow_empty``: such an output is zero, plus its bias).
        """
        call = "ChannelGraph.from_edges"
        in_channels = check_count(call, "in_channels", in_channels)
        out_channels = check_count(call, "out_channels", out_channels)
        if isinstance(edges, np.ndarray | torch.Tensor) and edges.ndim == 2 and edges.shape[1] != 2 == edges.shape[0]:
            raise ValueError(f"{call}: edges must be (edges, 2), a pair a row, got {shown(edges)}; edges.T would fit")
        pairs = edge_pairs(call, edges)
        check_bits(call, in_channels, out_channels)
        mask = np.zeros((out_channels, in_channels), dtype=np.bool_)
        for source, target in pairs:
            error = None
            if not 0 <= source < in_channels:
                error = f"reads input {source} of {in_channels}"
            elif not 0 <= target < out_channels:
                error = f"ends at output {target} of {out_channels}"
            if error is not None:
                turned = all(0 <= i < in_channels and 0 <= j < out_channels for j, i in pairs)
                hint = (
                    "; edges are (input, output) pairs, and all would fit with their ends exchanged" if turned else ""
                )
                raise ValueError(f"{call}: edge {(source, target)} {error}{hint}")
            if mask[target, source]:
                raise ValueError(f"{call}: edge {(source, target)} is given twice")
            mask[target, source] = True
        return cls._of_mask(call, mask, allow_empty)

    @classmethod
    def from_mask(cls, mask: Any, *, allow_empty: bool = False) -> ChannelGraph:
        """The graph of a ``(out_channels, in_channels)`` mask: true (or 1) where the output reads the input.

        Raises:
            ValueError: not two-dimensional, without channels, with entries that are neither 0 nor 1, or with an output
                that reads nothing (unless ``allow_empty``).
        """
        call = "ChannelGraph.from_mask"
        return cls._of_mask(call, exchange.mask_of_array(call, mask), allow_empty)

    @classmethod
    def _of_mask(cls, call: str, mask: Mask, allow_empty: bool) -> ChannelGraph:
        outputs, inputs = mask.shape
        reads = mask.sum(axis=1)
        if not flag(call, "allow_empty", allow_empty) and not reads.all():
            empty = np.flatnonzero(reads == 0).tolist()
            raise ValueError(f"{call}: outputs {few(empty)} read no input; allow_empty=True lets them be zero")
        return cls(inputs, outputs, packed(mask))

    @property
    def edges(self) -> Indices:
        """``(2, n_edges)``, int64: input channels in the first row, output channels in the second; sorted by output and
        then input."""
        return _edges(self)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The graph as bicliques: outputs that read the same inputs, in the order of their first output."""
        return _blocks(self)

    @property
    def is_full(self) -> bool:
        """Whether every output reaches every input."""
        return self.n_edges == self.in_channels * self.out_channels

    def mask(self) -> Mask:
        """``(out_channels, in_channels)``, true where the output reads the input."""
        return _mask(self).copy()

    def parents(self, output: int) -> tuple[int, ...]:
        """The input channels that ``output`` reads, ascending."""
        check_channel("ChannelGraph.parents", "output", output, self.out_channels)
        return tuple(np.flatnonzero(_mask(self)[output]).tolist())

    def children(self, input: int) -> tuple[int, ...]:
        """The output channels that read ``input``, ascending."""
        check_channel("ChannelGraph.children", "input", input, self.in_channels)
        return tuple(np.flatnonzero(_mask(self)[:, input]).tolist())

    @property
    def missing(self) -> Indices:
        """``(2, n)``, int64: the edges that a dense graph has and this one has not, in the order of :attr:`edges`.

        Examples:
            >>> import convarium as cv
            >>> cv.ChannelGraph.depthwise(2).missing.T.tolist()  # output 0 does not see input 1, nor output 1 input 0
            [[1, 0], [0, 1]]
        """
        return (~self).edges

    def to_scipy(self) -> Any:
        """A SciPy sparse array ``(out_channels, in_channels)`` of booleans, in CSR form."""
        from scipy.sparse import csr_array

        return csr_array(_mask(self))

    def to_networkx(self) -> Any:
        """A directed bipartite NetworkX graph with nodes ``("in", i)`` and ``("out", j)``, marked ``bipartite=0`` and ``1``.

        Examples:
            >>> import convarium as cv
            >>> graph = cv.ChannelGraph.interlaced(4, 4, 2)
            >>> sorted(graph.to_networkx().predecessors(("out", 1)))
            [('in', 1), ('in', 3)]
            >>> cv.ChannelGraph.from_networkx(graph.to_networkx()) == graph
            True
        """
        import networkx

        found = networkx.DiGraph()
        found.add_nodes_from((("in", i) for i in range(self.in_channels)), bipartite=0)
        found.add_nodes_from((("out", j) for j in range(self.out_channels)), bipartite=1)
        found.add_edges_from((("in", i), ("out", j)) for i, j in self.edges.T.tolist())
        return found

    def restrict(self, inputs: Iterable[int] | None = None, outputs: Iterable[int] | None = None) -> ChannelGraph:
        """The graph among some channels alone, in the order that is given: what is left when others are cut away.

        All of them in another order is a permutation. An output that has lost all that it read is left empty.

        Examples:
            >>> import convarium as cv
            >>> graph = cv.ChannelGraph.groups(4, 4, 2)
            >>> graph.restrict(outputs=[0, 1])
            ChannelGraph(4 -> 2, 1 block, 2 parents each, 4 edges)
            >>> graph.restrict(inputs=[0, 2, 1, 3], outputs=[0, 2, 1, 3])
            ChannelGraph(4 -> 4, interlaced 2, 8 edges)
        """
        call, mask = "ChannelGraph.restrict", _mask(self)
        if outputs is not None:
            mask = mask[channel_numbers(call, "outputs", outputs, self.out_channels)]
        if inputs is not None:
            mask = mask[:, channel_numbers(call, "inputs", inputs, self.in_channels)]
        return ChannelGraph._of_mask(call, mask, allow_empty=True)

    def __or__(self, other: ChannelGraph) -> ChannelGraph:
        """The edges of one or the other."""
        return self._joined(other, "|", np.logical_or)

    def __and__(self, other: ChannelGraph) -> ChannelGraph:
        """The edges of both."""
        return self._joined(other, "&", np.logical_and)

    def __invert__(self) -> ChannelGraph:
        """The edges that a dense graph has and this one has not."""
        return ChannelGraph._of_mask("ChannelGraph", ~_mask(self), allow_empty=True)

    def _joined(self, other: ChannelGraph, sign: str, join: Callable[[Mask, Mask], Mask]) -> ChannelGraph:
        if not isinstance(other, ChannelGraph):
            return NotImplemented
        if (self.in_channels, self.out_channels) != (other.in_channels, other.out_channels):
            raise ValueError(
                f"ChannelGraph: a {sign} b needs equal channels, got {self.in_channels} -> {self.out_channels} "
                f"and {other.in_channels} -> {other.out_channels}"
            )
        return ChannelGraph._of_mask("ChannelGraph", join(_mask(self), _mask(other)), allow_empty=True)

    def __matmul__(self, first: ChannelGraph) -> ChannelGraph:
        """``second @ first``: what the outputs of ``second`` see of the inputs of ``first`` through one of its outputs."""
        if not isinstance(first, ChannelGraph):
            return NotImplemented
        if first.out_channels != self.in_channels:
            raise ValueError(
                f"ChannelGraph: second @ first needs second.in_channels == first.out_channels, "
                f"got {self.in_channels} and {first.out_channels}"
            )
        reach = _mask(self).astype(np.float32) @ _mask(first).astype(np.float32) > 0  # by BLAS, which has no integers
        return ChannelGraph._of_mask("ChannelGraph", reach, allow_empty=True)

    def diagram(self, output: int | None = None) -> str:
        """The graph as text: a row an output, a column an input; what ``output`` sees is marked.

        A side of more than 64 channels is shown by the density of its parts.

        Examples:
            >>> import convarium as cv
            >>> print(cv.ChannelGraph.interlaced(4, 4, 2).diagram(output=1))
            ChannelGraph(4 -> 4, interlaced 2, 8 edges)
            <BLANKLINE>
                      input 0 to 3
            output 0  ■ · ■ ·
                   1> · # · #
                   2  ■ · ■ ·
                   3  · ■ · ■
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

    @property
    def name(self) -> str:
        """Its structure in a few words: its constructor and the numbers that make it, or how many blocks and parents it has.

        Examples:
            >>> import convarium as cv
            >>> cv.ChannelGraph.from_mask([[1, 1, 0], [1, 1, 0], [0, 1, 1]]).name
            'banded 2'
        """
        return _name(self)

    def __repr__(self) -> str:
        return f"ChannelGraph({self.in_channels} -> {self.out_channels}, {self.name}, {self.n_edges} edges)"


@lru_cache(maxsize=256)
def _mask(graph: ChannelGraph) -> Mask:
    kind, _, rest = graph.text.partition(":")
    if kind == "e":
        mask = unpacked(graph.in_channels, graph.out_channels, rest)
    else:
        check_bits("ChannelGraph", graph.in_channels, graph.out_channels)
        mask = regular(graph.in_channels, graph.out_channels, kind, int(rest))
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=256)
def _name(graph: ChannelGraph) -> str:
    if (found := naming.by_text(graph.in_channels, graph.text)) is not None:
        return found
    return naming.by_pattern(_mask(graph)) or naming.by_counts(_mask(graph), len(graph.blocks))


@lru_cache(maxsize=256)
def _edges(graph: ChannelGraph) -> Indices:
    outputs, inputs = np.nonzero(_mask(graph))
    edges = np.stack([inputs, outputs]).astype(np.int64)
    edges.setflags(write=False)
    return edges


@lru_cache(maxsize=256)
def _blocks(graph: ChannelGraph) -> tuple[Block, ...]:
    members: dict[bytes, list[int]] = {}
    mask = _mask(graph)
    for output, row in enumerate(mask):
        members.setdefault(row.tobytes(), []).append(output)
    return tuple(
        Block(tuple(outputs), tuple(np.flatnonzero(mask[outputs[0]]).tolist())) for outputs in members.values()
    )
