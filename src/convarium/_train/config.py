"""Everything a run depends on, as one frozen value that is checked in one place and saved with the run."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from .._files.failures import InputError, why
from .device import DEVICES
from .kinds import KINDS
from .tasks import TASKS

JOBS = ("digits",)
ON_ERROR = ("stop", "skip")
LONGEST = 1000  # entries of a list
MOST = {  # what is beyond these is a slip of the keyboard; it would end in the middle of the work, or in a crash
    "epochs": 100_000,
    "batch": 1_000_000,
    "tile": 1024,
    "groups": 4096,
    "channels": 4096,
    "pairs": 1000,
    "checkpoint_every": 1_000_000_000,
    "keep": 1000,
    "threads": max(1024, 4 * (os.cpu_count() or 1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What to train, on what, and how. Equal configurations give equal bits on one machine with one thread count.

    Attributes:
        job: the comparison to run; the only one so far is ``"digits"``.
        data: ``"digits"`` (scikit-learn's, inside its package) or a path (see :mod:`convarium._train.sources`).
        labels: the label file, where ``data`` is an IDX image file whose label file has an unrelated name.
        size: height and width that every image is brought to, or None to keep small images of one size as they are.
        limit: use at most this many images, the classes in proportion; None uses all.
        on_error: ``"stop"`` at a file of a folder that cannot be read, or ``"skip"`` it.
        kinds: middle layers to compare, keys of ``KINDS``.
        tasks: keys of ``TASKS``.
        seeds: one network of each kind is trained for each: initial weights and the order of batches follow from it.
        split_seed: which images are for training, validation and testing, and which stand side by side; the same for all.
        validation, test: shares of the images. A source with a test set of its own keeps it.
        epochs, batch: length of training and images a step.
        rates: learning rates that each kind may choose from, on validation images.
        channels: outputs of the first and of the middle layer.
        tile: kernels that take turns in each direction, in the tiled middle layer.
        groups: interlaced groups of the channel-local middle layer.
        pairs: side-by-side images made of each image, in the task about place.
        threads: threads of torch; None leaves torch's own number.
        device: ``"cpu"``, or ``"cuda"``, a GPU for each process.
        checkpoint_every: steps of the optimiser from one checkpoint to the next. No number depends on it, nor on
        keep: how many checkpoints are kept.
    """

    job: str = "digits"
    data: str = "digits"
    labels: str | None = None
    size: tuple[int, ...] | None = None
    limit: int | None = None
    on_error: str = "stop"
    kinds: tuple[str, ...] = tuple(KINDS)
    tasks: tuple[str, ...] = tuple(TASKS)
    seeds: tuple[int, ...] = (0, 1, 2)
    split_seed: int = 0
    validation: float = 0.2
    test: float = 0.2
    epochs: int = 15
    batch: int = 64
    rates: tuple[float, ...] = (0.03, 0.1, 0.3)  # each is some kind's choice; at 1 training is unstable
    channels: tuple[int, ...] = (8, 16)
    tile: int = 3
    groups: int = 4
    pairs: int = 2
    threads: int | None = None
    device: str = "cpu"
    checkpoint_every: int = 200
    keep: int = 2

    def __post_init__(self) -> None:
        _check_types(self)
        if self.job not in JOBS:
            raise InputError(
                f"job: {self.job!r} is not one of {', '.join(JOBS)}; images of your own are given with --data"
            )
        _check_choice("on_error", [self.on_error], ON_ERROR)
        _check_choice("device", [self.device], DEVICES)
        _check_choice("kinds", self.kinds, KINDS)
        _check_choice("tasks", self.tasks, TASKS)
        _check_list("seeds", self.seeds, least=0)
        _check_list("rates", self.rates)
        for rate in self.rates:
            if not 0 < rate <= 10:
                raise InputError(f"rates: {rate} is not a learning rate; expected a number above 0 and at most 10")
        for name, most in MOST.items():
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and not 1 <= number <= most:
                    raise InputError(f"{name}: expected a whole number from 1 to {most:,}, got {number}")
        if not 0 <= self.split_seed < 2**63:
            raise InputError(f"split_seed: expected a whole number from 0 to 2**63 - 1, got {self.split_seed}")
        if self.limit is not None and self.limit < 10:
            raise InputError(f"limit: expected at least 10 images, got {self.limit}")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 5 or max(self.size) > 1024):
            single = len(self.size) == 1 and 5 <= self.size[0] <= 1024
            example = _show(2 * self.size) if single else "28x28"
            raise InputError(
                f"size: expected height and width, each from 5 to 1024, got {_show(self.size)}; write {example}"
            )
        if len(self.channels) != 2 or any(c % self.groups for c in self.channels):
            raise InputError(f"channels: expected two multiples of groups={self.groups}, got {_show(self.channels)}")
        for name in ("validation", "test"):
            share = getattr(self, name)
            if not 0 < share < 1:
                raise InputError(f"{name}: expected a share of the images between 0 and 1, got {share}")
        if self.validation + self.test >= 1:
            raise InputError("validation and test together leave no images for training")

    def to_json(self) -> str:
        """The configuration as JSON, every key written."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, origin: str = "configuration") -> Config:
        """Read what :meth:`to_json` wrote. Keys that are left out keep their defaults; unknown ones are refused.

        Examples:
            >>> Config.from_json('{"epochs": 3}').epochs
            3
            >>> Config.from_json('{"epoch": 3}')
            Traceback (most recent call last):
            ...
            convarium._files.failures.InputError: configuration: unknown key 'epoch'
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{origin}: not JSON ({error})") from None
        if not isinstance(values, dict):
            raise InputError(f"{origin}: expected a JSON object of settings")
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = [key for key in values if key not in known]
        if unknown:
            keys = "key" if len(unknown) == 1 else "keys"
            raise InputError(f"{origin}: unknown {keys} {', '.join(map(repr, unknown))}")
        settings: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        try:
            return cls(**settings)
        except InputError as error:
            raise InputError(f"{origin}: {error}") from None

    @classmethod
    def load(cls, path: Path) -> Config:
        try:
            return cls.from_json(path.read_bytes(), str(path))
        except OSError as error:
            raise why(path, error) from None

    def replace(self, **changes: Any) -> Config:
        """A copy with some settings changed; those given as None are left as they are."""
        return dataclasses.replace(self, **{name: value for name, value in changes.items() if value is not None})


