"""Ctrl-C and SIGTERM, heeded where a command can leave things in order; a second one ends it at once.

An exception that a signal handler raises may come up anywhere, in the middle of an import or of a callback from C++, which turn
it into errors of their own. So the handler only notes the signal, and :meth:`Stop.here` raises between two steps.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h: nothing is lost, and the command can be told to go on


class Stopped(BaseException):
    """A signal asked us to stop. ``code`` is the exit code: :data:`RESUMABLE`, or what shells expect, 128 and the number."""

    def __init__(self, number: int, note: str = "", resumable: bool = False) -> None:
        super().__init__(number, note)
        self.number = number
        self.note = note
        self.code = RESUMABLE if resumable else 128 + number

    def __str__(self) -> str:
        name = NAMES.get(signal.Signals(self.number), str(self.number))
        return f"stopped by {name}" + (f": {self.note}" if self.note else "")


class Stop:
    """Whether a signal came, and which: ``number``, or 0."""

    def __init__(self, patient: bool) -> None:
        self.number = 0
        self._patient = patient

    def note(self, number: int, frame: FrameType | None) -> None:
        """The signals' handler."""
        self.number = number
        for each in () if self._patient else NAMES:
            signal.signal(each, signal.SIG_DFL)

    def here(self) -> None:
        """Raise :class:`Stopped` if a signal came."""
        if self.number:
            raise Stopped(self.number)


@contextlib.contextmanager
def stoppable(patient: bool = False) -> Iterator[Stop]:
    """Within it the two signals are noted. Elsewhere than in the main thread none is. A patient one heeds no second signal:
    ``torchrun`` sends its own after Ctrl-C's, and kills whoever takes longer than half a minute."""
    stop = Stop(patient)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.note) for number in NAMES}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
