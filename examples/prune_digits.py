"""Prune a trained network to a channel graph: keep the largest quarter of its kernels, fine-tune, and measure.

    python examples/prune_digits.py

A network of three 3 x 3 convolutions learns scikit-learn's handwritten digits (at 16 x 16). The kernels of its two wide layers
are then ranked by norm, the largest quarter kept (``ChannelGraph.from_weight``), the layers turned into graph layers
(``Layer.to_graph``) that hold and compute nothing else, and trained a little more. Printed for each stage: accuracy on held-out
digits, parameters, and the measured time of a batch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import convarium as cv

PRUNED = ("wide", "wider")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = cv.nn.Conv2d(1, 16, 3, padding="same")
        self.wide = cv.nn.Conv2d(16, 64, 3, padding="same")
        self.wider = cv.nn.Conv2d(64, 128, 3, padding="same")
        self.head = nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = F.max_pool2d(F.relu(self.stem(images)), 2)
        maps = F.relu(self.wider(F.relu(self.wide(maps))))
        return self.head(maps.mean((2, 3)))


def digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Learned from, and held out."""
    data = load_digits()
    images = F.interpolate(torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, size=16, mode="bilinear")
    labels = torch.tensor(data.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    first, held = order[:1200], order[1200:]
    return (images[first], labels[first]), (images[held], labels[held])


def train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int, rate: float) -> None:
    optimizer = torch.optim.Adam(network.parameters(), rate)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(len(labels), generator=generator).split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()


@torch.no_grad()
def measure(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy in percent, parameters, and the milliseconds of a batch of 128 images."""
    accuracy = 100 * float((network(images).argmax(1) == labels).float().mean())
    times = []
    for _ in range(15):
        start = time.perf_counter()
        network(images[:128])
        times.append(1e3 * (time.perf_counter() - start))
    parameters = sum(p.numel() for p in network.parameters())
    return {"accuracy": accuracy, "parameters": parameters, "milliseconds": statistics.median(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=float, default=0.25, help="the part of the kernels that is kept")
    parser.add_argument("--epochs", type=int, default=20, help="of training; a third as many of fine-tuning")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    learned, held = digits()
    network, stages = Network(), {}
    train(network, *learned, options.epochs, 5e-3)
    stages["dense"] = measure(network, *held)
    for name in PRUNED:
        layer = getattr(network, name)
        setattr(network, name, layer.to_graph(cv.ChannelGraph.from_weight(layer, options.keep)))
    stages["pruned"] = measure(network, *held)
    train(network, *learned, max(options.epochs // 3, 1), 3e-3)
    stages["fine-tuned"] = measure(network, *held)
    if options.json:
        print(json.dumps(stages))
        return
    print(f"{'':12} {'accuracy':>10} {'parameters':>12} {'batch of 128':>14}")
    for stage, found in stages.items():
        print(f"{stage:12} {found['accuracy']:8.1f} % {found['parameters']:12,.0f} {found['milliseconds']:11.2f} ms")
    for name in PRUNED:
        print(f"{name:12} {getattr(network, name).channels}")


if __name__ == "__main__":
    main()
