"""clcNet: an interlaced 3 x 3 and a grouped 1 x 1 convolution for each ordinary one (Zhang, CVPR 2018, arXiv 1712.06145)."""

from __future__ import annotations

from torch import Tensor, nn

from .._spec.channels import ChannelGraph
from ..nn import ChannelConv2d, Conv2d
from ._arguments import check_images, positive_number

BLOCKS = (  # in, out, stride, groups of the 3 x 3, groups of the 1 x 1; and which of (a, b, c, d) says how often, else once
    (32, 64, 1, 16, 2, None),
    (64, 128, 2, 32, 2, None), (128, 128, 1, 64, 2, "a"),
    (128, 256, 2, 64, 2, None), (256, 256, 1, 128, 2, "b"),
    (256, 512, 2, 128, 2, None), (512, 512, 1, 256, 2, "c"),
    (512, 1024, 2, 256, 2, None), (1024, 1024, 1, 512, 2, "d"),
)  # fmt: skip


class ClcNet(nn.Module):
    """clcNet with ``a``, ``b``, ``c`` and ``d`` blocks at its four inner stages.

    A stem of 3 x 3 with stride 2 and 32 channels; blocks of an interlaced 3 x 3 convolution, batch normalisation, a grouped 1 x 1
    convolution, batch normalisation and ReLU; the mean over positions; a linear head. In each block every output sees every
    input: the channels of a group of the second come from all interlaced groups of the first. (The authors' code,
    github.com/dqzhang17/clcnet.torch, groups neighbouring inputs and interlaces the outputs: as many kernels, the same reach.)

    Their README gives the sizes of the trained files, 26.2 MB for A and 32.9 MB for B, and no counts of parameters: here they are
    3,253,640 and 4,085,128. A file of torch7 has beside each parameter its gradient, the running mean and variance of each
    normalised channel (12,992 and 17,088 of them), and of their code two indices for each interlaced channel (5,984 and 8,032):
    four bytes each, 26.18 and 32.88 MB. Multiply-adds at 224 x 224, 342,973,440 for A and 424,559,616 for B, are counted from the
    layers; no published count is known to compare.

    Args:
        a, b, c, d: how often the blocks repeat; (1, 1, 5, 2) is clcNet-A, (1, 1, 7, 3) clcNet-B.
        classes: outputs of the head.
        in_channels: of the images.
        engine: of all layers.

    Shape:
        ``(batch, in_channels, height, width)`` to ``(batch, classes)``; the original takes 224 x 224.
    """

    def __init__(
        self, a: int, b: int, c: int, d: int, *, classes: int = 1000, in_channels: int = 3, engine: str = "auto"
    ) -> None:
        super().__init__()
        repeats = {name: positive_number("ClcNet", name, n, 0) for name, n in zip("abcd", (a, b, c, d), strict=True)}
        classes = positive_number("ClcNet", "classes", classes)
        self.in_channels = in_channels = positive_number("ClcNet", "in_channels", in_channels)
        stem = [
            Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False, engine=engine),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
        ]
        blocks = [
            clc_block(*block, engine=engine) for *block, name in BLOCKS for _ in range(repeats[name] if name else 1)
        ]  # fmt: skip
        self.features = nn.Sequential(*stem, *blocks)
        self.head = nn.Linear(1024, classes)

    def forward(self, images: Tensor) -> Tensor:
        check_images("ClcNet", images, self.in_channels)
        return self.head(self.features(images).mean((2, 3)))


def clc_block(
    inputs: int, outputs: int, stride: int, interlaced: int, grouped: int, *, engine: str = "auto"
) -> nn.Sequential:
    """One block: interlaced 3 x 3, then grouped 1 x 1."""
    return nn.Sequential(
        ChannelConv2d(
            ChannelGraph.interlaced(inputs, inputs, interlaced), 3, stride=stride, padding=1, bias=False, engine=engine
        ),
        nn.BatchNorm2d(inputs),
        Conv2d(inputs, outputs, 1, groups=grouped, bias=False, engine=engine),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def clcnet_a(*, classes: int = 1000, in_channels: int = 3, engine: str = "auto") -> ClcNet:
    """clcNet-A, (a, b, c, d) = (1, 1, 5, 2): 3.3 million parameters; 70.4 % top-1 on ImageNet, say its
    authors (README of github.com/dqzhang17/clcnet.torch).

    Examples:
        >>> import convarium as cv
        >>> network = cv.models.clcnet_a()
        >>> sum(p.numel() for p in network.parameters())
        3253640
    """
    return ClcNet(1, 1, 5, 2, classes=classes, in_channels=in_channels, engine=engine)


def clcnet_b(*, classes: int = 1000, in_channels: int = 3, engine: str = "auto") -> ClcNet:
    """clcNet-B, (a, b, c, d) = (1, 1, 7, 3): 4.1 million parameters; 71.6 % top-1 on ImageNet, say its authors, as of
    :func:`clcnet_a`."""
    return ClcNet(1, 1, 7, 3, classes=classes, in_channels=in_channels, engine=engine)
