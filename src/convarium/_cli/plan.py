"""``convarium plan``: how a convolution of given shapes will run, and why."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from . import options
from .sizes import told


def _ints(name: str, text: str) -> tuple[int, ...]:
    from .._files.failures import InputError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{name}: whole numbers with commas between, such as 32,64,30,30, got {text!r}") from None


def _option(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


def plan(
    kind: Annotated[str, typer.Argument(metavar="conv1d|conv2d|conv3d", show_default=False, help="The function.")],
    input: Annotated[str, typer.Argument(metavar="INPUT", show_default=False, help="The input's shape: 32,64,30,30")],
    weight: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHT", show_default=False, help="The weight's; its rank says the sharing: 64,28,28,64,3,3"
        ),
    ],
    stride: Annotated[str, _option("N,N", "One number, or one a direction.")] = "1",
    padding: Annotated[str, _option("N,N|NAME", "Numbers, valid, same or full.")] = "0",
    dilation: Annotated[str, _option("N,N", "One number, or one a direction.")] = "1",
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
    input_size, weight_size = _ints("INPUT", input), _ints("WEIGHT", weight)

    def each(name: str, text: str) -> int | tuple[int, ...]:
        numbers = _ints(name, text)
        return numbers[0] if len(numbers) == 1 else numbers

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
            function, input_size, weight_size, each("--stride", stride),
            padding if padding.isalpha() else each("--padding", padding), each("--dilation", dilation), groups,
            channels=graph, flip=flip, engine=engine, dtype=getattr(torch, dtype),
        )  # fmt: skip
    finally:
        torch.set_num_threads(before)
    print(json.dumps(found.to_dict(), indent=2) if as_json else found)
