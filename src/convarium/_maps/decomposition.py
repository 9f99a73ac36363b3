"""The three maps in PyTorch's own operations, for programs that leave it: ONNX, and compilers that know ATen alone.

Channels first: what a permutation makes groups of becomes groups, any other graph a dense convolution with zeros where it has
no edge. Then positions, in one of two forms:

    one convolution   shared kernels; a small tile too: ``l`` kernels that take turns are one convolution of ``l`` times the
                      channels and the stride, whose kernels lie where their windows begin; its channels are then laid out
                      as positions
    products          local kernels and large tiles: windows are gathered by a table of places, and every kernel multiplies
                      the windows that share it; an input gathers from the products, so that nothing is added in place

The batch may be symbolic, and where kernels are shared the sizes too. As in any dense form, a NaN or infinity also meets the
zeros: of padding, of a graph without the edge, of a tile's kernels beside each other.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._engines._groups import Groups, groups_of, take
from .._engines._zeros import edges_alone, with_zeros
from .._spec.geometry import Axis, Table, window_places
from .._spec.problem import Map
from .._spec.wiring import Wiring, parse_edges, parse_wiring

MOST_KERNELS = 16  # of a tile that becomes one convolution
MOST_ZEROS = 4  # times the products that the zeros beside its kernels may make of it


def forward(input: Tensor, weight: Tensor, sizes: Sequence[int], *settings: Any) -> Tensor:
    wiring = _wiring("forward", input, weight, settings)
    form = _Form.of(wiring, input.shape[2:], weight.shape[-len(sizes) :], sizes, settings)
    signal, kernels = take(input, 1, form.groups.inputs), form.kernels(weight)
    if form.is_one_convolution:
        output = form.tiles_as_positions(form.convolve(signal, form.as_shared(kernels)))
    else:
        output = form.products_as_output(form.windows(signal) @ form.matrices(kernels).mT)
    return take(output, 1, form.groups.outputs_back)


def grad_input(grad_output: Tensor, weight: Tensor, sizes: Sequence[int], *settings: Any) -> Tensor:
    wiring = _wiring("grad_input", grad_output, weight, settings)
    form = _Form.of(wiring, sizes, weight.shape[-len(sizes) :], grad_output.shape[2:], settings)
    gradient, kernels = take(grad_output, 1, form.groups.outputs), form.kernels(weight)
    if form.is_one_convolution:
        result = form.transpose(form.positions_as_tiles(gradient), form.as_shared(kernels))
    else:
        result = form.products_as_input(form.gradients(gradient) @ form.matrices(kernels))
    return take(result, 1, form.groups.inputs_back)


def grad_weight(input: Tensor, grad_output: Tensor, sizes: Sequence[int], *settings: Any) -> Tensor:
    wiring = _wiring("grad_weight", input, grad_output, settings)
    form = _Form.of(wiring, input.shape[2:], sizes, grad_output.shape[2:], settings)
    signal, gradient = take(input, 1, form.groups.inputs), take(grad_output, 1, form.groups.outputs)
    return form.weight(form.products_as_kernels(form.gradients(gradient).mT @ form.windows(signal)))


DECOMPOSITIONS: dict[Map, Callable[..., Tensor]] = {
    "forward": forward, "grad_input": grad_input, "grad_weight": grad_weight,
}  # fmt: skip

_asked = False


def is_wanted() -> bool:
    """Whether what is traced now is to leave PyTorch."""
    return _asked or torch.onnx.is_in_onnx_export()


@contextlib.contextmanager
def wanted() -> Iterator[None]:
    global _asked
    before, _asked = _asked, True
    try:
        yield
    finally:
        _asked = before


def _wiring(map: Map, a: Tensor, b: Tensor, settings: Sequence[Any]) -> Wiring:
    text = settings[4]
    if a.is_complex():
        raise TypeError(f"convarium::{map}: complex numbers do not leave PyTorch; convolve their real parts apart")
    if not text.isdecimal():
        return parse_edges(text)
    rank = len(settings[0])
    inputs = a.shape[1] if map != "grad_input" else b.shape[rank + 1] * int(text)
    return parse_wiring(text, inputs, b.shape[0] if map != "grad_weight" else b.shape[1])


@dataclass(frozen=True, slots=True)
class _Form:
    """A convolution's geometry and channels; sizes may be symbolic where kernels are shared.

    Letters in comments: B samples, G groups, I inputs and J outputs of one; R kernels that take turns, Q rounds, K taps.
    """

    wiring: Wiring
    groups: Groups
    has_zeros: bool  # one group of all channels, with zeros where the graph has no edge
    axes: tuple[Axis, ...]
    tile: tuple[int, ...]

    @staticmethod
    def of(wiring: Wiring, size: Any, kernel: Any, output: Any, settings: Sequence[Any]) -> _Form:
        stride, padding, dilation, tile, _, flip, _ = settings
        axes = tuple(
            Axis(places, taps, windows, u, d, p, flip)
            for places, taps, windows, u, d, p in zip(size, kernel, output, stride, dilation, padding, strict=True)
        )
        groups = groups_of(wiring)
        every = Groups(1, wiring.in_channels, wiring.out_channels, None, None, None, None)
        return _Form(wiring, groups or every, groups is None, axes, tuple(tile))

    @property
    def n(self) -> int:
        return len(self.axes)

    @property
    def is_shared(self) -> bool:
        return all(kernels == 1 for kernels in self.tile)

    @property
    def is_one_convolution(self) -> bool:
        if self.n > 3:
            return False
        if self.is_shared:
            return True
        taps = math.prod(axis.kernel for axis in self.axes)
        return math.prod(self.tile) <= MOST_KERNELS and math.prod(self.extents) <= MOST_ZEROS * taps

    @property
    def rounds(self) -> list[int]:
        return [(axis.output + kernels - 1) // kernels for axis, kernels in zip(self.axes, self.tile, strict=True)]

    @property
    def steps(self) -> list[int]:
        return [axis.stride * kernels for axis, kernels in zip(self.axes, self.tile, strict=True)]

    @property
    def dilation(self) -> list[int]:
        """Of the one convolution: the kernels of a tile have their zeros written out."""
        return [axis.dilation if self.is_shared else 1 for axis in self.axes]

    @property
    def extents(self) -> list[int]:
        """Of the kernels of the one convolution."""
        if self.is_shared:
            return [axis.kernel for axis in self.axes]
        return [(kernels - 1) * axis.stride + axis.reach for axis, kernels in zip(self.axes, self.tile, strict=True)]

    @property
    def reaches(self) -> list[int]:
        """Input positions from the first to the last of one of those kernels, both counted."""
        return [dilation * (extent - 1) + 1 for dilation, extent in zip(self.dilation, self.extents, strict=True)]

    def kernels(self, weight: Tensor) -> Tensor:
        """``(G*J, *tile, I, *kernel)``."""
        if self.has_zeros:
            return with_zeros(weight, self.wiring, self.n)
        return self.groups.kernels(weight, self.wiring.by_edge, self.n)

    def weight(self, kernels: Tensor) -> Tensor:
        """The weight of which these are :meth:`kernels`."""
        if self.has_zeros:
            return edges_alone(kernels, self.wiring, self.n)
        return self.groups.weight(kernels, self.wiring.by_edge, self.n)

    # -- one convolution -----------------------------------------------------------------------------------------------

    def as_shared(self, kernels: Tensor) -> Tensor:
        """``(G*R*J, I, *extent)``, taps as a correlation has them."""
        n = self.n
        if self.is_shared:
            kernels = kernels.flatten(0, n)
            return kernels.flip(tuple(range(2, 2 + n))) if self.axes[0].flip else kernels
        split = kernels.unflatten(0, (self.groups.count, -1)).movedim(2 + n, 2)  # (G, J, I, *R, *K)
        for direction, (axis, count) in enumerate(zip(self.axes, self.tile, strict=True)):
            row, tap = 3 + direction, 3 + n + direction
            flat = split.movedim(tap, row + 1).flatten(row, row + 1)
            split = _pick(_with_zero(flat, row), row, _taps(axis, count)).movedim(row + 1, tap)
        return split.movedim((1, 2), (1 + n, 2 + n)).flatten(0, 1 + n)

    def convolve(self, signal: Tensor, kernels: Tensor) -> Tensor:
        """``(B, G*R*J, *Q)``."""
        padding = [axis.padding for axis in self.axes]
        sides = list(zip(self.axes, self.rounds, self.steps, self.reaches, strict=True))
        if not all(
            _is_known((axis.size + 2 * axis.padding - reach) // step + 1 == rounds)
            for axis, rounds, step, reach in sides
        ):
            pads = [
                (axis.padding, (rounds - 1) * step + reach - axis.size - axis.padding)
                for axis, rounds, step, reach in sides
            ]
            signal, padding = _padded(signal, pads), [0] * self.n
        return torch.ops.aten.convolution(
            signal, kernels, None, self.steps, padding, self.dilation, False, [0] * self.n, self.groups.count
        )

    def transpose(self, gradient: Tensor, kernels: Tensor) -> Tensor:
        """``(B, G*I, *size)`` of ``(B, G*R*J, *Q)``."""
        sides = list(zip(self.axes, self.rounds, self.steps, self.reaches, strict=True))
        whole = [(rounds - 1) * step + reach for _, rounds, step, reach in sides]
        padding = [axis.padding for axis in self.axes]
        more = [axis.size + 2 * axis.padding - length for axis, length in zip(self.axes, whole, strict=True)]
        fits = all(
            _is_known(extra >= 0) and _is_known(extra < step) for extra, step in zip(more, self.steps, strict=True)
        )
        result: Tensor = torch.ops.aten.convolution(
            gradient, kernels, None, self.steps, padding if fits else [0] * self.n, self.dilation, True,
            more if fits else [0] * self.n, self.groups.count,
        )  # fmt: skip
        if fits:
            return result
        return _padded(
            result,
            [(-axis.padding, axis.padding + axis.size - length) for axis, length in zip(self.axes, whole, strict=True)],
        )

    def tiles_as_positions(self, output: Tensor) -> Tensor:
        """``(B, O, *output)`` of ``(B, G*R*J, *Q)``."""
        if self.is_shared:
            return output
        return self._as_positions(output.unflatten(1, (self.groups.count, *self.tile, -1)))

    def positions_as_tiles(self, output: Tensor) -> Tensor:
        """``(B, G*R*J, *Q)`` of ``(B, O, *output)``."""
        return output if self.is_shared else self._as_tiles(output).flatten(1, 2 + self.n)

    def _as_positions(self, parts: Tensor) -> Tensor:
        """``(B, O, *output)`` of ``(B, G, *R, J, *Q)``."""
        n = self.n
        turned = parts.movedim(2 + n, 2).permute(0, 1, 2, *(d for i in range(n) for d in (3 + n + i, 3 + i)))
        for direction in range(n):
            turned = turned.flatten(3 + direction, 4 + direction)
        for direction, axis in enumerate(self.axes):
            turned = turned.narrow(3 + direction, 0, axis.output)
        return turned.flatten(1, 2)

    def _as_tiles(self, output: Tensor) -> Tensor:
        """``(B, G, *R, J, *Q)`` of ``(B, O, *output)``; a last round that is not whole is filled with zeros."""
        n = self.n
        sides = list(zip(self.axes, self.rounds, self.tile, strict=True))
        parts = _padded(output, [(0, rounds * count - axis.output) for axis, rounds, count in sides])
        for direction in reversed(range(n)):
            parts = parts.unflatten(2 + direction, (-1, self.tile[direction]))
        parts = parts.unflatten(1, (self.groups.count, -1))  # (B, G, J, Q1, R1, ...)
        return parts.permute(0, 1, *(4 + 2 * i for i in range(n)), 2, *(3 + 2 * i for i in range(n)))

    # -- products ------------------------------------------------------------------------------------------------------

    def places(self) -> Table:
        """``(*R, *Q, K)``: the place in the input of each tap of each window, flat; past its end where it is padding."""
        if not all(isinstance(size, int) for axis in self.axes for size in (axis.size, axis.output)):
            raise ValueError(
                "convarium: the input size of a tiled or local convolution, or of a gradient by its weight, must be known "
                "where it leaves PyTorch; let the batch alone be dynamic"
            )
        n, (flat, inside) = self.n, window_places(self.axes)
        end = math.prod(axis.size for axis in self.axes)
        places = np.where(inside, flat, end).reshape(*(axis.output for axis in self.axes), -1)
        more = [
            (0, each * count - size) for each, count, size in zip(self.rounds, self.tile, places.shape, strict=False)
        ]
        sizes = [size for pair in zip(self.rounds, self.tile, strict=True) for size in pair]
        turned = np.pad(places, [*more, (0, 0)], constant_values=end).reshape(*sizes, -1)  # (Q1, R1, Q2, R2, ..., K)
        return turned.transpose(*range(1, 2 * n, 2), *range(0, 2 * n, 2), 2 * n)

    def windows(self, signal: Tensor) -> Tensor:
        """``(G, R, B*Q, I*K)``."""
        table = self.places().reshape(math.prod(self.tile), math.prod(self.rounds), -1)
        taken = _pick(_with_zero(signal.flatten(2), 2), 2, table)  # (B, C, R, Q, K)
        parts = taken.unflatten(1, (self.groups.count, -1)).permute(1, 3, 0, 4, 2, 5)
        return parts.flatten(4).flatten(2, 3)

    def matrices(self, kernels: Tensor) -> Tensor:
        """``(G, R, J, I*K)``."""
        parts = kernels.unflatten(0, (self.groups.count, -1)).movedim(1, 1 + self.n)  # (G, *R, J, I, *K)
        return parts.flatten(2 + self.n).flatten(1, self.n)

    def gradients(self, output: Tensor) -> Tensor:
        """``(G, R, B*Q, J)``."""
        n = self.n
        parts = self._as_tiles(output).permute(1, *range(2, 2 + n), 0, *range(3 + n, 3 + 2 * n), 2 + n)
        return parts.flatten(1, n).flatten(2, 2 + n)

    def products_as_output(self, products: Tensor) -> Tensor:
        """``(B, O, *output)`` of ``(G, R, B*Q, J)``."""
        n = self.n
        parts = products.unflatten(2, (-1, *self.rounds)).unflatten(1, self.tile)  # (G, *R, B, *Q, J)
        return self._as_positions(parts.permute(1 + n, 0, *range(1, 1 + n), 2 + 2 * n, *range(2 + n, 2 + 2 * n)))

    def products_as_input(self, products: Tensor) -> Tensor:
        """``(B, C, *size)`` of ``(G, R, B*Q, I*K)``: each place gathers the products that belong to it."""
        taps, rounds = math.prod(axis.kernel for axis in self.axes), math.prod(self.rounds)
        parts = products.unflatten(3, (-1, taps)).unflatten(2, (-1, rounds)).permute(2, 0, 4, 1, 3, 5)
        table = _inverse(self.places(), math.prod(axis.size for axis in self.axes))
        summed = _pick(_with_zero(parts.flatten(3).flatten(1, 2), 2), 2, table).sum(3)
        return summed.unflatten(2, tuple(axis.size for axis in self.axes))

    def products_as_kernels(self, products: Tensor) -> Tensor:
        """``(O, *tile, I, *kernel)`` of ``(G, R, J, I*K)``."""
        parts = products.unflatten(3, (-1, *(axis.kernel for axis in self.axes))).unflatten(1, self.tile)
        return parts.movedim(1 + self.n, 1).flatten(0, 1)


def _is_known(condition: Any) -> bool:
    """Whether it is true for all sizes; asking is no promise about a symbolic one."""
    if isinstance(condition, bool):
        return condition
    # With all of SymPy, which is there already where a size is symbolic.
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(condition)


def _padded(signal: Tensor, pads: Sequence[tuple[int, int]]) -> Tensor:
    """``pads`` before and after in each direction; negative ones crop."""
    sides = [side for pair in reversed(pads) for side in pair]
    return signal if all(isinstance(side, int) and side == 0 for side in sides) else F.pad(signal, sides)


def _with_zero(tensor: Tensor, dim: int) -> Tensor:
    """One more place at the end of a dimension, for tables to name where there is nothing."""
    return F.pad(tensor, [0, 0] * (tensor.ndim - dim - 1) + [0, 1])


def _pick(tensor: Tensor, dim: int, table: Table) -> Tensor:
    """The places along a dimension that a table names, in the table's shape."""
    places = torch.from_numpy(np.ascontiguousarray(table).reshape(-1)).to(tensor.device)
    return tensor.index_select(dim, places).unflatten(dim, table.shape)


def _taps(axis: Axis, count: int) -> Table:
    """``(R, extent)``: which tap of kernel ``r`` lies there, flat in ``(R, K)``; past its end where none does."""
    first = np.arange(count)[:, None] * axis.stride
    tap, off = np.divmod(np.arange((count - 1) * axis.stride + axis.reach) - first, axis.dilation)
    kernel = axis.kernel - 1 - tap if axis.flip else tap
    flat = np.arange(count)[:, None] * axis.kernel + kernel
    return np.where((off == 0) & (tap >= 0) & (tap < axis.kernel), flat, count * axis.kernel)


def _inverse(table: Table, size: int) -> Table:
    """``(size, most)``: where in the table each place stands, flat; past its end where it stands fewer times."""
    places = table.reshape(-1)
    order = np.argsort(places, kind="stable")
    order = order[: np.searchsorted(places[order], size)]
    counts = np.bincount(places[order], minlength=size)
    found = np.full((size, max(int(counts.max(initial=0)), 1)), places.size)
    found[places[order], np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)] = order
    return found
