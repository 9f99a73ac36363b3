"""LeNet-5, with the partial connections of its second convolution (LeCun et al., *Gradient-based learning applied to document
recognition*, 1998, table I)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._spec.channels import ChannelGraph
from ..nn import ChannelConv2d, Conv2d
from ._arguments import check_images, positive_number

TABLE_I = (  # which of the 6 maps of S2 each of the 16 maps of C3 reads
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


def c3_graph() -> ChannelGraph:
    """Table I of the paper as a channel graph: 60 of 96 connections."""
    return ChannelGraph.from_edges(6, 16, [(i, j) for j, reads in enumerate(TABLE_I) for i in reads])


class _Subsampling(nn.Module):
    """The mean of 2 x 2 cells, times one coefficient a map, plus one bias a map, squashed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return squash(F.avg_pool2d(maps, 2) * self.coefficient + self.bias)


def squash(x: Tensor) -> Tensor:
    """``1.7159 tanh(2 x / 3)``, as the paper has it (appendix A)."""
    return 1.7159 * torch.tanh(2 / 3 * x)


class LeNet5(nn.Module):
    """LeNet-5 up to its last layer: C1, S2, C3 with its table, S4, C5, F6, and a linear output.

    The original compares F6 with fixed drawings of the characters (radial basis functions); a linear layer is in their place,
    as in every later use of the network. Its other 60,000 parameters are the paper's, layer by layer: 156, 12, 1,516, 32, 48,120,
    10,164.

    Args:
        classes: outputs.
        engine: of the convolutions.

    Shape:
        ``(batch, 1, 32, 32)`` to ``(batch, classes)``. The paper centres its digits of 28 x 28 in the larger field:
        ``torch.nn.functional.pad(images, (2, 2, 2, 2))``.

    Raises:
        ValueError: when called, images of another shape.
    """

    def __init__(self, *, classes: int = 10, engine: str = "auto") -> None:
        super().__init__()
        classes = positive_number("LeNet5", "classes", classes)
        self.c1 = Conv2d(1, 6, 5, engine=engine)
        self.s2 = _Subsampling(6)
        self.c3 = ChannelConv2d(c3_graph(), 5, engine=engine)
        self.s4 = _Subsampling(16)
        self.c5 = Conv2d(16, 120, 5, engine=engine)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, classes)

    def forward(self, images: Tensor) -> Tensor:
        check_images("LeNet5", images, 1, (32, 32))
        maps = self.s4(squash(self.c3(self.s2(squash(self.c1(images))))))
        return self.output(squash(self.f6(squash(self.c5(maps)).flatten(1))))


def lenet5(*, classes: int = 10, engine: str = "auto") -> LeNet5:
    """LeNet-5 with its original partial connections.

    Examples:
        >>> import torch, convarium as cv
        >>> network = cv.models.lenet5()
        >>> sum(p.numel() for p in network.c3.parameters())  # 60 kernels of 5 x 5, 16 biases
        1516
        >>> network(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """
    return LeNet5(classes=classes, engine=engine)
