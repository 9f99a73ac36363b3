"""Which input channels an output channel reads: the channel dependency graph.

A :class:`ChannelGraph` is a value: immutable, hashable, equal to another when both have the same edges. Regular graphs
(dense, groups, depthwise, interlaced) are kept by name and never spelled out; any other is kept as the bits of its mask.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .limits import CHANNELS
from .shown import shown

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Block(NamedTuple):
    """A biclique: every one of ``outputs`` reads every one of ``inputs``, and nothing else."""

    outputs: tuple[int, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ChannelGraph:
    """A channel dependency graph: which input channels each output channel reads (Zhang, *clcNet*, CVPR 2018).

    Make one with :meth:`dense`, :meth:`groups`, :meth:`depthwise`, :meth:`interlaced`, :meth:`from_edges` or
    :meth:`from_mask`. A layer with a graph has one kernel an edge; edges are sorted by output and then input channel.

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
            object.__setattr__(self, name, _check_count("ChannelGraph", name, getattr(self, name)))
        text, n_edges = _read(self.in_channels, self.out_channels, self.text)
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "n_edges", n_edges)

    @classmethod
    def dense(cls, in_channels: int, out_channels: int) -> ChannelGraph:
        """Every output reads every input."""
        _check_groups("ChannelGraph.dense", in_channels, out_channels, 1)
        return cls.groups(in_channels, out_channels, 1)

    @classmethod
    def groups(cls, in_channels: int, out_channels: int, groups: int) -> ChannelGraph:
        """``groups`` blocks side by side, as ``torch.nn.Conv2d(groups=...)``: ``parents(j)`` is the block of ``j``."""
        inputs, outputs, blocks = _check_groups("ChannelGraph.groups", in_channels, out_channels, groups)
        return cls(inputs, outputs, f"g:{blocks}")

    @classmethod
    def depthwise(cls, channels: int, multiplier: int = 1) -> ChannelGraph:
        """``multiplier`` outputs for each input, which read it alone: ``parents(j) = {j // multiplier}``."""
        channels = _check_count("ChannelGraph.depthwise", "channels", channels)
        multiplier = _check_count("ChannelGraph.depthwise", "multiplier", multiplier)
        return cls.groups(channels, channels * multiplier, channels)

    @classmethod
    def interlaced(cls, in_channels: int, out_channels: int, groups: int) -> ChannelGraph:
        """``parents(j) = {i : i mod groups == j mod groups}`` (Zhang, *clcNet*, CVPR 2018, section 3).

        A following ``groups(out_channels, o2, g2)`` sees every input exactly when ``out_channels / g2 >= groups``.
        """
        inputs, outputs, blocks = _check_groups("ChannelGraph.interlaced", in_channels, out_channels, groups)
        return cls(inputs, outputs, f"i:{blocks}")

    @classmethod
    def from_edges(
        cls, in_channels: int, out_channels: int, edges: Iterable[tuple[int, int]], *, allow_empty: bool = False
    ) -> ChannelGraph:
        """The graph with an edge for each ``(input, output)`` pair, in any order (``graph.edges.T`` is such pairs).

        The rows of an array are its pairs, those of a 2 x 2 one too; ``graph.edges`` itself has them as columns.

        Raises:
            ValueError: an array with pairs as columns, a channel out of range, an edge given twice, or an output that
                reads nothing (unless ``allow_empty``: such an output is zero, plus its bias).
        """
        call = "ChannelGraph.from_edges"
        in_channels = _check_count(call, "in_channels", in_channels)
        out_channels = _check_count(call, "out_channels", out_channels)
        if isinstance(edges, np.ndarray | torch.Tensor) and edges.ndim == 2 and edges.shape[1] != 2 == edges.shape[0]:
            raise ValueError(f"{call}: edges must be (edges, 2), a pair a row, got {shown(edges)}; edges.T would fit")
        try:
            pairs = iter(edges)
        except TypeError:
            raise TypeError(
                f"{call}: edges must be (input, output) pairs of channel numbers, got {shown(edges)}"
            ) from None
        mask = np.zeros((out_channels, in_channels), dtype=np.bool_)
        for edge in pairs:
            try:
                source, target = (_channel_number(end) for end in edge)
            except (TypeError, ValueError):
                raise TypeError(
                    f"{call}: edges must be (input, output) pairs of channel numbers, got {shown(edge)}"
                ) from None
            if not 0 <= source < in_channels:
                raise ValueError(f"{call}: edge {(source, target)} reads input {source} of {in_channels}")
            if not 0 <= target < out_channels:
                raise ValueError(f"{call}: edge {(source, target)} ends at output {target} of {out_channels}")
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
        try:
            array = np.asarray(mask.detach().cpu() if hasattr(mask, "detach") else mask)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise TypeError(f"{call}: mask must be an array of 0 and 1 (or booleans): {error}") from None
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{call}: mask must be an array of 0 and 1 (or booleans), got {type(mask).__name__}")
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(
                f"{call}: mask must be (out_channels, in_channels), with at least one of each, got shape {array.shape}"
            )
        as_bool = array.astype(np.bool_)
        if not np.array_equal(as_bool, array):
            other = array[as_bool != array].flat[0]
            raise ValueError(f"{call}: mask must hold only 0 and 1 (or booleans), got {other}")
        return cls._of_mask(call, as_bool, allow_empty)

    @classmethod
    def _of_mask(cls, call: str, mask: Mask, allow_empty: bool) -> ChannelGraph:
        outputs, inputs = mask.shape
        reads = mask.sum(axis=1)
        if not allow_empty and not reads.all():
            empty = np.flatnonzero(reads == 0).tolist()
            raise ValueError(f"{call}: outputs {_few(empty)} read no input; allow_empty=True lets them be zero")
        return cls(inputs, outputs, _packed(mask))

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
        _check_channel("parents", "output", output, self.out_channels)
        return tuple(np.flatnonzero(_mask(self)[output]).tolist())

    def children(self, input: int) -> tuple[int, ...]:
        """The output channels that read ``input``, ascending."""
        _check_channel("children", "input", input, self.in_channels)
        return tuple(np.flatnonzero(_mask(self)[:, input]).tolist())

    def __matmul__(self, first: ChannelGraph) -> ChannelGraph:
        """``second @ first``: what the outputs of ``second`` see of the inputs of ``first`` through one of its outputs."""
        if not isinstance(first, ChannelGraph):
            return NotImplemented
        if first.out_channels != self.in_channels:
            raise ValueError(
                f"ChannelGraph: second @ first needs second.in_channels == first.out_channels, "
                f"got {self.in_channels} and {first.out_channels}"
            )
        reach = _mask(self).astype(np.int64) @ _mask(first).astype(np.int64) > 0
        return ChannelGraph._of_mask("ChannelGraph", reach, allow_empty=True)

    def __repr__(self) -> str:
        kind, _, number = self.text.partition(":")
        if self.text == "g:1":
            name = "dense"
        elif kind == "g":
            name = "depthwise" if int(number) == self.in_channels else f"groups {number}"
        elif kind == "i":
            name = f"interlaced {number}"
        else:
            name = f"{len(self.blocks)} blocks"
        return f"ChannelGraph({self.in_channels} -> {self.out_channels}, {name}, {self.n_edges} edges)"


