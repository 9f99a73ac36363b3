"""Ctrl-C and SIGTERM as an exception, so that a command can leave things in order; a second one ends it at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(BaseException):
    """A signal asked us to stop. ``code`` is the exit code that shells expect: 128 and the signal's number."""

    def __init__(self, number: int, note: str = "") -> None:
        super().__init__(number, note)
        self.number = number
        self.note = note

    @property
    def code(self) -> int:
        return 128 + self.number

    def __str__(self) -> str:
        name = NAMES.get(signal.Signals(self.number), str(self.number))
        return f"stopped by {name}" + (f": {self.note}" if self.note else "")


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Within it the two signals raise :class:`Stopped`. Elsewhere than in the main thread it does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for each in NAMES:
            signal.signal(each, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in NAMES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
