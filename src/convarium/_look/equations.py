"""A convolution and its gradients as equations between symbols, 1-based as on slides: ``o11 = F11 x11 + F12 x12 + ...``.

Equations are data first (:class:`Equation`), for any member of the family; :func:`text`, :func:`latex` and :func:`markdown` write
them down. Taps in the padding are left out, as the formula leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from .._spec.problem import Map, Problem

MOST = 20_000  # products that are written down
TIMES = r"\,"
TITLES = {"forward": "Forward", "grad_weight": "Filter gradient", "grad_input": "Input gradient"}
ORDER: tuple[Map, ...] = ("forward", "grad_weight", "grad_input")


@dataclass(frozen=True, slots=True)
class Symbol:
    """One number of a tensor: ``x``, ``F`` or ``o``, or the derivative of the loss by it. Indices count from 1.

    ``channels`` is empty where there is only one; ``kernel`` where all positions share one.
    """

    letter: str
    channels: tuple[int, ...]
    kernel: tuple[int, ...]
    place: tuple[int, ...]
    wide: bool = False  # a direction has more than 9 places, so indices are set apart
    derivative: bool = False


@dataclass(frozen=True, slots=True)
class Equation:
    """``left`` is the sum of the products; ``factors`` has their symbols, in the order in which they are written."""

    left: Symbol
    factors: tuple[tuple[Symbol, Symbol], ...]


def check(problem: Problem, call: str) -> None:
    """Refuse what nobody could read."""
    if problem.multiply_adds > MOST:
        raise ValueError(
            f"{call}: these are {problem.multiply_adds:,} products in each map; equations are written down for up to {MOST:,}"
        )


def equations(problem: Problem, map: Map, transposed: bool = False) -> Iterator[Equation]:
    """The equations of one map of a layer, for one sample: an output, an input or a weight each, in the order of the tensor.

    ``x`` is what the layer reads and ``o`` what it writes, also where it is the transpose of the problem's convolution.
    """
    edges = problem.wiring.edges().T.tolist()
    tables = [axis.table() for axis in problem.axes]
    shapes = {"input": problem.input_shape[1:], "output": problem.output_shape[1:]}
    reads, writes = ("output", "input") if transposed else ("input", "output")
    letters, wide = {reads: "x", writes: "o"}, {role: max(shape[1:]) > 9 for role, shape in shapes.items()}
    shared, wide_kernel = all(count == 1 for count in problem.tile), max(problem.kernel_size) > 9

    @cache
    def cell(role: str, channel: int, place: tuple[int, ...], by: bool) -> Symbol:
        own = () if shapes[role][0] == 1 else (channel + 1,)
        return Symbol(letters[role], own, (), tuple(k + 1 for k in place), wide[role], by)

    @cache
    def weight(edge: int, kernel: tuple[int, ...], tap: tuple[int, ...], by: bool) -> Symbol:
        channels = tuple(
            channel + 1
            for channel, role in zip(reversed(edges[edge]), ("output", "input"), strict=True)
            if shapes[role][0] > 1
        )
        own = () if shared else tuple(k + 1 for k in kernel)
        return Symbol("F", channels, own, tuple(k + 1 for k in tap), wide_kernel, by)

    role = {"forward": writes, "grad_input": reads}.get(map)
    by = map != "forward"
    sums: dict[Symbol, list[tuple[Symbol, Symbol]]] = {}
    if role is not None:
        channels, *size = shapes[role]
        sums = {cell(role, c, s, by): [] for c in range(channels) for s in np.ndindex(*size)}
    else:
        places = [(r, m) for r in np.ndindex(problem.tile) for m in np.ndindex(problem.kernel_size)]
        sums = {weight(e, r, m, True): [] for e in range(len(edges)) for r, m in places}
    outputs = sorted(range(len(edges)), key=lambda e: edges[e][1])
    for s in np.ndindex(problem.output_size):
        kernel = tuple(a % t for a, t in zip(s, problem.tile, strict=True))
        for e in outputs:
            i, j = edges[e]
            for m in np.ndindex(problem.kernel_size):
                h = tuple(int(table[a, b]) for table, a, b in zip(tables, s, m, strict=True))
                if min(h) < 0:
                    continue
                at = {"input": (i, h), "output": (j, s)}
                if map == "forward":
                    sums[cell(writes, *at[writes], False)].append(
                        (weight(e, kernel, m, False), cell(reads, *at[reads], False))
                    )
                elif map == "grad_input":
                    sums[cell(reads, *at[reads], True)].append(
                        (cell(writes, *at[writes], True), weight(e, kernel, m, False))
                    )
                else:
                    sums[weight(e, kernel, m, True)].append(
                        (cell(writes, *at[writes], True), cell(reads, *at[reads], False))
                    )
    for left, factors in sums.items():
        yield Equation(left, tuple(factors))


def text(problem: Problem, maps: tuple[Map, ...] = ORDER, transposed: bool = False) -> str:
    """Plain text: ``o11 = F11 x11 + F12 x12 + F21 x21 + F22 x22``."""
    parts = []
    for map in maps:
        lines = [f"{plain(e.left)} = {_sum(e, plain, ' ')}" for e in equations(problem, map, transposed)]
        parts.append("\n".join([TITLES[map], "", *lines]))
    return "\n\n".join(parts)


def latex(problem: Problem, maps: tuple[Map, ...] = ORDER, transposed: bool = False) -> str:
    r"""LaTeX: an ``align*`` a map."""
    return "\n\n".join(
        f"% {TITLES[map]}\n\\begin{{align*}}\n{_aligned(problem, map, transposed)}\n\\end{{align*}}" for map in maps
    )


def markdown(problem: Problem, maps: tuple[Map, ...] = ORDER, transposed: bool = False) -> str:
    """Markdown with mathematics in it, as GitHub and notebooks show it."""
    return "\n\n".join(
        f"## {TITLES[map]}\n\n```math\n\\begin{{aligned}}\n{_aligned(problem, map, transposed)}\n\\end{{aligned}}\n```"
        for map in maps
    )


FORMATS: dict[str, Callable[[Problem, tuple[Map, ...], bool], str]] = {
    "text": text,
    "latex": latex,
    "markdown": markdown,
}


def _aligned(problem: Problem, map: Map, transposed: bool) -> str:
    return " \\\\\n".join(f"{_tex(e.left)} &= {_sum(e, _tex, TIMES)}" for e in equations(problem, map, transposed))


def _sum(equation: Equation, write: Callable[[Symbol], str], times: str) -> str:
    return " + ".join(f"{write(a)}{times}{write(b)}" for a, b in equation.factors) or "0"


def plain(symbol: Symbol) -> str:
    """``x11``; ``x[2]11`` of channel 2, ``F[3,2](1,2)11`` of output 3 and input 2 and kernel (1, 2) of a tile."""
    channels = f"[{','.join(map(str, symbol.channels))}]" if symbol.channels else ""
    kernel = f"({','.join(map(str, symbol.kernel))})" if symbol.kernel else ""
    name = f"{symbol.letter}{channels}{kernel}{('_' if symbol.wide else '') + _indices(symbol)}"
    return f"dL/d{name}" if symbol.derivative else name


def _tex(symbol: Symbol) -> str:
    over = f"({','.join(map(str, symbol.channels))})" if symbol.channels else ""  # in brackets: no power
    if symbol.kernel:
        over += f"[{','.join(map(str, symbol.kernel))}]"
    name = f"{symbol.letter}{f'^{{{over}}}' if over else ''}_{{{_indices(symbol)}}}"
    return rf"\frac{{\partial L}}{{\partial {name}}}" if symbol.derivative else name


def _indices(symbol: Symbol) -> str:
    return ("," if symbol.wide else "").join(map(str, symbol.place))
