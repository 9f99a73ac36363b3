"""Tiled convolutional networks: kernels that take turns, and pooling over neighbours that are not tied, which learns to be
invariant to more than shifts (Le et al., *Tiled convolutional neural networks*, NIPS 2010)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nn import TiledConv2d
from ._arguments import check_images, counts, height_and_width, positive_number

EPSILON = 1e-6  # under the root, whose slope has no end at nothing


class TiledCnn(nn.Module):
    """Layers of a tiled convolution and square-root pooling, then a linear head.

    A layer is ``p = sqrt(pool(h ** 2))`` with ``h`` a valid tiled convolution and ``pool`` the sum over windows of ``pool`` x
    ``pool`` neighbours, with stride 1. With a tile of l, the neighbours in a pool of up to l x l have kernels of their own, so
    that a pooled unit can be invariant to whatever those kernels differ in. (The paper learns kernels by topographic ICA, which
    keeps those of a place orthogonal; here they learn from labels.) No published counts belong to the sizes here: the 22,534
    parameters and 841,584 multiply-adds of the default are counted from its layers.

    Args:
        classes: outputs.
        size: of the images, a number for a square or ``(height, width)``.
        maps: output channels of each layer.
        kernel_size: of each convolution.
        tile: kernels that take turns in each direction.
        pool: neighbours that are pooled in each direction.
        in_channels: of the images.
        engine: of the convolutions.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, classes)``.

    Raises:
        TypeError, ValueError: what is no whole number from 1 on; images too small for the layers; when called, images of another
            shape.
    """

    def __init__(
        self, *, classes: int = 10, size: int | tuple[int, int] = 32, maps: tuple[int, ...] = (6, 6), kernel_size: int = 8,
        tile: int = 2, pool: int = 3, in_channels: int = 1, engine: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        name = "TiledCnn"
        height, width = self.size = height_and_width(name, size)
        kernel, self.pool = positive_number(name, "kernel_size", kernel_size), positive_number(name, "pool", pool)
        tile, self.in_channels = positive_number(name, "tile", tile), positive_number(name, "in_channels", in_channels)
        classes, channels = positive_number(name, "classes", classes), (self.in_channels, *counts(name, "maps", maps))
        layers = []
        for inputs, outputs in itertools.pairwise(channels):
            height, width = height - kernel + 1, width - kernel + 1
            if min(height, width) < max(self.pool, tile):
                raise ValueError(
                    f"{name}: images of size {size} are too small for {len(channels) - 1} layers of kernel {kernel}, pool {pool}"
                )
            layers.append(TiledConv2d(inputs, outputs, kernel, tile=tile, engine=engine))
            height, width = height - self.pool + 1, width - self.pool + 1
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(channels[-1] * height * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        check_images("TiledCnn", images, self.in_channels, self.size)
        maps = images
        for layer in self.layers:
            pooled = F.avg_pool2d(layer(maps).square(), self.pool, stride=1) * self.pool**2
            maps = torch.sqrt(pooled + EPSILON)
        return self.head(maps.flatten(1))


def tiled_cnn(
    *, classes: int = 10, size: int | tuple[int, int] = 32, maps: tuple[int, ...] = (6, 6), kernel_size: int = 8,
    tile: int = 2, pool: int = 3, in_channels: int = 1, engine: str = "auto",
) -> TiledCnn:  # fmt: skip
    """A tiled convolutional network; the arguments are those of :class:`TiledCnn`.

    Examples:
        >>> import torch, convarium as cv
        >>> network = cv.models.tiled_cnn()
        >>> network.layers[1]
        TiledConv2d(6, 6, kernel_size=(8, 8), stride=(1, 1), tile=(2, 2))
        >>> network(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """
    return TiledCnn(
        classes=classes,
        size=size,
        maps=maps,
        kernel_size=kernel_size,
        tile=tile,
        pool=pool,
        in_channels=in_channels,
        engine=engine,
    )
