"""Masks of the graphs that people draw: ``(out_channels, in_channels)``, true where the output reads the input.

An operator carries the regular ones by name, and the others as their bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def regular(in_channels: int, out_channels: int, kind: str, groups: int) -> Mask:
    """Groups (``"g"``), or interlaced ones (``"i"``)."""
    j, i = np.arange(out_channels)[:, None], np.arange(in_channels)
    if kind == "g":
        return j // (out_channels // groups) == i // (in_channels // groups)
    return j % groups == i % groups


def shuffled(in_channels: int, out_channels: int, groups: int) -> Mask:
    """Groups that read their inputs after ShuffleNet's shuffle: ``(groups, n)`` channels read as ``(n, groups)``."""
    order = np.arange(in_channels).reshape(groups, -1).T.flatten()  # place p of the shuffled has input order[p]
    mask = np.zeros((out_channels, in_channels), dtype=np.bool_)
    blocks = np.arange(out_channels)[:, None] // (out_channels // groups)
    mask[:, order] = blocks == np.arange(in_channels) // (in_channels // groups)
    return mask


def banded(in_channels: int, out_channels: int, width: int, circular: bool) -> Mask:
    """``width`` neighbours, around the place of the output among the inputs; at the ends shifted inwards, or around."""
    centre = (np.arange(out_channels) * 2 + 1) * in_channels // (2 * out_channels)
    first = centre - width // 2
    if not circular:
        first = np.clip(first, 0, in_channels - width)
    mask = np.zeros((out_channels, in_channels), dtype=np.bool_)
    mask[np.arange(out_channels)[:, None], (first[:, None] + np.arange(width)) % in_channels] = True
    return mask


def hierarchical(channels: int, branching: int, level: int) -> Mask:
    """Channels written as numbers with digits of this base: all that agree but in digit ``level``."""
    step = branching**level
    number = np.arange(channels)
    same_below = number[:, None] % step == number % step
    same_above = number[:, None] // (step * branching) == number // (step * branching)
    return np.asarray(same_below & same_above)


def random_regular(in_channels: int, out_channels: int, parents: int, seed: int) -> Mask:
    """Every output reads ``parents`` inputs, every input is read equally often (or once more), at random.

    Whole random permutations of the inputs are dealt out in turn; what an output has already, it passes on.
    """
    random = np.random.default_rng(seed)
    mask = np.zeros((out_channels, in_channels), dtype=np.bool_)
    deck: list[int] = []
    for output in random.permutation(out_channels):
        for _ in range(parents):
            at = next((n for n, card in enumerate(deck) if not mask[output, card]), None)
            if at is None:
                at = len(deck)
                fresh = random.permutation(in_channels).tolist()
                fresh.sort(key=lambda card: mask[output, card])  # stable: what it has not yet comes first
                deck += fresh
            mask[output, deck.pop(at)] = True
    return mask


def largest(norms: npt.NDArray[np.float64], keep: float) -> Mask:
    """The largest of all, and the largest of each output that has any; of equals the first. What is not there is -inf."""
    there = norms > -np.inf
    count = round(keep * there.sum())
    mask = np.zeros(norms.shape, dtype=np.bool_)
    mask[np.arange(len(norms)), norms.argmax(axis=1)] = True
    mask &= there
    order = np.argsort(-np.where(mask, np.inf, norms), axis=None, kind="stable")
    mask.flat[order[: max(count, mask.sum())]] = True
    return mask
