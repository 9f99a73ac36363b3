"""What the caller wrote, checked and put into one form: here every argument error of the face is raised.

Sizes may be symbolic (while a program is being traced), so nothing here hashes, rounds or branches on them more than a
check has to. Messages name the call, the argument, what was expected as a shape with its names, and what came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any

import torch

from .channels import ChannelGraph
from .geometry import output_size, same_output, same_padding
from .problem import Problem, problem_of
from .shown import shown
from .wiring import Wiring

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
PADDING_NAMES = ("valid", "same", "full")

_LARGEST = 2**60  # elements: no more than bytes that an address can count
_WORD = 2**63  # numbers are below it, as PyTorch's are


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
    _rank(call, "input", input, n, ("channels",))
    shared, by_edge = _weight_rank(call, weight, n, channels)
    tile = (1,) * n if shared else tuple(weight[1 : 1 + n])
    in_channels = input[-n - 1]
    _fits_channels(call, weight, n, in_channels, groups, channels, shared, "input", input)
    out_channels = channels.out_channels if by_edge else weight[0]
    size, kernel = tuple(input[-n:]), tuple(weight[-n:])
    stride, dilation = positive(call, "stride", stride, n), positive(call, "dilation", dilation, n)
    pads = pairs(call, padding, n, size, kernel, stride, dilation)
    mode = _mode(call, padding_mode, pads, size)
    output = _outputs(call, size, kernel, stride, dilation, pads, padding)
    _tile_fits(call, tile, output)
    padded = tuple(length + before + after for length, (before, after) in zip(size, pads, strict=True))
    fits_memory(call, weight=weight, input=(*input[:-n], *padded), output=(*input[: -n - 1], out_channels, *output))
    if bias is not None:
        _bias(call, bias, out_channels, tile, shared, "tile")
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
    _rank(call, "input", input, n, ("channels",))
    shared, by_edge = _weight_rank(call, weight, n, channels)
    tile = (1,) * n if shared else tuple(weight[1 : 1 + n])
    out_channels, size, kernel = input[-n - 1], tuple(input[-n:]), tuple(weight[-n:])
    _some_size(call, size)
    if by_edge:
        if channels.out_channels != out_channels:
            raise ValueError(
                f"{call}: input {_shape(input)} has {out_channels} channels, but the graph (that of the convolution whose "
                f"transpose this is) has {channels.out_channels} output channels"
            )
        _edges_fit(call, weight, channels, groups)
        in_channels = channels.in_channels
    else:
        groups = _one_positive(call, "groups", groups)
        if weight[0] != out_channels:
            raise ValueError(
                f"{call}: weight {_shape(weight)} must have one entry an input channel in front, "
                f"but input {_shape(input)} has {out_channels}"
            )
        if out_channels % groups:
            raise ValueError(
                f"{call}: groups={groups} does not divide the {out_channels} channels of input {_shape(input)}"
            )
        in_channels = weight[-n - 1] * groups
    _some_channels(call, weight, by_edge)
    stride, dilation = positive(call, "stride", stride, n), positive(call, "dilation", dilation, n)
    if isinstance(padding, str):
        raise ValueError(f"{call}: padding={shown(padding)} is for convolutions; give a transposed one numbers")
    pads = pairs(call, padding, n, size, kernel, stride, dilation)
    extra = _output_padding(call, n, size, kernel, stride, dilation, pads, output_padding, output)
    sizes = tuple(
        (length - 1) * u - before - after + d * (k - 1) + 1 + e
        for length, u, (before, after), d, k, e in zip(size, stride, pads, dilation, kernel, extra, strict=True)
    )
    for length in sizes:
        if length < 1:
            raise ValueError(
                f"{call}: padding {pads} leaves an output of size {sizes}; it crops more than input {_shape(input)} makes"
            )
    _tile_fits(call, tile, size, "input")
    fits_memory(call, output=(*input[: -n - 1], in_channels, *sizes))
    if bias is not None:
        _bias(call, bias, in_channels, sizes, False, "output_size")
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
    _mode(call, padding_mode, pads, size)
    return _outputs(call, size, kernel, stride, dilation, pads, padding)


# -- numbers and pairs -------------------------------------------------------------------------------------------------


def directions(call: str, name: str, value: Any, n: int) -> Ints:
    """A number, or one number a direction."""
    if _is_sequence(value):
        if len(value) != n:
            hint = "; padding before and after is written in pairs, ((before, after), ...)" if name == "padding" else ""
            raise ValueError(f"{call}: {name} must be {_so_many(n)}, got {shown(value)}{hint}")
        return tuple(whole(call, name, item) for item in value)
    return (whole(call, name, value),) * n


def pairs(call: str, padding: Any, n: int, size: Ints, kernel: Ints, stride: Ints, dilation: Ints) -> Pairs:
    """Padding before and after, from a number, a number a direction, pairs, or ``'valid'``, ``'same'``, ``'full'``."""
    if isinstance(padding, str):
        if padding not in PADDING_NAMES:
            raise ValueError(
                f"{call}: padding must be numbers, pairs, or one of {_names(PADDING_NAMES)}, got {shown(padding)}"
            )
        if padding == "valid":
            return ((0, 0),) * n
        if padding == "full":
            return tuple((d * (k - 1), d * (k - 1)) for d, k in zip(dilation, kernel, strict=True))
        return tuple(same_padding(*axis) for axis in zip(size, kernel, stride, dilation, strict=True))
    if _is_sequence(padding) and any(_is_sequence(side) for side in padding):
        if len(padding) != n or any(not _is_sequence(side) or len(side) != 2 for side in padding):
            raise ValueError(
                f"{call}: padding by pairs must be ((before, after), ...), one pair a direction, {n} in all, got {shown(padding)}"
            )
        found = tuple((whole(call, "padding", before), whole(call, "padding", after)) for before, after in padding)
    else:
        found = tuple((side, side) for side in directions(call, "padding", padding, n))
    for pair in found:
        if min(pair) < 0:
            raise ValueError(f"{call}: padding must not be negative, got {shown(padding)}")
    return found


def whole(call: str, name: str, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}")
    if type(value) is int:
        if not -_WORD < value < _WORD:
            raise ValueError(f"{call}: {name} must be less than 2**63, got {value}")
        return value
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"{call}: {name} must be a whole number, got {shown(value)}") from None


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _so_many(n: int) -> str:
    return "a number, alone or in a sequence" if n == 1 else f"a number or {n} of them, one a direction"


def positive(call: str, name: str, value: Any, n: int) -> Ints:
    found = directions(call, name, value, n)
    for item in found:
        if item < 1:
            raise ValueError(f"{call}: {name} must be at least 1, got {shown(value)}")
    return found


def _one_positive(call: str, name: str, value: Any) -> int:
    found = whole(call, name, value)
    if found < 1:
        raise ValueError(f"{call}: {name} must be at least 1, got {shown(value)}")
    return found


def one_of(call: str, name: str, value: Any, names: Sequence[str]) -> str:
    """One of some names."""
    if not isinstance(value, str):
        raise TypeError(f"{call}: {name} must be one of {_names(names)}, got {shown(value)}")
    if value not in names:
        raise ValueError(f"{call}: {name} must be one of {_names(names)}, got {shown(value)}")
    return value


def flag(call: str, name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{call}: {name} must be True or False, got {shown(value)}")
    return value


# -- shapes ------------------------------------------------------------------------------------------------------------


def _shape(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _layout(n: int, *front: str) -> str:
    return "(" + ", ".join([*front, *("depth", "height", "width")[3 - n :]]) + ")"


def _rank(call: str, name: str, shape: Ints, n: int, front: tuple[str, ...]) -> None:
    if len(shape) not in (n + 1, n + 2):
        raise ValueError(
            f"{call}: {name} must be {_layout(n, 'batch', *front)} or {_layout(n, *front)}, "
            f"got {len(shape)} dimensions, {_shape(shape)}"
        )


def _weight_rank(call: str, weight: Ints, n: int, channels: Any) -> tuple[bool, bool]:
    """Whether the weight is shared, and whether it is by edge; its rank says the sharing."""
    if channels is not None and not isinstance(channels, ChannelGraph):
        raise TypeError(f"{call}: channels must be a ChannelGraph, got {type(channels).__name__}")
    by_edge = channels is not None
    front = ["edges"] if by_edge else ["out", "in/groups"]
    if call.startswith("conv_transpose") and not by_edge:
        front = ["in", "out/groups"]
    ranks = (n + 1, 2 * n + 1) if by_edge else (n + 2, 2 * n + 2)
    if len(weight) not in ranks:
        kernel = ", ".join(["k"] * n)
        tile = ", ".join(["tile"] * n)
        rest = "".join(f", {name}" for name in front[1:])
        raise ValueError(
            f"{call}: weight must be ({front[0]}{rest}, {kernel}) when shared, or ({front[0]}, {tile}{rest}, {kernel}), "
            f"got {len(weight)} dimensions, {_shape(weight)}"
        )
    return len(weight) == ranks[0], by_edge


def _some_channels(call: str, weight: Ints, by_edge: bool) -> None:
    for length in weight[by_edge:]:  # a graph may have no edges
        if length < 1:
            raise ValueError(f"{call}: weight {_shape(weight)} has a dimension of no size; only a batch may be empty")


def _fits_channels(
    call: str, weight: Ints, n: int, in_channels: int, groups: Any, channels: Any, shared: bool, name: str, input: Ints
) -> None:
    _some_channels(call, weight, channels is not None)
    if channels is not None:
        if channels.in_channels != in_channels:
            raise ValueError(
                f"{call}: the graph reads {channels.in_channels} channels, but {name} {_shape(input)} has {in_channels}"
            )
        _edges_fit(call, weight, channels, groups)
        return
    groups = _one_positive(call, "groups", groups)
    reads = weight[-n - 1]
    if weight[0] % groups:
        raise ValueError(
            f"{call}: groups={groups} does not divide the {weight[0]} output channels of weight {_shape(weight)}"
        )
    if reads * groups != in_channels:
        fit = in_channels // reads
        hint = f"; groups={fit} would fit" if fit and in_channels % reads == 0 and weight[0] % fit == 0 else ""
        raise ValueError(
            f"{call}: weight {_shape(weight)} reads {reads} channels a group with groups={groups}, "
            f"but {name} {_shape(input)} has {in_channels}{hint}"
        )


def _edges_fit(call: str, weight: Ints, channels: ChannelGraph, groups: Any) -> None:
    if _one_positive(call, "groups", groups) != 1:
        raise ValueError(f"{call}: groups={groups} with channels=; the graph already says which channels are joined")
    if weight[0] != channels.n_edges:
        raise ValueError(
            f"{call}: weight {_shape(weight)} must have one kernel an edge of the graph in front, "
            f"and {shown(channels)} has {channels.n_edges}"
        )


def _channels_text(channels: ChannelGraph | None, groups: Any) -> str:
    return str(index(groups)) if channels is None else Wiring(channels, by_edge=True).text


def _outputs(call: str, size: Ints, kernel: Ints, stride: Ints, dilation: Ints, pads: Pairs, padding: Any) -> Ints:
    _some_size(call, size)
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


def _some_size(call: str, size: Ints) -> None:
    for length in size:
        if length < 1:
            raise ValueError(
                f"{call}: input of size {_shape(size)} has a direction of no size; only a batch may be empty"
            )


def _tile_fits(call: str, tile: Ints, output: Ints, name: str = "output") -> None:
    for count, length in zip(tile, output, strict=True):
        if count > length:
            raise ValueError(f"{call}: tile {_shape(tile)} is larger than the {name}, {_shape(output)}")


def _bias(call: str, bias: Ints, out_channels: int, places: Ints, shared: bool, name: str) -> None:
    tied, untied = (out_channels,), (out_channels, *places)
    if tuple(bias) == tied or (not shared and tuple(bias) == untied):
        return
    expected = _shape(tied) if shared else f"{_shape(tied)} or, untied, (out_channels, *{name}) = {_shape(untied)}"
    raise ValueError(f"{call}: bias must have shape {expected}, got {_shape(bias)}")


def padding_mode_name(call: str, mode: Any) -> str:
    return one_of(call, "padding_mode", mode, PADDING_MODES)


def _mode(call: str, mode: Any, pads: Pairs, size: Ints) -> str | None:
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


def _output_padding(
    call: str, n: int, size: Ints, kernel: Ints, stride: Ints, dilation: Ints, pads: Pairs, extra: Any, output: Any
) -> Ints:
    if output is not None:
        if directions(call, "output_padding", extra, n) != (0,) * n:
            raise ValueError(f"{call}: give output_padding or output_size, not both")
        shaped = _is_sequence(output) and len(output) in (n + 1, n + 2)  # with channels, as PyTorch also takes it
        wanted = directions(call, "output_size", output[-n:] if shaped else output, n)
        least = tuple(
            (length - 1) * u - before - after + d * (k - 1) + 1
            for length, u, (before, after), d, k in zip(size, stride, pads, dilation, kernel, strict=True)
        )
        for w, low, u in zip(wanted, least, stride, strict=True):
            if not low <= w < low + u:
                most = tuple(low + u - 1 for low, u in zip(least, stride, strict=True))
                expected = _shape(least) if least == most else f"from {_shape(least)} to {_shape(most)}"
                raise ValueError(f"{call}: output_size must be {expected}, got {_shape(wanted)}")
        return tuple(w - low for w, low in zip(wanted, least, strict=True))
    return more_output(call, extra, n, stride, dilation)


def more_output(call: str, value: Any, n: int, stride: Ints, dilation: Ints) -> Ints:
    """More output after the end, less than what a stride or a dilation leaves undecided."""
    found = directions(call, "output_padding", value, n)
    for e, u, d in zip(found, stride, dilation, strict=True):
        if e < 0 or e >= max(u, d):
            raise ValueError(
                f"{call}: output_padding must be at least 0 and less than stride or dilation, got {shown(value)} "
                f"with stride {_shape(stride)} and dilation {_shape(dilation)}"
            )
    return found


def shape(call: str, name: str, value: Any) -> Ints:
    """A shape given as a sequence of whole numbers."""
    if not _is_sequence(value):
        got = shown(value) + ("; its .shape is one" if hasattr(value, "shape") else "")
        raise TypeError(f"{call}: {name} must be a shape, a sequence of whole numbers, got {got}")
    found = tuple(whole(call, name, item) for item in value)
    for item in found:
        if item < 0:
            raise ValueError(f"{call}: {name} must not be negative, got {_shape(found)}")
    return found


def check_output(name: str, call: Call, input: Ints, grad_output: Ints) -> None:
    """Refuse a gradient that is not of the shape of the call's output."""
    batch = input[: len(input) - len(call.stride) - 1]
    expected = (*batch, call.out_channels, *call.output_size)
    if tuple(grad_output) != expected:
        raise ValueError(
            f"{name}: grad_output must have the output's shape, {_shape(expected)}, got {_shape(grad_output)}"
        )


def fits_memory(call: str, **shapes: Ints) -> None:
    """Refuse a tensor that no memory can hold, before anything is allocated; symbolic sizes are left to their program."""
    for name, shape in shapes.items():
        if all(type(length) is int for length in shape) and math.prod(shape) > _LARGEST:
            raise ValueError(f"{call}: {name} of shape {_shape(shape)} is larger than memory can be")
