"""The main job: a network of each kind for each task and seed, each kind with the learning rate that suits it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from .._files.failures import InputError
from . import cost, prepare
from .config import Config
from .fit import Epoch, Fit, evaluate
from .network import SmallNetwork, build
from .results import Key, Result
from .run_folder import RunFolder
from .samples import Samples
from .split import Split

FAIRNESS = (
    "A shared kernel's gradient is a sum over positions, a local one's is not; so each kind is trained with Adam, whose steps do "
    "not depend on the gradient's scale, and chooses from the same rates on validation images"
)


class Watch(Protocol):
    """Whoever shows how the job goes on."""

    def begin(self, epochs: int) -> None: ...
    def network(self, key: Key, rate: float, trial: bool) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...
    def result(self, result: Result) -> None: ...


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison about to be made; :meth:`run` writes into the folder as it goes on.

    For each kind the first seed is trained once with each rate, to the end. The rate that is best on validation images is
    kept, and so is the network trained with it; the other seeds use that rate. Test images are looked at after that.
    """

    config: Config
    samples: Samples
    folder: RunFolder
    between: Callable[[], None] = lambda: None  # called between two steps; what it raises ends the job

    def run(self, watch: Watch) -> None:
        config = self.config
        runs = len(config.tasks) * len(config.kinds) * (len(config.rates) + len(config.seeds) - 1)
        watch.begin(runs * config.epochs)
        for task, parts in prepare.tasks(self.samples, config).items():
            for kind in config.kinds:
                self._kind(task, kind, parts, watch)

    def _kind(self, task: str, kind: str, parts: Split, watch: Watch) -> None:
        first, *others = self.config.seeds
        trials = [self._fit(Key(task, kind, first), rate, parts, watch, trial=True) for rate in self.config.rates]
        rates = {f"{fit.rate:g}": _quality(fit)[0] for fit in trials}
        best = max(trials, key=_quality)
        self._keep(Key(task, kind, first), best, rates, parts, watch)
        for seed in others:
            key = Key(task, kind, seed)
            self._keep(key, self._fit(key, best.rate, parts, watch, trial=False), rates, parts, watch)

    def _fit(self, key: Key, rate: float, parts: Split, watch: Watch, trial: bool) -> Fit:
        watch.network(key, rate, trial)
        network = new_network(key, self.config, self.samples.images.shape[1], self.samples.size, parts.train)
        fit = Fit(network, parts.train, parts.validation, rate, key.seed, self.config.epochs, self.config.batch)
        fit.run(watch.epoch, self.between)
        return fit

    def _keep(self, key: Key, fit: Fit, rates: dict[str, float], parts: Split, watch: Watch) -> None:
        fit.network.load_state_dict(fit.best_state)
        score = evaluate(fit.network, parts.test)
        assert fit.best is not None
        result = Result(
            key.task, key.kind, key.seed, fit.rate, rates, fit.best.epoch, fit.best.validation_accuracy, fit.best.validation_loss,
            score.correct, score.count, score.loss,
            cost.parameters(fit.network), cost.multiply_adds(fit.network, parts.test.images[:1]),
            statistics.median(epoch.seconds for epoch in fit.history), tuple(fit.history),
        )  # fmt: skip
        self.folder.save(result, fit.best_state)
        watch.result(result)


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
                cost.multiply_adds(network, parts.train.images[:1])
            except ValueError as error:
                height, width = parts.train.size
                raise InputError(f"{kind}: does not fit images of {height} x {width}: {error}") from None


def _quality(fit: Fit) -> tuple[float, float]:
    assert fit.best is not None
    return fit.best.validation_accuracy, -fit.best.validation_loss
