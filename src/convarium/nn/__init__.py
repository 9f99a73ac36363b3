"""Layers, with the argument order of :mod:`torch.nn`; what is ours by keyword."""

from ._layer import Layer
from .channel import (
    ChannelConv1d,
    ChannelConv2d,
    ChannelConv3d,
    ChannelConvTranspose1d,
    ChannelConvTranspose2d,
    ChannelConvTranspose3d,
)
from .lazy import (
    LazyLocalConv1d,
    LazyLocalConv2d,
    LazyLocalConv3d,
    LazyLocalConvTranspose1d,
    LazyLocalConvTranspose2d,
    LazyLocalConvTranspose3d,
)
from .local import (
    LocalConv1d,
    LocalConv2d,
    LocalConv3d,
    LocalConvTranspose1d,
    LocalConvTranspose2d,
    LocalConvTranspose3d,
)
from .shared import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .tiled import (
    TiledConv1d,
    TiledConv2d,
    TiledConv3d,
    TiledConvTranspose1d,
    TiledConvTranspose2d,
    TiledConvTranspose3d,
)

__all__ = [
    "ChannelConv1d",
    "ChannelConv2d",
    "ChannelConv3d",
    "ChannelConvTranspose1d",
    "ChannelConvTranspose2d",
    "ChannelConvTranspose3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Layer",
    "LazyLocalConv1d",
    "LazyLocalConv2d",
    "LazyLocalConv3d",
    "LazyLocalConvTranspose1d",
    "LazyLocalConvTranspose2d",
    "LazyLocalConvTranspose3d",
    "LocalConv1d",
    "LocalConv2d",
    "LocalConv3d",
    "LocalConvTranspose1d",
    "LocalConvTranspose2d",
    "LocalConvTranspose3d",
    "TiledConv1d",
    "TiledConv2d",
    "TiledConv3d",
    "TiledConvTranspose1d",
    "TiledConvTranspose2d",
    "TiledConvTranspose3d",
]
