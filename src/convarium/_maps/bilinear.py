"""The three maps and their derivatives.

Three tensors take part in a convolution: input, weight, output. Each map takes two of them and gives the third: ``forward``
the output, ``grad_input`` the input, ``grad_weight`` the weight (a gradient has the place of what it is a gradient of). All
three are bilinear and share one list of products, v * w * z, so the derivative of any map by one of its operands is the map
that gives this operand, applied to the cotangent (in place of the result) and the other operand, conjugated where complex.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from torch import Tensor

from .._spec.problem import Map

Role = Literal["input", "weight", "output"]
TAKES: dict[Map, tuple[Role, Role]] = {
    "forward": ("input", "weight"),
    "grad_input": ("output", "weight"),
    "grad_weight": ("input", "output"),
}
GIVES: dict[Map, Role] = {"forward": "output", "grad_input": "input", "grad_weight": "weight"}
_GIVER: dict[Role, Map] = {role: map for map, role in GIVES.items()}


class Settings(NamedTuple):
    """What an operator takes besides its two tensors and the sizes of its result."""

    stride: Any
    padding: Any
    dilation: Any
    tile: Any
    channels: str
    flip: bool
    engine: str


def sizes(role: Role, tensor: Tensor, n: int) -> tuple[int, ...]:
    """The part of a tensor's shape that its map cannot know from the others: input size, output size or kernel size."""
    return tuple(tensor.shape[-n:])


def derivative(map: Map, which: int, operands: tuple[Tensor, Tensor], cotangent: Tensor) -> tuple[Map, Tensor, Tensor]:
    """The map, and its operands, that give the derivative of ``map`` by its operand ``which``."""
    role = TAKES[map][which]
    other = operands[1 - which]
    present = {GIVES[map]: cotangent, TAKES[map][1 - which]: other.conj() if other.is_complex() else other}
    giver = _GIVER[role]
    a, b = TAKES[giver]
    return giver, present[a], present[b]
