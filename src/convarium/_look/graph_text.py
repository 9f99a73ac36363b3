"""Channel graphs as text: a row an output, a column an input, and in a stack what a chosen output sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .._spec.channels import ChannelGraph
from .._spec.patterns import Mask
from .._spec.stack import ChannelStack, seen_by

MOST = 64  # cells a side; a larger graph is shown by the density of its parts
SHADES = " ░▒▓█"


def diagram(graphs: ChannelGraph | ChannelStack, output: int | None = None) -> str:
    """The text of a graph, or of each of a stack, first to last; with ``output``, what it sees is marked."""
    if isinstance(graphs, ChannelGraph):
        chosen = None if output is None else seen_by("ChannelGraph.diagram", ChannelStack(graphs), output)[-1]
        return "\n".join([repr(graphs), "", *_matrix(graphs, "output", "input", chosen)])
    fields = None if output is None else seen_by("ChannelStack.diagram", graphs, output)
    lines = [repr(graphs)]
    for layer, graph in enumerate(graphs):
        seen = None if fields is None else fields[layer + 1]
        of = "input" if layer == 0 else f"layer {layer}"
        lines += ["", f"layer {layer + 1}: {graph.name}, {graph.n_edges} edges", ""]
        lines += _matrix(graph, f"layer {layer + 1}", of, seen)
    if fields is not None:
        lines += ["", f"output {output} sees {len(fields[0])} of {graphs.widths[0]} inputs: {ranges(fields[0])}"]
    if missing := list(_missing(graphs)):
        lines += ["", *missing]
    return "\n".join(lines)


def ranges(channels: Sequence[int]) -> str:
    """Channel numbers, neighbours as one: ``0-3, 7``."""
    parts: list[list[int]] = []
    for channel in channels:
        if parts and parts[-1][-1] == channel - 1:
            parts[-1].append(channel)
        else:
            parts.append([channel])
    shown = [str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")


def _missing(stack: ChannelStack) -> Iterator[str]:
    """Which inputs which outputs do not see, outputs that miss the same in one line."""
    mask = stack.reach.mask()
    alike: dict[bytes, list[int]] = {}
    for output, row in enumerate(mask):
        if not row.all():
            alike.setdefault(row.tobytes(), []).append(output)
    for count, outputs in enumerate(alike.values()):
        if count == 8:
            yield f"... and {len(alike) - 8} more kinds of outputs that miss some"
            return
        inputs = np.flatnonzero(~mask[outputs[0]]).tolist()
        these = f"output {outputs[0]} does" if len(outputs) == 1 else f"outputs {ranges(outputs)} do"
        yield f"{these} not see input{'s' * (len(inputs) > 1)} {ranges(inputs)}"


def _matrix(graph: ChannelGraph, rows: str, columns: str, seen: Sequence[int] | None) -> Iterator[str]:
    mask = graph.mask()
    if max(mask.shape) > MOST:
        yield from _shaded(mask, rows, columns)
        return
    width = len(str(len(mask) - 1))
    margin = " " * (len(rows) + width + 3)
    yield f"{margin}{columns} 0 to {graph.in_channels - 1}"
    for number, row in enumerate(mask):
        chosen = seen is not None and number in seen
        cells = ["#" if reads and chosen else "■" if reads else "·" for reads in row]
        label = f"{rows if number == 0 else '':{len(rows)}} {number:{width}}"
        yield f"{label}{'>' if chosen else ' '} {' '.join(cells)}"


def _shaded(mask: Mask, rows: str, columns: str) -> Iterator[str]:
    """Parts of equal size, each as dense as its shade."""
    step = -(-max(mask.shape) // MOST)
    high, wide = (-(-size // step) for size in mask.shape)
    yield f"{rows} 0 to {len(mask) - 1} downwards, {columns} 0 to {mask.shape[1] - 1} across; a cell is {step} x {step} channels"
    for r in range(high):
        parts = (mask[r * step : (r + 1) * step, c * step : (c + 1) * step].mean() for c in range(wide))
        yield "".join(SHADES[int(np.ceil(part * (len(SHADES) - 1)))] for part in parts).rstrip()
