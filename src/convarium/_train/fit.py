"""The loop: one network, one learning rate, one seed."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import record_function
from torch.utils._pytree import tree_map_only

from .images import Images, ahead, on_disk
from .samples import Samples
from .team import ALONE, Alone

EVALUATION_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training images came to."""

    epoch: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    seconds_waiting: float = 0.0  # of these, for images; earlier runs do not say


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

    Between two steps :meth:`state` has everything that the rest depends on; a new Fit of the same network, images and numbers
    that is given it by :meth:`restore` goes on to the same bits.
    """

    network: nn.Module
    train: Samples
    validation: Samples
    rate: float
    seed: int
    epochs: int
    batch: int
    team: Alone = ALONE
    device: str = "cpu"
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    best_state: dict[str, Tensor] = field(default_factory=dict)
    _spread: nn.Module = field(init=False)
    _order: torch.Generator = field(init=False)
    _optimiser: torch.optim.Adam = field(init=False)
    _schedule: torch.optim.lr_scheduler.LambdaLR = field(init=False)
    _drawn: Tensor = field(init=False)  # the generator's state from which this epoch's order follows
    _seen: int = 0  # images of this epoch that were trained on,
    _loss: Tensor = field(init=False)  # the sum of their losses,
    _seconds: float = 0.0  # how long that took,
    _waiting: float = 0.0  # and how much of it was waiting for images

    def __post_init__(self) -> None:
        self._order = torch.Generator().manual_seed(self.seed)
        self._drawn = self._order.get_state()
        self.network.to(self.device)
        self._loss = torch.zeros((), device=self.device)
        self._spread = self.team.spread(self.network)
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
        """One epoch, or what is left of it."""
        self._pass(between)
        score = evaluate(self.network, self.validation, self.team)
        loss = float(self.team.sum(self._loss)) / len(self.train)
        epoch = Epoch(len(self.history) + 1, loss, score.loss, score.accuracy, self._seconds, self._waiting)
        self._seen, self._loss, self._seconds, self._waiting = 0, torch.zeros_like(self._loss), 0.0, 0.0
        self.history.append(epoch)
        if self.best is None or _quality(epoch) > _quality(self.best):
            self.best = epoch
            self.best_state = copied(self.team.whole(self.network.state_dict()))
        return epoch

    @property
    def seconds_waiting(self) -> float:
        """How long this process has waited for images, in this epoch."""
        return self._waiting

    @property
    def steps(self) -> int:
        """Steps of the optimiser so far."""
        return self._schedule.last_epoch

    def state(self) -> dict[str, Any]:
        """Where training stands, as a checkpoint has it, what is spread over processes in this one's part; between two steps,
        and all of them at once. Later steps do not change it."""
        changing = {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        return copied(changing) | {
            "losses": [loss for (loss,) in self.team.told(float(self._loss))],
            "order": self._drawn,
            "seen": self._seen,
            "seconds": self._seconds,
            "seconds_waiting": self._waiting,
            "history": [dataclasses.asdict(epoch) for epoch in self.history],
            "best": None if self.best is None else self.best.epoch,
            "best_state": self.best_state,
            "random": self.team.gathered(_random_states()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave, or from what a file made of it, where keys are text. With another number of
        processes the first has the sum of the losses so far, and the others' random states are those of their seeds."""
        optimiser, own = state["optimiser"], self.network.state_dict()
        parameters = list(self.network.parameters())
        numbered = {
            int(number): {name: self.team.like(moment, parameters[int(number)]) for name, moment in moments.items()}
            for number, moments in optimiser["state"].items()
        }
        weights = {name: self.team.like(tensor, own.get(name, tensor)) for name, tensor in state["network"].items()}
        self.network.load_state_dict(weights)
        self._optimiser.load_state_dict(optimiser | {"state": numbered})
        self._schedule.load_state_dict(state["schedule"])
        self._order.set_state(state["order"])
        losses, random = state["losses"], state["random"]
        if len(losses) != self.team.size:
            losses, random = [sum(losses), *[0.0] * (self.team.size - 1)], random[:1]
        self._loss.fill_(losses[self.team.rank])
        self._seen, self._seconds, self._waiting = state["seen"], state["seconds"], state.get("seconds_waiting", 0.0)
        self.history[:] = [Epoch(**epoch) for epoch in state["history"]]
        self.best = None if state["best"] is None else self.history[state["best"] - 1]
        self.best_state = state["best_state"]
        if self.team.rank < len(random):
            _set_random_states(random[self.team.rank])

    def _pass(self, between: Callable[[], None]) -> None:
        self.network.train()
        self._drawn = self._order.get_state()
        order = torch.randperm(len(self.train), generator=self._order)
        self.steps_on(order[self._seen :].split(self.batch), between)

    def steps_on(self, batches: Sequence[Tensor], between: Callable[[], None] = lambda: None) -> None:
        """A step of the optimiser on each batch of the training images' numbers."""
        read = _read(self.train.images, map(self.team.share, batches))
        for index in batches:
            between()
            start = time.perf_counter()
            with record_function("data"):
                images = next(read)
            self._waiting += time.perf_counter() - start
            self.step(index, images, self.train.labels[self.team.share(index)])
            self._seconds += time.perf_counter() - start

    def step(self, index: Tensor, images: Tensor, labels: Tensor) -> None:
        """One step of the optimiser: the numbers of a batch, and this process's images of it with their labels."""
        images, labels = images.to(self.device), labels.to(self.device)
        scores = self._spread(images)
        with record_function("loss"):
            loss = F.cross_entropy(scores, labels, reduction="sum")
        self._optimiser.zero_grad()
        (loss * (self.team.size / len(index))).backward()  # gradients are means over the processes
        self._optimiser.step()
        self._schedule.step()
        self._loss += loss.detach()
        self._seen += len(index)


@torch.no_grad()
def evaluate(network: nn.Module, samples: Samples, team: Alone = ALONE) -> Score:
    """Count what a network gets right."""
    network.eval()
    device = next(network.parameters()).device
    correct, loss = (torch.zeros((), dtype=dtype, device=device) for dtype in (torch.int64, torch.float64))
    own = [team.share(index) for index in torch.arange(len(samples)).split(EVALUATION_BATCH)]
    for index, images in zip(own, _read(samples.images, own), strict=True):
        logits, labels = network(images.to(device)), samples.labels[index].to(device)
        correct += (logits.argmax(1) == labels).sum()
        loss += F.cross_entropy(logits, labels, reduction="sum")
    return Score(int(team.sum(correct)), len(samples), float(team.sum(loss)) / len(samples))


@torch.no_grad()
def predict(network: nn.Module, images: Images) -> Tensor:
    """Logits of many images, in batches that bound the memory."""
    network.eval()
    batches = torch.arange(images.shape[0]).split(EVALUATION_BATCH)
    return torch.cat([network(batch) for batch in _read(images, batches)])


def _read(images: Images, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """The images of each batch of numbers, ahead of time where they come from a disk."""
    return ahead(images.__getitem__, batches) if on_disk(images) else map(images.__getitem__, batches)


def copied(values: dict[str, Any]) -> dict[str, Any]:
    """Nested values with copies of their tensors, on the CPU, from where they are written."""
    found: dict[str, Any] = tree_map_only(Tensor, lambda tensor: tensor.detach().to("cpu", copy=True), values)
    return found


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


def _random_states() -> dict[str, Tensor]:
    """torch's generators: of the CPU, and of this process's GPU where it has one."""
    gpu = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {}
    return {"cpu": torch.get_rng_state()} | gpu


def _set_random_states(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])
