"""The run as pictures: learning curves with the kernels that were learned, and accuracy against parameters.

Colours are Okabe and Ito's, which colour-blind readers can tell apart, and every kind has a mark of its own as well. Kernels are
drawn on a scale from blue (negative) through white (zero) to red, the same on both sides of zero.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._files.failures import extra
from .kinds import KINDS
from .results import Key, Result, Row, rows
from .run_folder import RunFolder
from .tasks import TASKS

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKS = ("o", "s", "^", "D", "v", "P")
INK = "#333333"
_STYLE = {
    "font.size": 9, "axes.titlesize": 10, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#e4e4e4", "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False,
}  # fmt: skip


def write(run: RunFolder) -> list[str]:
    """Draw both pictures into a run's folder; returns their names."""
    results = run.results()
    with extra("matplotlib").rc_context(_STYLE):
        run.write("curves-and-kernels.png", _curves_and_kernels(run, results))
        run.write("accuracy-parameters.png", _accuracy_parameters(results, len(run.card.names)))
    return ["curves-and-kernels.png", "accuracy-parameters.png"]


def _figure(width: float, height: float) -> Any:
    return extra("matplotlib.figure").Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _look(kind: str) -> dict[str, Any]:
    place = list(KINDS).index(kind) % len(COLOURS)
    return {"color": COLOURS[place], "marker": MARKS[place]}


def _curves_and_kernels(run: RunFolder, results: Sequence[Result]) -> bytes:
    tasks = list(dict.fromkeys(result.task for result in results))
    kinds = list(dict.fromkeys(result.kind for result in results))
    columns = 3
    kernel_rows = -(-len(kinds) // columns)
    figure = _figure(11, 3.6 + 2.5 * kernel_rows)
    above, below = figure.subfigures(2, 1, height_ratios=[3.4, 2.5 * kernel_rows], hspace=0.04)
    axes = above.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for axis, task in zip(axes, tasks, strict=True):
        _curves(axis, [result for result in results if result.task == task])
        axis.set_title(f"{task}: {TASKS[task].summary}", loc="left")
    axes[0].set_ylabel("validation accuracy, %")
    above.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(kinds), fontsize=8.5)
    task = tasks[-1]
    below.suptitle(
        f"Middle-layer kernels learned for “{task}”: blue negative, white zero, red positive",
        x=0.01,
        ha="left",
        fontsize=10,
    )
    panels = below.subplots(kernel_rows, columns, squeeze=False, gridspec_kw={"wspace": 0.04}).flatten()
    for panel in panels:
        panel.set_axis_off()
    for panel, kind in zip(panels, kinds, strict=False):
        seed = next(result.seed for result in results if result.task == task and result.kind == kind)
        _kernels(panel, kind, run.weights(Key(task, kind, seed)))
    return _png(figure)


def _curves(axis: Any, results: Sequence[Result]) -> None:
    for kind in dict.fromkeys(result.kind for result in results):
        curves = [
            [100 * epoch.validation_accuracy for epoch in result.history] for result in results if result.kind == kind
        ]
        mean = torch.tensor(curves).mean(0)
        epochs = range(1, len(mean) + 1)
        look = _look(kind)
        axis.plot(epochs, mean, label=kind, markevery=max(1, len(mean) // 6), markersize=4, linewidth=1.4, **look)
        if len(curves) > 1:
            low, high = torch.tensor(curves).amin(0), torch.tensor(curves).amax(0)
            axis.fill_between(epochs, low, high, color=look["color"], alpha=0.13, linewidth=0)
    axis.set_xlabel("epoch (line: mean of seeds, band: from lowest to highest)")
    axis.xaxis.get_major_locator().set_params(integer=True)


def _kernels(panel: Any, kind: str, state: dict[str, Tensor]) -> None:
    """Draw kernels: every pair of channels where positions share them, else the strongest pair's, each at its place."""
    weight = state["middle.weight"].float()
    if weight.ndim == 6:
        strength = weight.square().sum((1, 2, 4, 5))
        output, channel = divmod(int(strength.argmax()), strength.shape[1])
        grid = weight[output, :, :, channel]
        height, width = grid.shape[:2]
        note = f"input channel {channel} to output {output}, its {height} x {width} kernels by place"
    else:
        grid = (weight if weight.ndim == 4 else _by_edge(weight, state["middle.edges"])).transpose(0, 1)
        rows_, columns = grid.shape[:2]
        note = f"{rows_} input channels down, {columns} outputs across"
        note += ", blank where not joined" if weight.ndim == 3 else ""
    image = _mosaic(grid)
    limit = float(image[image.isfinite()].abs().max()) or 1.0
    panel.imshow(image.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    panel.set_anchor("NW")
    panel.set_title(kind, loc="left", pad=14, fontweight="bold")
    panel.annotate(
        note, (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points", fontsize=8, in_layout=False
    )


def _by_edge(weight: Tensor, edges: Tensor) -> Tensor:
    """Kernels of a channel graph as (outputs, inputs, height, width), nothing where there is no edge."""
    inputs, outputs = edges
    grid = weight.new_full((int(outputs.max()) + 1, int(inputs.max()) + 1, *weight.shape[1:]), float("nan"))
    grid[outputs, inputs] = weight
    return grid


def _mosaic(grid: Tensor) -> Tensor:
    """``(rows, columns, height, width)`` side by side, one blank pixel between."""
    down, across, height, width = grid.shape
    framed = grid.new_full((down, across, height + 1, width + 1), float("nan"))
    framed[:, :, :height, :width] = grid
    return framed.transpose(1, 2).reshape(down * (height + 1), across * (width + 1))[:-1, :-1]


def _accuracy_parameters(results: Sequence[Result], classes: int) -> bytes:
    table = rows(results)
    tasks = list(dict.fromkeys(row.task for row in table))
    figure = _figure(11, 4.6)
    axes = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axis, task in zip(axes, tasks, strict=True):
        _points(axis, [row for row in table if row.task == task])
        axis.set_title(f"{task}: {TASKS[task].summary}", loc="left")
        axis.set_xlabel("parameters of the whole network (equal numbers are drawn side by side)")
        if (placeless := TASKS[task].placeless) is not None:
            axis.set_ylim(bottom=min(axis.get_ylim()[0], 100 * placeless(classes) - 2))
            axis.axhline(100 * placeless(classes), color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
            axis.annotate(
                "knows both images, not which is where", (1, 100 * placeless(classes)), xycoords=("axes fraction", "data"),
                xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8,
            )  # fmt: skip
    axes[0].set_ylabel("test accuracy, %, with 95 % interval over seeds")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8.5)
    return _png(figure)


def _points(axis: Any, table: Sequence[Row]) -> None:
    """One point a kind; those that would lie on one another are moved apart a little."""
    for row in table:
        same = [other.kind for other in table if other.parameters == row.parameters]
        moved = row.parameters * 1.07 ** (2 * same.index(row.kind) - len(same) + 1)
        low, high = max(0.0, row.low), min(1.0, row.high)
        error = None if row.half is None else [[100 * (row.accuracy - low)], [100 * (high - row.accuracy)]]
        axis.errorbar(
            moved, 100 * row.accuracy, yerr=error, capsize=3, markersize=7, linestyle="none", label=row.kind,
            markeredgecolor="white", markeredgewidth=0.6, **_look(row.kind),
        )  # fmt: skip
    axis.set_xscale("log")
    axis.margins(x=0.15, y=0.12)
    axis.set_ylim(top=min(101.0, axis.get_ylim()[1]))
