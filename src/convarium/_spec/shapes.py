"""Whether the shapes of a call fit together; a message shows what would."""

from __future__ import annotations

from typing import Any

from .arguments import Ints, whole
from .channels import ChannelGraph
from .shown import shown, written


def rank_fits(call: str, input: Ints, n: int) -> None:
    if len(input) not in (n + 1, n + 2):
        raise ValueError(
            f"{call}: input must be {_layout(n, 'batch')} or {_layout(n)}, got {len(input)} dimensions, {written(input)}"
        )


def weight_form(call: str, weight: Ints, n: int, channels: Any, *, transposed: bool) -> tuple[bool, bool]:
    """Whether the weight is shared, and whether it is by edge; its rank says the sharing."""
    if channels is not None and not isinstance(channels, ChannelGraph):
        raise TypeError(f"{call}: channels must be a ChannelGraph, got {type(channels).__name__}")
    by_edge = channels is not None
    front = ["edges"] if by_edge else ["in", "out/groups"] if transposed else ["out", "in/groups"]
    ranks = (n + 1, 2 * n + 1) if by_edge else (n + 2, 2 * n + 2)
    if len(weight) not in ranks:
        kernel = ", ".join(["k"] * n)
        tile = ", ".join(["tile"] * n)
        rest = "".join(f", {name}" for name in front[1:])
        raise ValueError(
            f"{call}: weight must be ({front[0]}{rest}, {kernel}) when shared, or ({front[0]}, {tile}{rest}, {kernel}), "
            f"got {len(weight)} dimensions, {written(weight)}"
        )
    return len(weight) == ranks[0], by_edge


def channels_fit(call: str, input: Ints, weight: Ints, n: int, groups: Any, channels: ChannelGraph | None) -> int:
    """The number of groups; the channels of a convolution's input must be those that its weight reads."""
    _some_channels(call, weight, channels is not None)
    in_channels = input[-n - 1]
    if channels is not None:
        if channels.in_channels != in_channels:
            raise ValueError(
                f"{call}: the graph reads {channels.in_channels} channels, "
                f"but {_read(input, n)}{_hint(_moved(input, n, channels.in_channels))}"
            )
        return _edges_fit(call, weight, channels, groups)
    groups = whole(call, "groups", groups, 1)
    reads = weight[-n - 1]
    if weight[0] % groups:
        raise ValueError(
            f"{call}: groups={groups} does not divide the {weight[0]} output channels of weight {written(weight)}"
        )
    if reads * groups != in_channels:
        fit, batched = in_channels // reads, len(input) == n + 2
        fits = [f"groups={fit}"] if batched and fit and in_channels == fit * reads and weight[0] % fit == 0 else []
        raise ValueError(
            f"{call}: weight {written(weight)} reads {reads} channels a group with groups={groups}, "
            f"but {_read(input, n)}{_hint(fits + _moved(input, n, reads * groups))}"
        )
    return groups


def transposed_channels_fit(
    call: str, input: Ints, weight: Ints, n: int, groups: Any, channels: ChannelGraph | None
) -> int:
    """The number of groups; a transposed convolution's input must be what the convolution that it transposes makes."""
    _some_channels(call, weight, channels is not None)
    in_channels = input[-n - 1]
    if channels is not None:
        if channels.out_channels != in_channels:
            raise ValueError(
                f"{call}: the graph (that of the convolution whose transpose this is) has {channels.out_channels} output "
                f"channels, but {_read(input, n)}{_hint(_moved(input, n, channels.out_channels))}"
            )
        return _edges_fit(call, weight, channels, groups)
    groups = whole(call, "groups", groups, 1)
    if weight[0] != in_channels:
        behind = len(weight) - n - 1
        turned = [f"weight.transpose(0, {behind})"] if groups == 1 and weight[behind] == in_channels else []
        tile = "" if behind == 1 else "*tile, "
        raise ValueError(
            f"{call}: weight must be (in_channels, {tile}out_channels / groups, *kernel) with in_channels={in_channels}, "
            f"got {written(weight)}; {_read(input, n)}{_hint(turned + _moved(input, n, weight[0]))}"
        )
    if in_channels % groups:
        raise ValueError(
            f"{call}: groups={groups} does not divide the {in_channels} channels of input {written(input)}"
        )
    return groups


def some_size(call: str, size: Ints) -> None:
    for length in size:
        if length < 1:
            raise ValueError(
                f"{call}: input of size {written(size)} has a direction of no size; only a batch may be empty"
            )


def tile_fits(call: str, tile: Ints, output: Ints, name: str = "output") -> None:
    for count, length in zip(tile, output, strict=True):
        if count > length:
            raise ValueError(f"{call}: tile {written(tile)} is larger than the {name}, {written(output)}")


def bias_fits(call: str, bias: Ints, out_channels: int, places: Ints, shared: bool, name: str) -> None:
    tied, untied = (out_channels,), (out_channels, *places)
    if tuple(bias) == tied or (not shared and tuple(bias) == untied):
        return
    expected = written(tied) if shared else f"{written(tied)} or, untied, (out_channels, *{name}) = {written(untied)}"
    raise ValueError(f"{call}: bias must have shape {expected}, got {written(bias)}")


def _some_channels(call: str, weight: Ints, by_edge: bool) -> None:
    for length in weight[by_edge:]:  # a graph may have no edges
        if length < 1:
            raise ValueError(f"{call}: weight {written(weight)} has a dimension of no size; only a batch may be empty")


def _edges_fit(call: str, weight: Ints, channels: ChannelGraph, groups: Any) -> int:
    if whole(call, "groups", groups, 1) != 1:
        raise ValueError(f"{call}: groups={groups} with channels=; the graph already says which channels are joined")
    if weight[0] != channels.n_edges:
        raise ValueError(
            f"{call}: weight {written(weight)} must have one kernel an edge of the graph in front, "
            f"and {shown(channels)} has {channels.n_edges}"
        )
    return 1


def _layout(n: int, *front: str) -> str:
    return "(" + ", ".join([*front, "channels", *("depth", "height", "width")[3 - n :]]) + ")"


def _read(input: Ints, n: int) -> str:
    """How many channels the input has, and where they were looked for if that is easily mistaken."""
    unbatched = f", read as {_layout(n)} without a batch" if len(input) == n + 1 else ""
    return f"input {written(input)} has {input[-n - 1]}{unbatched}"


def _moved(input: Ints, n: int, wanted: int) -> list[str]:
    """What would bring so many channels to their place: the last dimension, or a new one where there is no batch."""
    front = len(input) - n - 1
    new = ["input.unsqueeze(1)"] if front == 0 and wanted == 1 else []
    return new + ([f"input.movedim(-1, {front})"] if input[-1] == wanted else [])


def _hint(fits: list[str]) -> str:
    return f"; {' or '.join(fits)} would fit" if fits else ""
