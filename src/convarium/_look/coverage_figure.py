"""How evenly windows cover what they read, as heatmaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._files.failures import extra

ACROSS = 4  # heatmaps in a row


def figure(layers: Sequence[tuple[str, tuple[tuple[int, ...], ...]]]) -> Any:
    """``layers``: names, and in each direction the windows that each place is in; of three directions the last two are drawn."""
    if not layers:
        raise ValueError("figure: there is no convolution to draw")
    columns = min(len(layers), ACROSS)
    rows = math.ceil(len(layers) / columns)
    drawn = extra("matplotlib.figure", "look").Figure(
        figsize=(2.7 * columns, 2.8 * rows), dpi=130, layout="constrained"
    )
    axes = np.atleast_1d(drawn.subplots(rows, columns)).ravel()
    for axis, (name, counts) in zip(axes, layers, strict=False):
        down, across = ((1,), *counts)[-2:]
        covered = np.outer(down, across)
        image = axis.imshow(
            covered, cmap="cividis", vmin=0, interpolation="nearest", aspect="auto" if len(down) == 1 else "equal"
        )
        axis.set_title(f"{name}: {covered.min()} to {covered.max()}", fontsize=9)
        axis.tick_params(labelsize=7)
        drawn.colorbar(image, ax=axis, shrink=0.75).ax.tick_params(labelsize=7)
    for axis in axes[len(layers) :]:
        axis.set_axis_off()
    drawn.suptitle("windows that each place is in", fontsize=10)
    return drawn
