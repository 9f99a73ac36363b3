"""From labelled images to what each task trains, validates and tests on: the same for every kind and seed."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .._files.failures import InputError
from .config import Config
from .run_folder import DataCard
from .samples import Samples
from .sources import load
from .split import Split, limit, split
from .tasks import TASKS


def read(config: Config, tell: Callable[[str], None] = lambda line: None) -> Samples:
    """The images a configuration names; ``tell`` is told of files that are left out."""
    size = None if config.size is None else (config.size[0], config.size[1])
    samples = load(config.data, config.labels, size, skipping=tell if config.on_error == "skip" else None)
    return samples if config.limit is None else limit(samples, config.limit, config.split_seed)


def tasks(samples: Samples, config: Config) -> dict[str, Split]:
    """Split, then compose within each part, so that no image of one part shows up in another."""
    parts = _split(samples, config)
    return {task: _compose(task, parts, config) for task in config.tasks}


def _split(samples: Samples, config: Config) -> Split:
    try:
        return split(samples, config.validation, config.test, config.split_seed)
    except InputError as error:
        if config.limit is None:
            raise
        raise InputError(f"limit: with {config.limit} images, {error}; a larger --limit or none would do") from None


def _compose(task: str, parts: Split, config: Config) -> Split:
    generator = torch.Generator().manual_seed(config.split_seed)
    train, validation, test = (
        TASKS[task].compose(part, config.pairs, generator) for part in (parts.train, parts.validation, parts.test)
    )
    return Split(train, validation, test)


def compose(task: str, samples: Samples, config: Config) -> Samples:
    """Other images, asked the same question."""
    return TASKS[task].compose(samples, config.pairs, torch.Generator().manual_seed(config.split_seed))


def card(samples: Samples, config: Config) -> DataCard:
    parts = _split(samples, config)
    counts = {name: len(getattr(parts, name)) for name in ("train", "validation", "test")}
    return DataCard(
        samples.origin,
        samples.digest(),
        samples.names,
        samples.images.shape[1],
        samples.size,
        samples.background,
        counts,
    )
