"""Per-call cost on a small problem, beside torch's own, and the cost of importing; medians, interleaved, one thread."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import convarium as cv


def medians(calls: dict[str, Callable[[], object]], rounds: int = 40, repeats: int = 50) -> dict[str, float]:
    """Microseconds a call, each the median of rounds in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(repeats):
                call()
            times[name].append((time.perf_counter() - begin) / repeats * 1e6)
    return {name: statistics.median(found) for name, found in times.items()}


def import_seconds(module: str) -> float:
    program = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs)


@dataclass(frozen=True)
class Costs:
    """Microseconds a call, by name, and seconds of an import."""

    calls: dict[str, float]
    torch: float
    convarium: float

    def __str__(self) -> str:
        lines = [f"{name:45} {microseconds:8.1f} us a call" for name, microseconds in self.calls.items()]
        imports = [f"{f'import {name}':45} {getattr(self, name):8.2f} s" for name in ("torch", "convarium")]
        return "\n".join(["A call of a small problem on one thread, and an import", *lines, *imports])


def measure() -> Costs:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    image, weight = torch.randn(1, 3, 8, 8), torch.randn(5, 3, 3, 3)
    learned, local = weight.clone().requires_grad_(), torch.randn(5, 6, 6, 3, 3, 3)
    found = medians(
        {
            "F.conv2d": lambda: F.conv2d(image, weight),
            "cv.conv2d, shared": lambda: cv.conv2d(image, weight),
            "F.conv2d, learning": lambda: F.conv2d(image, learned),
            "cv.conv2d, shared, learning": lambda: cv.conv2d(image, learned),
            "cv.conv2d, true convolution (our operator)": lambda: cv.conv2d(image, weight, flip=True),
            "cv.conv2d, local": lambda: cv.conv2d(image, local),
        }
    )
    torch.set_num_threads(threads)
    return Costs(found, import_seconds("torch"), import_seconds("convarium"))
