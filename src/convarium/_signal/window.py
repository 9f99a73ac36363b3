"""Which part of the full convolution is wanted, along which axes: shapes alone, and every error about them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .._spec.arguments import one_of
from .arguments import one_axis

MODES = ("full", "same", "valid")


@dataclass(frozen=True)
class Window:
    """The convolution of operands of shapes ``x`` and ``w`` along ``axes``, from index ``start`` on, ``size`` long.

    Index 0 is the first of the full convolution, whose length along an axis is ``n + k - 1``. A window may reach past
    the full convolution on either side: it is zero there.
    """

    x: tuple[int, ...]
    w: tuple[int, ...]
    axes: tuple[int, ...]
    start: tuple[int, ...]
    size: tuple[int, ...]

    @property
    def batch(self) -> tuple[int, ...]:
        """The shape to which the other axes broadcast, with 1 at each convolved axis."""
        return tuple(
            1 if axis in self.axes else (w if x == 1 else x)
            for axis, (x, w) in enumerate(zip(self.x, self.w, strict=True))
        )

    @property
    def output(self) -> tuple[int, ...]:
        shape = list(self.batch)
        for axis, size in zip(self.axes, self.size, strict=True):
            shape[axis] = size
        return tuple(shape)

    @property
    def multiply_adds(self) -> int:
        """How many products the definition sums, all outputs together."""
        pairs = 1
        for axis, start, size in zip(self.axes, self.start, self.size, strict=True):
            n, k = self.x[axis], self.w[axis]
            pairs *= _pairs_below(start + size, n, k) - _pairs_below(start, n, k)
        return pairs * math.prod(self.batch)


def window(call: str, x: Sequence[int], w: Sequence[int], mode: object, axes: object) -> Window:
    """The window that ``mode`` names, after every check of shapes."""
    one_of(call, "mode", mode, MODES)
    x, w = tuple(x), tuple(w)
    if len(x) != len(w):
        short, shape, rank = ("w", w, len(x)) if len(w) < len(x) else ("x", x, len(w))
        raise ValueError(
            f"{call}: x {x} has {len(x)} dimensions and w {w} has {len(w)}; they must have the same number: "
            f"{short}.reshape({(1,) * (rank - len(shape)) + shape}) would fit"
        )
    along = tuple(range(len(x))) if axes is None else axes_of(call, axes, len(x))
    for axis, (n, k) in enumerate(zip(x, w, strict=True)):
        if axis in along:
            for name, shape in (("x", x), ("w", w)):
                if shape[axis] == 0:
                    raise ValueError(
                        f"{call}: {name} {shape} is empty along axis {axis}; a convolved axis needs an entry or more"
                    )
        elif n != k and 1 not in (n, k):
            raise ValueError(
                f"{call}: x {x} and w {w} do not broadcast along axis {axis}, which is not convolved (axes={along}): "
                f"expected equal sizes or a 1, got {n} and {k}"
            )
    pairs = [(x[axis], w[axis]) for axis in along]
    if mode == "full":
        start, size = [0] * len(along), [n + k - 1 for n, k in pairs]
    elif mode == "same":
        start, size = [(k - 1) // 2 for _, k in pairs], [n for n, _ in pairs]
    else:
        if any(n < k for n, k in pairs) and any(n > k for n, k in pairs):
            raise ValueError(
                f"{call}: mode='valid' needs x at least as large as w along every convolved axis, or w as x; "
                f"got x {x} and w {w} (axes={along}); mode='full' or 'same' would fit"
            )
        start, size = [min(n, k) - 1 for n, k in pairs], [abs(n - k) + 1 for n, k in pairs]
    return Window(x, w, along, tuple(start), tuple(size))


def axes_of(call: str, axes: object, rank: int) -> tuple[int, ...]:
    named = tuple(axes) if isinstance(axes, Iterable) and not isinstance(axes, (str, bytes)) else (axes,)
    if not named:
        raise ValueError(f"{call}: axes is empty; name an axis or more, leave axes=None for all, or multiply: x * w")
    found = tuple(one_axis(call, "axes", axis, rank) for axis in named)
    if len(set(found)) < len(found):
        raise ValueError(f"{call}: axes {named} name an axis more than once (counted from the front: {found})")
    return found


def _pairs_below(total: int, n: int, k: int) -> int:
    """How many pairs (s, a), s < n and a < k, have s + a < total: by inclusion and exclusion."""

    def triangle(side: int) -> int:
        return side * (side + 1) // 2 if side > 0 else 0

    return triangle(total) - triangle(total - n) - triangle(total - k) + triangle(total - n - k)
