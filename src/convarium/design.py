"""Blocks of channel-local convolutions that see every channel, at the least cost (Zhang, *clcNet*, CVPR 2018, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._spec.arguments import is_sequence
from ._spec.channel_arguments import check_count, divisors
from ._spec.channels import ChannelGraph
from ._spec.shown import shown
from ._spec.stack import ChannelStack

__all__ = ["BlockDesign", "design_block"]


@dataclass(frozen=True, slots=True, repr=False)
class BlockDesign:
    """An interlaced convolution over space and a grouped one over single positions after it; make one with
    :func:`design_block`, or with group numbers of your own.

    Raises:
        TypeError, ValueError: what is no whole number from 1 on; group numbers that do not divide the channels on both sides.

    Examples:
        >>> import convarium as cv
        >>> cv.BlockDesign(8, 8, 16, (3, 3), interlaced=4, grouped=4)
        BlockDesign(8 -> 8 -> 16, 3x3 interlaced 4, then groups 4, 176 multiply-adds a position, dense / 6.5,
        not every output sees every input)
    """

    in_channels: int
    between: int
    out_channels: int
    kernel_size: tuple[int, ...]
    interlaced: int  # groups of the first convolution
    grouped: int  # groups of the second

    def __post_init__(self) -> None:
        call = type(self).__name__
        for name in ("in_channels", "between", "out_channels"):
            object.__setattr__(self, name, check_count(call, name, getattr(self, name)))
        object.__setattr__(self, "kernel_size", _kernel(call, self.kernel_size))
        for name, a, b in (
            ("interlaced", self.in_channels, self.between),
            ("grouped", self.between, self.out_channels),
        ):
            object.__setattr__(self, name, _divisor(call, name, getattr(self, name), a, b))

    @property
    def stack(self) -> ChannelStack:
        """The two graphs."""
        return ChannelStack(
            ChannelGraph.interlaced(self.in_channels, self.between, self.interlaced),
            ChannelGraph.groups(self.between, self.out_channels, self.grouped),
        )

    @property
    def is_full(self) -> bool:
        """Whether every output sees every input: ``between / grouped >= interlaced``."""
        return self.between // self.grouped >= self.interlaced

    @property
    def cost(self) -> int:
        """Parameters, which are the multiply-adds of one position too."""
        return self.stack.parameters([math.prod(self.kernel_size), 1])

    @property
    def dense_cost(self) -> int:
        """Of one ordinary convolution with the same input, output and kernel."""
        return math.prod((self.in_channels, self.out_channels, *self.kernel_size))

    def __repr__(self) -> str:
        kernel = "x".join(map(str, self.kernel_size))
        return (
            f"BlockDesign({self.in_channels} -> {self.between} -> {self.out_channels}, {kernel} interlaced {self.interlaced}, "
            f"then groups {self.grouped}, {self.cost} multiply-adds a position, dense / {self.dense_cost / self.cost:.1f}"
            f"{'' if self.is_full else ', not every output sees every input'})"
        )


def design_block(
    in_channels: int,
    out_channels: int,
    kernel_size: int | Sequence[int],
    *,
    between: int | None = None,
    interlaced: int | None = None,
    grouped: int | None = None,
) -> BlockDesign:
    r"""The group numbers of an interlaced and a grouped convolution that cost least, of those where every output sees every
    input.

    With M inputs, L channels between, N outputs, K taps of a kernel, g1 interlaced groups and g2 groups of the 1 x 1 convolution
    after it, a position costs

    .. math::  K \frac{M L}{g_1} + \frac{L N}{g_2}

    multiply-adds. A group of the second reads L / g2 neighbours, which come from all g1 interlaced groups exactly when
    :math:`L / g_2 \ge g_1`. On that border, :math:`g_1 g_2 = L`, the cost :math:`K M g_2 + N g_1` is least where both terms are
    equal, :math:`g_2 = \sqrt{L N / (K M)}`, and is then :math:`2 \sqrt{K L M N}`. Group numbers must divide their channels, so
    all that do are compared. (clcNet itself takes g2 = 2 throughout: fewer, larger products; ``grouped=2`` gives its blocks.)

    Args:
        in_channels, out_channels: M and N.
        kernel_size: of the first convolution, a number for a square in two dimensions, or one a direction.
        between: L; as many as inputs unless it is given.
        interlaced, grouped: g1 or g2, where one is to be kept.

    Raises:
        ValueError: no group numbers fit.

    Examples:
        >>> import convarium as cv
        >>> cv.design_block(512, 1024, 3)
        BlockDesign(512 -> 512 -> 1024, 3x3 interlaced 64, then groups 8, 102400 multiply-adds a position, dense / 46.1)
        >>> cv.design_block(512, 1024, 3, grouped=2)  # clcNet's
        BlockDesign(512 -> 512 -> 1024, 3x3 interlaced 256, then groups 2, 271360 multiply-adds a position, dense / 17.4)
    """
    call = "design_block"
    m, n = check_count(call, "in_channels", in_channels), check_count(call, "out_channels", out_channels)
    middle = m if between is None else check_count(call, "between", between)
    kernel = _kernel(call, kernel_size)
    firsts = _numbers(call, "interlaced", interlaced, m, middle)
    seconds = _numbers(call, "grouped", grouped, middle, n)
    fits = [
        BlockDesign(m, middle, n, kernel, g1, g2) for g1 in firsts for g2 in seconds if middle // g2 >= g1
    ]  # fmt: skip
    if not fits:
        raise ValueError(
            f"{call}: interlaced={interlaced} and grouped={grouped} leave outputs that do not see every input: "
            f"between / grouped, {middle} / {grouped}, must be at least interlaced"
        )
    return min(fits, key=lambda block: (block.cost, block.grouped))


def _numbers(call: str, name: str, given: int | None, a: int, b: int) -> list[int]:
    return divisors(math.gcd(a, b)) if given is None else [_divisor(call, name, given, a, b)]


def _divisor(call: str, name: str, given: int, a: int, b: int) -> int:
    g, common = check_count(call, name, given), math.gcd(a, b)
    if common % g:
        fits = ", ".join(map(str, divisors(common)[:12]))
        raise ValueError(f"{call}: {name}={g} must divide {a} and {b}; {fits} do")
    return g


def _kernel(call: str, size: Any) -> tuple[int, ...]:
    """A number is a square in two dimensions."""
    sizes = list(size) if is_sequence(size) else [size] * 2
    if not 1 <= len(sizes) <= 3:
        raise ValueError(
            f"{call}: kernel_size must be a number, or one for each of 1 to 3 directions, got {shown(size)}"
        )
    return tuple(check_count(call, "kernel_size", each) for each in sizes)
