"""The limits of a machine, which costs are reckoned with.

Plans need ratios more than seconds, so the defaults serve any CPU: the speeds of one core and of its caches, and of a memory
that all share.
:mod:`.profile` has those of a machine that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

DEFAULTS = "defaults; convarium calibrate measures this machine"


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine does, with so many threads."""

    threads: int
    product: float = 80e9  # FLOP/s of a float32 matrix product, on each thread
    memory: float = 20e9  # bytes/s, all threads together
    cache: float = 50e9  # bytes/s of what stays in the caches, on each thread
    near: float = 2 * 2**20  # bytes that stay there, for each thread
    call: float = 20e-6  # seconds that a call of another library costs, whatever it does
    slower: tuple[tuple[torch.dtype, float], ...] = (  # the speed of products of other numbers, float32's being 1
        (torch.float64, 0.5),
        (torch.complex64, 1.0),
        (torch.complex128, 0.5),
        (torch.bfloat16, 0.5),
        (torch.float16, 0.5),
    )
    origin: str = DEFAULTS  # of these numbers

    def speed(self, dtype: torch.dtype) -> float:
        """FLOP/s of a matrix product of such numbers."""
        return self.threads * self.product * dict(self.slower).get(dtype, 1.0)

    def moving(self, bytes: float) -> float:
        """Seconds to read and write so many bytes: those that the caches hold from one call to the next, and the rest."""
        near = min(bytes, self.threads * self.near)
        return near / (self.threads * self.cache) + (bytes - near) / self.memory
