"""A run on disk. Every file is whole or absent, and the last one written says that nothing is missing.

::

    config.json                                  everything the run depends on
    data.json                                    what the images were, as prediction needs to know it
    run.json                                     the mark of a run folder; written third
    networks/TASK/KIND/seed-N.safetensors        weights
    networks/TASK/KIND/seed-N.json               what came out, with the fingerprint of the weights
    metrics.csv, metrics.json                    all results so far, and the table
    checkpoints/                                 where it stands, until it is complete: see :mod:`convarium._train.checkpoint`
    *.png, look.html                             pictures, and a look inside
    complete.json                                fingerprints of all of these; written last
    .lock                                        held by the process that writes here

A network counts when its ``.json`` is there; it is written after the weights.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import convarium as cv

from .._files import atomic
from .._files.failures import InputError, extra, why
from .._files.fingerprints import checked, fingerprint, fingerprint_of, parse, read, to_json
from .config import Config
from .results import Key, Result, rows, to_csv

FORMAT = 1
COMPLETE = "complete.json"
MARK = "run.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class DataCard:
    """What is known of the images a run was trained on."""

    origin: str
    digest: str
    names: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    background: float
    counts: dict[str, int]


class RunFolder:
    """A run that is being written (:meth:`create`) or was (:meth:`open`)."""

    def __init__(self, path: Path, config: Config, card: DataCard) -> None:
        self.path = path
        self.config = config
        self.card = card

    @classmethod
    def create(
        cls, path: Path, config: Config, card: DataCard, overwrite: bool = False, parallel: str | None = None
    ) -> RunFolder:
        """Begin a run. A folder with anything in it is refused, unless it holds a run and ``overwrite`` is given."""
        check_free(path, overwrite)
        run = cls(path, config, card)
        if path.exists():  # it may be where we stand, or a mount: it cannot be replaced by another folder
            with run.alone():
                _clear(path)
                run._begin(parallel)
        else:
            with atomic.folder(path) as part:  # a kill leaves a run or none
                cls(part, config, card)._begin(parallel)
        return run

    def _begin(self, parallel: str | None) -> None:
        self.write("config.json", self.config.to_json().encode())
        self.write("data.json", to_json(asdict(self.card)))
        mark = {"format": FORMAT, "job": self.config.job, "planned_with": _machine(), "job_id": job_id()}
        self.write(MARK, to_json(mark | {"parallel": parallel}))

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Read a run, complete or not.

        Raises:
            InputError: if it is no run folder, or one of its files is damaged.
        """
        if not path.is_dir():
            raise InputError(f"{path}: no such folder")
        if not (path / MARK).is_file():
            raise InputError(f"{path}: not a run folder ({MARK} is missing)")
        mark = parse(path / MARK, read(path / MARK))
        if mark.get("format") != FORMAT:
            raise InputError(f"{path}: a run of format {mark.get('format')!r}; this version reads format {FORMAT}")
        sums = _fingerprints(path)
        raw = {name: checked(path / name, sums.get(name)) for name in ("config.json", "data.json")}
        values = parse(path / "data.json", raw["data.json"])
        try:
            card = DataCard(**values | {"names": tuple(values["names"]), "size": tuple(values["size"])})
        except (KeyError, TypeError):
            raise InputError(f"{path / 'data.json'}: damaged, it lacks what describes the images") from None
        return cls(path, Config.from_json(raw["config.json"], str(path / "config.json")), card)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While this process writes to it, no other may; a process that ends, however it does, lets go of it."""
        filelock = extra("filelock")
        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(f"{self.path}: another process is writing to it; wait for it, or stop it first") from None
        except OSError as error:
            raise why(self.path, error) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def complete(self) -> bool:
        return (self.path / COMPLETE).is_file()

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of every file, once the run is complete."""
        return _fingerprints(self.path)

    @property
    def identity(self) -> str:
        """The fingerprint of settings and data: what a checkpoint must have been written under to be this run's."""
        return fingerprint(read(self.path / "config.json") + read(self.path / "data.json"))

    @property
    def begun_by_this_job(self) -> bool:
        """Whether the job of ``torchrun`` that this process belongs to began the run, before one of its processes died."""
        return job_id() is not None and self._mark.get("job_id") == job_id()

    @property
    def parallel(self) -> str | None:
        """What each of several processes held when the run began; None for one, and in a run of an earlier version."""
        return self._mark.get("parallel")

    @property
    def planned_here(self) -> bool:
        """Whether engines are planned with the limits that they were planned with when the run began."""
        return self._mark.get("planned_with") == _machine()

    @property
    def _mark(self) -> dict[str, Any]:
        return parse(self.path / MARK, read(self.path / MARK))

    def planned(self) -> list[Key]:
        """The networks of a complete run, in the order of training."""
        config = self.config
        return [Key(task, kind, seed) for task in config.tasks for kind in config.kinds for seed in config.seeds]

    def missing(self) -> list[Key]:
        return [key for key in self.planned() if not self._file(key, ".json").is_file()]

    def results(self) -> list[Result]:
        """What came out of the networks that are there."""
        return [self.result(key) for key in self.planned() if self._file(key, ".json").is_file()]

    def result(self, key: Key) -> Result:
        """What came out of one network."""
        return self._result(key)[0]

    def forget(self, key: Key) -> None:
        """Let a network count as missing."""
        self._file(key, ".json").unlink(missing_ok=True)

    def weights(self, key: Key) -> dict[str, Tensor]:
        """The weights of one network.

        Raises:
            InputError: if it was not trained, or its file is not the one that was written.
        """
        if not self._file(key, ".json").is_file():
            raise InputError(f"{self.path}: has no network {key}")
        _, expected = self._result(key)
        data = checked(self._file(key, ".safetensors"), expected)
        tensors: dict[str, Tensor] = extra("safetensors.torch").load(data)
        return tensors

    def save(self, result: Result, state: dict[str, Tensor]) -> None:
        """Add a trained network, and bring the metrics up to date."""
        key = result.key
        data = weights_file(key, state)
        self.write(f"networks/{key}.safetensors", data)
        self.write(f"networks/{key}.json", to_json(result.as_dict() | {"weights_sha256": fingerprint(data)}))
        self.write_metrics()

    def write_metrics(self) -> None:
        results = self.results()
        table = [asdict(row) for row in rows(results)]
        self.write("metrics.csv", to_csv(results).encode())
        self.write("metrics.json", to_json({"table": table, "networks": [result.as_dict() for result in results]}))

    def write(self, name: str, data: bytes) -> None:
        atomic.write(self.path / name, data)

    def finish(self) -> None:
        """Say that nothing is missing. The very last thing that is written; checkpoints are of no use then."""
        atomic.remove(self.checkpoints)
        files = {name: fingerprint_of(self.path / name) for name in sorted(self._files())}
        self.write(COMPLETE, to_json({"format": FORMAT, "files": files}))

    def _files(self) -> Iterator[str]:
        for file in self.path.rglob("*"):
            if file.is_file() and not file.name.startswith(".") and file.name != COMPLETE:
                yield file.relative_to(self.path).as_posix()

    def _file(self, key: Key, suffix: str) -> Path:
        return self.path / f"networks/{key}{suffix}"

    def _result(self, key: Key) -> tuple[Result, str]:
        file = self._file(key, ".json")
        values = parse(file, read(file))
        return Result.from_dict(values, str(file)), str(values.get("weights_sha256"))


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse to write into what is not ours to write into, before any work is done."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: exists and is not a folder")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / MARK).is_file():
        raise InputError(f"{path}: the folder is not empty and holds no run; choose another with --out")
    if not overwrite:
        state = "a run" if (path / COMPLETE).is_file() else "an unfinished run"
        raise InputError(f"{path}: holds {state} already; --overwrite replaces it, --out chooses another folder")


