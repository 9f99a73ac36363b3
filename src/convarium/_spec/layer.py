"""What a layer is told when it is made, checked then rather than at its first call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arguments import directions, padding_mode_name, pairs, whole
from .channel_arguments import check_divides
from .channels import ChannelGraph
from .shown import shown


def layer_channels(
    call: str, in_channels: Any, out_channels: Any, groups: Any, channels: Any, transposed: bool
) -> tuple[int, int, int]:
    """In channels, out channels and groups; with a graph, they are the graph's."""
    if channels is not None:
        if not isinstance(channels, ChannelGraph):
            raise TypeError(f"{call}: channels must be a ChannelGraph, got {type(channels).__name__}")
        expected = (
            (channels.out_channels, channels.in_channels)
            if transposed
            else (channels.in_channels, channels.out_channels)
        )
        for name, value, graph in zip(
            ("in_channels", "out_channels"), (in_channels, out_channels), expected, strict=True
        ):
            if value is not None and whole(call, name, value) != graph:
                of = " of the convolution whose transpose this is" if transposed else ""
                raise ValueError(f"{call}: {name}={value}, but the graph{of} has {graph}")
        if whole(call, "groups", groups) != 1:
            raise ValueError(
                f"{call}: groups={groups} with channels=; the graph already says which channels are joined"
            )
        return (*expected, 1)
    counts = {"groups": groups, "in_channels": in_channels, "out_channels": out_channels}
    found = {name: whole(call, name, value, 1) for name, value in counts.items()}
    check_divides(call, **found)
    return found["in_channels"], found["out_channels"], found["groups"]


def layer_padding(call: str, padding: Any, n: int, transposed: bool) -> Any:
    """Padding as a layer keeps it: a name, a number a direction, or pairs."""
    if isinstance(padding, str) and transposed:
        raise ValueError(f"{call}: padding={shown(padding)} is for convolutions; give a transposed one numbers")
    ones = (1,) * n
    checked = pairs(call, padding, n, ones, ones, ones, ones)
    if isinstance(padding, str):
        return padding
    if isinstance(padding, Sequence) and any(isinstance(side, Sequence) for side in padding):
        return checked
    return directions(call, "padding", padding, n)


def layer_padding_mode(call: str, mode: Any, transposed: bool) -> str:
    mode = padding_mode_name(call, mode)
    if transposed and mode != "zeros":
        raise ValueError(
            f"{call}: padding_mode={shown(mode)} is for convolutions; a transposed one crops, with 'zeros'"
        )
    return mode


def layer_bias(call: str, bias: Any) -> bool | str:
    if isinstance(bias, bool) or (isinstance(bias, str) and bias == "untied"):
        return bias
    kind = ValueError if isinstance(bias, str) else TypeError
    raise kind(f"{call}: bias must be True, False or 'untied', got {shown(bias)}")
