"""``convarium explain``: a convolution and its gradients as equations between symbols."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from .._spec.problem import Map
from . import options
from .refusals import refuse, told
from .sizes import each, sizes

MAPS: dict[str, Map] = {"forward": "forward", "filter": "grad_weight", "input": "grad_input"}


def _option(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text, show_default=False)


def explain(
    input: Annotated[str, _option("SIZE", "The input's size: 3x3, or 9 in one direction.")] = "3x3",
    kernel: Annotated[str, _option("SIZE", "The kernel's.")] = "2x2",
    stride: Annotated[str, _option("N", "One number, or one a direction: 2x1.")] = "1",
    padding: Annotated[str, _option("N", "Numbers, or valid, same or full.")] = "0",
    dilation: Annotated[str, _option("N", "One number, or one a direction.")] = "1",
    tile: Annotated[str, _option("N", "Kernels that take turns, or local: one for each position.")] = "1",
    channels: Annotated[str, _option("INxOUT", "Channels of the input and of the output.")] = "1x1",
    groups: Annotated[int, _option("N", "Groups of channels.")] = 1,
    interlaced: Annotated[int, _option("N", "Interlaced groups.")] = 0,
    flip: Annotated[bool, typer.Option("--flip", help="A true convolution: kernels turned.")] = False,
    transposed: Annotated[
        bool, typer.Option("--transposed", help="The transposed convolution: --input is then what it gives.")
    ] = False,
    only: Annotated[str | None, _option("MAP", f"One map: {', '.join(MAPS)}. \\[default: all]")] = None,
    format: Annotated[str | None, _option("NAME", "text, latex or markdown. \\[default: text]")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write down a convolution, the gradient of its filter and the gradient of its input, number by number.

    Without options, this is the lecture's example: a picture of 3 x 3 and a filter of 2 x 2.
    """

    import convarium as cv

    from .._files.failures import InputError
    from .._look import equations

    if as_json:
        refuse("with --json there is one form", format=format)
    if interlaced and groups != 1:
        raise InputError("--groups: interlaced groups are groups already; give one of them")
    if only is not None and only not in MAPS:
        raise InputError(f"--only: {only!r} is none of {', '.join(MAPS)}")
    if format is not None and format not in equations.FORMATS:
        raise InputError(f"--format: {format!r} is none of {', '.join(equations.FORMATS)}")
    size, taps, ends = sizes("--input", input), sizes("--kernel", kernel), sizes("--channels", channels)
    n = len(size)
    if n not in (1, 2, 3):
        raise InputError(f"--input: one to three directions, got {input!r}")
    if len(taps) != n:
        raise InputError(f"--kernel: {n} numbers, as --input has, got {kernel!r}")
    if len(ends) != 2:
        raise InputError(f"--channels: two numbers, such as 2x3, got {channels!r}")
    front = list(ends[::-1])

    def problem_of(*weight: int) -> Any:
        try:
            return getattr(cv, f"plan{n}d")(shape, weight, **geometry).problem
        except (ValueError, TypeError) as error:
            raise InputError(str(error).replace(f"plan{n}d: ", "explain: ")) from None

    geometry: dict[str, Any] = {
        "stride": each("--stride", stride, n), "dilation": each("--dilation", dilation, n), "flip": flip,
        "padding": padding if padding.isalpha() else each("--padding", padding, n),
    }  # fmt: skip
    if interlaced:
        graph = told(cv.ChannelGraph.interlaced, *ends, interlaced)
        front, geometry["channels"] = [graph.n_edges], graph
    else:
        told(cv.ChannelGraph.groups, *ends, groups)
        front, geometry["groups"] = [ends[1], ends[0] // groups], groups
    shape = (1, ends[0], *size)
    problem = problem_of(*front, *taps)
    if tile != "1":
        members = problem.output_size if tile == "local" else each("--tile", tile, n)
        if min(members) < 1:
            raise InputError(f"--tile: at least 1, got {tile!r}")
        problem = problem_of(front[0], *members, *front[1:], *taps)
    told(equations.check, problem, "explain")
    maps = equations.ORDER if only is None else (MAPS[only],)
    if as_json:
        print(
            json.dumps(
                {map: [_data(e) for e in equations.equations(problem, map, transposed)] for map in maps}, indent=2
            )
        )
    else:
        print(equations.FORMATS[format or "text"](problem, maps, transposed))


def _data(equation: Any) -> dict[str, Any]:
    from .._look.equations import plain

    return {"is": plain(equation.left), "sum_of": [[plain(a), plain(b)] for a, b in equation.factors]}
