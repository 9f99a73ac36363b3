"""What a checkpoint every 50 steps costs a training.

Runs of 50 steps take turns, one with a checkpoint that begins at its first step and one without; so little time lies between
the two of a pair that a machine's moods fall on both. The cost is the median of the pairs. Where steps are long the moods are
larger than the cost; so how long a checkpoint keeps a processor busy is measured by itself, and told as a part of what the
threads had.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from convarium._train import checkpoint, prepare
from convarium._train.compare import new_network
from convarium._train.config import Config
from convarium._train.fit import Fit
from convarium._train.position import Position
from convarium._train.results import Key
from convarium._train.run_folder import RunFolder
from convarium._train.saving import Saver

EVERY = 50
SECONDS, LEAST = 30.0, 9  # of a job, and pairs at least
ALONE = 9  # checkpoints that are measured by themselves
JOBS: dict[str, dict[str, Any]] = {
    "digits as they are, 8 x 8": {},
    "digits at 32 x 32, 32 and 64 channels": {"size": (32, 32), "channels": (32, 64)},
}


@dataclass(frozen=True)
class Job:
    """Seconds of a step without checkpoints, parameters, of each pair the time with a checkpoint over that without, and how long
    one keeps a processor busy, in seconds and as a part of the time of all threads between two checkpoints."""

    step: float
    parameters: int
    ratios: list[float]
    processor: float
    share: float

    def __str__(self) -> str:
        low, middle, high = (100 * (quartile - 1) for quartile in statistics.quantiles(self.ratios, n=4))
        return (
            f"{self.parameters:9,} parameters, {1000 * self.step:5.1f} ms a step: {middle:+.1f} % "
            f"({len(self.ratios)} pairs, quartiles {low:+.1f} and {high:+.1f}); "
            f"{1000 * self.processor:.1f} ms of a processor, {100 * self.share:.1f} % of what all threads had"
        )


@dataclass(frozen=True)
class Checkpoints:
    jobs: dict[str, Job]

    def __str__(self) -> str:
        width = max(map(len, self.jobs))
        head = f"what a checkpoint every {EVERY} steps adds to a local network's training"
        return "\n".join([head, *(f"  {name:{width}} {job}" for name, job in self.jobs.items())])


def measure() -> Checkpoints:
    return Checkpoints(
        {name: _job(Config(**settings, threads=torch.get_num_threads())) for name, settings in JOBS.items()}
    )


def _job(config: Config) -> Job:
    samples = prepare.read(config)
    key = Key("place", "local", 0)
    parts = prepare.tasks(samples, config)[key.task]
    network = new_network(key, config, samples.images.shape[1], samples.size, parts.train)
    fit = Fit(network, parts.train, parts.validation, config.rates[0], key.seed, config.epochs, config.batch)
    index = torch.arange(len(parts.train))[: config.batch]
    took: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", config, prepare.card(samples, config))
        fit.steps_on([index] * EVERY)
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end or len(took[True]) < LEAST:
            for saves in sorted(took, reverse=bool(len(took[True]) % 2)):
                took[saves].append(_steps(fit, index, run, key, saves))
        processor = _alone(fit, run, key)
    step = statistics.median(took[False]) / EVERY
    parameters = sum(parameter.numel() for parameter in network.parameters())
    ratios = [saved / alone for alone, saved in zip(*took.values(), strict=True)]
    return Job(step, parameters, ratios, processor, processor / (EVERY * step * torch.get_num_threads()))


def _alone(fit: Fit, run: RunFolder, key: Key) -> float:
    """Seconds that a processor is busy with a checkpoint, the copy of the state and the writing."""
    took, last = [], None
    for _ in range(ALONE):
        begin = time.thread_time()
        values = Position(key, fit.rate, (), fit.state()).values()
        last = checkpoint.write(run.checkpoints, values, run.identity, [] if last is None else [last])
        took.append(time.thread_time() - begin)
    return statistics.median(took)


def _steps(fit: Fit, index: torch.Tensor, run: RunFolder, key: Key, saves: bool) -> float:
    """As many steps as lie between two checkpoints, until the one that began, if any, is written too."""
    first = iter([saves])
    start = time.perf_counter()
    with Saver(run, 2 * EVERY, keep=2) as saver:
        fit.steps_on(
            [index] * EVERY, lambda: saver.step(lambda: Position(key, fit.rate, (), fit.state()), next(first, False))
        )
    return time.perf_counter() - start
