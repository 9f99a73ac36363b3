"""What sharding a network in bands will cost each rank, from sizes alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from .._spec.arguments import shape as whole_shape
from .._spec.arguments import whole
from ..nn._layer import Transposed
from ._bands import Bands, Work
from ._kinds import direction, kind_of
from ._parameters import is_by_position

CALL = "predict"


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A layer in bands; each number is one a rank.

    Attributes:
        name, kind: the layer's name in the network, and its class.
        outputs: rows of its output.
        operations: floating-point operations of forward and both gradients, additions and multiplications.
        held: bytes of the parameters that positions have of their own.
        forward, backward: bytes that it sends to other ranks.
        shared: bytes of the parameters that all ranks have (the same on each), whose gradients are summed.
    """

    name: str
    kind: str
    outputs: tuple[int, ...]
    operations: tuple[int, ...]
    held: tuple[int, ...]
    forward: tuple[int, ...]
    backward: tuple[int, ...]
    shared: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What :func:`predict` found; ``print`` shows it as a table, of the rank that has most of each.

    Attributes:
        ranks: their number.
        layers: what has windows, in the order of its calls.
        elsewhere: bytes of the parameters of everything else, which all ranks have.
    """

    ranks: int
    layers: tuple[LayerCost, ...]
    elsewhere: int

    def sent(self, rank: int) -> int:
        """Bytes of rows that a rank sends in a step of training."""
        return sum(layer.forward[rank] + layer.backward[rank] for layer in self.layers)

    def held(self, rank: int) -> int:
        """Bytes of parameters that a rank has: its own, and what all have."""
        return self.elsewhere + sum(layer.held[rank] + layer.shared for layer in self.layers)

    def operations(self, rank: int) -> int:
        """Floating-point operations of a rank in a step."""
        return sum(layer.operations[rank] for layer in self.layers)

    def __str__(self) -> str:
        head = ("layer", "kind", "rows", "own MiB", "all have", "sends KiB", "and back")
        rows = [
            (
                layer.name, layer.kind, str(max(layer.outputs)), f"{max(layer.held) / 2**20:.2f}", f"{layer.shared / 2**20:.2f}",
                f"{max(layer.forward) / 2**10:.1f}", f"{max(layer.backward) / 2**10:.1f}",
            )
            for layer in self.layers
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(
                f"{cell:{'<' if k < 2 else '>'}{width}}"
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in (head, *rows)
        ]
        held, sent = (max(map(of, range(self.ranks))) for of in (self.held, self.sent))
        last = f"a step of {self.ranks} ranks: each has at most {held / 2**20:.2f} MiB of parameters and sends at most"
        return "\n".join([*(line.rstrip() for line in lines), f"{last} {sent / 2**10:.1f} KiB of rows"])


def predict(module: nn.Module, input_size: Sequence[int], ranks: int, dim: int = -2) -> Prediction:
    """What each rank would have, compute and send if a network were sharded; nothing is sharded or computed.

    Sums over all ranks are not rows: those of the gradients that ranks share (``shared`` bytes a step), of batch normalisation,
    and of what leaves the bands.

    Args:
        module: a network that has not been sharded, on any device, the meta device too.
        input_size: the shape of its input, ``(batch, channels, *size)``.
        ranks: their number.
        dim: as for :func:`shard_spatially`.

    Raises:
        ValueError: as :func:`shard_spatially` and layers of :mod:`convarium.nn` do; PyTorch's own raise what they raise.

    Examples:
        >>> import torch, convarium as cv
        >>> net = torch.nn.Sequential(
        ...     cv.nn.LocalConv2d(3, 8, 3, padding=1, input_size=(32, 32)), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3)
        ... )
        >>> print(cv.distributed.predict(net, (16, 3, 32, 32), ranks=4))
        layer  kind         rows  own MiB  all have  sends KiB  and back
        0      LocalConv2d     8     0.21      0.00       12.0       0.0
        2      Conv2d          8     0.00      0.00       32.0      32.0
        a step of 4 ranks: each has at most 0.21 MiB of parameters and sends at most 76.0 KiB of rows
    """
    counted = direction(CALL, module, dim)
    size, ranks = whole_shape(CALL, "input_size", input_size), whole(CALL, "ranks", ranks, 1)
    found: list[LayerCost] = []
    hooks = [
        each.register_forward_hook(partial(_note, found, kind.work, name, ranks, counted))
        for name, each in module.named_modules()
        if (kind := kind_of(each)) is not None and kind.work is not None
    ]
    values = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    meta = {
        name: torch.empty_like(value, device="meta", requires_grad=value.requires_grad)
        for name, value in values.items()
    }
    dtype = next((value.dtype for value in values.values() if value.is_floating_point() or value.is_complex()), None)
    try:
        torch.func.functional_call(module, meta, (torch.empty(size, device="meta", dtype=dtype),))
    finally:
        for hook in hooks:
            hook.remove()
    counted_bytes = sum(sum(layer.held) + layer.shared for layer in found)
    return Prediction(
        ranks, tuple(found), sum(p.numel() * p.element_size() for p in module.parameters()) - counted_bytes
    )


def _note(
    found: list[LayerCost],
    work_of: Callable[..., Work],
    name: str,
    ranks: int,
    dim: int,
    module: Any,
    inputs: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    if not isinstance(output, Tensor):
        raise ValueError(
            f"{CALL}: {name} ({type(module).__name__}) returns more than a tensor, which cannot be sharded"
        )
    work = work_of(module, inputs[0], output, dim, ranks)
    transposed = isinstance(module, Transposed | _ConvTransposeNd)
    travels, counted = (output, inputs[0]) if transposed else (inputs[0], output)  # what has kernels and does the work
    row = travels.numel() // travels.shape[dim] * travels.element_size()
    learns = inputs[0].requires_grad

    def of_each(ends: int) -> list[int]:
        return [stop - start for start, stop in map(Bands(ends, ranks).of, range(ranks))]

    size = counted.shape[dim]
    again = name in {layer.name for layer in found}  # called twice: its parameters were counted
    bytes_ = {each: p.numel() * p.element_size() * (not again) for each, p in module.named_parameters(recurse=False)}
    own = sum(count for each, count in bytes_.items() if is_by_position(module, each))
    cost = LayerCost(
        name=name,
        kind=type(module).__name__,
        outputs=tuple(of_each(output.shape[dim])),
        operations=tuple(3 * work.operations * part // size for part in of_each(size)),
        held=tuple(own // size * part for part in of_each(size)),
        forward=tuple(row * work.route(rank).sent(rank) for rank in range(ranks)),
        backward=tuple(row * work.route(rank).reverse.sent(rank) * learns for rank in range(ranks)),
        shared=sum(bytes_.values()) - own,
    )
    found.append(cost)
