"""The live table of processes that train together, below the bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._train.ranks import Rank

MOST = 16  # rows; of more processes those that the others wait for


def drawn(ranks: Sequence[Rank]) -> Any:
    """A row for each process, as rich draws it: whom the others wait for is the busiest."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("rank", justify="right")
    table.add_column("host")
    for head in ("busy", "waiting for images", "memory"):
        table.add_column(head, justify="right", no_wrap=True)
    busiest = sorted(range(len(ranks)), key=lambda number: -ranks[number].busy)[:MOST]
    for number in sorted(busiest):
        rank = ranks[number]
        memory = f"{rank.memory / 2**20:,.0f} MiB" if rank.memory else ""
        table.add_row(
            str(number), Text(rank.host), f"{100 * rank.busy:.0f} %", f"{100 * rank.waiting:.1f} %", memory
        )  # fmt: skip
    if len(ranks) > MOST:
        table.caption, table.caption_justify = f"{len(ranks) - MOST} more, less busy", "left"
    return table
