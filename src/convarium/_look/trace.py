"""What happened in one call of a convolution, as plain data: for any number in it, the products that it is the sum of.

A convolution is a list of products. Output ``s`` of channel ``j``, tap ``m`` and edge ``(i, j)`` of the channel graph give one:

    output[b, j, s]  =  ... + input[b, i, s*u + m*d - p] * weight[(i, j), s % l, m] + ...

and the two gradients sum up the same products with another of the three tensors left out. So a :class:`Trace` knows, for a cell
of the output, of the input or of the weight, where its products lie; which tensor is multiplied with which is all that the
three maps, and a layer and its transpose, differ in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .._spec.arguments import Pairs
from .._spec.channels import ChannelGraph
from .._spec.problem import Problem
from .._spec.shown import shown
from ..matrix import conv_matrix

Numbers = npt.NDArray[Any]
Places = npt.NDArray[np.int64]
Role = Literal["input", "output"]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The products that add up to one number, a row each, in the order in which the formula sums them.

    Places and channels are the layer's: ``input`` is a place in its input, ``output`` in its output.
    """

    sample: Places  # (terms,)
    in_channel: Places  # (terms,)
    out_channel: Places  # (terms,)
    edge: Places  # (terms,): the row of the weight, by edge
    kernel: Places  # (terms, n): which member of the tile
    tap: Places  # (terms, n)
    input: Places  # (terms, n)
    output: Places  # (terms, n)
    inside: npt.NDArray[np.bool_]  # (terms,): False where one of them lies in the padding, and the product is left out
    left: Numbers  # (terms,): what is multiplied, 0 where the other has nothing to meet in the padding
    right: Numbers  # (terms,)

    @property
    def product(self) -> Numbers:
        """``left * right``, 0 in the padding (also where the other number is NaN: the tap is left out)."""
        return np.where(self.inside, self.left * self.right, 0)

    @property
    def total(self) -> Any:
        """The sum of the products."""
        return self.product.sum()

    def __len__(self) -> int:
        return len(self.sample)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One call of one layer: its tensors as NumPy arrays, the gradients of a loss, and where each number comes from.

    Attributes:
        name: the layer's name in its model, or its class.
        problem: sizes, windows, tile and channel graph of the convolution (of which a transposed layer is the transpose).
        transposed: whether the layer is a transposed convolution: then it reads what the convolution writes.
        pads, mode: what the input was padded with before the convolution, where that is not zeros; ``input`` is padded already.
        input: ``(batch, in_channels, *input_size)`` of the layer.
        weight: ``(edges, *tile, *kernel_size)``, edges sorted by the convolution's output and then input channel.
        bias: ``(out_channels, *output_size)`` of the layer, or None.
        output, grad_output: ``(batch, out_channels, *output_size)`` of the layer.
        grad_input, grad_weight: the gradients of the loss, of the shapes of ``input`` and ``weight``.
    """

    name: str
    problem: Problem
    transposed: bool
    pads: Pairs
    mode: str | None
    input: Numbers
    weight: Numbers
    bias: Numbers | None
    output: Numbers
    grad_output: Numbers
    grad_input: Numbers
    grad_weight: Numbers

    @property
    def edges(self) -> Places:
        """``(edges, 2)``: input and output channel of each row of the weight."""
        return self.problem.wiring.edges().T

    @property
    def graph(self) -> ChannelGraph:
        """Which channels of the layer's input each channel of its output reads."""
        graph = self.problem.wiring.graph
        return ChannelGraph.from_mask(graph.mask().T, allow_empty=True) if self.transposed else graph

    def at_output(self, channel: int, position: Sequence[int], sample: int = 0) -> Terms:
        """The products of one cell of the layer's output: without a bias, their sum is what the layer gave there.

        ``left`` is the input, ``right`` the weight.
        """
        return self._of_cell("output", channel, position, sample)

    def at_input(self, channel: int, position: Sequence[int], sample: int = 0) -> Terms:
        """The products that the gradient of one cell of the layer's input is the sum of: all outputs that have read it.

        ``left`` is the gradient of the output, ``right`` the weight.
        """
        return self._of_cell("input", channel, position, sample)

    def at_weight(self, edge: int, kernel: Sequence[int], tap: Sequence[int]) -> Terms:
        """The products that the gradient of one weight is the sum of: a term a sample and position that use it.

        Where kernels are shared that is every position, and this is the sum "over shared weights". ``left`` is the layer's input,
        ``right`` the gradient of its output.
        """
        problem, call = self.problem, "at_weight"
        (edge,) = place_of(call, "edge", (edge,), (len(self.weight),))
        kernel = place_of(call, "kernel", kernel, problem.tile)
        tap = place_of(call, "tap", tap, problem.kernel_size)
        positions = [
            np.arange(k, axis.output, step) for k, axis, step in zip(kernel, problem.axes, problem.tile, strict=True)
        ]
        sample, *output = (grid.ravel() for grid in np.meshgrid(np.arange(problem.batch), *positions, indexing="ij"))
        outputs = np.stack(output, axis=-1)
        return self._terms("weight", sample, np.full(len(sample), edge), np.broadcast_to(tap, outputs.shape), outputs)

    def kernel_at(self, position: Sequence[int]) -> tuple[int, ...]:
        """Which member of the tile a position uses, of the output (of a transposed layer of the input): ``position % tile``."""
        place = place_of("kernel_at", "position", position, self.problem.output_size)
        return tuple(s % t for s, t in zip(place, self.problem.tile, strict=True))

    def turned(self, edge: int, kernel: Sequence[int] | None = None) -> Numbers:
        """A kernel turned by 180 degrees, as :meth:`interleaved` is correlated with it; ``kernel``: which member of the tile."""
        (edge,) = place_of("turned", "edge", (edge,), self.weight.shape[:1])
        member = place_of("turned", "kernel", (0,) * self.problem.ndim if kernel is None else kernel, self.problem.tile)
        found: Numbers = self.weight[(edge, *member)]
        return found if self.problem.flip else np.flip(found)  # of a true convolution it has been turned already

    def interleaved(self, channel: int, sample: int = 0) -> Numbers:
        """One channel of the convolution's output side as a correlation with the turned kernel, without a stride, reads it.

        Zeros lie between its entries (stride less one of them), and around it ``dilation * (kernel - 1)`` less the padding;
        where that is negative it is cropped. With one kernel for all positions, the gradient of an input cell is the window of
        this that begins at the cell, times the kernel turned by 180 degrees, summed over the channels that read it. Of a
        transposed layer it is the input that is spread so, and the output that is made.
        """
        (channel,) = place_of("interleaved", "channel", (channel,), (self.problem.wiring.out_channels,))
        gradient = (self.input if self.transposed else self.grad_output)[sample, channel]
        for direction, axis in enumerate(self.problem.axes):
            # cell h meets output s through tap m where h = s * stride + m * dilation - padding: the turned tap is at q - h
            length = axis.size + axis.reach - 1
            q = np.arange(axis.output) * axis.stride + axis.reach - 1 - axis.padding
            kept = (q >= 0) & (q < length)
            shape = list(gradient.shape)
            shape[direction] = length
            spread = np.zeros(shape, gradient.dtype)
            at: list[Any] = [slice(None)] * gradient.ndim
            at[direction] = q[kept]
            spread[tuple(at)] = np.compress(kept, gradient, axis=direction)
            gradient = spread
        return gradient

    def matrix(self, edge: int | None = None) -> Tensor:
        """The convolution as a matrix, sparse CSR: a row an output, a column an input; an entry is a weight.

        ``flatten(output) = M @ flatten(input)`` for one sample, without a bias; of a transposed layer, with ``M.T``. With
        ``edge``, the part of it that joins the two channels of this row of the weight. See :func:`convarium.matrix.conv_matrix`.
        """
        problem, weight = self.problem, self.weight
        graph = problem.wiring.graph
        if edge is not None:
            (edge,) = place_of("matrix", "edge", (edge,), weight.shape[:1])
            weight, graph = weight[edge : edge + 1], ChannelGraph.dense(1, 1)
        after = ((axis.output - 1) * axis.stride + axis.reach - axis.size - axis.padding for axis in problem.axes)
        return conv_matrix(
            torch.from_numpy(weight), (graph.in_channels, *problem.input_size), [axis.stride for axis in problem.axes],
            [(axis.padding, max(0, more)) for axis, more in zip(problem.axes, after, strict=True)],
            [axis.dilation for axis in problem.axes], channels=graph, flip=problem.flip,
        )  # fmt: skip

    def cell(self, call: str, output: Sequence[int] | None) -> tuple[int, ...]:
        """Sample, channel and position of an output; None: the middle of the first channel of the first sample."""
        if output is None:
            return (0, 0, *((size - 1) // 2 for size in self.output.shape[2:]))
        return place_of(call, "output", output, self.output.shape)

    # -- where products lie ------------------------------------------------------------------------------------------

    @property
    def _writes(self) -> Role:
        """Which tensor of the convolution is the layer's output."""
        return "input" if self.transposed else "output"

    @property
    def _reads(self) -> Role:
        return "output" if self.transposed else "input"

    def _of_cell(self, asked: Role, channel: int, position: Sequence[int], sample: int) -> Terms:
        call, problem = f"at_{asked}", self.problem
        role = self._writes if asked == "output" else self._reads
        shape = problem.output_shape if role == "output" else problem.input_shape
        (sample,) = place_of(call, "sample", (sample,), shape[:1])
        (channel,) = place_of(call, "channel", (channel,), shape[1:2])
        position = place_of(call, "position", position, shape[2:])
        edges = np.flatnonzero(self.edges[:, int(role == "output")] == channel)
        outputs, taps = [], []  # in each direction, the outputs and taps that meet the cell
        for axis, place in zip(problem.axes, position, strict=True):
            if role == "output":
                output, tap = np.full(axis.kernel, place), np.arange(axis.kernel)
            else:
                output, tap = np.nonzero(axis.table() == place)
            outputs.append(output)
            taps.append(tap)
        each = np.meshgrid(np.arange(len(edges)), *(np.arange(len(found)) for found in taps), indexing="ij")
        edge, *at = (grid.ravel() for grid in each)
        met_taps, met_outputs = (
            np.stack([places[k] for places, k in zip(found, at, strict=True)], axis=-1) for found in (taps, outputs)
        )
        return self._terms(asked, np.full(len(edge), sample), edges[edge], met_taps, met_outputs)

    def _terms(
        self, asked: Role | Literal["weight"], sample: Places, edge: Places, tap: Places, output: Places
    ) -> Terms:
        axes = self.problem.axes
        turned = np.stack(
            [axis.kernel - 1 - tap[:, k] if axis.flip else tap[:, k] for k, axis in enumerate(axes)], axis=-1
        )
        stride, dilation, padding = (
            np.array([getattr(axis, name) for axis in axes]) for name in ("stride", "dilation", "padding")
        )
        input = output * stride + turned * dilation - padding
        inside = ((input >= 0) & (input < np.array(self.problem.input_size))).all(axis=-1)
        kernel = output % np.array(self.problem.tile)
        in_channel, out_channel = self.edges[edge].T
        at = {
            "input": (sample, in_channel, *np.where(inside[:, None], input, 0).T),
            "output": (sample, out_channel, *output.T),
        }

        def value(tensor: Numbers, role: Role) -> Numbers:
            return np.where(inside, tensor[at[role]], 0) if role == "input" else tensor[at[role]]

        weight = self.weight[(edge, *kernel.T, *tap.T)]
        if asked == "output":
            left, right = value(self.input, self._reads), weight
        elif asked == "input":
            left, right = value(self.grad_output, self._writes), weight.conj()
        else:
            left, right = value(self.input, self._reads).conj(), value(self.grad_output, self._writes)
        if self.transposed:
            in_channel, out_channel, input, output = out_channel, in_channel, output, input
        return Terms(sample, in_channel, out_channel, edge, kernel, tap, input, output, inside, left, right)


def place_of(call: str, name: str, place: Any, sizes: Sequence[int]) -> tuple[int, ...]:
    """A place of an array of these sizes, as plain numbers."""
    found = tuple(place) if isinstance(place, (tuple, list, np.ndarray, torch.Size)) else (place,)
    whole = all(isinstance(number, (int, np.integer)) and not isinstance(number, bool) for number in found)
    if len(found) != len(sizes) or not whole:
        raise TypeError(f"{call}: {name} must be {_counted(len(sizes))}, got {shown(place)}")
    if any(not 0 <= number < size for number, size in zip(found, sizes, strict=True)):
        most = tuple(size - 1 for size in sizes)
        last = f"{most[0] if len(most) == 1 else most}"
        expected = f"from 0 to {last}" if any(most) else last
        raise ValueError(f"{call}: {name} must be {expected}, got {shown(found[0] if len(found) == 1 else place)}")
    return tuple(int(number) for number in found)


def _counted(n: int) -> str:
    return "a whole number" if n == 1 else f"{n} whole numbers"
