"""The edges between two layers of a figure: a line each where they are few, else one shape for what is complete.

A block whose channels lie side by side is a band; a few blocks whose channels lie apart meet in a knot each, from which they fan
out; any other graph is shown by its mask, shaded by density. So a million edges take no more shapes than a thousand.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._files.failures import extra
from .._spec.channels import Block, ChannelGraph
from .._spec.patterns import Mask

INK, FAINT, SEEN = "#333333", "#b8b8b8", "#0072B2"
LINES = 1600  # edges that are drawn one by one
BANDS, KNOTS = 256, 16  # shapes that can be told apart
FAN = 8  # runs of channels that a knot fans out to one by one; more are one shape, as pale as their gaps make it
CELLS = 128  # of a shaded mask, a side
LEFT, RIGHT = 0.22, 0.86  # where a shaded mask lies between two layers

Places = npt.NDArray[np.float64]
Run = tuple[float, float]  # the heights between which channels lie side by side


class Part(NamedTuple):
    """What a block joins, as runs of channels: its chosen outputs, or its others."""

    block: int
    inputs: list[Run]
    outputs: list[Run]
    chosen: bool


def draw(axes: Any, layer: int, graph: ChannelGraph, places: tuple[Places, Places], chosen: Mask | None) -> None:
    """Draw ``graph`` from ``layer`` to the next, whose channels have these heights; ``chosen`` outputs stand out, if any are."""
    if graph.n_edges <= LINES:
        _lines(axes, layer, graph, places, chosen)
        return
    parts = list(_parts(graph.blocks, places, chosen)) if len(graph.blocks) <= BANDS else []
    if parts and sum(len(part.inputs) * len(part.outputs) for part in parts) <= BANDS:
        _bands(axes, layer, parts, chosen is not None)
    elif parts and len(graph.blocks) <= KNOTS:
        _knots(axes, layer, parts, places, chosen is not None)
    else:
        _shades(axes, layer, graph.mask(), places, chosen)


def runs(channels: Sequence[int], places: Places) -> list[Run]:
    """Heights that channels take, those side by side as one."""
    half = 0.4 * (places[1] - places[0]) if len(places) > 1 else 0.4
    numbers = np.asarray(channels)
    cuts = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [(places[run[0]] - half, places[run[-1]] + half) for run in np.split(numbers, cuts)]


def _lines(axes: Any, layer: int, graph: ChannelGraph, places: tuple[Places, Places], chosen: Mask | None) -> None:
    make = extra("matplotlib.collections", "look").LineCollection
    inputs, outputs = graph.edges
    ends = np.stack([places[0][inputs], places[1][outputs]], axis=1)
    lines = np.stack([np.broadcast_to([layer, layer + 1], ends.shape), ends], axis=2)
    ours = np.zeros(len(lines), dtype=np.bool_) if chosen is None else chosen[outputs]
    thin = min(1.0, 60 / max(len(ours) - int(ours.sum()), 1) + 0.25)
    faint: dict[str, Any] = {"linewidths": 0.7 * thin + 0.2, "alpha": max(thin, 0.35)}
    axes.add_collection(make(lines[~ours], colors=INK if chosen is None else FAINT, **faint))
    bold = 1.0 if ours.sum() <= 64 else 0.5
    axes.add_collection(make(lines[ours], colors=SEEN, linewidths=1.6 * bold, alpha=bold, zorder=2))


def _parts(blocks: Sequence[Block], places: tuple[Places, Places], chosen: Mask | None) -> Iterator[Part]:
    for number, block in enumerate(blocks):
        outputs = np.array(block.outputs)
        ours = np.zeros(len(outputs), dtype=np.bool_) if chosen is None else chosen[outputs]
        for which in (False, True):
            if block.inputs and (of := outputs[ours == which].tolist()):
                yield Part(number, runs(block.inputs, places[0]), runs(of, places[1]), which)


def _bands(axes: Any, layer: int, parts: Sequence[Part], choosing: bool) -> None:
    for part in parts:
        pairs = itertools.product(part.inputs, part.outputs)
        shapes = [_between(layer, a, layer + 1, b) for a, b in pairs]
        axes.add_collection(_filled(shapes, part, choosing, alpha=0.25, linewidths=0.8))


def _knots(axes: Any, layer: int, parts: Sequence[Part], places: tuple[Places, Places], choosing: bool) -> None:
    """A knot a block, half way, above each other in the order of their first outputs."""
    last = max(places[0][-1], places[1][-1])
    blocks = 1 + max(part.block for part in parts)
    for part in parts:
        at = last * (part.block + 0.5) / blocks
        for side, several in ((layer, part.inputs), (layer + 1, part.outputs)):
            whole = (several[0][0], several[-1][1])
            fan, full = (several, 1.0) if len(several) <= FAN else ([whole], _taken(several) / _taken([whole]))
            shapes = [_between(side, run, layer + 0.5, (at, at)) for run in fan]
            axes.add_collection(_filled(shapes, part, choosing, alpha=0.1 + 0.2 * full, linewidths=0.6))
        axes.scatter([layer + 0.5], [at], s=22, marker="s", color=_colour(part, choosing), zorder=3 + part.chosen)


def _taken(several: Sequence[Run]) -> float:
    return sum(below - above for above, below in several)


def _shades(axes: Any, layer: int, mask: Mask, places: tuple[Places, Places], chosen: Mask | None) -> None:
    """The mask as a picture: rows beside the outputs that they are, inputs across; the darker, the more of a cell's edges there
    are."""
    colour = extra("matplotlib.colors", "look").to_rgb
    density = _binned(mask)
    picture = np.ones((*density.shape, 4))
    picture[..., :3] = colour(INK if chosen is None else FAINT)
    picture[..., 3] = np.where(density > 0, 0.15 + 0.85 * density, 0)
    if chosen is not None:
        ours = _binned(mask & chosen[:, None]) > 0
        picture[ours, :3] = colour(SEEN)
        picture[ours, 3] = np.maximum(picture[ours, 3], 0.5)
    half = 0.5 * (places[1][1] - places[1][0]) if len(places[1]) > 1 else 0.5
    top, bottom = places[1][0] - half, places[1][-1] + half
    axes.imshow(
        picture, extent=(layer + LEFT, layer + RIGHT, bottom, top), aspect="auto", interpolation="nearest", zorder=2
    )
    frame = _between(layer + LEFT, (top, bottom), layer + RIGHT, (top, bottom))
    axes.add_collection(extra("matplotlib.collections", "look").PolyCollection(
        [frame], facecolors="none", edgecolors=FAINT, linewidths=0.8, zorder=2.5))  # fmt: skip
    axes.annotate(
        f"across: channels 0 to {mask.shape[1] - 1} on the left\ndown: 0 to {mask.shape[0] - 1} on the right",
        (layer + (LEFT + RIGHT) / 2, 0), (0, -4), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="center", va="top", fontsize=6.5, color=INK,
    )  # fmt: skip


def _binned(mask: Mask) -> npt.NDArray[np.float64]:
    """The part of the edges that are there, of each cell of channels side by side."""
    starts = [np.linspace(0, size, min(size, CELLS), endpoint=False).astype(int) for size in mask.shape]
    sizes = [np.diff(start, append=size) for start, size in zip(starts, mask.shape, strict=True)]
    counts = np.add.reduceat(np.add.reduceat(mask, starts[0], axis=0, dtype=np.int64), starts[1], axis=1)
    return np.asarray(counts / np.outer(*sizes))


def _between(left: float, a: Run, right: float, b: Run) -> list[tuple[float, float]]:
    return [(left, a[0]), (right, b[0]), (right, b[1]), (left, a[1])]


def _filled(shapes: Any, part: Part, choosing: bool, alpha: float, linewidths: float) -> Any:
    colour = _colour(part, choosing)
    found = extra("matplotlib.colors", "look").to_rgba(colour, alpha)
    return extra("matplotlib.collections", "look").PolyCollection(
        shapes, facecolors=[found], edgecolors=[colour], linewidths=linewidths, zorder=2 if part.chosen else 1
    )


def _colour(part: Part, choosing: bool) -> str:
    return SEEN if part.chosen else FAINT if choosing else INK