def _clear(path: Path) -> None:
    """Remove a run, and only what is a run's, but for its settings, which are replaced: what is left is a run that was begun."""
    try:
        for name in (COMPLETE, "metrics.csv", "metrics.json", "look.html", "log.jsonl", "profile.json"):
            (path / name).unlink(missing_ok=True)
        for picture in path.glob("*.png"):
            picture.unlink()
        for folder in ("networks", "tensorboard", CHECKPOINTS):
            atomic.remove(path / folder)
        atomic.sweep(path)
    except OSError as error:
        raise why(path, error) from None


def _fingerprints(path: Path) -> dict[str, str]:
    mark = path / COMPLETE
    return parse(mark, read(mark)).get("files", {}) if mark.is_file() else {}


def job_id() -> str | None:
    """What ``torchrun`` calls this job; nothing if it has no name, or there is no job."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if name == "none" else name


def weights_file(key: Key, state: dict[str, Tensor]) -> bytes:
    """A network's weights as a safetensors file that says whose they are."""
    metadata = {"task": key.task, "kind": key.kind, "seed": str(key.seed), "format": "pt"}
    data: bytes = extra("safetensors.torch").save({name: t.contiguous() for name, t in state.items()}, metadata)
    return data


def _machine() -> dict[str, Any]:
    """The limits that plans reckon with here: the same ones plan the same engines, and give the same bits."""
    machine = cv.plan1d((1, 1, 1), (1, 1, 1)).machine
    names = ("origin", "product", "memory", "cache", "near", "call")
    return {name: getattr(machine, name) for name in names}
