"""Medians of calls that take turns, and the hardware's own limits measured beside them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median, and the quartiles."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> Timing:
        return Timing(factor * self.median, factor * self.low, factor * self.high)


def interleaved(
    calls: dict[str, Callable[[], object]], seconds: float = 3.0, least: int = 5, most: int = 60
) -> dict[str, Timing]:
    """Each call once a round, for about so many seconds in all; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.perf_counter()
    for turn in range(most + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                times[name].append(time.perf_counter() - start)
        if turn >= least and time.perf_counter() - begin > seconds:
            break
    return {name: Timing(statistics.median(found), *_quartiles(found)) for name, found in times.items()}


@dataclass(frozen=True)
class Limits:
    """What this machine can do with so many threads."""

    product: float  # FLOP/s of a large matrix product
    copy: float  # bytes/s read and written
    read: float  # bytes/s


def limits() -> Limits:
    a = torch.randn(2048, 2048)
    large = torch.randn(2**26)
    to = torch.empty_like(large)
    found = interleaved({"product": lambda: a @ a, "copy": lambda: to.copy_(large), "read": lambda: large.sum()}, 2.0)
    bytes_ = large.numel() * 4
    return Limits(
        2 * 2048**3 / found["product"].median, 2 * bytes_ / found["copy"].median, bytes_ / found["read"].median
    )


def _quartiles(found: list[float]) -> tuple[float, float]:
    low, _, high = statistics.quantiles(found, n=4)
    return low, high
