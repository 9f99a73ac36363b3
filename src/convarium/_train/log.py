"""A run's log: a JSON object a line, as it goes, and the same numbers for TensorBoard where they are asked for.

Each line of ``log.jsonl`` has ``time`` (seconds since 1970) and ``event``: ``began`` or ``went on`` (with ``processes``),
``epoch`` (with its network, rate and numbers, and what each process was doing at its end) and ``result``. After a kill a run goes
on from its last checkpoint, so an epoch may be there twice, with the same numbers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .._files.failures import InputError, extra, why
from .compare import Watch
from .fit import Epoch
from .ranks import Rank
from .results import Key, Result

LOG, TENSORBOARD = "log.jsonl", "tensorboard"
KINDS = (TENSORBOARD,)


class Log:
    """A :class:`Watch` that writes down what it is told, and tells another."""

    def __init__(self, folder: Path, watch: Watch, processes: int, tensorboard: bool) -> None:
        self._folder, self._watch, self._processes = folder, watch, processes
        self._key, self._rate = Key("", "", 0), 0.0
        self._ranks: list[Rank] = []
        self._board = extra("torch.utils.tensorboard").SummaryWriter if tensorboard else None
        self._writer: Any = None
        try:
            self._file = (folder / LOG).open("a+b")
        except OSError as error:
            raise why(folder / LOG, error) from None
        self._begun = _end_line(self._file)

    def begin(self, epochs: int, done: int, networks: int) -> None:
        self._line("went on" if self._begun else "began", epochs=epochs, done=done, processes=self._processes)
        self._watch.begin(epochs, done, networks)

    def network(self, key: Key, rate: float, trial: bool) -> None:
        self._key, self._rate = key, rate
        if self._board is not None:
            self._close_board()
            self._writer = self._board(str(self._folder / TENSORBOARD / str(key) / f"rate-{rate:g}"))
        self._watch.network(key, rate, trial)

    def epoch(self, epoch: Epoch) -> None:
        numbers = {name: getattr(epoch, name) for name in Epoch.__slots__}
        ranks = [asdict(rank) for rank in self._ranks]
        self._line("epoch", network=str(self._key), rate=self._rate, **numbers, ranks=ranks)
        if self._writer is not None:
            for name, value in numbers.items():
                if name != "epoch":
                    self._writer.add_scalar(name.replace("_", "/", 1), value, epoch.epoch)
        self._watch.epoch(epoch)

    def ranks(self, ranks: list[Rank]) -> None:
        self._ranks = ranks
        self._watch.ranks(ranks)

    def result(self, result: Result) -> None:
        self._line("result", network=str(result.key), rate=result.rate, test_accuracy=result.test_accuracy)
        self._watch.result(result)

    def close(self) -> None:
        self._file.close()
        self._close_board()

    def _close_board(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _line(self, event: str, **values: Any) -> None:
        try:
            self._file.write(json.dumps({"time": time.time(), "event": event, **values}).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise why(self._folder / LOG, error) from None


@contextmanager
def logged(folder: Path, watch: Watch, processes: int, to: str | None) -> Iterator[Watch]:
    """The watch, written down in a run's folder.

    Raises:
        InputError: TensorBoard is not installed, or the log cannot be written.
    """
    log = Log(folder, watch, processes, to == TENSORBOARD)
    try:
        yield log
    finally:
        log.close()


def check(to: str | None) -> None:
    """Refuse, before anything is begun, another kind of log than there is, or one that is not installed."""
    if to is not None and to not in KINDS:
        raise InputError(f"--log: {to!r} is not one of {', '.join(KINDS)}")
    if to == TENSORBOARD:
        extra("tensorboard")


def _end_line(file: Any) -> bool:
    """A kill may have left half a line; the next one begins on its own. Returns whether there is any."""
    if file.seek(0, 2) == 0:
        return False
    file.seek(-1, 2)
    if file.read(1) != b"\n":
        file.write(b"\n")
    return True
