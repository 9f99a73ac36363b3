"""The small network of the comparison: only its middle layer differs from kind to kind."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

import convarium as cv

from .._files.failures import InputError
from .geometry import middle_size, reduction
from .kinds import KERNEL, KINDS, Middle


class SmallNetwork(nn.Module):
    """A valid 3 x 3 convolution, cells, the middle layer, the mean over positions, a linear head.

    Nothing but the middle layer can tell one position from another: the head sees the mean. Neither the first layer nor the
    pooling pads. Batch normalisation after both convolutions lets one range of learning rates serve every kind.
    """

    def __init__(
        self,
        kind: str,
        channels: tuple[int, int, int],
        classes: int,
        size: tuple[int, int],
        *,
        cell: int,
        tile: int,
        groups: int,
    ) -> None:
        super().__init__()
        colours, first, second = channels
        middle = Middle(first, second, middle_size(*size, cell, KERNEL), tile, groups)
        self.stem = cv.nn.Conv2d(colours, first, KERNEL, bias=False)
        self.stem_norm = nn.BatchNorm2d(first)
        self.cells = nn.MaxPool2d(cell) if cell > 1 else nn.Identity()
        self.middle = KINDS[kind](middle)
        self.middle_norm = nn.BatchNorm2d(second)
        self.head = nn.Linear(second, classes)

    def forward(self, images: Tensor) -> Tensor:
        low = self.cells(F.relu(self.stem_norm(self.stem(images))))
        high = F.relu(self.middle_norm(self.middle(low)))
        return self.head(high.mean((2, 3)))


def build(
    kind: str,
    colours: int,
    channels: tuple[int, ...],
    classes: int,
    image: tuple[int, int],
    size: tuple[int, int],
    tile: int,
    groups: int,
) -> SmallNetwork:
    """A network of one kind for images of one size.

    Args:
        kind: key of ``KINDS``.
        colours: channels of the images.
        channels: outputs of the first and the middle layer.
        classes: outputs of the head.
        image: size of a single image; it sets the cells, also where a task joins several.
        size: size of what the network is shown.
        tile, groups: of the kinds that have them.

    Raises:
        InputError: if the kind does not fit the images.
    """
    first, second = channels
    try:
        cell = reduction(*image)
        return SmallNetwork(kind, (colours, first, second), classes, size, cell=cell, tile=tile, groups=groups)
    except ValueError as error:
        raise InputError(f"{kind}: does not fit images of {size[0]} x {size[1]}: {error}") from None
