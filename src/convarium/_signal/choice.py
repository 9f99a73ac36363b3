"""Direct or by FFT: what each costs, from the shapes, and when the values forbid the FFT; and running the one chosen."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .arrays import readable
from .shifts import by_shifts
from .spectrum import by_spectrum, transform_lengths
from .window import Window

METHODS = ("auto", "direct", "fft")

# In units of one real multiply-add of the direct sum: measured on one core, float32 and float64, rounded.
CALL = 30_000  # one step of the loop over shifts, whatever its length
FFT_CALL = 150_000  # three transforms and a product, whatever their length
POINT = {1: 3.0, 2: 1.0}  # a transform of N points costs POINT * N * log2(N); along one axis it has no rows to share
COMPLEX_ADD = 2.5  # a complex multiply-add
COMPLEX_POINT = 1.2  # a complex transform beside a real one of as many points


def compute(x: Tensor, w: Tensor, window: Window, method: str) -> Tensor:
    if method == "auto":
        method = choose(x, w, window)
    if method == "fft" and 0 not in window.batch:  # of nothing there is no transform
        return by_spectrum(x, w, window)
    return by_shifts(x, w, window)


def choose(x: Tensor, w: Tensor, window: Window) -> str:
    """``"fft"`` where it is estimated to be faster and gives what the direct sum would, else ``"direct"``."""
    if fft_cost(window, x.is_complex()) >= direct_cost(window, x.is_complex()):
        return "direct"
    return "fft" if _fft_is_safe(x, w, window) else "direct"


def direct_cost(window: Window, is_complex: bool) -> float:
    """Multiply-adds, and the calls that the loop makes, one for each entry of the smaller operand (or each output)."""
    calls = min([math.prod([shape[axis] for axis in window.axes]) for shape in (window.x, window.w, window.output)])
    return CALL * calls + (COMPLEX_ADD if is_complex else 1) * window.multiply_adds


def fft_cost(window: Window, is_complex: bool) -> float:
    """Three transforms, of `x`, of `w` and back, each over its own batch."""
    lengths = transform_lengths(window)
    points = math.prod(list(lengths.values()))
    batches = sum(
        [
            math.prod([length for axis, length in enumerate(shape) if axis not in lengths])
            for shape in (window.x, window.w, window.output)
        ]
    )
    point = POINT[min(max(len(lengths), 1), 2)] * (COMPLEX_POINT if is_complex else 1)
    return FFT_CALL + batches * point * points * math.log2(max(points, 2))


def _fft_is_safe(x: Tensor, w: Tensor, window: Window) -> bool:
    whole = not (x.is_floating_point() or x.is_complex())
    values = readable(x, w)
    if values is None:  # no values to look at yet: integers stay exact, floats go by cost alone
        return not whole
    if not whole:
        return all(bool(torch.isfinite(value).all()) for value in values)
    # The error of a transform is at most a few units in the last place, times log2 of its length, of the two norms'
    # product; where that is below 1/8, rounding to whole numbers is exact. No norm here can overflow.
    norms = [float(torch.linalg.vector_norm(value.to(torch.float64))) for value in values]
    points = math.prod(list(transform_lengths(window).values()))
    return 8 * torch.finfo(torch.float64).eps * math.log2(max(points, 2)) * norms[0] * norms[1] < 0.125
