"""The table of a comparison, tasks side by side: drawn for a terminal, or as aligned plain lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._train.results import Row


def accuracy(row: Row) -> str:
    """Per cent, with half the interval where there is one."""
    text = f"{100 * row.accuracy:.1f}"
    return text if row.half is None else f"{text} ±{100 * row.half:4.1f}"


def count(number: int) -> str:
    """At most four characters and a letter: 1,442 or 83.2k."""
    if number < 10_000:
        return f"{number:,}"
    return (
        f"{number / 1000:.1f}k"
        if number < 100_000
        else f"{number / 1000:.0f}k"
        if number < 10**6
        else f"{number / 10**6:.1f}M"
    )


def cells(row: Row) -> list[str]:
    return [accuracy(row), count(row.parameters), count(row.multiply_adds), f"{row.seconds_per_epoch:.2f}"]


def arrange(rows: Sequence[Row]) -> tuple[list[str], list[str], dict[tuple[str, str], Row]]:
    tasks = list(dict.fromkeys(row.task for row in rows))
    kinds = list(dict.fromkeys(row.kind for row in rows))
    return tasks, kinds, {(row.task, row.kind): row for row in rows}


HEADS = ("accuracy %", "param.", "m-adds", "s/ep.")


def plain(rows: Sequence[Row]) -> str:
    """Aligned lines without a frame.

    Examples:
        >>> print(plain([Row("plain", "local", 3, 0.98, 0.01, (0.97, 0.99), 18722, 21184, 0.071, 0.01)]))
                        plain
        kind            accuracy %   param.  m-adds  s/ep.
        local           98.0 ± 1.0    18.7k   21.2k   0.07
    """
    tasks, kinds, found = arrange(rows)
    widths = (10, 7, 7, 6)
    group = "  ".join(f"{task:<{sum(widths) + 5}}" for task in tasks)
    head = "  ".join(_line(HEADS, widths) for _ in tasks)
    lines = [f"{'':15} {group.rstrip()}", f"{'kind':15} {head}"]
    for kind in kinds:
        body = "  ".join(_line(cells(found[task, kind]), widths) for task in tasks if (task, kind) in found)
        lines.append(f"{kind:15} {body}")
    return "\n".join(lines)


def _line(values: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
    return " ".join([first, "", *others]) if others else first


def drawn(rows: Sequence[Row]) -> Any:
    """The same, as rich draws it; the best accuracy of a task and all that are level with it stand out."""
    from rich import box
    from rich.table import Table

    tasks, kinds, found = arrange(rows)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("\nkind")
    for index, task in enumerate(tasks):
        if index:
            table.add_column(" ")
        for head, title in zip(HEADS, (f"[#0072B2]{task}[/]", "", "", ""), strict=True):
            table.add_column(f"{title}\n{head}", justify="right", no_wrap=True)
    best = {task: max((row for row in rows if row.task == task), key=lambda row: row.accuracy) for task in tasks}
    for kind in kinds:
        line = [kind]
        for index, task in enumerate(tasks):
            row = found[task, kind]
            first, *others = cells(row)
            if row.high >= best[task].low:
                first = f"[bold]{first}[/bold]"
            line += [""] * (index > 0) + [first, *others]
        table.add_row(*line)
    return table