def _read(inputs: int, outputs: int, text: str) -> tuple[str, int]:
    """The text in the one form that all graphs of its edges have, and how many edges; ValueError when it is no graph's."""
    kind, _, rest = text.partition(":")
    if kind in ("g", "i") and rest.isdecimal():
        groups = int(rest)
        if groups and inputs % groups == outputs % groups == 0:
            alike = groups == 1 or inputs == outputs == groups
            return f"{'g' if alike else kind}:{groups}", inputs * outputs // groups
    if kind == "e" and _bits(rest).size == (inputs * outputs + 7) // 8:
        mask = _unpacked(inputs, outputs, rest)
        return _regular(mask) or _packed(mask), int(mask.sum())
    raise ValueError(f"ChannelGraph: {shown(text[:40])} is no channel graph of {inputs} -> {outputs} channels")


def _packed(mask: Mask) -> str:
    return "e:" + base64.b64encode(np.packbits(mask).tobytes()).decode("ascii")


def _unpacked(inputs: int, outputs: int, text: str) -> Mask:
    return np.unpackbits(_bits(text), count=inputs * outputs).reshape(outputs, inputs).astype(np.bool_)


def _bits(text: str) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except ValueError:
        return np.empty(0, dtype=np.uint8)  # which no graph has


def _regular(mask: Mask) -> str | None:
    """The text of the groups or the interlaced graph with this mask, if any; the first output's row says how many."""
    outputs, inputs = mask.shape
    reads = int(np.count_nonzero(mask[0]))
    if not reads or inputs % reads or outputs % (inputs // reads):
        return None
    groups = inputs // reads
    fits = (kind for kind in "gi" if np.array_equal(_regular_mask(inputs, outputs, kind, groups), mask))
    return next((f"{kind}:{groups}" for kind in fits), None)


def _regular_mask(inputs: int, outputs: int, kind: str, groups: int) -> Mask:
    j, i = np.arange(outputs)[:, None], np.arange(inputs)
    if kind == "g":
        return j // (outputs // groups) == i // (inputs // groups)
    return j % groups == i % groups


@lru_cache(maxsize=256)
def _mask(graph: ChannelGraph) -> Mask:
    kind, _, rest = graph.text.partition(":")
    if kind == "e":
        mask = _unpacked(graph.in_channels, graph.out_channels, rest)
    else:
        mask = _regular_mask(graph.in_channels, graph.out_channels, kind, int(rest))
    mask.setflags(write=False)
    return mask


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


def _check_count(call: str, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}")
    if not 1 <= value < CHANNELS:
        raise ValueError(f"{call}: {name} must be at least 1 and less than 2**31, got {value}")
    return int(value)


def _check_groups(call: str, in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int]:
    counts = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
    found = {name: _check_count(call, name, value) for name, value in counts.items()}
    inputs, outputs, blocks = found.values()
    for name, value in found.items():
        if value % blocks:
            common = math.gcd(inputs, outputs)
            fits = [g for g in range(1, min(common, 1000) + 1) if common % g == 0]
            raise ValueError(f"{call}: groups={groups} does not divide {name}={value}; {_few(fits)} would")
    return inputs, outputs, blocks


def _channel_number(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError
    return index(value)


def _check_channel(call: str, name: str, value: Any, count: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"ChannelGraph.{call}: {name} must be a channel number, got {shown(value)}")
    if not 0 <= value < count:
        raise ValueError(f"ChannelGraph.{call}: {name} must be a channel from 0 to {count - 1}, got {value}")


def _few(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return shown + (", ..." if len(numbers) > 8 else "")
