"""The main job: a network of each kind for each task and seed, each kind with the learning rate that suits it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from .._files.failures import InputError
from . import cost, prepare
from .config import Config
from .fit import Epoch, Fit, evaluate
from .network import SmallNetwork, build
from .position import Fitted, Position
from .ranks import Rank
from .results import Key, Result
from .run_folder import RunFolder
from .samples import Samples
from .split import Split
from .team import ALONE, Alone

FAIRNESS = (
    "A shared kernel's gradient is a sum over positions, a local one's is not; so each kind is trained with Adam, whose steps do "
    "not depend on the gradient's scale, and chooses from the same rates on validation images"
)


class Watch(Protocol):
    """Whoever shows how the job goes on."""

    def begin(self, epochs: int, done: int, networks: int) -> None: ...
    def network(self, key: Key, rate: float, trial: bool) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...
    def ranks(self, ranks: list[Rank]) -> None: ...
    def result(self, result: Result) -> None: ...


class Between(Protocol):
    """Called between two steps, with a function that makes a copy of where the job stands, and the loop; what it raises ends
    the job."""

    def __call__(self, position: Callable[[], Position], fit: Fit) -> None: ...


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison about to be made; :meth:`run` writes into the folder as it goes on.

    For each kind the first seed is trained once with each rate, to the end. The rate that is best on validation images is
    kept, and so is the network trained with it; the other seeds use that rate. Test images are looked at after that.

    Every training begins from its seed alone, so networks that are ``finished`` are left out, and one that ``at`` is in the
    middle of goes on from there, without a change of a bit in what follows.
    """

    config: Config
    samples: Samples
    folder: RunFolder
    between: Between = lambda position, fit: None
    finished: Mapping[Key, Result] = field(default_factory=dict)
    at: Position | None = None
    team: Alone = ALONE

    def run(self, watch: Watch) -> None:
        config = self.config
        keys = self.folder.planned()
        watch.begin(sum(map(self._epochs, keys)), self._done(), len(self.finished))
        for task, parts in prepare.tasks(self.samples, config).items():
            for kind in config.kinds:
                self._kind(task, kind, parts, watch)

    def _kind(self, task: str, kind: str, parts: Split, watch: Watch) -> None:
        first, *others = (Key(task, kind, seed) for seed in self.config.seeds)
        chosen = self.finished.get(first) or self._choose(first, parts, watch)
        for key in others:
            if key not in self.finished:
                self._keep(key, self._fit(key, chosen.rate, (), parts, watch), chosen.rates, parts, watch)

    def _choose(self, key: Key, parts: Split, watch: Watch) -> Result:
        """Train with each rate, and keep the best."""
        trials = () if self.at is None or self.at.key != key else self.at.trials
        for rate in self.config.rates[len(trials) :]:
            trials = (*trials, self._fit(key, rate, trials, parts, watch))
        rates = {f"{trial.rate:g}": _quality(trial)[0] for trial in trials}
        return self._keep(key, max(trials, key=_quality), rates, parts, watch)

    def _fit(self, key: Key, rate: float, trials: tuple[Fitted, ...], parts: Split, watch: Watch) -> Fitted:
        watch.network(key, rate, trial=key.seed == self.config.seeds[0])
        torch.manual_seed(key.seed + self.team.rank)
        fit = Fit(
            self._network(key, parts), parts.train, parts.validation, rate, key.seed, self.config.epochs, self.config.batch,
            self.team, self.config.device,
        )  # fmt: skip
        if self.at is not None and (self.at.key, self.at.rate) == (key, rate):
            self._restore(fit, self.at)
        fit.run(watch.epoch, lambda: self.between(lambda: Position(key, rate, trials, fit.state()), fit))
        assert fit.best is not None
        return Fitted(rate, tuple(fit.history), fit.best, fit.best_state)

    def _restore(self, fit: Fit, at: Position) -> None:
        try:
            fit.restore(at.fit)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{self.folder.checkpoints}: the checkpoint does not fit the network of {at.key}; without it the run goes on: "
                f"remove it ({error})"
            ) from None

    def _keep(self, key: Key, fitted: Fitted, rates: dict[str, float], parts: Split, watch: Watch) -> Result:
        network = self._network(key, parts)
        network.load_state_dict(fitted.state)
        operations = cost.multiply_adds(network, parts.test.images[torch.tensor([0])])
        score = evaluate(network.to(self.config.device), parts.test, self.team)
        best = fitted.best
        result = Result(
            key.task, key.kind, key.seed, fitted.rate, rates, best.epoch, best.validation_accuracy, best.validation_loss,
            score.correct, score.count, score.loss,
            cost.parameters(network), operations,
            statistics.median(epoch.seconds for epoch in fitted.history), fitted.history,
        )  # fmt: skip
        if self.team.leads:
            self.folder.save(result, fitted.state)
        watch.result(result)
        return result

    def _network(self, key: Key, parts: Split) -> SmallNetwork:
        return new_network(key, self.config, self.samples.images.shape[1], self.samples.size, parts.train)

    def _epochs(self, key: Key) -> int:
        """How long a network is trained, with all rates that are tried."""
        return self.config.epochs * (len(self.config.rates) if key.seed == self.config.seeds[0] else 1)

    def _done(self) -> int:
        """Epochs that need not be trained again."""
        begun = 0 if self.at is None else len(self.at.trials) * self.config.epochs + self.at.epoch - 1
        return begun + sum(map(self._epochs, self.finished))


def new_network(key: Key, config: Config, colours: int, image: tuple[int, int], shown: Samples) -> SmallNetwork:
    """The untrained network of a key; its weights follow from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key.seed)
        return build(
            key.kind, colours, config.channels, len(shown.names), image, shown.size, tile=config.tile, groups=config.groups
        )  # fmt: skip


def check(config: Config, samples: Samples) -> None:
    """Refuse before training what would fail in the middle of it: too few images, a kind that does not fit them."""
    for task, parts in prepare.tasks(samples, config).items():
        for kind in config.kinds:
            network = new_network(Key(task, kind, 0), config, samples.images.shape[1], samples.size, parts.train)
            try:
                cost.multiply_adds(network, parts.train.images[torch.tensor([0])])
            except ValueError as error:
                height, width = parts.train.size
                raise InputError(f"{kind}: does not fit images of {height} x {width}: {error}") from None


def _quality(trial: Fitted) -> tuple[float, float]:
    return trial.best.validation_accuracy, -trial.best.validation_loss
