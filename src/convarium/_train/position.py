"""Where a comparison stands between two steps: which network, what was finished of its kind's rates, and the loop's state."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .._files.failures import InputError
from .checkpoint import Checkpoint
from .fit import Epoch
from .results import Key


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a finished training leaves: its rate, its epochs, and the weights of the best one."""

    rate: float
    history: tuple[Epoch, ...]
    best: Epoch
    state: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Position:
    """What the rest of a comparison depends on, beside its settings, its images and the networks in its folder.

    Attributes:
        key: the network being trained.
        rate: its learning rate.
        trials: the trainings of this network with other rates that are finished.
        fit: the state of the loop, as :meth:`convarium._train.fit.Fit.state` gives it.
    """

    key: Key
    rate: float
    trials: tuple[Fitted, ...]
    fit: dict[str, Any]

    @property
    def epoch(self) -> int:
        """The epoch it is in, from 1."""
        return len(self.fit["history"]) + 1

    @property
    def step(self) -> int:
        """Steps of the optimiser that this network was trained for."""
        return int(self.fit["schedule"]["last_epoch"])

    def __str__(self) -> str:
        return f"{self.key}, rate {self.rate:g}, epoch {self.epoch}, after {self.step:,} steps"

    def values(self) -> dict[str, Any]:
        """As a checkpoint keeps it. Nothing is copied."""
        trials = [
            {
                "rate": trial.rate,
                "history": [dataclasses.asdict(epoch) for epoch in trial.history],
                "best": trial.best.epoch,
                "state": trial.state,
            }
            for trial in self.trials
        ]
        return {"network": self.key._asdict(), "rate": self.rate, "trials": trials, "fit": self.fit}

    @classmethod
    def read(cls, found: Checkpoint) -> Position:
        """The position that a checkpoint holds."""
        try:
            values = found.values
            trials = []
            for trial in values["trials"]:
                history = tuple(Epoch(**epoch) for epoch in trial["history"])
                trials.append(Fitted(trial["rate"], history, history[trial["best"] - 1], trial["state"]))
            return cls(Key(**values["network"]), values["rate"], tuple(trials), values["fit"])
        except (KeyError, TypeError, IndexError):
            raise InputError(
                f"{found.path}: holds not what this version writes; without it its run goes on: remove it"
            ) from None
