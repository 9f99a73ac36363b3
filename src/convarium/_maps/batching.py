"""What ``vmap`` does: the mapped axis goes into the batch, or makes copies of the channel graph side by side.

A loop over the axis would be right and slow. If the weight (or its gradient) is not mapped, the axis is more batch. If it is,
each entry of the axis has its own kernels and its own channels: as many copies of the graph, none joined to another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .._spec.problem import Map
from .._spec.wiring import repeated
from .bilinear import GIVES, TAKES, Settings


def rule(map: Map, operator: Any) -> Callable[..., tuple[Tensor, int]]:
    roles = TAKES[map]

    def batched(info: Any, in_dims: Any, a: Tensor, b: Tensor, sizes: Any, *rest: Any) -> tuple[Tensor, int]:
        settings = Settings(*rest)
        dims = in_dims[:2]
        times = info.batch_size
        operands = [t if dim is None else t.movedim(dim, 0) for t, dim in zip((a, b), dims, strict=True)]
        if map != "grad_weight" and dims[1] is None:  # the weight is not mapped: more batch
            result = operator(operands[0].flatten(0, 1), operands[1], sizes, *settings)
            return result.unflatten(0, (times, -1)), 0
        copies = [
            _side_by_side(t if dim is not None else t.expand(times, *t.shape), role != "weight")
            for t, dim, role in zip(operands, dims, roles, strict=True)
        ]
        result = operator(*copies, sizes, *settings._replace(channels=repeated(settings.channels, int(times))))
        channel_dim = 0 if GIVES[map] == "weight" else 1
        return result.unflatten(channel_dim, (times, -1)), channel_dim

    return batched


def _side_by_side(stacked: Tensor, has_batch: bool) -> Tensor:
    """``(copies, batch, channels, ...)`` to ``(batch, copies * channels, ...)``, or the same of a weight without a batch."""
    return stacked.movedim(0, 1).flatten(1, 2) if has_batch else stacked.flatten(0, 1)
