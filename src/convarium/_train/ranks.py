"""What each process of several is doing, told to the first one between steps: how busy it is, and what it waits for."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from platform import node

import torch

from .fit import Fit
from .team import Alone

WINDOW = 1.0  # seconds that shares are of


@dataclass(frozen=True, slots=True)
class Rank:
    """One process over the last second or more.

    Attributes:
        host: its machine's name.
        busy: its CPU time as a share of its threads'. Whom the others wait for is busier than they are.
        waiting: the share of the time that it waited for images.
        memory: bytes that it took up at most, so far; 0 where the system does not tell.
    """

    host: str
    busy: float
    waiting: float
    memory: int


@dataclass(slots=True)
class Ranks:
    """Meets the others of a team before every step."""

    team: Alone
    _hosts: list[str] = field(init=False)
    _since: tuple[float, float] = field(init=False)
    _own: tuple[float, float, int] = field(init=False)
    _fit: Fit | None = None
    _waited: float = 0.0  # in this window
    _before: float = 0.0  # what the loop said before

    def __post_init__(self) -> None:
        self._hosts = self.team.gathered(node())
        self._since = (time.perf_counter(), time.process_time())
        self._own = (0.0, 0.0, _memory())

    def meet(self, number: int, fit: Fit) -> tuple[int, list[Rank]]:
        """The largest of the numbers that each process has, and what each of them is doing."""
        waited = fit.seconds_waiting
        if fit is not self._fit:  # which may go on in the middle of an epoch
            self._fit, self._before = fit, waited
        self._waited += waited - self._before if waited >= self._before else waited  # an epoch begins at zero
        self._before = waited
        now = (time.perf_counter(), time.process_time())
        seconds, busy = (end - begin for end, begin in zip(now, self._since, strict=True))
        if seconds >= WINDOW:
            self._own = (busy / seconds / torch.get_num_threads(), self._waited / seconds, _memory())
            self._since, self._waited = now, 0.0
        told = self.team.told(number, *self._own)
        ranks = [Rank(host, own[1], own[2], int(own[3])) for host, own in zip(self._hosts, told, strict=True)]
        return int(max(own[0] for own in told)), ranks


def _memory() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
