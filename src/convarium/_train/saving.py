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
from .team import ALONE, Alone


class Saver:
    """Checkpoints of a run, every so many steps and where a network is begun; at most one is being written at a time.

    What the writer fails at is raised at the next step, as an InputError of one line. A checkpoint that is due while another is
    being written waits for a later step, so that no step waits for the disk. Leaving the ``with`` waits for the last one.

    Args:
        run: whose ``checkpoints`` they go to.
        every: steps from one to the next.
        keep: how many are kept, the newest.
        last: the one that the run went on from.
        team: who trains together; all of them call, the first one writes.
    """

    def __init__(self, run: RunFolder, every: int, keep: int, last: Path | None = None, team: Alone = ALONE) -> None:
        self._team = team
        self._run, self._every = run, every
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
        due = self._team.leads and self._since >= self._every and self._writing is None
        if self._team.agreed(due) == (True,):
            self._begin(position)
        self._since += 1

    def now(self, position: Callable[[], Position]) -> None:
        """Write a checkpoint, and wait until it lies there whole."""
        self._settle()
        self._begin(position)
        self._settle()

    def _begin(self, position: Callable[[], Position]) -> None:
        here = position()
        self._settle()  # the first process is through with the one before, another may not be
        self._writing = self._pool.submit(self._write, here)
        self._since = 0

    def _settle(self) -> None:
        """Wait for the writer, and raise what it failed at."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, position: Position) -> None:
        values, group = position.values(), self._team.behind
        if self._team.leads:
            self._kept.append(checkpoint.write(self._run.checkpoints, values, self._run.identity, self._kept, group))
        elif group is not None:
            checkpoint.join(values, group)
