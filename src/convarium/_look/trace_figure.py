"""A trace as figures for print: each map with the cell that is taken apart, the matrix, and who is connected with whom.

Signs are told by Okabe and Ito's blue and orange around a white zero, the same scale on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._files.failures import extra
from .._spec.shown import shown
from .trace import Numbers, Terms, Trace
from .trace_text import number

KINDS = ("forward", "weight_grad", "input_grad", "matrix", "connections")
INK, FAINT, NAN = "#1b1f24", "#c9ced6", "#CC79A7"
MET = "the weights that met it"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a7b00", "#7a7a7a")
WRITTEN = 14  # cells a side of which the numbers are written
ENTRIES = 1200  # rows and columns of a matrix that is drawn


def figure(trace: Trace, kind: str, output: Sequence[int] | None = None) -> Any:
    """A matplotlib figure of one of ``KINDS``."""
    if kind not in KINDS:
        raise ValueError(f"figure: kind must be one of {', '.join(KINDS)}, got {shown(kind)}")
    if trace.output.dtype.kind == "c":
        raise ValueError(f"figure: {trace.name} computes with complex numbers, which have no sign to colour")
    sample, channel, *position = output = trace.cell("figure", output)
    terms = trace.at_output(channel, position, sample)
    chosen = int(np.argmax(terms.inside)) if len(terms) else 0
    if not len(terms) or not terms.inside[chosen]:
        raise ValueError(f"figure: output{list(output)} reads nothing")
    draw = {
        "forward": _forward, "weight_grad": _weight_grad, "input_grad": _input_grad, "matrix": _matrix,
        "connections": _connections,
    }[kind]  # fmt: skip
    return draw(trace, output, terms, chosen)


# -- maps --------------------------------------------------------------------------------------------------------------


def _forward(trace: Trace, cell: tuple[int, ...], terms: Terms, chosen: int) -> Any:
    sample, channel, *position = cell
    read = int(terms.in_channel[chosen])
    own = (terms.in_channel == read) & terms.inside
    places = terms.input[own]
    total = trace.output[(sample, channel, *position)]
    parts = [
        (f"input, channel {read}", _plane(trace.input[sample, read], places[0]), places),
        ("kernel", _kernel(trace, trace.weight, terms, chosen), terms.tap[own] if trace.transposed else ()),
        (f"output, channel {channel}", _plane(trace.output[sample, channel], position), [position]),
    ]  # fmt: skip
    return _row(parts, f"{trace.name}: output{list(cell)} = {number(total)}")


def _weight_grad(trace: Trace, cell: tuple[int, ...], terms: Terms, chosen: int) -> Any:
    sample = cell[0]
    edge, kernel, tap = int(terms.edge[chosen]), terms.kernel[chosen].tolist(), terms.tap[chosen].tolist()
    found = trace.at_weight(edge, kernel, tap)
    own = found.inside & (found.sample == sample)
    reads, writes = found.input[own], found.output[own]
    read, written = int(found.in_channel[0]), int(found.out_channel[0])
    parts = [
        (f"input, channel {read}", _plane(trace.input[sample, read], reads[0]), reads),
        (f"gradient of output {written}", _plane(trace.grad_output[sample, written], writes[0]), writes),
        ("gradient of the kernel", _kernel(trace, trace.grad_weight, terms, chosen), [tap]),
    ]
    return _row(
        parts, f"{trace.name}: gradient of tap {tap} = {number(found.total)}, added over {own.sum()} positions a sample"
    )


def _input_grad(trace: Trace, cell: tuple[int, ...], terms: Terms, chosen: int) -> Any:
    sample = cell[0]
    place, channel = terms.input[chosen].tolist(), int(terms.in_channel[chosen])
    found = trace.at_input(channel, place, sample)
    over = found.out_channel
    own = (over == over[0]) & found.inside
    writes = found.output[own]
    parts = [
        (f"gradient of output {over[0]}", _plane(trace.grad_output[sample, over[0]], writes[0]), writes),
        (MET, _met(trace, found, own), found.tap[own]),
        (f"gradient of input {channel}", _plane(trace.grad_input[sample, channel], place), [place]),
    ]
    total = trace.grad_input[(sample, channel, *place)]
    return _row(parts, f"{trace.name}: gradient of input{[sample, channel, *place]} = {number(total)}")


def _plane(numbers: Numbers, at: Any) -> Numbers:
    """Two directions: of three, the plane of that place."""
    while numbers.ndim > 2:
        numbers, at = numbers[at[0]], at[1:]
    return numbers.reshape((1, *numbers.shape)[-2:])


def _kernel(trace: Trace, weights: Numbers, terms: Terms, chosen: int) -> Numbers:
    return _plane(weights[(terms.edge[chosen], *terms.kernel[chosen])], terms.tap[chosen])


def _met(trace: Trace, terms: Terms, own: Any) -> Numbers:
    """Each weight at its tap, of whichever member of the tile it is; NaN where none met the cell."""
    weights = np.full(trace.problem.kernel_size, np.nan)
    weights[tuple(terms.tap[own].T)] = terms.right[own]
    return _plane(weights, terms.tap[own][0])


def _row(parts: Sequence[tuple[str, Numbers, Any]], title: str) -> Any:
    drawn, axes = _figure(len(parts), [max(plane.shape[1], 2) for _, plane, _ in parts])
    for axis, (name, plane, marks) in zip(axes, parts, strict=True):
        _paint(axis, plane, "#ffffff" if name == MET else NAN)
        for mark in marks:
            row, column = (0, *mark)[-2:]
            axis.add_patch(
                extra("matplotlib.patches", "look").Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.8
                )
            )
        axis.set_title(name, fontsize=9, color=INK)
    drawn.suptitle(title, fontsize=9.5, color=INK)
    return drawn


def _figure(columns: int, widths: Sequence[int]) -> Any:
    module = extra("matplotlib.figure", "look")
    ratios = [math.sqrt(width) for width in widths]
    drawn = module.Figure(figsize=(3.1 * columns, 3.5), dpi=130, layout="constrained")
    return drawn, np.atleast_1d(drawn.subplots(1, columns, width_ratios=ratios))


def _map(missing: str = NAN) -> Any:
    made = extra("matplotlib.colors", "look").LinearSegmentedColormap.from_list(
        "signs", ["#0072B2", "#ffffff", "#D55E00"]
    )
    return made.with_extremes(bad=missing)


def _paint(axis: Any, plane: Numbers, missing: str = NAN) -> None:
    finite = np.abs(plane[np.isfinite(plane)])
    most = float(finite.max(initial=0)) or 1.0
    axis.imshow(plane, cmap=_map(missing), vmin=-most, vmax=most, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_color(FAINT)
    if max(plane.shape) > WRITTEN:
        return
    size = min(8.0, 46 / max(plane.shape))
    for (row, column), value in np.ndenumerate(plane):
        ink = "white" if abs(value) > 0.62 * most else INK
        if missing != NAN and np.isnan(value):
            continue
        axis.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=size, color=ink)


# -- structure ---------------------------------------------------------------------------------------------------------


def _matrix(trace: Trace, cell: tuple[int, ...], terms: Terms, chosen: int) -> Any:
    """Of the pair of channels that the chosen product joins: rows are outputs of the convolution, columns inputs."""
    problem, edge = trace.problem, int(terms.edge[chosen])
    rows, columns = math.prod(problem.output_size), math.prod(problem.input_size)
    if max(rows, columns) > ENTRIES:
        raise ValueError(
            f"figure: the matrix has {rows} x {columns} entries; it is drawn for up to {ENTRIES} a side, larger ones by the page"
        )
    entries = trace.matrix(edge).to_sparse_coo()
    dense = np.full((rows, columns), np.nan)
    dense[tuple(entries.indices().numpy())] = entries.values().numpy()
    drawn, (axis,) = _figure(1, [columns])
    drawn.set_size_inches(5.2, 5.2 * min(max(rows / columns, 0.35), 1.4) + 0.6)
    most = float(np.abs(dense[np.isfinite(dense)]).max(initial=0)) or 1.0
    axis.imshow(dense, cmap=_map("#ffffff"), vmin=-most, vmax=most, interpolation="nearest")
    ends = terms.output[chosen], terms.input[chosen]
    written, read = ends[::-1] if trace.transposed else ends
    row = int(np.ravel_multi_index(tuple(written), problem.output_size))
    column = int(np.ravel_multi_index(tuple(read), problem.input_size))
    axis.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor=INK, linewidth=0.8)
    axis.axvspan(column - 0.5, column + 0.5, facecolor="none", edgecolor=INK, linewidth=0.8)
    axis.set_xlabel(f"input {read.tolist()} is column {column}", fontsize=8)
    axis.set_ylabel(f"output {written.tolist()} is row {row}", fontsize=8)
    axis.tick_params(labelsize=7)
    i, j = trace.edges[edge].tolist()
    axis.set_title(
        f"{trace.name}, channel {i} to {j}: {rows} x {columns}, {entries.values().numel()} weights",
        fontsize=9,
        color=INK,
    )
    return drawn


def _connections(trace: Trace, cell: tuple[int, ...], terms: Terms, chosen: int) -> Any:
    """Positions along the last direction: shared, tiled and local side by side; a colour is a kernel, a letter a weight."""
    axis_of = trace.problem.axes[-1]
    own, outputs = trace.problem.tile[-1], min(axis_of.output, 7)
    between = own if 1 < own < axis_of.output else 2
    kinds = [("shared", 1), ("tiled", min(between, axis_of.output)), ("local", axis_of.output)]
    drawn, axes = _figure(3, [1, 1, 1])
    drawn.set_size_inches(9.6, 2.6)
    table = (
        np.arange(outputs)[:, None] * axis_of.stride + np.arange(axis_of.kernel) * axis_of.dilation - axis_of.padding
    )
    if axis_of.flip:
        table = table[:, ::-1]
    for axis, (name, tile) in zip(axes, kinds, strict=True):
        for s in range(outputs):
            middle = (table[s, 0] + table[s, -1]) / 2
            for m in range(axis_of.kernel):
                h, colour = table[s, m], COLOURS[s % tile % len(COLOURS)]
                outside = not 0 <= h < axis_of.size
                axis.plot([middle, h], [1, 0], color=colour, linewidth=1.3, linestyle=":" if outside else "-", zorder=1)
                weight = s % tile * axis_of.kernel + m
                # near the output, where no lines cross yet
                part = 0.27 + 0.22 * (s % 2) if axis_of.kernel > 3 else 0.33
                axis.text(
                    middle + (h - middle) * part, 1 - part, _letter(weight), fontsize=8, style="italic", color=colour,
                    ha="center", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
                )  # fmt: skip
            axis.plot(middle, 1, "o", color=INK, markersize=6, zorder=2)
        for h in range(int(table.min()), int(table.max()) + 1):
            outside = not 0 <= h < axis_of.size
            axis.plot(h, 0, "o", color=INK, markersize=6, fillstyle="none" if outside else "full", zorder=2)
        is_own = ", this layer" if tile == own else ""
        axis.set_title(f"{name}{is_own}: {min(tile, axis_of.output) * axis_of.kernel} weights", fontsize=9, color=INK)
        axis.set_axis_off()
        axis.set_ylim(-0.2, 1.2)
    drawn.suptitle(f"{trace.name}: outputs above, inputs below", fontsize=9.5, color=INK)
    return drawn


def _letter(weight: int) -> str:
    return chr(97 + weight % 26) + "′" * (weight // 26)
