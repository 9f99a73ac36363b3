"""The limits of a machine, which costs are reckoned with.

Plans need ratios more than seconds, so the defaults serve any CPU: the speeds of one core, and of a memory that all share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Machine:
    """What one machine does, with so many threads."""

    threads: int
    product: float = 60e9  # FLOP/s of a float32 matrix product, on each thread
    memory: float = 20e9  # bytes/s, all threads together
    call: float = 20e-6  # seconds that a call of another library costs, whatever it does
    slower: tuple[tuple[torch.dtype, float], ...] = (
        (torch.float64, 0.5),
        (torch.complex64, 1.0),
        (torch.complex128, 0.5),
        (torch.bfloat16, 0.5),
        (torch.float16, 0.5),
    )

    def speed(self, dtype: torch.dtype) -> float:
        """FLOP/s of a matrix product of such numbers."""
        return self.threads * self.product * dict(self.slower).get(dtype, 1.0)


def machine() -> Machine:
    """This one, with the threads that torch has now."""
    return Machine(torch.get_num_threads())
