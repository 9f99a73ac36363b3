"""``convarium plan``: how a convolution of given shapes will run, and why."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from . import options
from .sizes import each, sizes, told


def _option(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


def plan(
    kind: Annotated[str, typer.Argument(metavar="conv1d|conv2d|conv3d", show_default=False, help="The function.")],
    input: Annotated[str, typer.Argument(metavar="INPUT", show_default=False, help="The input's shape: 32x64x30x30")],
    weight: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHT", show_default=False, help="The weight's; its rank says the sharing: 64x28x28x64x3x3"
        ),
    ],
    stride: Annotated[str, _option("N", "One number, or one a direction: 2x1.")] = "1",
    padding: Annotated[str, _option("N|NAME", "Numbers, or valid, same or full.")] = "0",
    dilation: Annotated[str, _option("N", "One number, or one a direction: 2x1.")] = "1",
    groups: Annotated[int, _option("N", "Groups of channels.")] = 1,
    interlaced: Annotated[int, _option("N", "Interlaced groups; the weight then has a kernel for each edge.")] = 0,
    flip: Annotated[bool, typer.Option("--flip", help="A true convolution: kernels turned.")] = False,
    engine: Annotated[str, _option("NAME", "An engine, in place of the planner's choice.")] = "auto",
    dtype: Annotated[str, _option("NAME", "Of the numbers.")] = "float32",
    threads: Annotated[int, _option("N", "Threads. \\[default: torch's]")] = 0,
    as_json: options.AsJson = False,
) -> None:
    """Print how a convolution will run, and why: engine, time, floor and workspace of each of its three maps."""
    import torch

    import convarium as cv

    from .._files.failures import InputError

    functions = {f"conv{n}d": (n, getattr(cv, f"plan{n}d")) for n in (1, 2, 3)}
    if kind not in functions:
        raise InputError(f"{kind!r} is none of {', '.join(functions)}")
    if not hasattr(torch, dtype):
        raise InputError(f"--dtype: no numbers of torch are called {dtype!r}")
    n, function = functions[kind]
    input_size, weight_size = sizes("INPUT", input), sizes("WEIGHT", weight)

    graph = None
    if interlaced:
        inputs = input_size[-n - 1] if len(input_size) > n else 0
        outputs = weight_size[0] * interlaced // inputs if inputs else 0
        graph = told(cv.ChannelGraph.interlaced, inputs, outputs, interlaced)
    before = torch.get_num_threads()
    try:
        if threads > 0:
            torch.set_num_threads(threads)
        found = told(
            function, input_size, weight_size, each("--stride", stride, n),
            padding if padding.isalpha() else each("--padding", padding, n), each("--dilation", dilation, n), groups,
            channels=graph, flip=flip, engine=engine, dtype=getattr(torch, dtype),
        )  # fmt: skip
    finally:
        torch.set_num_threads(before)
    print(json.dumps(found.to_dict(), indent=2) if as_json else found)
