"""The roofline of a run as a picture: every case by its operations a byte, ours and the best peer, under the machine's limits.

A step is three maps; its bytes are those of input, weight and output, moved once for each. A point above the roof does fewer
operations than the sum as it is written: a Fourier transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import peers
from .measure import Limits
from .run import Measured

PATH = Path(__file__).with_name("roofline.svg")
_OURS, _THEIRS, _INK = "#c2410c", "#6b7280", "#71717a"  # read on white and on black


def draw(measured: Sequence[Measured], limits: Limits, machine: str, path: Path = PATH) -> Path:
    import matplotlib.pyplot as plt
    import numpy as np

    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "roofline", "font.size": 9, "text.color": _INK,
                     "axes.edgecolor": _INK, "xtick.color": _INK, "ytick.color": _INK, "axes.labelcolor": _INK}  # fmt: skip
    figure, axes = plt.subplots(figsize=(9, 5.4))
    points = [(one, one.flops / one.bytes, 3 * one.flops / one.step[peers.OURS].median) for one in measured]
    low, high = min(x for _, x, _ in points) / 1.6, max(x for _, x, _ in points) * 1.6
    x = np.geomspace(low, high, 200)
    axes.plot(x, np.minimum(limits.product, limits.read * x) / 1e9, color=_INK, linewidth=1.2)
    axes.annotate(f"matrix product, {limits.product / 1e9:.0f} GFLOP/s", (high, limits.product / 1e9), xytext=(-4, 4),
                  textcoords="offset points", ha="right")  # fmt: skip
    axes.annotate(f"reading, {limits.read / 1e9:.0f} GB/s", (low, limits.read * low / 1e9), xytext=(14, 2),
                  textcoords="offset points", rotation=38, rotation_mode="anchor")  # fmt: skip
    taken: list[tuple[float, float]] = []
    for one, intensity, rate in sorted(points, key=lambda point: -point[2]):
        others = [timing.median for name, timing in one.step.items() if name != peers.OURS and peers.SHARED not in name]
        if others:
            best = 3 * one.flops / min(others) / 1e9
            axes.plot([intensity] * 2, [best, rate / 1e9], color=_THEIRS, linewidth=0.6, zorder=1)
            axes.scatter(intensity, best, s=22, facecolors="none", edgecolors=_THEIRS, zorder=2)
        axes.scatter(intensity, rate / 1e9, s=26, color=_OURS, zorder=3)
        place = _free(taken, np.log10(intensity) / np.log10(high / low), np.log10(rate))
        axes.annotate(
            one.case.name, (intensity, rate / 1e9), xytext=(6, 3 + 9 * place), textcoords="offset points", fontsize=7.5
        )
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
    beside = path.with_suffix(".tmp.svg")
    figure.savefig(beside, transparent=True, metadata={"Date": None})
    plt.close(figure)
    beside.replace(path)
    return path


def _free(taken: list[tuple[float, float]], x: float, y: float) -> int:
    """How many lines up or down a label goes, so that it lies on no other."""
    for step in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        where = (x, y + 0.055 * step)
        if all(abs(where[0] - other[0]) > 0.16 or abs(where[1] - other[1]) > 0.05 for other in taken):
            taken.append(where)
            return step
    return 0
