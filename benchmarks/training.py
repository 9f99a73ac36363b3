"""A whole training step of a network with a local layer, data to optimiser, and where its time goes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

import convarium as cv

from .measure import interleaved


@dataclass(frozen=True)
class Training:
    """Seconds of a step, and the part of it in our operators and in the optimiser."""

    step: float
    operators: float
    optimiser: float

    def __str__(self) -> str:
        share = 100 * (self.operators + self.optimiser)
        return (
            f"SGD step, LocalConv2d 32->64 and 64->64, 3x3 on 28x28, batch 32: {1e3 * self.step:.1f} ms, {share:.0f} % of it "
            f"in the operators ({100 * self.operators:.0f} %) and the optimiser ({100 * self.optimiser:.0f} %)"
        )


def measure() -> Training:
    torch.manual_seed(0)
    network = nn.Sequential(
        cv.nn.LocalConv2d(32, 64, 3, padding=1, input_size=(28, 28)),
        nn.ReLU(),
        cv.nn.LocalConv2d(64, 64, 3, padding=1, input_size=(28, 28)),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images, labels = torch.randn(256, 32, 28, 28), torch.randint(10, (256,))

    def step() -> None:
        chosen = torch.randint(256, (32,))
        loss = nn.functional.cross_entropy(network(images[chosen]), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    seconds = interleaved({"step": step}, 3.0)["step"].median
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(10):
            step()
    events = {event.key: event.cpu_time_total / 10 / 1e6 for event in profile.key_averages()}
    operators = sum(took for name, took in events.items() if name.startswith("convarium::"))
    return Training(seconds, operators / seconds, events["Optimizer.step#SGD.step"] / seconds)
