"""Which kernel a position uses: position ``s`` takes kernel ``s % tile``, in each direction.

``tile = 1`` is the ordinary shared convolution, ``tile = output size`` the local (unshared) one, anything between is tiled.
"""

from __future__ import annotations

from typing import Literal

Sharing = Literal["shared", "tiled", "local"]


def sharing(tile: tuple[int, ...], output_size: tuple[int, ...]) -> Sharing:
    """The name of what a tile does on an output of this size (one position is shared and local at once: shared)."""
    if all(count == 1 for count in tile):
        return "shared"
    return "local" if tile == output_size else "tiled"


def untie_error(old: tuple[int, ...], new: tuple[int, ...], local: bool) -> str | None:
    """Why kernels of tile ``old`` cannot be repeated into tile ``new`` with the same function, or None if they can.

    Position ``s`` must find its old kernel in its new place, ``(s % new) % old == s % old``: ``old`` divides ``new``, or
    every position has a kernel of its own.
    """
    if local and any(a > b for a, b in zip(old, new, strict=True)):
        return f"the layer's tile {old} is larger than the {new} positions of such an input"
    if local or all(b % a == 0 for a, b in zip(old, new, strict=True)):
        return None
    return f"tile {new} is not a multiple of the tile {old} that the layer has"
