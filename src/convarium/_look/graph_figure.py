"""Channel graphs as figures: layers of channels from left to right, edges between them, and what a chosen output sees.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; what is not reached is hollow and crossed as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._files.failures import extra
from .._spec.channels import ChannelGraph
from .._spec.stack import ChannelStack, seen_by

INK, FAINT, SEEN, LOST = "#333333", "#b8b8b8", "#0072B2", "#D55E00"
LABELLED = 32  # channels of a layer that are numbered


def figure(graphs: ChannelGraph | ChannelStack, output: int | None = None) -> Any:
    """A matplotlib figure; ``output`` is the channel of the last layer whose receptive field is drawn out."""
    stack = graphs if isinstance(graphs, ChannelStack) else ChannelStack(graphs)
    call = f"{type(graphs).__name__}.figure"
    fields = None if output is None else [set(field) for field in seen_by(call, stack, output)]
    most, lines = max(stack.widths), extra("matplotlib.collections", "look").LineCollection
    size = (2.2 + 2.4 * len(stack), min(max(0.26 * most + 1.3, 3.2), 8))
    drawn = extra("matplotlib.figure", "look").Figure(figsize=size, dpi=130, layout="constrained")
    axes: Any = drawn.subplots()
    places = [_spread(width, most) for width in stack.widths]
    for layer, graph in enumerate(stack):
        chosen: list[Any] = []
        others: list[Any] = []
        for i, j in graph.edges.T.tolist():
            line = [(layer, places[layer][i]), (layer + 1, places[layer + 1][j])]
            (chosen if fields is not None and j in fields[layer + 1] and i in fields[layer] else others).append(line)
        thin = min(1.0, 60 / max(len(others), 1) + 0.25)
        faint: dict[str, Any] = {
            "colors": FAINT if fields else INK,
            "linewidths": 0.7 * thin + 0.2,
            "alpha": max(thin, 0.35),
        }
        axes.add_collection(lines(others, **faint))
        axes.add_collection(lines(chosen, colors=SEEN, linewidths=1.6, zorder=2))
    dot = float(np.clip(900 / most, 6, 90))
    for layer, (width, heights) in enumerate(zip(stack.widths, places, strict=True)):
        seen = np.array([fields is None or channel in fields[layer] for channel in range(width)])
        colour = INK if fields is None else SEEN
        axes.scatter(np.full(seen.sum(), layer), heights[seen], s=dot, color=colour, zorder=3)
        lost, hollow = heights[~seen], {"facecolor": "white", "linewidth": 1.4, "zorder": 3}
        across = np.full(len(lost), layer)
        if fields is not None and layer == 0:  # what the output does not see of the input
            axes.scatter(across, lost, s=dot, edgecolor=LOST, **hollow)
            axes.scatter(across, lost, s=dot / 4, marker="x", color=LOST, linewidth=1, zorder=4)
        else:
            axes.scatter(across, lost, s=dot, edgecolor=FAINT, **hollow)
        if width <= LABELLED and layer in (0, len(stack)):
            for channel, height in enumerate(heights):
                side = -1 if layer == 0 else 1
                axes.annotate(
                    str(channel), (layer, height), (7 * side, 0), textcoords="offset points", va="center", fontsize=7,
                    ha="right" if side < 0 else "left", color=INK,
                )  # fmt: skip
    axes.set_xlim(-0.35, len(stack) + 0.35)
    axes.set_ylim(most - 0.4, -0.6)
    axes.set_yticks([])
    names = ["input", *(f"layer {n + 1}" for n in range(len(stack)))] if len(stack) > 1 else ["input", "output"]
    axes.set_xticks(
        range(len(stack) + 1), [f"{name}\n{width}" for name, width in zip(names, stack.widths, strict=True)]
    )
    axes.tick_params(length=0, labelsize=8, colors=INK)
    for layer, graph in enumerate(stack):
        axes.annotate(graph.name, (layer + 0.5, 1), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
                      ha="center", fontsize=8, color=INK)  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.set_title(_title(stack, output, fields), fontsize=9, color=INK, pad=20)
    return drawn


def _spread(width: int, most: int) -> Any:
    """Heights of so many channels beside a layer of the most."""
    return np.linspace(0, most - 1, width) if width > 1 else np.array([(most - 1) / 2])


def _title(stack: ChannelStack, output: int | None, fields: list[set[int]] | None) -> str:
    if fields is not None:
        lost = stack.widths[0] - len(fields[0])
        return f"output {output} sees {len(fields[0])} of {stack.widths[0]} inputs" + (f", {lost} not" if lost else "")
    if stack.is_full:
        return "every output sees every input"
    every = stack.widths[0] * stack.widths[-1]
    return f"outputs see {100 * stack.reach.n_edges / every:.0f} % of the inputs"