def _check_types(config: Config) -> None:
    """JSON and callers can bring anything; a wrong type must not surface later as a crash."""
    for name, hint in get_type_hints(Config).items():
        value = getattr(config, name)
        if not _fits(value, hint):
            raise InputError(f"{name}: expected {_describe(hint)}, got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    arguments = getattr(hint, "__args__", ())
    if type(None) in arguments:
        return value is None or any(_fits(value, part) for part in arguments if part is not type(None))
    if arguments:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _describe(hint: Any) -> str:
    arguments = getattr(hint, "__args__", ())
    if type(None) in arguments:
        return " or ".join("null" if part is type(None) else _describe(part) for part in arguments)
    if arguments:
        return {str: "a list of names", int: "a list of whole numbers", float: "a list of numbers"}[arguments[0]]
    return {str: "a text", int: "a whole number", float: "a number"}[hint]


def _check_list(name: str, values: tuple[Any, ...], least: float | None = None) -> None:
    if not 1 <= len(values) <= LONGEST:
        raise InputError(f"{name}: expected a list of 1 to {LONGEST:,} entries, got {len(values):,}")
    (value, times), *_ = Counter(values).most_common(1)
    if times > 1:
        raise InputError(f"{name}: {value} is listed twice")
    for value in values if least is not None else ():
        if not least <= value < 2**63:
            raise InputError(f"{name}: expected whole numbers from {least} to 2**63 - 1, got {value}")


def _check_choice(name: str, values: Iterable[str], choices: Iterable[str]) -> None:
    values = tuple(values)
    _check_list(name, values)
    for value in values:
        if value not in choices:
            raise InputError(f"{name}: {value!r} is not one of {', '.join(choices)}")


def _show(numbers: Iterable[int]) -> str:
    return "x".join(map(str, numbers))
