"""Random members of the family, each from one number: ``random_case(17)`` is always the same problem.

A failing test prints the call that makes its case again. ``CONVARIUM_TESTS=all`` runs the full counts.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass

import numpy as np
import torch

import convarium as cv
from convarium._spec import call as spec
from convarium._spec.problem import Problem

ALL = os.environ.get("CONVARIUM_TESTS") == "all"
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)


def seeds(sample: int, all: int) -> range:
    """The seeds of a property: a sample of them, or all."""
    return range(all if ALL else sample)


@dataclass(frozen=True)
class Case:
    """A call of ``conv{n}d`` without its numbers."""

    seed: int
    n: int
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    dtype: torch.dtype
    options: dict

    def __str__(self) -> str:
        return f"random_case({self.seed})"

    @property
    def call(self) -> spec.Call:
        options = {name: value for name, value in self.options.items() if name != "engine"}
        defaults = {
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
            "padding_mode": "zeros",
            "channels": None,
            "flip": False,
        }
        arguments = defaults | options
        return spec.convolution(
            f"conv{self.n}d", self.n, self.input_shape, self.weight_shape, None, *arguments.values()
        )

    def problem(self, dtype: torch.dtype | None = None) -> Problem:
        return self.call.problem(self.input_shape[0], dtype or self.dtype, "cpu")

    def random(self, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> torch.Tensor:
        """Numbers that are the same in every dtype, but for rounding to this case's."""
        generator = torch.Generator().manual_seed(self.seed * 1000 + sum(shape))
        wide = torch.complex128 if self.dtype.is_complex else torch.float64
        return torch.randn(shape, dtype=wide, generator=generator).to(self.dtype).to(dtype or self.dtype)

    def tensors(self, dtype: torch.dtype | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Input, weight with its tile, output: as the operators have them."""
        problem = self.problem()
        return tuple(self.random(s, dtype) for s in (problem.input_shape, problem.weight_shape, problem.output_shape))

    def conv(self, input: torch.Tensor, weight: torch.Tensor, **more) -> torch.Tensor:
        return getattr(cv, f"conv{self.n}d")(input, weight, **self.options, **more)


def random_graph(rnd: random.Random, inputs: int, outputs: int) -> cv.ChannelGraph:
    kind = rnd.choice(["groups", "interlaced", "mask", "mask"])
    if kind == "mask":
        mask = np.array([[rnd.random() < 0.5 for _ in range(inputs)] for _ in range(outputs)])
        for row in mask:
            row[rnd.randrange(inputs)] = True
        return cv.ChannelGraph.from_mask(mask)
    return getattr(cv.ChannelGraph, kind)(inputs, outputs, rnd.choice(_divisors(math.gcd(inputs, outputs))))


def random_case(
    seed: int,
    dtype: torch.dtype | None = None,
    dimensions: tuple[int, ...] = (1, 1, 2, 2, 3),
    least_batch: int = 0,
    *,
    sharing: str | None = None,
    by_edge: bool | None = None,
    modes: bool = True,
) -> Case:
    """A member of the family: dimension, sharing, graph, stride, dilation, padding, flip, batch, dtype.

    What is given is not drawn; without `modes`, all padding is of zeros.
    """
    rnd = random.Random(seed)
    n = rnd.choice(dimensions)
    groups, graph = 1, None
    inputs, outputs = rnd.randint(1, 6), rnd.randint(1, 6)
    drawn = rnd.random() < 0.3
    if drawn if by_edge is None else by_edge:
        graph = random_graph(rnd, inputs, outputs)
    elif rnd.random() < 0.4:
        groups = rnd.choice([2, 3])
        inputs, outputs = groups * rnd.randint(1, 3), groups * rnd.randint(1, 3)
    size = [rnd.randint(1, {1: 12, 2: 8, 3: 5}[n]) for _ in range(n)]
    dilation = [rnd.choice([1, 1, 1, 2, 3]) for _ in range(n)]
    stride = [rnd.choice([1, 1, 2, 3]) for _ in range(n)]
    kernel = [rnd.randint(1, 4) for _ in range(n)]
    padding = rnd.choice(["valid", "same", "full", "number", "numbers", "pairs"])
    mode = "zeros"
    if padding in ("number", "numbers", "pairs"):
        pads = [[rnd.randint(0, 3), rnd.randint(0, 3)] for _ in range(n)]
        if padding == "number":
            pads = [[pads[0][0]] * 2] * n
        elif padding == "numbers":
            pads = [[before] * 2 for before, _ in pads]
        given = {"number": pads[0][0], "numbers": [p[0] for p in pads], "pairs": tuple(map(tuple, pads))}[padding]
    else:
        given, pads = padding, [[0, 0]] * n
    for k in range(n):  # a kernel must fit
        while padding not in ("same", "full") and dilation[k] * (kernel[k] - 1) + 1 > size[k] + sum(pads[k]):
            if dilation[k] > 1:
                dilation[k] -= 1
            else:
                kernel[k] -= 1
    if rnd.random() < 0.25:
        mode = rnd.choice(["reflect", "replicate", "circular"]) if modes else mode
    options = {
        "stride": tuple(stride),
        "padding": given,
        "dilation": tuple(dilation),
        "groups": groups,
        "padding_mode": mode,
        "channels": graph,
        "flip": rnd.random() < 0.3,
    }
    batch = max(rnd.choice([0, 1, 1, 2, 3, 4]), least_batch)
    front = [graph.n_edges] if graph else [outputs]
    inner = [] if graph else [inputs // groups]
    shape = (batch, inputs, *size)
    case = Case(seed, n, shape, (*front, *inner, *kernel), dtype or rnd.choice(DTYPES), options)
    try:
        output = case.call.output_size
    except ValueError:  # a padding mode that cannot pad so far
        options["padding_mode"] = "zeros"
        output = case.call.output_size
    sharing = sharing or rnd.choice(["shared", "tiled", "tiled", "local"])
    tile = {"shared": [], "local": list(output), "tiled": [rnd.randint(1, length) for length in output]}[sharing]
    return Case(seed, n, shape, (*front, *tile, *inner, *kernel), case.dtype, options)


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def reference(problem: Problem, input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The formula in torch operations that every transformation goes through, written apart from the engines.

    ``input`` and ``weight`` are as the operators take them; the output is ``(batch, out_channels, *output_size)``.
    """
    n = problem.ndim
    for axis in problem.axes:  # gather windows, one direction at a time, at dimension 2
        table = torch.tensor(axis.table().copy())
        windows = input.index_select(2, table.clamp(min=0).flatten()).unflatten(2, table.shape)
        windows = torch.where((table >= 0).reshape(*table.shape, *(1 for _ in range(windows.ndim - 4))), windows, 0)
        input = windows.movedim((2, 3), (-2, -1)) if windows.ndim > 4 else windows
    # now (batch, C, S1, K1, S2, K2, ...)
    sources, targets = problem.wiring.edges()
    onto = torch.tensor(np.eye(problem.wiring.out_channels)[targets])  # (E, O)
    kernels = weight if problem.wiring.by_edge else weight.movedim(1 + n, 1).flatten(0, 1)  # (E, *tile, *kernel)
    for direction, (axis, tile) in enumerate(zip(problem.axes, problem.tile, strict=True)):
        kernels = kernels.index_select(1 + direction, torch.arange(axis.output) % tile)
    order = [0] + [x for k in range(n) for x in (1 + k, 1 + n + k)]
    products = input.index_select(1, torch.tensor(sources.copy())) * kernels.permute(
        order
    )  # (batch, E, S1, K1, S2, K2, ...)
    by_edge = products.sum(dim=tuple(3 + 2 * k for k in range(n)))
    return torch.einsum("be...,eo->bo...", by_edge, onto.to(by_edge.dtype))
