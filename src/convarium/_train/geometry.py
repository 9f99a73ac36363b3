"""How coarse the middle layer's input is, so that one network serves images of 8 x 8 and of 28 x 28."""

from __future__ import annotations


def reduction(height: int, width: int) -> int:
    """The side of a cell in pixels: the first layer's output is pooled by it, to about eight cells on the shorter side.

    Examples:
        >>> reduction(8, 8), reduction(28, 28), reduction(32, 48)
        (1, 4, 4)
    """
    return max(1, (min(height, width) + 4) // 8)


def middle_size(height: int, width: int, cell: int, kernel: int) -> tuple[int, int]:
    """The size of what the middle layer reads: a valid convolution, then cells.

    Examples:
        >>> middle_size(28, 28, 4, 3)
        (6, 6)
    """
    return (height - kernel + 1) // cell, (width - kernel + 1) // cell
