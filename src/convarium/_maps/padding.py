"""Padding modes other than zeros: an index map P before a convolution without padding, and its transpose for gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from .._spec.arguments import Pairs


def indices(size: int, before: int, after: int, mode: str, device: torch.device | None = None) -> Tensor:
    """``(before + size + after,)``: which place of the input each place of the padded input shows."""
    return shown(torch.arange(-before, size + after, device=device), size, mode)


def shown(places: Tensor, size: int, mode: str) -> Tensor:
    """Which place of the input each of these shows; the input's own are ``0 ... size - 1``."""
    if mode == "circular":
        return places % size
    if mode == "replicate":
        return places.clamp(0, size - 1)
    return (size - 1) - ((size - 1) - places.abs()).abs()  # reflect: turn back at either end


def pad(input: Tensor, pads: Pairs, mode: str) -> Tensor:
    """``(..., *size)`` to ``(..., *padded size)``."""
    n = len(pads)
    for direction, (before, after) in enumerate(pads):
        dim = input.ndim - n + direction
        if before or after:
            input = input.index_select(dim, indices(input.shape[dim], before, after, mode, input.device))
    return input


def unpad(padded: Tensor, pads: Pairs, mode: str) -> Tensor:
    """The transpose of :func:`pad`: each place gathers what was read from it."""
    n = len(pads)
    for direction, (before, after) in enumerate(pads):
        dim = padded.ndim - n + direction
        if before or after:
            size = padded.shape[dim] - before - after
            shape = [*padded.shape[:dim], size, *padded.shape[dim + 1 :]]
            places = indices(size, before, after, mode, padded.device)
            padded = padded.new_zeros(shape).index_add(dim, places, padded)
    return padded
