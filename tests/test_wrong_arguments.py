"""Any argument, put in the place of any other, is either taken or refused by name: no other error, no crash."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import convarium as cv
from family import random_case, seeds

ODD: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: 0,
    lambda: -1,
    lambda: 2,
    lambda: 1.5,
    lambda: math.nan,
    lambda: 2**62,
    lambda: 2**70,
    lambda: "same",
    lambda: "",
    lambda: "valid ",
    lambda: b"same",
    lambda: (),
    lambda: (1,),
    lambda: (2, 1),
    lambda: [1, 2],
    lambda: (1, 1, 1),
    lambda: ((1, 2), (0, 1)),
    lambda: ((1, 2, 3), (0, 1)),
    lambda: (1, (2, 3)),
    lambda: (0, -1),
    lambda: ("1", 1),
    lambda: {1: 2},
    lambda: np.int64(2),
    lambda: np.array([1, 1]),
    lambda: np.zeros((1, 2, 5, 5), np.float32),
    lambda: object(),
    lambda: int,
    lambda: lambda: 1,
    lambda: torch.zeros(()),
    lambda: torch.ones(1, dtype=torch.int64),
    lambda: torch.zeros(0),
    lambda: torch.zeros(2, 0, 3, 3),
    lambda: torch.zeros(2, 3, 4),
    lambda: torch.zeros(2, 3, 4, 4, dtype=torch.float64),
    lambda: torch.zeros(2, 3, 4, 4, device="meta"),
    lambda: torch.zeros(1, 2, 3, 4, 5, 6, 7),
    lambda: torch.eye(3).to_sparse(),
    lambda: torch.zeros(2, 2, dtype=torch.bool),
    lambda: cv.ChannelGraph.dense(3, 2),
    lambda: cv.ChannelGraph.interlaced(4, 4, 2),
    lambda: torch.float32,
    lambda: "definition",
    lambda: "circular",
]

CALLS: dict[str, tuple[Callable[..., Any], dict[str, Callable[[], Any]]]] = {
    f"conv_transpose{n}d": (
        getattr(cv, f"conv_transpose{n}d"),
        {
            "input": lambda n=n: torch.zeros(2, 4, *(5,) * n),
            "weight": lambda n=n: torch.zeros(4, 3, *(3,) * n),
            "bias": lambda: torch.zeros(3),
            "stride": lambda: 2,
            "padding": lambda: 1,
            "output_padding": lambda: 1,
            "groups": lambda: 1,
            "dilation": lambda: 1,
            "channels": lambda: None,
            "flip": lambda: False,
            "engine": lambda: "auto",
            "output_size": lambda: None,
        },
    )
    for n in (1, 2, 3)
} | {
    "grad.conv2d_input": (
        cv.grad.conv2d_input,
        {
            "input_size": lambda: (2, 4, 6, 6),
            "weight": lambda: torch.zeros(3, 4, 3, 3),
            "grad_output": lambda: torch.zeros(2, 3, 4, 4),
        },
    ),
    "grad.conv2d_weight": (
        cv.grad.conv2d_weight,
        {
            "input": lambda: torch.zeros(2, 4, 6, 6),
            "weight_size": lambda: (3, 4, 3, 3),
            "grad_output": lambda: torch.zeros(2, 3, 4, 4),
        },
    ),
    "plan2d": (cv.plan2d, {"input_size": lambda: (2, 4, 6, 6), "weight_size": lambda: (3, 4, 3, 3)}),
    "matrix.conv_matrix": (
        cv.matrix.conv_matrix,
        {"input_size": lambda: (4, 6, 6), "weight": lambda: torch.zeros(3, 4, 3, 3)},
    ),
    "matrix.im2col": (
        cv.matrix.im2col,
        {"input": lambda: torch.zeros(2, 4, 6, 6), "kernel_size": lambda: 3, "padding": lambda: 1},
    ),
    "matrix.tables": (cv.matrix.tables, {"input_size": lambda: (6, 6), "kernel_size": lambda: (3, 3)}),
    "convolve": (cv.convolve, {"x": lambda: torch.zeros(5), "w": lambda: torch.zeros(3), "mode": lambda: "full"}),
    "ChannelGraph.groups": (
        cv.ChannelGraph.groups,
        {"in_channels": lambda: 4, "out_channels": lambda: 8, "groups": lambda: 2},
    ),
    "ChannelGraph.from_edges": (
        cv.ChannelGraph.from_edges,
        {"in_channels": lambda: 2, "out_channels": lambda: 1, "edges": lambda: [(0, 0)]},
    ),
    "ChannelGraph.shuffled": (
        cv.ChannelGraph.shuffled,
        {"in_channels": lambda: 4, "out_channels": lambda: 8, "groups": lambda: 2},
    ),
    "ChannelGraph.banded": (
        cv.ChannelGraph.banded,
        {"in_channels": lambda: 4, "out_channels": lambda: 8, "width": lambda: 2, "circular": lambda: False},
    ),
    "ChannelGraph.hierarchical": (
        cv.ChannelGraph.hierarchical,
        {"channels": lambda: 8, "branching": lambda: 2, "level": lambda: 1},
    ),
    "ChannelGraph.random_regular": (
        cv.ChannelGraph.random_regular,
        {"in_channels": lambda: 4, "out_channels": lambda: 8, "parents": lambda: 2, "seed": lambda: 0},
    ),
    "ChannelGraph.from_weight": (
        cv.ChannelGraph.from_weight, {"weight": lambda: torch.ones(3, 4, 3, 3), "keep": lambda: 0.5},
    ),
    "ChannelGraph.from_scipy": (
        cv.ChannelGraph.from_scipy, {"matrix": lambda: cv.ChannelGraph.dense(3, 2).to_scipy()},
    ),
    "ChannelGraph.from_networkx": (
        cv.ChannelGraph.from_networkx, {"graph": lambda: cv.ChannelGraph.dense(3, 2).to_networkx()},
    ),
    "ChannelGraph.restrict": (
        cv.ChannelGraph.dense(4, 4).restrict, {"inputs": lambda: [0, 1], "outputs": lambda: [3, 2]},
    ),
    "design_block": (
        cv.design_block,
        {"in_channels": lambda: 8, "out_channels": lambda: 8, "kernel_size": lambda: 3, "between": lambda: 8,
         "interlaced": lambda: None, "grouped": lambda: None},
    ),
    "BlockDesign": (
        cv.BlockDesign,
        {"in_channels": lambda: 8, "between": lambda: 8, "out_channels": lambda: 8, "kernel_size": lambda: (3, 3),
         "interlaced": lambda: 4, "grouped": lambda: 2},
    ),
    "ChannelStack.parameters": (cv.ChannelStack(cv.ChannelGraph.dense(4, 4)).parameters, {"taps": lambda: [9]}),
    "ChannelStack.multiply_adds": (
        cv.ChannelStack(cv.ChannelGraph.dense(4, 4)).multiply_adds, {"taps": lambda: [9], "positions": lambda: [16]},
    ),
    "Conv2d.to_graph": (cv.nn.Conv2d(4, 4, 3).to_graph, {"graph": lambda: cv.ChannelGraph.depthwise(4)}),
    "ChannelGraph.from_mask": (cv.ChannelGraph.from_mask, {"mask": lambda: [[1, 0], [0, 1]]}),
    "Conv2d": (
        cv.nn.Conv2d,
        {"in_channels": lambda: 4, "out_channels": lambda: 6, "kernel_size": lambda: 3, "stride": lambda: 1,
         "padding": lambda: 0, "dilation": lambda: 1, "groups": lambda: 1, "bias": lambda: True,
         "padding_mode": lambda: "zeros"},
    ),
    "LocalConv2d": (
        cv.nn.LocalConv2d,
        {"in_channels": lambda: 4, "out_channels": lambda: 6, "kernel_size": lambda: 3, "input_size": lambda: (6, 6),
         "stride": lambda: 1, "padding": lambda: 0, "bias": lambda: "untied", "channels": lambda: None},
    ),
    "TiledConv2d": (
        cv.nn.TiledConv2d,
        {"in_channels": lambda: 4, "out_channels": lambda: 6, "kernel_size": lambda: 3, "tile": lambda: 2},
    ),
    "ChannelConv2d": (
        cv.nn.ChannelConv2d, {"channels": lambda: cv.ChannelGraph.interlaced(4, 4, 2), "kernel_size": lambda: 3},
    ),
    "TiledConvTranspose2d": (
        cv.nn.TiledConvTranspose2d,
        {"in_channels": lambda: 4, "out_channels": lambda: 6, "kernel_size": lambda: 3, "stride": lambda: 2,
         "output_padding": lambda: 1, "tile": lambda: (2, 3), "bias": lambda: True},
    ),
}  # fmt: skip


def refused_by_name(name: str, call: Callable[..., Any], arguments: dict[str, Any], what: str) -> None:
    """The call runs, or its error begins with its name and takes one line; any other error passes through."""
    try:
        call(**arguments)
    except (ValueError, TypeError) as error:
        message = str(error)
    else:
        return
    assert message.startswith(f"{name}: "), f"{what}: {message}"
    assert "\n" not in message, what


@pytest.mark.parametrize("name", CALLS)
def test_every_odd_argument_in_every_place(name: str) -> None:
    call, good = CALLS[name]
    call(**{key: make() for key, make in good.items()})
    for place in good:
        for number, odd in enumerate(ODD):
            arguments = {key: make() for key, make in good.items()} | {place: odd()}
            refused_by_name(name, call, arguments, f"{place}={odd()!r} (odd {number})")


@pytest.mark.parametrize("seed", seeds(300, 5000))
def test_two_odd_arguments_in_a_convolution(seed: int) -> None:
    rnd = random.Random(seed)
    case = random_case(seed)
    input, weight, _ = case.tensors()
    weight = weight.reshape(case.weight_shape)
    arguments: dict[str, Any] = {"input": input, "weight": weight, "bias": None, "engine": "auto", **case.options}
    for place in rnd.sample(sorted(arguments), 2):
        arguments[place] = rnd.choice(ODD)()
    refused_by_name(f"conv{case.n}d", getattr(cv, f"conv{case.n}d"), arguments, str(case))
