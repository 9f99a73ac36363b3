"""``convarium graph``: print and draw channel graphs, one or several after each other."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options

KINDS = {
    "dense": "IN OUT", "groups": "IN OUT GROUPS", "depthwise": "CHANNELS [MULTIPLIER]", "interlaced": "IN OUT GROUPS",
    "shuffled": "IN OUT GROUPS", "banded": "IN OUT WIDTH", "hierarchical": "CHANNELS BRANCHING LEVEL",
    "random_regular": "IN OUT PARENTS SEED", "load": "FILE",
}  # fmt: skip
_FORMATS = (".png", ".svg", ".pdf")


def graph(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND NUMBERS... [--with KIND NUMBERS...]...", show_default=False,
            help="Graphs, first to last: " + "; ".join(f"{kind} {numbers}" for kind, numbers in KINDS.items()) + ".",
        ),
    ],
    output: Annotated[
        int | None, typer.Option("--output", metavar="N", show_default=False, help="Show what this output sees.")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE", show_default=False, help="Draw it too: .png, .svg or .pdf.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", show_default=False, help="Write what the outputs reach as a graph.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Print a channel graph, or several after each other: who reads whom, what reaches the outputs, what is missing."""
    from .._files import atomic
    from .._files.failures import InputError, why

    if draw is not None and draw.suffix not in _FORMATS:
        raise InputError(f"--draw: {draw} must end in {', '.join(_FORMATS)}")
    try:
        stack = read(words)
        shown = stack if len(stack) > 1 else stack[0]
        text = shown.diagram(output)
        if draw is not None:
            buffer = io.BytesIO()
            shown.figure(output).savefig(buffer, format=draw.suffix[1:])
            atomic.write(draw, buffer.getvalue())
        if save is not None:
            stack.reach.save(save)
    except OSError as error:
        raise why(Path(error.filename or draw or save or "."), error) from None
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, InputError) else InputError(str(error)) from None
    print(json.dumps(_data(stack, output), indent=2) if as_json else text)


def read(words: list[str]) -> Any:
    """The stack of graphs that words say, ``--with`` between one graph and the next."""
    import convarium as cv

    parts: list[list[str]] = [[]]
    for word in words:
        if word == "--with":
            parts.append([])
        else:
            parts[-1].append(word)
    return cv.ChannelStack(*(_graph(part) for part in parts))


def _graph(words: list[str]) -> Any:
    import convarium as cv

    from .._files.failures import InputError

    if not words:
        raise InputError(
            f"--with: a graph comes before it and after it: KIND NUMBERS..., KIND one of {', '.join(KINDS)}"
        )
    kind, *numbers = words
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of graph: {', '.join(KINDS)}")
    if kind == "load":
        if len(numbers) != 1:
            raise InputError("load takes a FILE")
        return cv.ChannelGraph.load(numbers[0])
    make, fewest = getattr(cv.ChannelGraph, kind), len([name for name in KINDS[kind].split() if name[0] != "["])
    if not fewest <= len(numbers) <= len(KINDS[kind].split()) or not all(
        number.lstrip("-").isdecimal() for number in numbers
    ):
        raise InputError(f"{kind} takes {KINDS[kind]}, got {' '.join(numbers) or 'nothing'}")
    found = [int(number) for number in numbers]
    return make(*found[:-1], seed=found[-1]) if kind == "random_regular" else make(*found)


def _data(stack: Any, output: int | None) -> dict[str, Any]:
    found = {
        "widths": list(stack.widths),
        "layers": [{"structure": graph.name, "edges": graph.edges.T.tolist()} for graph in stack],
        "n_edges": stack.n_edges,
        "is_full": stack.is_full,
        "missing": stack.missing.T.tolist(),
    }
    if output is not None:
        found |= {"output": output, "sees": [list(field) for field in stack.receptive_field(output)]}
    return found
