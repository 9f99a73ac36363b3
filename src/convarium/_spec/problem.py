"""One convolution problem, whole: where windows lie, which kernels they use, which channels are joined, how many samples.

A :class:`Problem` is what plans are made for and what engines are handed. The three maps of one convolution share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch

from .geometry import Axis
from .limits import WORD
from .sharing import Sharing, sharing
from .tensors import check_dtype
from .wiring import Wiring, parse_edges, parse_wiring

Map = Literal["forward", "grad_input", "grad_weight"]
MAPS: tuple[Map, ...] = ("forward", "grad_input", "grad_weight")

OPERANDS: dict[Map, tuple[str, str]] = {
    "forward": ("input", "weight"),
    "grad_input": ("grad_output", "weight"),
    "grad_weight": ("input", "grad_output"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """All that determines a convolution but the numbers in its tensors."""

    batch: int
    wiring: Wiring
    axes: tuple[Axis, ...]
    tile: tuple[int, ...]
    dtype: torch.dtype
    device: str

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def flip(self) -> bool:
        return self.axes[0].flip

    @property
    def input_size(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        return tuple(axis.kernel for axis in self.axes)

    @property
    def output_size(self) -> tuple[int, ...]:
        return tuple(axis.output for axis in self.axes)

    @property
    def sharing(self) -> Sharing:
        return sharing(self.tile, self.output_size)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(batch, in_channels, *input_size)``."""
        return (self.batch, self.wiring.in_channels, *self.input_size)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """``(batch, out_channels, *output_size)``."""
        return (self.batch, self.wiring.out_channels, *self.output_size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """``(out_channels, *tile, in_channels / groups, *kernel_size)`` or ``(edges, *tile, *kernel_size)``."""
        return self.wiring.weight_shape(self.tile, self.kernel_size)

    @property
    def parameters(self) -> int:
        """Weights, without a bias: edges x tile x kernel."""
        return math.prod(self.weight_shape)

    @property
    def multiply_adds(self) -> int:
        """Products of one map, those with padding counted too, as is the custom: batch x edges x output x kernel."""
        return self.batch * self.wiring.n_edges * math.prod(self.output_size) * math.prod(self.kernel_size)

    @property
    def flops(self) -> int:
        """Floating-point operations of one map: a product and an addition each, four of each where numbers are complex."""
        return self.multiply_adds * (8 if self.dtype.is_complex else 2)

    @property
    def inside(self) -> float:
        """The part of those products that no padding is in."""
        return math.prod(axis.inside for axis in self.axes)

    @property
    def bytes(self) -> int:
        """Bytes of input, weight and output together: the least that any one of the maps must move."""
        shapes = (self.input_shape, self.weight_shape, self.output_shape)
        return sum(map(math.prod, shapes)) * self.dtype.itemsize


def result_shape(map: Map, problem: Problem) -> tuple[int, ...]:
    """The shape of what a map returns."""
    if map == "forward":
        return problem.output_shape
    return problem.input_shape if map == "grad_input" else problem.weight_shape


@lru_cache(maxsize=4096)
def problem_of(
    map: Map,
    a: tuple[int, ...],
    b: tuple[int, ...],
    sizes: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    tile: tuple[int, ...],
    channels: str,
    flip: bool,
    dtype: torch.dtype,
    device: str,
) -> Problem:
    """The problem that an operator's arguments describe; ``a`` and ``b`` are the shapes of its two tensors.

    Operators can be called past the face (an exported program does), so what they say is checked here once more.
    """
    n = len(sizes)
    if n < 1:
        raise ValueError(f"{map}: sizes must have a number for each direction, got none")
    check_dtype(map, OPERANDS[map][0], dtype)
    for name, value in (("stride", stride), ("padding", padding), ("dilation", dilation), ("tile", tile)):
        if len(value) != n:
            raise ValueError(f"{map}: {name} must have {n} numbers, as sizes has, got {value}")
        if min(value) < (0 if name == "padding" else 1):
            raise ValueError(f"{map}: {name} must be at least {0 if name == 'padding' else 1}, got {value}")
    if min(sizes) < 1:
        raise ValueError(f"{map}: sizes must be at least 1, got {sizes}")
    by_edge = not channels.isdecimal()
    for name, shape in zip(OPERANDS[map], (a, b), strict=True):
        rank = n + 2 if name != "weight" else 2 * n + (1 if by_edge else 2)
        if len(shape) != rank:
            raise ValueError(f"{map}: {name} must have {rank} dimensions in {n}-D, got shape {shape}")
        if 0 in shape[0 if name == "weight" and not by_edge else 1 :]:  # a batch may be empty, and so may a graph
            raise ValueError(f"{map}: {name} has a dimension of no size, got shape {shape}; only a batch may be empty")
    if map == "grad_weight":
        if a[0] != b[0]:
            raise ValueError(f"{map}: input and grad_output must have one batch size, got {a[0]} and {b[0]}")
        (_, in_channels, *input_size), (_, out_channels, *output_size), kernel_size = a, b, sizes
    else:
        kernel_size = b[n + 1 + (not by_edge) :]
        if map == "forward":
            (_, in_channels, *input_size), output_size = a, list(sizes)
            out_channels = _named(map, parse_edges, channels).out_channels if by_edge else b[0]
        else:
            (_, out_channels, *output_size), input_size = a, list(sizes)
            in_channels = _named(map, parse_edges, channels).in_channels if by_edge else b[n + 1] * int(channels)
    axes = tuple(
        Axis(size, kernel, output, u, d, p, flip)
        for size, kernel, output, u, d, p in zip(
            input_size, kernel_size, output_size, stride, dilation, padding, strict=True
        )
    )
    furthest = max((axis.output - 1) * axis.stride + axis.reach + axis.padding for axis in axes)
    if furthest >= WORD:
        raise ValueError(f"{map}: windows reach to {furthest}, past any index")
    problem = Problem(a[0], _named(map, parse_wiring, channels, in_channels, out_channels), axes, tile, dtype, device)
    if map != "grad_weight" and b != problem.weight_shape:
        raise ValueError(f"{map}: weight must have shape {problem.weight_shape}, got {b}")
    if any(count > axis.output for count, axis in zip(tile, axes, strict=True)):
        raise ValueError(f"{map}: tile {tile} is larger than the output {problem.output_size}")
    for name, expected in (
        ("input", problem.input_shape),
        ("output", problem.output_shape),
        ("weight", problem.weight_shape),
    ):
        if math.prod(expected) * dtype.itemsize >= WORD:
            raise ValueError(f"{map}: {name} of shape {expected} is larger than memory can be")
    return problem


def _named(map: Map, parse: Callable[..., Wiring], *arguments: Any) -> Wiring:
    """What ``parse`` makes of the channels, its errors in the operator's name."""
    try:
        return parse(*arguments)
    except ValueError as error:
        raise ValueError(f"{map}: {error}") from None
