"""What the caller wrote, checked and put into one form.

Sizes may be symbolic (while a program is being traced), so nothing here hashes, rounds or branches on them more than a
check has to. Messages name the call, the argument, what was expected as a shape with its names, and what came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from .arguments import (
    Ints,
    Pairs,
    directions,
    flag,
    is_sequence,
    more_output,
    padding_mode_name,
    pairs,
    positive,
)
from .channels import ChannelGraph
from .geometry import output_size, same_output, transposed_size
from .limits import fits_memory
from .problem import Problem, problem_of
from .shapes import bias_fits, channels_fit, rank_fits, some_size, tile_fits, transposed_channels_fit, weight_form
from .shown import shown, written
from .wiring import Wiring


@dataclass(frozen=True, slots=True)
class Call:
    """One convolution as the operators take it, and what the face does around them."""

    input_size: Ints  # of the convolution: what forward reads and grad_input makes
    kernel_size: Ints
    output_size: Ints
    stride: Ints
    padding: Ints  # before, of zeros
    dilation: Ints
    tile: Ints
    channels: str
    in_channels: int
    out_channels: int
    flip: bool
    pads: Pairs  # what was asked for, before and after, in each direction
    mode: str | None  # how to pad the input before the operator sees it; None: the operator's own zeros
    shared: bool  # the weight has no dimensions for a tile
    by_edge: bool  # the weight has a kernel for each edge of a graph
    torch_padding: Ints | None = field(init=False)  # of both sides, where torch's own function has this form

    def __post_init__(self) -> None:
        # Whether a traced 'same' pads evenly depends on its size: asking would pin the program to sizes of one parity.
        even = all(type(before) is type(after) is int and before == after for before, after in self.pads)
        theirs = self.shared and not self.by_edge and not self.flip and self.mode is None and even
        object.__setattr__(self, "torch_padding", self.padding if theirs else None)

    def problem(self, batch: int, dtype: torch.dtype, device: str) -> Problem:
        """The problem that this call makes of a batch of such numbers."""
        return problem_of(
            "grad_weight", (batch, self.in_channels, *self.input_size), (batch, self.out_channels, *self.output_size),
            self.kernel_size, self.stride, self.padding, self.dilation, self.tile, self.channels, self.flip, dtype, device,
        )  # fmt: skip


def convolution(
    call: str,
    n: int,
    input: Ints,
    weight: Ints,
    bias: Ints | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    padding_mode: Any,
    channels: Any,
    flip: Any,
) -> Call:
    """``conv{n}d`` of an input and a weight of these shapes."""
    rank_fits(call, input, n)
    shared, by_edge = weight_form(call, weight, n, channels, transposed=False)
    tile = (1,) * n if shared else tuple(weight[1 : 1 + n])
    groups = channels_fit(call, input, weight, n, groups, channels)
    in_channels, out_channels = input[-n - 1], channels.out_channels if by_edge else weight[0]
    size, kernel = tuple(input[-n:]), tuple(weight[-n:])
    stride, dilation = positive(call, "stride", stride, n), positive(call, "dilation", dilation, n)
    pads = pairs(call, padding, n, size, kernel, stride, dilation)
    mode = fitting_mode(call, padding_mode, pads, size)
    output = _outputs(call, size, kernel, stride, dilation, pads, padding)
    tile_fits(call, tile, output)
    padded = tuple(length + before + after for length, (before, after) in zip(size, pads, strict=True))
    fits_memory(call, weight=weight, input=(*input[:-n], *padded), output=(*input[: -n - 1], out_channels, *output))
    if bias is not None:
        bias_fits(call, bias, out_channels, tile, shared, "tile")
    if mode is not None:
        size = padded
    return Call(
        input_size=size,
        kernel_size=kernel,
        output_size=output,
        stride=stride,
        padding=(0,) * n if mode is not None else tuple(before for before, _ in pads),
        dilation=dilation,
        tile=tile,
        channels=_channels_text(channels, groups),
        in_channels=in_channels,
        out_channels=out_channels,
        flip=flag(call, "flip", flip),
        pads=pads,
        mode=mode,
        shared=shared,
        by_edge=by_edge,
    )


def transposed(
    call: str,
    n: int,
    input: Ints,
    weight: Ints,
    bias: Ints | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
    channels: Any,
    flip: Any,
    output: Any,
) -> Call:
    """``conv_transpose{n}d``: the convolution whose ``grad_input`` this is; its output is this call's input."""
    rank_fits(call, input, n)
    shared, by_edge = weight_form(call, weight, n, channels, transposed=True)
    tile = (1,) * n if shared else tuple(weight[1 : 1 + n])
    groups = transposed_channels_fit(call, input, weight, n, groups, channels)
    in_channels, out_channels = channels.in_channels if by_edge else weight[-n - 1] * groups, input[-n - 1]
    size, kernel = tuple(input[-n:]), tuple(weight[-n:])
    some_size(call, size)
    stride, dilation = positive(call, "stride", stride, n), positive(call, "dilation", dilation, n)
    if isinstance(padding, str):
        raise ValueError(f"{call}: padding={shown(padding)} is for convolutions; give a transposed one numbers")
    pads = pairs(call, padding, n, size, kernel, stride, dilation)
    least = tuple(
        transposed_size(length, k, u, d, before, after)
        for length, k, u, d, (before, after) in zip(size, kernel, stride, dilation, pads, strict=True)
    )
    extra = _output_padding(call, n, least, stride, dilation, output_padding, output)
    sizes = tuple(low + more for low, more in zip(least, extra, strict=True))
    for length in sizes:
        if length < 1:
            raise ValueError(
                f"{call}: padding {pads} leaves an output of size {sizes}; it crops more than input {written(input)} makes"
            )
    tile_fits(call, tile, size, "input")
    fits_memory(call, output=(*input[: -n - 1], in_channels, *sizes))
    if bias is not None:
        bias_fits(call, bias, in_channels, sizes, False, "output_size")
    return Call(
        input_size=sizes,
        kernel_size=kernel,
        output_size=size,
        stride=stride,
        padding=tuple(before for before, _ in pads),
        dilation=dilation,
        tile=tile,
        channels=_channels_text(channels, groups),
        in_channels=in_channels,
        out_channels=out_channels,
        flip=flag(call, "flip", flip),
        pads=pads,
        mode=None,
        shared=shared,
        by_edge=by_edge,
    )


