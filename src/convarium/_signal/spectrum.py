r"""Through the spectrum: the product of two Fourier transforms is the transform of the convolution.

Source: Oppenheim and Schafer, *Discrete-Time Signal Processing*, ch. 8.7 (linear convolution by the DFT).
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from .window import Window


def by_spectrum(x: Tensor, w: Tensor, window: Window) -> Tensor:
    """The window of the convolution of `x` and `w` by fast Fourier transforms; integers are rounded at the end."""
    lengths = transform_lengths(window)
    axes, sizes = tuple(lengths), list(lengths.values())
    whole = not (x.is_floating_point() or x.is_complex())
    exact = x.dtype
    if whole:
        x, w = x.to(torch.float64), w.to(torch.float64)
    if not axes:
        z = x * w
    elif x.is_complex():
        z = torch.fft.ifftn(torch.fft.fftn(x, sizes, axes) * torch.fft.fftn(w, sizes, axes), sizes, axes)
    else:
        z = torch.fft.irfftn(torch.fft.rfftn(x, sizes, axes) * torch.fft.rfftn(w, sizes, axes), sizes, axes)
    for axis, start, size in zip(window.axes, window.start, window.size, strict=True):
        z = z.narrow(axis, start, size)
    return z.round().to(torch.int64).to(exact) if whole else z.contiguous()


def transform_lengths(window: Window) -> dict[int, int]:
    """The length of the transform along each axis that needs one: a fast length at which nothing wanted is aliased.

    At length `N` the indices `f` and `f + N` of the full convolution fall together. The window, from `start` to `stop`,
    stays clean if `start + N` is past the full convolution's end and `stop` no more than `N`. So ``'valid'`` needs no more
    than the longer operand, and ``'same'`` half a kernel more. An axis where an operand has one entry needs none.
    """
    fast = fast_length.__wrapped__ if torch.compiler.is_compiling() else fast_length  # tracing sees through no cache
    lengths = {}
    for axis, start, size in zip(window.axes, window.start, window.size, strict=True):
        n, k = window.x[axis], window.w[axis]
        if min(n, k) > 1:
            lengths[axis] = fast(max(n, k, start + size, n + k - 1 - start))
    return lengths


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
