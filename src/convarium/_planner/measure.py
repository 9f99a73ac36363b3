"""Measure a machine: what a matrix product, the memory and a call can do, with the threads that torch has and with one.

Each number is the best of several rounds, which are apart in time: what else runs seldom lasts through all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from .profile import DTYPES, in_words

_MIB = 2**20
_ROUNDS = 4
_SECONDS = 0.1  # of a round for each number


def measure(say: Callable[[str], None] = lambda line: None) -> dict[int, dict[str, float]]:
    """By number of threads: bytes/s that a copy reads and writes, seconds of a small call, FLOP/s by dtype."""
    threads = torch.get_num_threads()
    found: dict[int, dict[str, float]] = {}
    try:
        for number in range(_ROUNDS):
            for count in sorted({1, threads}):
                torch.set_num_threads(count)
                say(f"{in_words(count)}, round {number + 1} of {_ROUNDS}")
                round = {"memory": _copying(), "call": _calling()} | {name: _product(name) for name in DTYPES}
                best = found.setdefault(count, round)
                found[count] = {name: (min if name == "call" else max)(best[name], round[name]) for name in round}
    finally:
        torch.set_num_threads(threads)
    return found


def _copying() -> float:
    numbers, copy = torch.ones(128 * _MIB // 4), torch.empty(128 * _MIB // 4)
    return 2 * numbers.nbytes / _best(lambda: copy.copy_(numbers))


def _calling() -> float:
    input, weight = torch.ones(1, 4, 8), torch.ones(4, 4, 3)
    return 2 * _best(lambda: torch.nn.functional.conv1d(input, weight))


def _product(name: str) -> float:
    dtype = getattr(torch, name)
    n = 512 if dtype.is_complex else 1024
    a, b = (torch.ones(n, n, dtype=dtype) for _ in range(2))
    return (8 if dtype.is_complex else 2) * n**3 / _best(lambda: a @ b)


def _best(work: Callable[[], object]) -> float:
    """The least time of repeated calls: what the machine can do, not what it did."""
    work()
    least, until = float("inf"), time.perf_counter() + _SECONDS
    while True:
        begin = time.perf_counter()
        work()
        end = time.perf_counter()
        least = min(least, end - begin)
        if end > until:
            return least