def output_sizes(
    call: str, n: int, size: Ints, kernel: Ints, stride: Ints, padding: Any, dilation: Ints, padding_mode: str
) -> Ints:
    """The output's size for an input of this size."""
    pads = pairs(call, padding, n, size, kernel, stride, dilation)
    fitting_mode(call, padding_mode, pads, size)
    return _outputs(call, size, kernel, stride, dilation, pads, padding)


def check_output(name: str, call: Call, input: Ints, grad_output: Ints) -> None:
    """Refuse a gradient that is not of the shape of the call's output."""
    batch = input[: len(input) - len(call.stride) - 1]
    expected = (*batch, call.out_channels, *call.output_size)
    if tuple(grad_output) != expected:
        raise ValueError(
            f"{name}: grad_output must have the output's shape, {written(expected)}, got {written(grad_output)}"
        )


def _channels_text(channels: ChannelGraph | None, groups: int) -> str:
    return str(groups) if channels is None else Wiring(channels, by_edge=True).text


def _outputs(call: str, size: Ints, kernel: Ints, stride: Ints, dilation: Ints, pads: Pairs, padding: Any) -> Ints:
    some_size(call, size)
    if isinstance(padding, str) and padding == "same":  # any kernel fits, and a traced size needs no guard that says so
        return tuple(same_output(length, u) for length, u in zip(size, stride, strict=True))
    found = []
    for length, k, u, d, (before, after) in zip(size, kernel, stride, dilation, pads, strict=True):
        padded, reach = length + before + after, d * (k - 1) + 1
        if reach > padded:
            wider = f"a kernel of {k}" if d == 1 else f"a kernel of {k} with dilation {d} reaches over {reach} and"
            raise ValueError(
                f"{call}: {wider} is larger than the padded input, {length} + {before} + {after} = {padded}; "
                f"padding='same' would fit"
            )
        found.append(output_size(length, k, u, d, before, after))
    return tuple(found)


def fitting_mode(call: str, mode: Any, pads: Pairs, size: Ints) -> str | None:
    """The padding mode, where it does other than zeros would; refused where a size is too small for it."""
    mode = padding_mode_name(call, mode)
    if mode == "zeros" or not any(before or after for before, after in pads):
        return None
    for length, pair in zip(size, pads, strict=True):
        most = {"reflect": length - 1, "circular": length}.get(mode)
        if most is not None and max(pair) > most:
            raise ValueError(
                f"{call}: padding_mode={shown(mode)} can pad a size of {length} by at most {most}, got {max(pair)}"
            )
    return mode


def _output_padding(call: str, n: int, least: Ints, stride: Ints, dilation: Ints, extra: Any, output: Any) -> Ints:
    if output is not None:
        if directions(call, "output_padding", extra, n) != (0,) * n:
            raise ValueError(f"{call}: give output_padding or output_size, not both")
        shaped = is_sequence(output) and len(output) in (n + 1, n + 2)  # with channels, as PyTorch also takes it
        wanted = directions(call, "output_size", output[-n:] if shaped else output, n)
        for w, low, u in zip(wanted, least, stride, strict=True):
            if not low <= w < low + u:
                most = tuple(low + u - 1 for low, u in zip(least, stride, strict=True))
                expected = written(least) if least == most else f"from {written(least)} to {written(most)}"
                raise ValueError(f"{call}: output_size must be {expected}, got {written(wanted)}")
        return tuple(w - low for w, low in zip(wanted, least, strict=True))
    return more_output(call, extra, n, stride, dilation)
