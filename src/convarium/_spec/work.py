"""What a map costs, as its engine sees it; the planner turns it into seconds with the limits of a machine."""

from __future__ import annotations

from dataclasses import dataclass

import torch

FRESH = 32 * 2**20  # bytes: C libraries give larger blocks back to the system at each free


@dataclass(frozen=True, slots=True)
class Work:
    """One map of one problem, done by one engine.

    Args:
        flops: floating-point operations that are done, those of padding or of unused lanes counted too.
        efficiency: at what part of the speed of a large matrix product.
        bytes: moved to and from memory, copies that the engine makes for itself counted.
        workspace: bytes held besides operands and result.
        calls: of other libraries' functions, each with a cost of its own.
        dtype: that it computes in, where it is not the problem's.
    """

    flops: float
    efficiency: float
    bytes: float
    workspace: float = 0.0
    calls: int = 1
    dtype: torch.dtype | None = None


def first_touch(bytes: int) -> int:
    """What the page faults of a result in fresh memory cost, as bytes moved: ten times its size, measured."""
    return 10 * bytes if bytes > FRESH else 0
