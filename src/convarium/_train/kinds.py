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


def _valid(m: Middle) -> nn.Module:
    """One kernel everywhere, no padding."""
    return cv.nn.Conv2d(m.channels_in, m.channels_out, KERNEL, bias=False)


def _full(m: Middle) -> nn.Module:
    """One kernel everywhere, padded so that every overlap counts."""
    return cv.nn.Conv2d(m.channels_in, m.channels_out, KERNEL, padding="full", bias=False)


def _strided(m: Middle) -> nn.Module:
    """One kernel at every second position."""
    return cv.nn.Conv2d(m.channels_in, m.channels_out, KERNEL, stride=2, bias=False)


def _tiled(m: Middle) -> nn.Module:
    """Kernels that take turns."""
    return cv.nn.TiledConv2d(m.channels_in, m.channels_out, KERNEL, tile=m.tile, bias=False)


def _channel_local(m: Middle) -> nn.Module:
    """One kernel everywhere; each output reads an interlaced group of channels."""
    graph = cv.ChannelGraph.interlaced(m.channels_in, m.channels_out, m.groups)
    return cv.nn.ChannelConv2d(graph, KERNEL, bias=False)


def _local(m: Middle) -> nn.Module:
    """A kernel of its own for each position."""
    return cv.nn.LocalConv2d(m.channels_in, m.channels_out, KERNEL, input_size=m.size, bias=False)


# No layer has a bias: the batch normalisation that follows would take it away again.
KINDS: dict[str, Callable[[Middle], nn.Module]] = {
    "shared-valid": _valid,
    "shared-full": _full,
    "shared-strided": _strided,
    "tiled": _tiled,
    "channel-local": _channel_local,
    "local": _local,
}
