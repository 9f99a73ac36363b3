"""The middle layers that are compared: one entry of a table for each kind of convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

import convarium as cv

KERNEL = 3


@dataclass(frozen=True, slots=True)
class Middle:
    """What a middle layer may depend on: channels in and out, the size of what it reads, tile and groups."""

    channels_in: int
    channels_out: int
    size: tuple[int, int]
    tile: int
    groups: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of convolution: what it is in a few words, and how to build it."""

    summary: str
    build: Callable[[Middle], nn.Module]


def _valid(m: Middle) -> nn.Module:
    return cv.nn.Conv2d(m.channels_in, m.channels_out, KERNEL, bias=False)


def _full(m: Middle) -> nn.Module:
    return cv.nn.Conv2d(m.channels_in, m.channels_out, KERNEL, padding="full", bias=False)


def _strided(m: Middle) -> nn.Module:
    return cv.nn.Conv2d(m.channels_in, m.channels_out, KERNEL, stride=2, bias=False)


def _tiled(m: Middle) -> nn.Module:
    return cv.nn.TiledConv2d(m.channels_in, m.channels_out, KERNEL, tile=m.tile, bias=False)


def _channel_local(m: Middle) -> nn.Module:
    graph = cv.ChannelGraph.interlaced(m.channels_in, m.channels_out, m.groups)
    return cv.nn.ChannelConv2d(graph, KERNEL, bias=False)


def _local(m: Middle) -> nn.Module:
    return cv.nn.LocalConv2d(m.channels_in, m.channels_out, KERNEL, input_size=m.size, bias=False)


# No layer has a bias: the batch normalisation that follows would take it away again.
KINDS = {
    "shared-valid": Kind("one kernel everywhere, no padding", _valid),
    "shared-full": Kind("one kernel everywhere, padded so that every overlap counts", _full),
    "shared-strided": Kind("one kernel at every second position", _strided),
    "tiled": Kind("kernels that take turns", _tiled),
    "channel-local": Kind("one kernel everywhere, each output reads an interlaced group of channels", _channel_local),
    "local": Kind("a kernel of its own for each position", _local),
}
