"""Checkpoints on disk: a folder each, whole or absent, with a fingerprint of every file.

::

    checkpoints/latest                     the name of the newest one
    checkpoints/000012/tensors.safetensors every tensor, by its place among the values; or each process's part of them, see
                                           :mod:`convarium._train.shards`
    checkpoints/000012/state.json          the other values, the format, and whose checkpoint it is
    checkpoints/000012/complete.json       fingerprints of the others; written last

A checkpoint is filled beside its name and renamed, then ``latest`` is moved, then older ones are removed. Its values are nested
dicts with text as keys and lists, of tensors and of what JSON knows; in ``state.json`` a tensor is ``{"tensor": its name}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed import ProcessGroup

from .._files import atomic
from .._files.failures import InputError, extra, why
from .._files.fingerprints import check, checked, fingerprint, fingerprint_of, parse, read, to_json
from . import shards

FORMAT = 1
TENSORS, STATE, COMPLETE, LATEST = "tensors.safetensors", "state.json", "complete.json", "latest"


class Damaged(InputError):
    """A checkpoint is not what was written; the one before it may be."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that was read: where it lies, the identity of its run, and its values."""

    path: Path
    run: str
    values: dict[str, Any]


def write(
    folder: Path, values: Mapping[str, Any], run: str, kept: Iterable[Path] = (), group: ProcessGroup | None = None
) -> Path:
    """Add a checkpoint to a run's ``checkpoints`` and remove all but it and those ``kept``; returns where it lies.

    Args:
        group: those who have parts of the tensors, if not all are here; the others call :func:`join`.

    Raises:
        InputError: the system does not let us; those that were there still are.
    """
    path = folder / f"{max((int(old.name) for old in _all(folder)), default=0) + 1:06d}"
    found: dict[str, Tensor] = {}
    state = {"format": FORMAT, "run": run, "values": _taken(values, "", found)}
    files = {STATE: to_json(state, indent=None)}
    if group is None:
        files[TENSORS] = extra("safetensors.torch").save(found)
    marks = {name: fingerprint(data) for name, data in files.items()}
    try:
        with atomic.folder(path) as part:
            if group is not None:
                marks |= {file.name: fingerprint_of(file) for file in shards.write(part, found, group)}
            for name, data in files.items():
                (part / name).write_bytes(data)
            (part / COMPLETE).write_bytes(to_json({"files": marks}))
        atomic.replace(folder / LATEST, f"{path.name}\n".encode())
        for old in _all(folder):
            if old not in (path, *kept):
                atomic.remove(old)
    except OSError as error:
        raise why(path, error) from None
    return path


def join(values: Mapping[str, Any], group: ProcessGroup) -> None:
    """Write this process's parts of the values to the checkpoint that the first one of the group writes."""
    shards.join(tensors(values), group)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint, its tensors whole.

    Raises:
        Damaged: a file is missing, cut short or changed; the message names it.
        InputError: another version of the library wrote it.
    """
    try:
        files = verify(path)
        state = parse(path / STATE, files[STATE])
        if state["format"] != FORMAT:
            raise InputError(f"{path}: a checkpoint of format {state['format']}; this version reads format {FORMAT}")
        found = extra("safetensors.torch").load(files[TENSORS]) if TENSORS in files else shards.read(path)
        return Checkpoint(path, state["run"], _given(state["values"], found))
    except KeyError:
        raise Damaged(f"{path / STATE}: damaged, it lacks what a checkpoint has") from None


def verify(path: Path) -> dict[str, bytes]:
    """The files of a checkpoint but for what processes wrote apart, if all have their fingerprints; else :class:`Damaged`."""
    try:
        marks = parse(path / COMPLETE, read(path / COMPLETE)).get("files")
        if not isinstance(marks, dict) or STATE not in marks or (TENSORS in marks) == (shards.INDEX in marks):
            raise InputError(f"{path / COMPLETE}: damaged, it is not the file that the run wrote")
        files = {}
        for name, mark in marks.items():
            if name in (STATE, TENSORS):
                files[name] = checked(path / name, str(mark))
            else:
                check(path / name, str(mark))
        return files
    except InputError as error:
        raise Damaged(str(error)) from None


def tensors(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors among the values of a checkpoint, by their place."""
    found: dict[str, Tensor] = {}
    _taken(values, "", found)
    return found


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints of a run: what ``latest`` names, then the others, the newest first."""
    paths = sorted(_all(folder), key=lambda path: -int(path.name))
    try:
        latest = (folder / LATEST).read_bytes().decode().strip()
    except (OSError, ValueError):
        return paths
    return sorted(paths, key=lambda path: path.name != latest)


def newest_whole(folder: Path, passed_over: Callable[[Damaged], None]) -> Checkpoint | None:
    """The newest checkpoint that is what was written, if there is one; ``passed_over`` is told of each newer one."""
    for path in newest_first(folder):
        try:
            return load(path)
        except Damaged as damage:
            passed_over(damage)
    return None


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*") if path.name.isdecimal() and path.is_dir()]


def _taken(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON has it; its tensors are put among ``tensors``, by their place."""
    if isinstance(value, Tensor):
        tensors[name] = value.contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {str(key): _taken(part, f"{name}/{key}".lstrip("/"), tensors) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_taken(part, f"{name}/{place}", tensors) for place, part in enumerate(value)]
    return value


def _given(value: Any, tensors: dict[str, Tensor]) -> Any:
    """What :func:`_taken` took apart."""
    if isinstance(value, dict):
        if value.keys() == {"tensor"} and isinstance(value["tensor"], str):
            return tensors[value["tensor"]]
        return {key: _given(part, tensors) for key, part in value.items()}
    return [_given(part, tensors) for part in value] if isinstance(value, list) else value
