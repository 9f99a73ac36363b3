"""The cases: a table of text, ``cases.txt``, and what a line means."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import torch

import convarium as cv

TABLE = Path(__file__).with_name("cases.txt")
KINDS = ("local", "tiled", "shared", "graph", "grouped", "interlaced", "depthwise")


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
        mask = (
            torch.rand(self.outputs, self.inputs, generator=torch.Generator().manual_seed(0)) < self.options["density"]
        )
        mask[torch.arange(self.outputs), torch.arange(self.outputs) % self.inputs] = True
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
            name, kind, channels, kernel, output, batch, *options = words
            inputs, _, outputs = channels.partition("->")
            case = Case(
                name, kind, int(inputs), int(outputs), _sizes(kernel), _sizes(output), int(batch),
                {key: float(Fraction(value)) for key, _, value in (option.partition("=") for option in options)},
            )  # fmt: skip
        except ValueError as error:
            raise SystemExit(f"{path}, line {number}: {error}: {line}") from None
        if kind not in KINDS or len(case.kernel) != len(case.output):
            raise SystemExit(
                f"{path}, line {number}: kind must be one of {', '.join(KINDS)}, sizes of one rank: {line}"
            )
        found.append(case)
    return found


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))
