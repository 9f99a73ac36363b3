"""``convarium plan``: how a convolution of given shapes will run, and why."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from .._files.failures import InputError, why
from . import graph as graphs
from . import options
from .refusals import refuse, told
from .sizes import each, sizes

KINDS = {f"conv{middle}{n}d": (n, bool(middle)) for middle in ("", "_transpose") for n in (1, 2, 3)}


def _option(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


def plan(
    kind: Annotated[str, typer.Argument(metavar="KIND", show_default=False, help=f"The function: {', '.join(KINDS)}.")],
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
    padding_mode: Annotated[str, _option("NAME", "zeros, reflect, replicate or circular.")] = "zeros",
    output_padding: Annotated[str, _option("N", "Of a transposed one: more output after the end.")] = "0",
    groups: Annotated[int, _option("N", "Groups of channels.")] = 1,
    interlaced: Annotated[
        int | None, _option("N", "Interlaced groups: --graph 'interlaced IN OUT N', for the weight's edges.")
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(
            "--graph",
            metavar="'KIND NUMBERS...'|FILE",
            show_default=False,
            help="Any graph, as convarium graph takes it or has saved it; the weight then has a kernel for each edge.",
        ),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="A true convolution: kernels turned.")] = False,
    engine: Annotated[str, _option("NAME", "An engine, in place of the planner's choice.")] = "auto",
    dtype: Annotated[str, _option("NAME", "Of the numbers.")] = "float32",
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Threads. \\[default: torch's]", show_default=False)
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print how a convolution will run, and why: engine, time, floor and workspace of each of its three maps."""
    import torch

    from .. import planning
    from .._train.config import MOST

    if kind not in KINDS:
        raise InputError(f"{kind!r} is none of {', '.join(KINDS)}")
    n, transposed = KINDS[kind]
    numbers = getattr(torch, dtype, None)
    if not isinstance(numbers, torch.dtype):
        raise InputError(f"--dtype: no numbers of torch are called {dtype!r}")
    if threads is not None and not 1 <= threads <= MOST["threads"]:
        raise InputError(f"--threads: from 1 to {MOST['threads']}, got {threads}")
    input_size, weight_size = sizes("INPUT", input), sizes("WEIGHT", weight)
    channels = _channels(
        graph, interlaced, input_size[-n - 1] if len(input_size) > n else 0, weight_size[0], transposed
    )
    settings: dict[str, Any] = {
        "stride": each("--stride", stride, n), "padding": padding if padding.isalpha() else each("--padding", padding, n),
        "dilation": each("--dilation", dilation, n), "groups": groups, "channels": channels, "flip": flip,
    }  # fmt: skip
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        if not transposed:
            refuse(f"{kind} has none; conv_transpose{n}d has", **{"output-padding": output_padding != "0"})
            settings["padding_mode"] = padding_mode
            function = getattr(planning, f"plan{n}d")
            found = told(function, input_size, weight_size, **settings, engine=engine, dtype=numbers)
        else:
            refuse(f"{kind} pads with zeros", **{"padding-mode": padding_mode != "zeros"})
            settings["output_padding"] = each("--output-padding", output_padding, n)
            found = told(_transposed, kind, n, input_size, weight_size, settings, engine, numbers)
    finally:
        torch.set_num_threads(before)
    print(json.dumps(found.to_dict(), indent=2) if as_json else found)


def _transposed(
    kind: str,
    n: int,
    input: tuple[int, ...],
    weight: tuple[int, ...],
    settings: dict[str, Any],
    engine: str,
    dtype: Any,
) -> Any:
    """The plan of a layer's call, without the layer and the memory of its weight."""
    from .._planner.choice import check_engine
    from .._planner.plan import plan
    from .._spec.call import transposed
    from .._spec.tensors import check_dtype

    check_engine(kind, engine)
    check_dtype(kind, "dtype", dtype)
    call = transposed(kind, n, input, weight, None, output=None, **settings)
    return plan(call.problem(input[0] if len(input) == n + 2 else 1, dtype, "cpu"), engine, kind, transposed=True)


def _channels(words: str | None, interlaced: int | None, inputs: int, edges: int, transposed: bool) -> Any:
    """The graph that is asked for, or None."""
    import convarium as cv

    if words is not None and interlaced is not None:
        raise InputError("--interlaced: --graph says the graph already; give one of them")
    if interlaced is not None:
        if interlaced < 1:
            raise InputError(f"--interlaced: at least 1, got {interlaced}")
        others = edges * interlaced // inputs if inputs else 0
        ends = (others, inputs) if transposed else (inputs, others)
        return told(cv.ChannelGraph.interlaced, *ends, interlaced)
    if words is None:
        return None
    try:
        parts = shlex.split(words)
        if len(parts) == 1 and parts[0] not in graphs.KINDS:
            parts = ["load", *parts]
        stack = graphs.read(parts)
    except OSError as error:
        raise why(Path(error.filename or words), error) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"--graph: {error}") from None
    return stack[0] if len(stack) == 1 else stack.reach
