"""The loop: one network, one learning rate, one seed."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .samples import Samples

EVALUATION_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training images came to."""

    epoch: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Score:
    """How a network does on some images."""

    correct: int
    count: int
    loss: float

    @property
    def accuracy(self) -> float:
        return self.correct / self.count


@dataclass(slots=True)
class Fit:
    """Training with Adam and a one-cycle learning rate; the epoch that is best on validation images is kept.

    Adam's step does not depend on the scale of a gradient. A shared kernel's gradient is a sum over all positions, a local
    one's comes from a single position; plain gradient descent would need a rate of its own for each kind.
    """

    network: nn.Module
    train: Samples
    validation: Samples
    rate: float
    seed: int
    epochs: int
    batch: int
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    best_state: dict[str, Tensor] = field(default_factory=dict)
    _order: torch.Generator = field(init=False)
    _optimiser: torch.optim.Adam = field(init=False)
    _schedule: torch.optim.lr_scheduler.LambdaLR = field(init=False)

    def __post_init__(self) -> None:
        self._order = torch.Generator().manual_seed(self.seed)
        self._optimiser = torch.optim.Adam(self.network.parameters(), self.rate, fused=True)
        steps = self.epochs * math.ceil(len(self.train) / self.batch)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda step: one_cycle(step, steps))

    def run(
        self, each: Callable[[Epoch], None] = lambda epoch: None, between: Callable[[], None] = lambda: None
    ) -> Epoch:
        """Train to the last epoch, telling ``each`` about every one, with a call of ``between`` before every step of the
        optimiser; returns the best."""
        while len(self.history) < self.epochs:
            each(self.epoch(between))
        assert self.best is not None
        return self.best

    def epoch(self, between: Callable[[], None] = lambda: None) -> Epoch:
        """One epoch."""
        start = time.perf_counter()
        loss = self._pass(between)
        seconds = time.perf_counter() - start
        score = evaluate(self.network, self.validation)
        epoch = Epoch(len(self.history) + 1, loss, score.loss, score.accuracy, seconds)
        self.history.append(epoch)
        if self.best is None or _quality(epoch) > _quality(self.best):
            self.best = epoch
            self.best_state = copy.deepcopy(self.network.state_dict())
        return epoch

    def _pass(self, between: Callable[[], None]) -> float:
        self.network.train()
        total = torch.zeros(())
        for index in torch.randperm(len(self.train), generator=self._order).split(self.batch):
            between()
            loss = F.cross_entropy(self.network(self.train.images[index]), self.train.labels[index])
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            self._schedule.step()
            total += loss.detach() * len(index)
        return float(total) / len(self.train)


def evaluate(network: nn.Module, samples: Samples) -> Score:
    """Count what a network gets right."""
    logits = predict(network, samples.images)
    correct = int((logits.argmax(1) == samples.labels).sum())
    return Score(correct, len(samples), float(F.cross_entropy(logits, samples.labels)))


@torch.no_grad()
def predict(network: nn.Module, images: Tensor) -> Tensor:
    """Logits of many images, in batches that bound the memory."""
    network.eval()
    return torch.cat([network(batch) for batch in images.split(EVALUATION_BATCH)])


def one_cycle(step: int, steps: int, warm: float = 0.15) -> float:
    """The factor of the learning rate: up in a straight line, down on a cosine to zero.

    Examples:
        >>> [round(one_cycle(step, 100), 2) for step in (0, 14, 99)]
        [0.07, 1.0, 0.0]
    """
    rise = max(1, round(steps * warm))
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step + 1 - rise) / max(1, steps - rise)))


def _quality(epoch: Epoch) -> tuple[float, float]:
    loss = epoch.validation_loss
    return epoch.validation_accuracy, -loss if math.isfinite(loss) else -math.inf
