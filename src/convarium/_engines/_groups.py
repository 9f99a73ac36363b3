"""Graphs that a permutation of channels makes groups of: torch's own convolutions can run them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from .._spec.channels import Indices
from .._spec.wiring import Wiring

Order: TypeAlias = Indices | int | None  # channels, one after the other; every so many of them; as they are


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Blocks of channels of which no two share an input, and their channels in that order."""

    count: int
    parents: int  # inputs of each
    children: int  # outputs of each
    inputs: Order
    outputs: Order
    inputs_back: Order
    outputs_back: Order

    def kernels(self, weight: Tensor, by_edge: bool, n: int) -> Tensor:
        """``(out_channels, *tile, parents, *kernel)`` of a weight in ``n`` directions: outputs in the order of their groups."""
        if by_edge:
            weight = weight.unflatten(0, (-1, self.parents)).movedim(1, 1 + n)
        return take(weight, 0, self.outputs)

    def weight(self, kernels: Tensor, by_edge: bool, n: int) -> Tensor:
        """The weight of which these are :meth:`kernels`."""
        weight = take(kernels, 0, self.outputs_back)
        return weight.movedim(1 + n, 1).flatten(0, 1) if by_edge else weight


@lru_cache(maxsize=512)
def groups_of(wiring: Wiring) -> Groups | None:
    """The wiring as groups, up to a permutation of channels; None if it is none."""
    classes = wiring.bicliques()
    if len(classes) != 1:
        return None
    (blocks,) = classes
    whole = blocks.inputs.size == wiring.in_channels and blocks.outputs.size == wiring.out_channels
    if not whole or len(np.unique(blocks.inputs)) != blocks.inputs.size:
        return None
    inputs, outputs = (table.flatten() for table in (blocks.inputs, blocks.outputs))
    return Groups(
        len(blocks.inputs), blocks.inputs.shape[1], blocks.outputs.shape[1],
        *(_order(table) for table in (inputs, outputs, np.argsort(inputs), np.argsort(outputs))),
    )  # fmt: skip


def _order(table: Indices) -> Order:
    if (table == np.arange(table.size)).all():
        return None
    step = int(table[1] - table[0])
    if step > 0 and table.size % step == 0 and (table == np.arange(table.size).reshape(-1, step).T.flatten()).all():
        return step
    return table


def take(tensor: Tensor, dim: int, order: Order) -> Tensor:
    """The channels in this order."""
    if order is None:
        return tensor
    if isinstance(order, int):  # the same as below, and twice as fast
        return tensor.unflatten(dim, (-1, order)).transpose(dim, dim + 1).flatten(dim, dim + 1)
    return tensor.index_select(dim, torch.from_numpy(order).to(tensor.device))
