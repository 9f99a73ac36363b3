"""The cases: a table of text, ``cases.txt``, and what a line means."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import torch

import convarium as cv

TABLE = Path(__file__).with_name("cases.txt")
KINDS = ("local", "tiled", "shared", "graph", "grouped", "interlaced", "depthwise")
ANY = ("padding", "torch", "tile", "local")  # options of every kind


@dataclass(frozen=True)
class Case:
    """One line of the table: a convolution without stride."""

    name: str
    kind: str
    inputs: int
    outputs: int
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    batch: int
    options: dict[str, float] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.kernel)

    @property
    def tile(self) -> tuple[int, ...]:
        """Kernels that take turns; empty where they are shared."""
        if self.kind == "local" or self.options.get("local"):
            return self.output
        return (int(self.options.get("tile", 2)),) * self.n if self.kind == "tiled" or "tile" in self.options else ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        around = 2 * self.padding + 1
        return (self.batch, self.inputs, *(s + k - around for s, k in zip(self.output, self.kernel, strict=True)))

    @property
    def padding(self) -> int:
        return int(self.options.get("padding", 0))

    @property
    def groups(self) -> int:
        """As torch's own convolution has them."""
        return self.inputs if self.kind == "depthwise" else int(self.options.get("groups", 1))

    @property
    def part(self) -> int:
        """torch's own convolution is timed on one of so many parts of the output."""
        return round(1 / self.options.get("torch", 1))

    @property
    def graph(self) -> cv.ChannelGraph | None:
        if self.kind == "interlaced":
            return cv.ChannelGraph.interlaced(self.inputs, self.outputs, self.groups)
        if self.kind != "graph":
            return None
        score = torch.rand(self.outputs, self.inputs, generator=torch.Generator().manual_seed(0))
        score[torch.arange(self.outputs), score.argmax(1)] += 1  # of each output one edge comes before all others
        edges = round(self.options["density"] * score.numel())
        mask = score >= score.flatten().topk(max(edges, self.outputs)).values[-1]
        return cv.ChannelGraph.from_mask(mask)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        graph = self.graph
        if graph is not None:
            return (graph.n_edges, *self.tile, *self.kernel)
        return (self.outputs, *self.tile, self.inputs // self.groups, *self.kernel)


def read(path: Path = TABLE) -> list[Case]:
    """All cases; a line that cannot be read is named."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            found.append(_case(*words))
        except (ValueError, ZeroDivisionError) as error:
            raise SystemExit(f"{path}, line {number}: {error}: {line}") from None
    return found


def _case(*words: str) -> Case:
    if len(words) < 6:
        raise ValueError("name, kind, channels, kernel, output and batch are needed")
    name, kind, channels, kernel, output, batch, *options = words
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    inputs, _, outputs = channels.partition("->")
    case = Case(
        name, kind, int(inputs), int(outputs), _sizes(kernel), _sizes(output), int(batch), _options(kind, options)
    )
    if len(case.kernel) != len(case.output):
        raise ValueError(f"kernel and output must be of one rank, got {kernel} and {output}")
    return case


def _options(kind: str, words: list[str]) -> dict[str, float]:
    there_are = (*ANY, "density") if kind == "graph" else ANY if kind == "depthwise" else (*ANY, "groups")
    found: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in there_are:
            raise ValueError(f"{kind} has no option {name!r}; it has {', '.join(there_are)}")
        found[name] = float(Fraction(value))
    if kind == "graph" and "density" not in found:
        raise ValueError(f"graph needs density=D, the part of the edges; its options are {', '.join(there_are)}")
    return found


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))
