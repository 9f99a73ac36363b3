"""clcNet-A forward at 224 x 224, of our layers and of torch's grouped convolutions with channels shuffled before and after."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

import convarium as cv

from .measure import interleaved

BATCHES = (1, 8)


@dataclass(frozen=True)
class Networks:
    """Seconds of a forward pass, by batch: ours, and torch's."""

    ours: dict[int, float]
    shuffled: dict[int, float]

    def __str__(self) -> str:
        each = (
            f"batch {batch} {1e3 * took:.1f} ms against {1e3 * self.shuffled[batch]:.1f} ms"
            for batch, took in self.ours.items()
        )
        return f"clcNet-A forward at 224 x 224, against torch's grouped convolutions and shuffles: {', '.join(each)}"


class Interlaced(nn.Module):
    """An interlaced layer of torch's grouped convolution: groups once channels are put in their order, and back."""

    def __init__(self, layer: cv.nn.ChannelConv2d) -> None:
        super().__init__()
        channels = layer.in_channels
        self.groups = channels * channels // layer.channels.n_edges
        self.conv = nn.Conv2d(channels, channels, 3, layer.stride, 1, groups=self.groups, bias=False)
        kernels = layer.weight.detach().unflatten(0, (-1, self.groups, channels // self.groups))
        self.conv.weight.data.copy_(kernels.transpose(0, 1).flatten(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (-1, self.groups)).transpose(1, 2).flatten(1, 2)
        return self.conv(x).unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


def shuffled(network: cv.models.ClcNet) -> nn.Module:
    """The same network, with the same numbers, without our layers' graphs."""

    def turn(module: nn.Module) -> nn.Module:
        if isinstance(module, cv.nn.ChannelConv2d):
            return Interlaced(module)
        return nn.Sequential(*map(turn, module)) if isinstance(module, nn.Sequential) else module

    return nn.Sequential(turn(network.features), nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.head)


@torch.no_grad()
def measure() -> Networks:
    torch.manual_seed(0)
    network = cv.models.clcnet_a().eval()
    theirs, found = shuffled(network).eval(), Networks({}, {})
    for batch in BATCHES:
        images = torch.randn(batch, 3, 224, 224)
        times = interleaved({"ours": lambda x=images: network(x), "theirs": lambda x=images: theirs(x)}, 5.0)
        found.ours[batch], found.shuffled[batch] = times["ours"].median, times["theirs"].median
    return found
