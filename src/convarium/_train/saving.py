"""Writing checkpoints behind the training: a step waits for a copy of what changes, a thread does the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from . import checkpoint
from .position import Position
from .run_folder import RunFolder


class Saver:
    """Checkpoints of a run, every so many steps and where a network is begun; at most one is being written at a time.

    What the writer fails at is raised at the next step, as an InputError of one line. A checkpoint that is due while another is
    being written waits for a later step, so that no step waits for the disk. Leaving the ``with`` waits for the last one.

    Args:
        run: whose ``checkpoints`` they go to.
        every: steps from one to the next.
        keep: how many are kept, the newest.
        last: the one that the run went on from.
    """

    def __init__(self, run: RunFolder, every: int, keep: int, last: Path | None = None) -> None:
        self._folder, self._identity, self._every = run.checkpoints, run.identity, every
        self._kept = deque([] if last is None else [last], maxlen=keep - 1)
        self._since = 0
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self._settle()

    def step(self, position: Callable[[], Position], fresh: bool) -> None:
        """Before every step; begins to write a checkpoint when one is due."""
        if self._writing is not None and self._writing.done():
            self._settle()
        if fresh:
            self._since = self._every
        if self._since >= self._every and self._writing is None:
            self._begin(position)
        self._since += 1

    def now(self, position: Callable[[], Position]) -> None:
        """Write a checkpoint, and wait until it lies there whole."""
        self._settle()
        self._begin(position)
        self._settle()

    def _begin(self, position: Callable[[], Position]) -> None:
        self._writing = self._pool.submit(self._write, position())
        self._since = 0

    def _settle(self) -> None:
        """Wait for the writer, and raise what it failed at."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, position: Position) -> None:
        self._kept.append(checkpoint.write(self._folder, position.values(), self._identity, self._kept))
