"""Going on with a run that was stopped: what of it is finished, and the last good checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .._files import atomic
from .._files.failures import InputError, why
from . import checkpoint
from .position import Position
from .results import Key, Result
from .run_folder import RunFolder
from .samples import Samples


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run got: its finished networks, and the position and path of the checkpoint to go on from, if there is one."""

    finished: dict[Key, Result] = field(default_factory=dict)
    at: Position | None = None
    checkpoint: Path | None = None


def standing(run: RunFolder, samples: Samples, warn: Callable[[str], None]) -> Standing:
    """Find out how far a run got, and clear away what was half written.

    Args:
        run: an unfinished run that nobody writes to.
        samples: the images that its settings name.
        warn: told of every file that is damaged, in a line; the checkpoint before it is used, a damaged network trained again.

    Raises:
        InputError: if the images or a checkpoint are not this run's.
    """
    if samples.digest() != run.card.digest:
        raise InputError(
            f"{run.config.data}: the images are not the ones that {run.path} was begun with; bring those back, or begin a new run"
        )
    if not run.planned_here:
        warn(f"{run.path}: was planned with other limits of the machine (convarium calibrate); last bits may differ")
    try:
        atomic.sweep(run.path)
    except OSError as error:
        raise why(run.path, error) from None
    finished = _finished(run, warn)
    run.write_metrics()
    found = checkpoint.newest_whole(run.checkpoints, lambda damage: warn(f"{damage}; this checkpoint is passed over"))
    if found is None:
        return Standing(finished)
    if found.run != run.identity:
        raise InputError(
            f"{found.path}: a checkpoint of another run, its settings or data differ; without it the run goes on: remove it"
        )
    position = Position.read(found)
    return Standing(finished) if position.key in finished else Standing(finished, position, found.path)


def _finished(run: RunFolder, warn: Callable[[str], None]) -> dict[Key, Result]:
    finished = {}
    missing = set(run.missing())
    for key in run.planned():
        if key in missing:
            continue
        try:
            run.weights(key)
            finished[key] = run.result(key)
        except InputError as damage:
            warn(f"{damage}; this network is trained again")
            run.forget(key)
    return finished
