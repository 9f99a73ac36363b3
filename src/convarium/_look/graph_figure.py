"""Channel graphs as figures: layers of channels from left to right, edges between them, and what a chosen output sees.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. A channel is hollow where reach is missing: an output that
misses some inputs; crossed as well where nothing is reached.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .._files.failures import extra
from .._spec.channels import ChannelGraph
from .._spec.patterns import Mask
from .._spec.stack import ChannelStack, seen_by
from .graph_edges import FAINT, INK, SEEN, Places, draw, runs

LOST = "#D55E00"
LABELLED = 32  # channels of a layer that are numbered; of more, at most so many
DOTS = 128  # channels of a layer that are drawn one by one; more are a bar


class _Channels(NamedTuple):
    """How the channels of a layer look: which are hollow, and which of these crossed."""

    full: str
    hollow: Mask
    edge: str
    crossed: Mask


def figure(graphs: ChannelGraph | ChannelStack, output: int | None = None) -> Any:
    """A matplotlib figure; ``output`` is the channel of the last layer whose receptive field is drawn out."""
    stack = graphs if isinstance(graphs, ChannelStack) else ChannelStack(graphs)
    call = f"{type(graphs).__name__}.figure"
    fields = None if output is None else _masks(stack, seen_by(call, stack, output))
    reach = stack.reach.mask()
    most, last = max(stack.widths), len(stack)
    size = (2.2 + 2.4 * last, min(max(0.26 * most + 1.3, 3.2), 8))
    drawn = extra("matplotlib.figure", "look").Figure(figsize=size, dpi=130, layout="constrained")
    axes: Any = drawn.subplots()
    places = [_spread(width, most) for width in stack.widths]
    for layer, graph in enumerate(stack):
        draw(axes, layer, graph, (places[layer], places[layer + 1]), None if fields is None else fields[layer + 1])
        axes.annotate(graph.name, (layer + 0.5, 1), (0, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
                      ha="center", fontsize=8, color=INK)  # fmt: skip
    for layer, heights in enumerate(places):
        look = _reached(layer, last, reach) if fields is None else _seen(layer, fields[layer])
        (_dots if len(heights) <= DOTS else _bar)(axes, layer, heights, look, most)
    _numbers(axes, 0, places[0], None, None)
    _numbers(axes, last, places[last], output, None if fields else reach)
    axes.set_xlim(-0.35, last + 0.35)
    axes.set_ylim(most - 0.4, -0.6)
    axes.set_yticks([])
    names = ["input", *(f"layer {n + 1}" for n in range(last))] if last > 1 else ["input", "output"]
    axes.set_xticks(range(last + 1), [f"{name}\n{width}" for name, width in zip(names, stack.widths, strict=True)])
    axes.tick_params(length=0, labelsize=8, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_title(_title(reach, output), fontsize=9, color=INK, pad=20)
    return drawn


def _masks(stack: ChannelStack, fields: tuple[tuple[int, ...], ...]) -> list[Mask]:
    return [np.isin(np.arange(width), field) for width, field in zip(stack.widths, fields, strict=True)]


def _spread(width: int, most: int) -> Places:
    """Heights of so many channels beside a layer of the most."""
    return np.linspace(0, most - 1, width) if width > 1 else np.array([(most - 1) / 2])


def _seen(layer: int, seen: Mask) -> _Channels:
    """By what the chosen output sees."""
    return _Channels(SEEN, ~seen, FAINT if layer else LOST, ~seen & (layer == 0))


def _reached(layer: int, last: int, reach: Mask) -> _Channels:
    """By what the outputs see of the inputs."""
    some, every = np.logical_or.reduce, np.logical_and.reduce
    if layer == last:
        return _Channels(INK, ~every(reach, axis=1), LOST, ~some(reach, axis=1))
    lost = ~some(reach, axis=0) if layer == 0 else np.zeros(1, dtype=np.bool_)
    return _Channels(INK, lost, LOST, lost)


def _dots(axes: Any, layer: int, heights: Places, look: _Channels, most: int) -> None:
    size = float(np.clip(900 / most, 6, 90))
    hollow, crossed = (np.broadcast_to(mask, heights.shape) for mask in (look.hollow, look.crossed))
    for which, style in (
        (~hollow, {"s": size, "color": look.full}),
        (hollow, {"s": size, "facecolor": "white", "edgecolor": look.edge, "linewidth": min(1.4, size / 12)}),
        (crossed, {"s": size / 4, "marker": "x", "color": look.edge, "linewidth": 1}),
    ):
        axes.scatter(np.full(which.sum(), layer), heights[which], zorder=3 + (which is crossed), **style)


def _bar(axes: Any, layer: int, heights: Places, look: _Channels, most: int) -> None:
    make = extra("matplotlib.collections", "look").PolyCollection
    hollow, crossed = (np.broadcast_to(mask, heights.shape) for mask in (look.hollow, look.crossed))
    for which, face, edge in (
        (hollow & ~crossed, "white", look.edge),
        (crossed, look.edge, look.edge),
        (~hollow, look.full, look.full),
    ):
        spans = runs(np.flatnonzero(which).tolist(), heights) if which.any() else []
        outlined = len(spans) <= 64  # outlines of more would hide what they are around
        shapes = [[(layer - 0.02, a), (layer + 0.02, a), (layer + 0.02, b), (layer - 0.02, b)] for a, b in spans]
        style = {"facecolors": face if outlined else edge, "edgecolors": edge, "linewidths": 0.8 * outlined}
        axes.add_collection(make(shapes, zorder=3, **style))


def _numbers(axes: Any, layer: int, heights: Places, chosen: int | None, reach: Mask | None) -> None:
    """Number channels of the first or the last layer; beside outputs that miss some inputs, how many they see."""
    side, step = 1 if layer else -1, 1 << ((len(heights) - 1) // LABELLED).bit_length()
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "ha": "left" if layer else "right"}
    for channel in sorted({*range(0, len(heights), step), *(() if chosen is None else (chosen,))}):
        at, mine = (layer, heights[channel]), channel == chosen
        if chosen is not None and 0 < abs(channel - chosen) < step:  # no room beside it
            continue
        look: dict[str, Any] = {"color": SEEN, "fontweight": "bold"} if mine else {"color": INK}
        axes.annotate(str(channel), at, (8 * side, 0), fontsize=7, **look, **style)
        if reach is not None and not reach[channel].all():
            room = 12 + 4.5 * len(str(len(heights) - 1))
            told = f"{np.count_nonzero(reach[channel])} of {reach.shape[1]}"
            axes.annotate(told, at, (room, 0), fontsize=6, color=LOST, **style)


def _title(reach: Mask, output: int | None) -> str:
    inputs = reach.shape[1]
    if output is not None:
        seen = np.count_nonzero(reach[output])
        return f"output {output} sees {seen} of {inputs} inputs" + (f", {inputs - seen} not" if seen < inputs else "")
    if reach.all():
        return "every output sees every input"
    missing = np.count_nonzero(~reach.all(axis=1))
    return f"outputs see {100 * np.count_nonzero(reach) // reach.size} % of the inputs; {missing} of {len(reach)} miss some"
