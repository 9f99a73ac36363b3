"""A run on disk. Every file is whole or absent, and the last one written says that nothing is missing.

::

    config.json                                  everything the run depends on
    data.json                                    what the images were, as prediction needs to know it
    run.json                                     the mark of a run folder; written third
    networks/TASK/KIND/seed-N.safetensors        weights
    networks/TASK/KIND/seed-N.json               what came out, with the fingerprint of the weights
    metrics.csv, metrics.json                    all results so far, and the table
    *.png                                        pictures
    complete.json                                fingerprints of all of these; written last

A network counts when its ``.json`` is there; it is written after the weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import convarium as cv

from .._files import atomic
from .._files.failures import InputError, extra, why
from .config import Config
from .results import Key, Result, rows, to_csv

FORMAT = 1
COMPLETE = "complete.json"
MARK = "run.json"


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
    def create(cls, path: Path, config: Config, card: DataCard, overwrite: bool = False) -> RunFolder:
        """Begin a run. A folder with anything in it is refused, unless it holds a run and ``overwrite`` is given."""
        check_free(path, overwrite)
        if path.exists():
            _clear(path)
        run = cls(path, config, card)
        run.write("config.json", config.to_json().encode())
        run.write("data.json", _json(asdict(card)))
        run.write(MARK, _json({"format": FORMAT, "job": config.job, "planned_with": _machine()}))
        return run

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
        mark = _parse(path / MARK, _read(path / MARK))
        if mark.get("format") != FORMAT:
            raise InputError(f"{path}: a run of format {mark.get('format')!r}; this version reads format {FORMAT}")
        sums = _parse(path / COMPLETE, _read(path / COMPLETE)).get("files", {}) if (path / COMPLETE).is_file() else {}
        raw = {name: _checked(path / name, sums.get(name)) for name in ("config.json", "data.json")}
        values = _parse(path / "data.json", raw["data.json"])
        try:
            card = DataCard(**values | {"names": tuple(values["names"]), "size": tuple(values["size"])})
        except (KeyError, TypeError):
            raise InputError(f"{path / 'data.json'}: damaged, it lacks what describes the images") from None
        return cls(path, Config.from_json(raw["config.json"], str(path / "config.json")), card)

    @property
    def complete(self) -> bool:
        return (self.path / COMPLETE).is_file()

    def planned(self) -> list[Key]:
        """The networks of a complete run, in the order of training."""
        config = self.config
        return [Key(task, kind, seed) for task in config.tasks for kind in config.kinds for seed in config.seeds]

    def missing(self) -> list[Key]:
        return [key for key in self.planned() if not self._file(key, ".json").is_file()]

    def results(self) -> list[Result]:
        """What came out of the networks that are there."""
        return [self._result(key)[0] for key in self.planned() if self._file(key, ".json").is_file()]

    def weights(self, key: Key) -> dict[str, Tensor]:
        """The weights of one network.

        Raises:
            InputError: if it was not trained, or its file is not the one that was written.
        """
        if not self._file(key, ".json").is_file():
            raise InputError(f"{self.path}: has no network {key}")
        _, fingerprint = self._result(key)
        data = _checked(self._file(key, ".safetensors"), fingerprint)
        tensors: dict[str, Tensor] = extra("safetensors.torch").load(data)
        return tensors

    def save(self, result: Result, state: dict[str, Tensor]) -> None:
        """Add a trained network, and bring the metrics up to date."""
        key = result.key
        metadata = {"task": key.task, "kind": key.kind, "seed": str(key.seed), "format": "pt"}
        tensors = {name: tensor.contiguous() for name, tensor in state.items()}
        data = extra("safetensors.torch").save(tensors, metadata)
        self.write(f"networks/{key}.safetensors", data)
        self.write(f"networks/{key}.json", _json(result.as_dict() | {"weights_sha256": _sum(data)}))
        self.write_metrics()

    def write_metrics(self) -> None:
        results = self.results()
        table = [asdict(row) for row in rows(results)]
        self.write("metrics.csv", to_csv(results).encode())
        self.write("metrics.json", _json({"table": table, "networks": [result.as_dict() for result in results]}))

    def write(self, name: str, data: bytes) -> None:
        atomic.write(self.path / name, data)

    def finish(self) -> None:
        """Say that nothing is missing. The very last thing that is written."""
        files = {name: _sum(_read(self.path / name)) for name in sorted(self._files())}
        self.write(COMPLETE, _json({"format": FORMAT, "files": files}))

    def _files(self) -> Iterator[str]:
        for file in self.path.rglob("*"):
            if file.is_file() and not file.name.startswith(".") and file.name != COMPLETE:
                yield file.relative_to(self.path).as_posix()

    def _file(self, key: Key, suffix: str) -> Path:
        return self.path / f"networks/{key}{suffix}"

    def _result(self, key: Key) -> tuple[Result, str]:
        file = self._file(key, ".json")
        values = _parse(file, _read(file))
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
    """Remove a run, and only what is a run's: its marks first, so that half of it is never taken for one."""
    try:
        for name in (COMPLETE, MARK, "config.json", "data.json", "metrics.csv", "metrics.json"):
            (path / name).unlink(missing_ok=True)
        for picture in path.glob("*.png"):
            picture.unlink()
        if (path / "networks").is_dir():
            shutil.rmtree(path / "networks")
        for leftover in path.glob(f".*{atomic.SUFFIX}"):
            with contextlib.suppress(OSError):
                leftover.unlink()
    except OSError as error:
        raise why(path, error) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise why(path, error) from None


def _checked(path: Path, fingerprint: str | None) -> bytes:
    data = _read(path)
    if fingerprint is not None and _sum(data) != fingerprint:
        raise InputError(f"{path}: damaged, it is not the file that the run wrote")
    return data


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except ValueError:
        raise InputError(f"{path}: damaged, not JSON") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: damaged, not what a run writes")
    return values


def _machine() -> dict[str, Any]:
    """The limits that plans reckon with here: the same ones plan the same engines, and give the same bits."""
    machine = cv.plan1d((1, 1, 1), (1, 1, 1)).machine
    return {"origin": machine.origin, "product": machine.product, "memory": machine.memory, "call": machine.call}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=True) + "\n").encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
