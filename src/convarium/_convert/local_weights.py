"""Locally connected weights of other libraries, as ours: ``(out_channels, *positions, in_channels, *kernel)``.

Each function takes arrays as the other library keeps them; letters in comments are those of its axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .._spec.geometry import Axis, output_size, same_output, window_places

Array = npt.NDArray[np.generic]


def keras_geometry(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: str
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Output size, and padding before and after; ``"same"`` begins the windows of these layers at ``s * stride - k // 2``."""
    if padding == "valid":
        none = tuple((0, 0) for _ in size)
        return tuple(output_size(s, k, u, 1, 0, 0) for s, k, u in zip(size, kernel, stride, strict=True)), none
    output = tuple(same_output(s, u) for s, u in zip(size, stride, strict=True))
    sides = zip(size, kernel, stride, output, strict=True)
    return output, tuple((k // 2, max((o - 1) * u + k - s - k // 2, 0)) for s, k, u, o in sides)


def from_keras(
    kernel: Array, implementation: int, *, first: bool, inputs: int, outputs: int,
    size: tuple[int, ...], taps: tuple[int, ...], stride: tuple[int, ...], padding: str,
) -> Array:  # fmt: skip
    """``first``: ``data_format="channels_first"``. The three layouts:

    1   (positions, taps x in, out), or (positions, in x taps, out) where channels are first
    2   a dense matrix of input by output, (*size, in, *positions, out), zero outside the windows; channels first likewise
    3   the entries of that matrix that lie inside, sorted by output and then by input
    """
    n = len(size)
    places, pads = keras_geometry(size, taps, stride, padding)
    expected: tuple[int, ...]
    if implementation == 1:
        expected = (math.prod(places), math.prod(taps) * inputs, outputs)
        _check(kernel, expected)
        inner = (inputs, *taps) if first else (*taps, inputs)
        parts = kernel.reshape(*places, *inner, outputs)
        if not first:
            parts = np.moveaxis(parts, 2 * n, n)
        return np.moveaxis(parts, -1, 0)
    sides = zip(size, taps, places, stride, pads, strict=True)
    at, inside = window_places(tuple(Axis(s, k, o, u, padding=before) for s, k, o, u, (before, _) in sides))
    if implementation == 2:
        expected = (inputs, *size, outputs, *places) if first else (*size, inputs, *places, outputs)
        _check(kernel, expected)
        if not first:
            kernel = np.moveaxis(np.moveaxis(kernel, n, 0), -1, n + 1)
        matrix = kernel.reshape(inputs, math.prod(size), outputs, math.prod(places))
        found = matrix[:, at, :, np.arange(len(at))[:, None]]  # (positions, taps, in, out)
        found = np.where(inside[:, :, None, None], found, 0).transpose(3, 0, 2, 1)
    else:
        _check(kernel, (int(inside.sum()) * inputs * outputs,))
        found = np.zeros((outputs, len(at), inputs, at.shape[1]), kernel.dtype)
        o, position, i, tap = np.nonzero(np.broadcast_to(inside[None, :, None, :], found.shape))
        place = at[position, tap]
        order = np.lexsort((place, i, position, o)) if first else np.lexsort((i, place, o, position))
        found[o[order], position[order], i[order], tap[order]] = kernel
    return found.reshape(outputs, *places, inputs, *taps)


def bias_from_keras(bias: Array, outputs: int, places: tuple[int, ...], *, first: bool) -> Array:
    """``(*positions, out)``; where channels are first, Keras reads the same numbers as ``(out, *positions)``."""
    _check(bias, (*places, outputs), "bias")
    return bias.reshape(outputs, *places) if first else np.moveaxis(bias, -1, 0)


def from_flax(call: str, kernel: Array, taps: tuple[int, ...]) -> Array:
    """``flax.linen.ConvLocal``: (*positions, in x taps, out), a window being all taps of its first channel, then of the next."""
    n, each = len(taps), math.prod(taps)
    if kernel.ndim != n + 2 or kernel.shape[-2] % each:
        raise ValueError(f"{call}: kernel must be (*positions, in_channels * {each}, out_channels), got {kernel.shape}")
    return np.moveaxis(kernel.reshape(*kernel.shape[:n], -1, *taps, kernel.shape[-1]), -1, 0)


def from_unfold(call: str, weight: Array, taps: tuple[int, ...]) -> Array:
    """The layer of PyTorch's forum, for ``unfold`` and a sum of products: (1, out, in, *positions, taps)."""
    n, each = len(taps), math.prod(taps)
    if weight.ndim != n + 4 or weight.shape[0] != 1 or weight.shape[-1] != each:
        raise ValueError(
            f"{call}: weight must be (1, out_channels, in_channels, *positions, {each}), got {weight.shape}"
        )
    return np.moveaxis(weight[0], 1, 1 + n).reshape(weight.shape[1], *weight.shape[3:-1], weight.shape[2], *taps)


def from_torch7(call: str, weight: Array) -> Array:
    """``nn.SpatialConvolutionLocal`` and its kin: (*positions, out, in, *kernel)."""
    if weight.ndim not in (4, 6, 8):
        raise ValueError(f"{call}: weight must be (*positions, out_channels, in_channels, *kernel), got {weight.shape}")
    return np.moveaxis(weight, weight.ndim // 2 - 1, 0)


def _check(array: Array, expected: tuple[int, ...], name: str = "kernel") -> None:
    if array.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
