"""Measure a machine: what a matrix product, the memory and a call can do, with the threads that torch has and with one.

Each number is the best of several rounds, which are apart in time: what else runs seldom lasts through all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

from .profile import DTYPES, in_words

_SIZES = tuple(2**n for n in range(20, 29))  # bytes that copies move; those of the largest come from memory
_STAYS = 2 / 3  # of the best speed
_ROUNDS = 4
_SECONDS = 0.1  # of a round for each number
K = TypeVar("K")


def measure(say: Callable[[str], None] = lambda line: None) -> dict[int, dict[str, float]]:
    """By number of threads: bytes/s that a copy reads and writes, from memory and in the caches, bytes that stay there, seconds
    of a small call, FLOP/s by dtype."""
    threads = torch.get_num_threads()
    found: dict[int, dict[str, float]] = {}
    copies: dict[int, dict[int, float]] = {}
    try:
        for number in range(_ROUNDS):
            for count in sorted({1, threads}):
                torch.set_num_threads(count)
                say(f"{in_words(count)}, round {number + 1} of {_ROUNDS}")
                round = {"call": _calling()} | {name: _product(name) for name in DTYPES}
                found[count] = _better(found.get(count, round), round)
                speeds = {size: _copying(size) for size in _SIZES}
                copies[count] = _better(copies.get(count, speeds), speeds)
    finally:
        torch.set_num_threads(threads)
    return {count: _moving(copies[count]) | of for count, of in found.items()}


def _better(one: dict[K, float], other: dict[K, float]) -> dict[K, float]:
    return {name: (min if name == "call" else max)(one[name], other[name]) for name in other}


def _moving(speeds: dict[int, float]) -> dict[str, float]:
    """The speed of memory, that of the caches, and how much stays in them, from the speeds of copies by bytes moved."""
    cache = max(speeds.values())
    near = max(size for size, speed in speeds.items() if speed > _STAYS * cache)
    return {"memory": speeds[_SIZES[-1]], "cache": cache, "near": float(near)}


def _copying(size: int) -> float:
    numbers, copy = torch.ones(size // 8), torch.empty(size // 8)
    return size / _best(lambda: copy.copy_(numbers))


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
