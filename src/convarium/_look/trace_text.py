"""A trace as text: one cell of the output, one weight's gradient, one cell of the input's, each with its products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .trace import Numbers, Terms, Trace

MOST = 12  # lines of a list of products
SIDE = 9  # rows and columns of a matrix that is written out


def text(trace: Trace, output: Sequence[int] | None = None) -> str:
    """``output``: sample, channel and position of the cell that is taken apart; default: the middle of the first channel."""
    sample, channel, *position = output = trace.cell("text", output)
    terms = trace.at_output(channel, position, sample)
    lines = [*_heading(trace), "", *_output(trace, output, terms)]
    if terms.inside.any():
        middle = len(terms) // 2
        middle = middle if terms.inside[middle] else int(np.argmax(terms.inside))
        lines += ["", *_weight(trace, terms, middle), "", *_input(trace, terms, middle, sample)]
    return "\n".join(lines)


def number(value: Any) -> str:
    """Four digits that count."""
    return f"{value + 0:.4g}"  # no -0


def _heading(trace: Trace) -> list[str]:
    problem = trace.problem
    of = "transposed " if trace.transposed else ""
    kernel = "x".join(map(str, problem.kernel_size))
    said = [f"{problem.sharing} {of}convolution", f"kernel {kernel}"]
    for name in ("stride", "dilation"):
        values = [getattr(axis, name) for axis in problem.axes]
        if max(values) > 1:
            said.append(f"{name} {'x'.join(map(str, values))}")
    if max(problem.tile) > 1:
        said.append(f"tile {'x'.join(map(str, problem.tile))}")
    if any(map(any, trace.pads)):
        said.append(f"padding {', '.join(f'{before}+{after}' for before, after in trace.pads)}")
    if trace.mode is not None:
        said[-1] += f" ({trace.mode}, done already)"
    if problem.flip:
        said.append("kernels turned")
    return [f"{trace.name}: {', '.join(said)}", f"input {trace.input.shape} -> output {trace.output.shape}"]


def _output(trace: Trace, cell: tuple[int, ...], terms: Terms) -> list[str]:
    lines = [f"output{list(cell)}, (sample, channel, *position)"]
    product = terms.product
    by_channel = terms.in_channel
    channels = list(dict.fromkeys(by_channel.tolist()))
    for channel in channels[:MOST]:
        own = by_channel == channel
        lines.append(f"  input channel {channel}: {number(product[own].sum())}")
        if channel == channels[0]:
            lines += _products(trace, terms, own)
    if len(channels) > MOST:
        rest = product[~np.isin(by_channel, channels[:MOST])].sum()
        lines.append(f"  {len(channels) - MOST} more channels: {number(rest)}")
    total = terms.total
    if trace.bias is not None:
        bias = trace.bias[cell[1:]]
        lines.append(f"  bias: {number(bias)}")
        total = total + bias
    lines.append(f"  together {number(total)}")
    return lines


def _products(trace: Trace, terms: Terms, own: Any) -> list[str]:
    """Window, kernel and product side by side where they are matrices; else a product a line."""
    shape = trace.problem.kernel_size
    matrix = (1, *shape)[-2:]
    whole = not trace.transposed and own.sum() == np.prod(shape) and len(shape) < 3 and max(matrix) <= SIDE
    if not whole:
        return [f"    {line}" for line in _listed(terms, own)]
    order = np.lexsort(terms.tap[own].T[::-1])

    def cells(values: Numbers) -> list[list[str]]:
        laid = values[own][order].reshape(matrix)
        inside = terms.inside[own][order].reshape(matrix)
        return [
            [number(v) if at else "." for v, at in zip(*row, strict=True)] for row in zip(laid, inside, strict=True)
        ]

    blocks = [
        (title, cells(values)) for title, values in (("window", terms.left), ("kernel", terms.right), ("product", terms.product))
    ]  # fmt: skip
    columns = []
    for title, rows in blocks:
        width = max(len(cell) for row in rows for cell in row)
        lines = [title, *(" ".join(f"{cell:>{width}}" for cell in row) for row in rows)]
        widest = max(map(len, lines))
        columns.append([f"{line:{widest}}" for line in lines])
    return [f"    {'    '.join(parts)}".rstrip() for parts in zip(*columns, strict=True)]


def _weight(trace: Trace, terms: Terms, chosen: int) -> list[str]:
    edge, kernel, tap = int(terms.edge[chosen]), terms.kernel[chosen].tolist(), terms.tap[chosen].tolist()
    found = trace.at_weight(edge, kernel, tap)
    i, j = trace.edges[edge].tolist()
    used = len(found) // trace.problem.batch
    shared = f"added over the {used} positions that share it" if used > 1 else "of the one position that uses it"
    return [
        f"gradient of weight[{edge}], from channel {i} to {j} of the convolution, kernel {kernel} of the tile, tap {tap}",
        f"  input times gradient of the output, {shared} and {trace.problem.batch} samples",
        *(f"    {line}" for line in _listed(found, np.ones(len(found), dtype=bool))),
        f"  together {number(found.total)}",
    ]


def _input(trace: Trace, terms: Terms, chosen: int, sample: int) -> list[str]:
    place = terms.input[chosen].tolist()
    channel = int(terms.in_channel[chosen])
    found = trace.at_input(channel, place, sample)
    return [
        f"gradient of input{[sample, channel, *place]}, of all outputs that have read it",
        "  gradient of the output times weight",
        *(f"    {line}" for line in _listed(found, np.ones(len(found), dtype=bool))),
        f"  together {number(found.total)}",
    ]


def _listed(terms: Terms, own: Any) -> list[str]:
    rows = np.flatnonzero(own & terms.inside)
    shown = rows[:MOST]
    texts = [(number(terms.left[k]), number(terms.right[k]), number(terms.product[k])) for k in shown]
    widths = [max((len(each[c]) for each in texts), default=0) for c in range(3)]
    lines = [f"{a:>{widths[0]}} * {b:>{widths[1]}} = {c:>{widths[2]}}" for a, b, c in texts]
    if len(rows) > MOST:
        lines.append(f"... and {len(rows) - MOST} more: {number(terms.product[rows[MOST:]].sum())}")
    return lines
