"""How long a Fourier transform must be for a convolution, and at which lengths transforms are fast."""

from __future__ import annotations

import functools
import math

import torch


def transform_length(n: int, k: int, start: int, size: int) -> int:
    """A fast length at which `size` entries, from `start` on, of the full convolution of `n` and `k` are not aliased.

    At length `N` the indices `f` and `f + N` of the full convolution fall together. The entries stay clean if
    `start + N` is past the full convolution's end and `start + size` no more than `N`. So ``'valid'`` needs no more than
    the longer operand, and ``'same'`` half a kernel more.
    """
    fast = fast_length.__wrapped__ if torch.compiler.is_compiling() else fast_length  # tracing sees through no cache
    return fast(max(n, k, start + size, n + k - 1 - start))


@functools.lru_cache(maxsize=1024)
def fast_length(least: int) -> int:
    """The smallest number from `least` on that has no prime factor above 7, the lengths that transforms are fast at."""
    best = 1 << (least - 1).bit_length()
    for seven in _powers(7, best):
        for five in _powers(5, best // seven):
            for three in _powers(3, best // (seven * five)):
                odd = seven * five * three
                best = min(best, odd << (math.ceil(least / odd) - 1).bit_length())
    return best


def _powers(base: int, limit: int) -> list[int]:
    powers = [1]
    while powers[-1] * base <= limit:
        powers.append(powers[-1] * base)
    return powers
