"""The roofline of a run as a picture: every case by its operations a byte, ours and the best peer, under the machine's limits.

A step is three maps; its bytes are those of input, weight and output, moved once for each. A point above the roof does fewer
operations than the sum as it is written: a Fourier transform.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from . import peers
from .measure import Limits
from .run import Measured

_OURS, _THEIRS, _INK = "#c2410c", "#6b7280", "#71717a"  # read on white and on black


def draw(measured: Sequence[Measured], limits: Limits, machine: str, path: Path) -> Path:
    import matplotlib.pyplot as plt
    import numpy as np

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "roofline", "font.size": 9, "text.color": _INK,
                     "axes.edgecolor": _INK, "xtick.color": _INK, "ytick.color": _INK, "axes.labelcolor": _INK}  # fmt: skip
    figure, axes = plt.subplots(figsize=(9, 5.4))
    points = [(one, one.flops / one.bytes, 3 * one.flops / one.step[peers.OURS].median) for one in measured]
    low, high = min(x for _, x, _ in points) / 1.6, max(x for _, x, _ in points) * 4
    x = np.geomspace(low, high, 200)
    axes.plot(x, np.minimum(limits.product, limits.read * x) / 1e9, color=_INK, linewidth=1.2)
    axes.annotate(f"matrix product, {limits.product / 1e9:.0f} GFLOP/s", (high, limits.product / 1e9), xytext=(-4, 4),
                  textcoords="offset points", ha="right")  # fmt: skip
    axes.annotate(f"reading, {limits.read / 1e9:.0f} GB/s", (low, limits.read * low / 1e9), xytext=(10, 9),
                  textcoords="offset points", rotation=36, rotation_mode="anchor")  # fmt: skip
    for one, intensity, rate in points:
        others = [timing.median for name, timing in one.step.items() if name != peers.OURS and peers.SHARED not in name]
        if others:
            best = 3 * one.flops / min(others) / 1e9
            axes.plot([intensity] * 2, [best, rate / 1e9], color=_THEIRS, linewidth=0.6, zorder=1)
            axes.scatter(intensity, best, s=22, facecolors="none", edgecolors=_THEIRS, zorder=2)
        axes.scatter(intensity, rate / 1e9, s=26, color=_OURS, zorder=3)
    axes.scatter([], [], s=26, color=_OURS, label="convarium, a whole step")
    axes.scatter([], [], s=22, facecolors="none", edgecolors=_THEIRS, label="the best that computes the same")
    axes.legend(frameon=False, loc="lower right")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(low, high),
        xlabel="operations a byte",
        ylabel="GFLOP/s, forward and both gradients",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(machine.split(";")[0], fontsize=9, loc="left", color=_INK)
    figure.tight_layout()
    places = [tuple(axes.transData.transform((intensity, rate / 1e9))) for _, intensity, rate in points]
    for (one, intensity, rate), (right, up) in zip(
        points, _labels(places, [one.case.name for one, _, _ in points]), strict=True
    ):
        near = math.hypot(right, up) < 14
        axes.annotate(
            one.case.name, (intensity, rate / 1e9), xytext=(right, up), textcoords="offset pixels", fontsize=7.5, va="center",
            arrowprops=None if near else {"arrowstyle": "-", "linewidth": 0.4, "color": _INK, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
    beside = path.with_suffix(f".tmp{path.suffix}")
    figure.savefig(
        beside, transparent=path.suffix == ".svg", metadata={"Date": None} if path.suffix == ".svg" else None
    )
    plt.close(figure)
    beside.replace(path)
    return path


def _labels(points: list[tuple[float, float]], names: list[str]) -> list[tuple[float, float]]:
    """Where each label begins, in pixels from its point: as near as there is room, beside other labels and points."""
    height, letter = 12, 5.3
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    found: list[tuple[float, float]] = [(0, 0)] * len(points)
    for index in sorted(range(len(points)), key=lambda index: -points[index][1]):
        (x, y), width = points[index], letter * len(names[index])
        for distance, angle in itertools.product(range(8, 120, 6), range(0, 360, 20)):
            right, up = distance * math.cos(math.radians(angle)), distance * math.sin(math.radians(angle))
            left = x + right - (width if right < 0 else 0)
            box = (left, y + up - height / 2, left + width, y + up + height / 2)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                taken.append(box)
                found[index] = (left - x, up)
                break
    return found
