"""Results as text: a table a case on the terminal, all of them in a file, dated, with the command that made them.

``RESULTS.md`` is of a machine with the widest vectors that the core knows; another instruction set has a file of its own."""

from __future__ import annotations

import datetime
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import convarium as cv
from convarium._native import library

from . import peers, roofline
from .measure import Limits, Timing
from .run import Measured

HERE = Path(__file__).parent
WIDEST = "avx512"


@dataclass
class Report:
    """What was measured in one run."""

    threads: int
    limits: Limits | None
    whole: dict[str, Any]  # what was measured as a whole, by name: values that print themselves
    measured: list[Measured] = field(default_factory=list)

    def add(self, measured: Measured) -> None:
        self.measured.append(measured)

    def last(self) -> str:
        return "\n".join(_lines(self.measured[-1]))

    def as_data(self) -> dict[str, Any]:
        return {
            "machine": machine(self.threads),
            "limits": asdict(self.limits) if self.limits else None,
            **{name: asdict(found) for name, found in self.whole.items()},
            "cases": [asdict(measured) for measured in self.measured],
        }

    def save(self, arguments: list[str]) -> Path:
        isa = _isa()
        suffix = "" if isa == WIDEST else f"-{isa}"
        path = HERE / f"RESULTS{suffix}.md"
        lines = [
            "# What was measured" if isa == WIDEST else f"# What was measured with {isa}",
            "",
            f"`python -m benchmarks {' '.join(arguments)}`, {datetime.date.today()}.",
            "",
        ]
        lines += [f"{machine(self.threads)}.", ""]
        if self.limits:
            limits = self.limits
            lines += [
                f"Limits, measured in the same run: matrix product {limits.product / 1e9:.0f} GFLOP/s, "
                f"read {limits.read / 1e9:.1f} GB/s, copy {limits.copy / 1e9:.1f} GB/s (read and written together).", "",
            ]  # fmt: skip
        lines += [
            "Medians of calls that take turns. A step is forward and both gradients through autograd, results returned fresh and "
            f"freed by the caller. *{peers.SHARED}* is another function, with as many FLOPs: the bar for the others.", "",
        ]  # fmt: skip
        if absent := peers.absent():
            lines += [f"Not installed, so not in the tables: {', '.join(absent)}.", ""]
        if self.limits and len(self.measured) > 1:
            drawn = roofline.draw(self.measured, self.limits, machine(self.threads), HERE / f"roofline{suffix}.svg")
            lines += [f"![Every case under the machine's limits]({drawn.name})", ""]
        for measured in self.measured:
            lines += ["```", *_lines(measured), "```", ""]
        for name, found in self.whole.items():
            text = str(found)
            lines += ["```", text, "```", ""] if "\n" in text else [f"{text}.", ""]
            if hasattr(found, "draw"):
                drawn = HERE / f"{name}{suffix}.svg"
                found.draw(drawn)
                lines += [f"![{name}]({drawn.name})", ""]
        beside = path.with_suffix(".tmp")
        beside.write_text("\n".join(lines).rstrip() + "\n")
        os.replace(beside, path)
        return path


def _isa() -> str:
    """The vectors that the core runs in, or none."""
    core = library.load()
    return "none" if isinstance(core, library.MissingCore) else core.cv_isa().decode()


def machine(threads: int) -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next(
            (line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")),
            model,
        )
    widest = cv.engines()["native"]
    return f"{model}, {threads} threads, {platform.system()}, torch {torch.__version__}; native engine: {widest} ({_isa()})"


def _lines(measured: Measured) -> list[str]:
    case = measured.case
    lines = [
        f"{case.name}: {case.kind} {case.inputs}->{case.outputs}, kernel {_size(case.kernel)}, output {_size(case.output)}, "
        f"batch {case.batch}; {measured.flops / 1e9:.3g} GFLOP a map, weights {measured.weight_bytes / 1e6:.3g} MB, "
        f"engine {measured.engine}",
        f"  {'':34}{'forward':>32}  {'step':>32}",
    ]
    for name in measured.forward:
        cells = []
        for timings, maps in ((measured.forward, 1), (measured.step, 3)):
            if name not in timings:
                cells.append("")
                continue
            timing, ours = timings[name], timings[peers.OURS]
            rate = maps * measured.flops / timing.median / 1e9
            cells.append(f"{_milliseconds(timing)} {rate:6.1f} GF/s {timing.median / ours.median:6.2f}x")
        lines.append(f"  {name:34}{cells[0]:>32}  {cells[1]:>32}".rstrip())
    return lines


def _milliseconds(timing: Timing) -> str:
    return f"{timing.median * 1e3:8.2f} ms"


def _size(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
