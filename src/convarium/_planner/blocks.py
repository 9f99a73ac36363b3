"""How a channel graph decomposes: into blocks of outputs that read the same inputs, which engines compute as products."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .._engines._groups import groups_of
from .._spec.wiring import Wiring

Range = tuple[int, int]  # the least and the most


@dataclass(frozen=True, slots=True)
class Blocks:
    """So many blocks, each of so many inputs and outputs; prints as a line.

    Examples:
        >>> from convarium import ChannelGraph
        >>> print(blocks_of(Wiring(ChannelGraph.interlaced(64, 128, 16), by_edge=True)))
        16 groups after a permutation, 4 inputs and 8 outputs each
        >>> print(blocks_of(Wiring(ChannelGraph.banded(64, 128, 9), by_edge=True)))
        56 blocks, 9 inputs and 2 to 10 outputs each
    """

    count: int
    inputs: Range
    outputs: Range
    groups: bool  # no two share an input, all are alike and take all channels
    permuted: bool  # groups once channels are put in another order
    empty: int  # outputs that read nothing

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    def __str__(self) -> str:
        if not self.count:
            return "no edges"
        kind = f"{'group' if self.groups else 'block'}{'s' * (self.count > 1)}{' after a permutation' * self.permuted}"
        each = f"{_many(self.inputs, 'input')} and {_many(self.outputs, 'output')}{' each' * (self.count > 1)}"
        empty = f"; {_many((self.empty, self.empty), 'output')} of none" if self.empty else ""
        return f"{self.count} {kind}, {each}{empty}"


def blocks_of(wiring: Wiring) -> Blocks:
    """The blocks of a wiring."""
    classes, groups = wiring.bicliques(), groups_of(wiring)
    outputs, inputs = (
        ([table.shape[1] for table in tables] for tables in zip(*classes, strict=True)) if classes else ([0], [0])
    )
    return Blocks(
        sum(len(alike.outputs) for alike in classes),
        (min(inputs), max(inputs)),
        (min(outputs), max(outputs)),
        groups is not None,
        groups is not None and not (groups.inputs is None and groups.outputs is None),
        wiring.out_channels - sum(alike.outputs.size for alike in classes),
    )


def _many(number: Range, what: str) -> str:
    least, most = number
    return f"{least} {'to ' + str(most) + ' ' if most > least else ''}{what}{'s' * (most > 1)}"
