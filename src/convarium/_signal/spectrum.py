r"""Through the spectrum: the product of two Fourier transforms is the transform of the convolution.

Source: Oppenheim and Schafer, *Discrete-Time Signal Processing*, ch. 8.7 (linear convolution by the DFT).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .._spec.lengths import transform_length
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
    """The length of the transform along each axis that needs one; an axis where an operand has one entry needs none."""
    lengths = {}
    for axis, start, size in zip(window.axes, window.start, window.size, strict=True):
        n, k = window.x[axis], window.w[axis]
        if min(n, k) > 1:
            lengths[axis] = transform_length(n, k, start, size)
    return lengths
