"""DeepFace: shared convolutions for a face's texture, then local ones, since an aligned face has its parts in their places
(Taigman, Yang, Ranzato, Wolf, CVPR 2014)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ..nn import Conv2d, LocalConv2d
from ._arguments import check_images, height_and_width, positive_number


class DeepFace(nn.Module):
    """C1, M2, C3, L4, L5, L6, F7 and F8 of the paper: 152 x 152 in colour to identities.

    C1 is 32 filters of 11 x 11, M2 the largest of 3 x 3 with stride 2, C3 16 filters of 9 x 9; L4, L5 and L6 are locally
    connected, 16 filters each of 9 x 9, 7 x 7 with stride 2 and 5 x 5; F7 has 4096 units. More than 95 % of its parameters
    are in the local and the fully connected layers. (There are more than 120 million, says the paper; its layers add up to
    118,923,774. Their 517,624,448 multiply-adds are counted too; no published count is known to compare.)

    Args:
        classes: identities; 4030 in the paper.
        size: of the images, a number for a square or ``(height, width)``; all local layers are made for it.
        width: filters of C1; the others have half as many. 32 in the paper.
        features: units of F7; 4096 in the paper.
        in_channels: 3, colour, in the paper.
        engine: of all layers.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, classes)``.

    Raises:
        TypeError, ValueError: what is no whole number, or too small for its kernels; when called, images of another shape.
    """

    def __init__(
        self, *, classes: int = 4030, size: int | tuple[int, int] = 152, width: int = 32, features: int = 4096,
        in_channels: int = 3, engine: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        name = "DeepFace"
        classes, features = positive_number(name, "classes", classes), positive_number(name, "features", features)
        width, in_channels = positive_number(name, "width", width, 2), positive_number(name, "in_channels", in_channels)
        sides = self.size = height_and_width(name, size)
        half = width // 2
        l4 = tuple((side - 10) // 2 - 8 for side in sides)  # after C1, M2 (padded after: 142 to 71) and C3
        l5 = tuple(side - 8 for side in l4)
        l6 = tuple((side - 7) // 2 + 1 for side in l5)
        last = tuple(side - 4 for side in l6)
        if min(last) < 1:
            raise ValueError(f"{name}: images of {sides} are too small: it takes 72 on each side")
        self.in_channels = in_channels
        self.c1 = Conv2d(in_channels, width, 11, engine=engine)
        self.c3 = Conv2d(width, half, 9, engine=engine)
        self.l4 = LocalConv2d(half, half, 9, input_size=l4, bias="untied", engine=engine)
        self.l5 = LocalConv2d(half, half, 7, stride=2, input_size=l5, bias="untied", engine=engine)
        self.l6 = LocalConv2d(half, half, 5, input_size=l6, bias="untied", engine=engine)
        self.f7 = nn.Linear(half * last[0] * last[1], features)
        self.dropout = nn.Dropout(0.5)
        self.f8 = nn.Linear(features, classes)

    def forward(self, faces: Tensor) -> Tensor:
        check_images("DeepFace", faces, self.in_channels, self.size)
        maps = F.max_pool2d(F.relu(self.c1(faces)), 3, 2, ceil_mode=True)
        for layer in (self.c3, self.l4, self.l5, self.l6):
            maps = F.relu(layer(maps))
        return self.f8(self.dropout(F.relu(self.f7(maps.flatten(1)))))


def deepface(
    *, classes: int = 4030, size: int | tuple[int, int] = 152, width: int = 32, features: int = 4096,
    in_channels: int = 3, engine: str = "auto",
) -> DeepFace:  # fmt: skip
    """DeepFace; the arguments are those of :class:`DeepFace`.

    Examples:
        >>> import torch, convarium as cv
        >>> small = cv.models.deepface(size=96, width=4, features=32, classes=10)
        >>> small.l5
        LocalConv2d(2, 2, kernel_size=(7, 7), stride=(2, 2), input_size=(27, 27), bias='untied')
        >>> small(torch.zeros(2, 3, 96, 96)).shape
        torch.Size([2, 10])
    """
    return DeepFace(classes=classes, size=size, width=width, features=features, in_channels=in_channels, engine=engine)
