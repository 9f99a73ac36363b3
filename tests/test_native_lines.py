"""The C++ core's ways with lines: long ones in vectors, and positions abreast whose kernels are their own."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
import torch

import convarium as cv
from convarium._engines import definition, native
from family import Case, random_case, random_graph, seeds
from test_engines import operands
from test_native import missing, on_each, python


def long_line(seed: int) -> Case:
    """A line alone, longer than vectors are wide; so long that it is cut in parts, at times, and worth folding unasked."""
    rnd = random.Random(seed)
    inputs, outputs, kernel = rnd.choice((1, 3, 16, 40)), rnd.choice((2, 16, 24)), rnd.choice((2, 3, 4, 5, 9, 13))
    size, tile = kernel + rnd.randint(1, rnd.choice((60, 600, 5000))), rnd.choice((1, 1, 2))
    options = {
        "stride": (rnd.choice((1, 1, 2)),),
        "padding": rnd.choice((0, 1, kernel - 1)),
        "flip": rnd.random() < 0.5,
    }
    weight = (
        (outputs, tile, inputs, kernel)
        if size // options["stride"][0] - kernel > tile > 1
        else (outputs, inputs, kernel)
    )
    return Case(seed, 1, (rnd.choice((1, 2, 5)), inputs, size), weight, tuple(native.DTYPES)[seed % 4], options)


@on_each
def test_long_lines_are_folded_into_vectors(isa):
    count = len(seeds(24, 100))
    done = python(
        f"""
import torch
from convarium._engines import native
from test_engines import check
from test_native_lines import long_line
for seed in range({count}):
    native.WAY = native.LINES if seed // 4 % 2 else 0
    native._described.cache_clear()
    check("native", long_line(seed))
print("right")
""",
        CONVARIUM_ISA=isa,
    )
    assert done.stdout.strip() == "right", done.stderr


def own_kernels(seed: int) -> Case:
    """Lines whose positions have kernels of their own: of some vectors and less than one, cut at their ends, in pieces."""
    rnd = random.Random(seed)
    n, inputs, outputs = rnd.choice((1, 2, 2, 3)), rnd.choice((2, 5, 8)), rnd.choice((1, 4, 6))
    graph = random_graph(rnd, inputs, outputs) if rnd.random() < 0.7 else cv.ChannelGraph.depthwise(outputs)
    kernel = (*(rnd.randint(1, 3) for _ in range(n - 1)), rnd.choice((1, 2, 3, 3, 4, 5, 7, 13)))
    dilation = (*(1,) * (n - 1), rnd.choice((1, 1, 2)))
    padding = tuple(rnd.choice((0, 0, 1, k)) for k in kernel)
    stride = (*(rnd.choice((1, 1, 2)) for _ in range(n - 1)), 1)
    output = (*(rnd.randint(1, 3) for _ in range(n - 1)), rnd.choice((4, 9, 17, 28, 40, 64, 110)))
    reach = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    size = tuple(max((o - 1) * u + r + 1 - 2 * p, 1) for o, u, r, p in zip(output, stride, reach, padding, strict=True))
    output = tuple((s + 2 * p - r - 1) // u + 1 for s, u, r, p in zip(size, stride, reach, padding, strict=True))
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "flip": rnd.random() < 0.3,
        "channels": graph,
    }
    shape = (rnd.choice((1, 3, 17)), graph.in_channels, *size)
    return Case(seed, n, shape, (graph.n_edges, *output, *kernel), tuple(native.DTYPES)[seed % 4], options)


@on_each
def test_positions_with_kernels_of_their_own_lie_abreast(isa):
    count = len(seeds(80, 600))
    done = python(
        f"""
import torch
from convarium._engines import native
from test_engines import check
from test_native_lines import own_kernels
native.WAY = native.NEIGHBOURS
for seed in range({count}):
    check("native", own_kernels(seed))
print("right")
""",
        CONVARIUM_ISA=isa,
    )
    assert done.stdout.strip() == "right", done.stderr


@missing
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("way", "lines"),
    [
        pytest.param(native.LINES, lambda seed: random_case(seed, torch.float64, least_batch=1), id="lines"),
        pytest.param(
            native.NEIGHBOURS, lambda seed: dataclasses.replace(own_kernels(seed), dtype=torch.float64), id="abreast"
        ),
    ],
)
def test_zeros_around_a_sample_are_no_part_of_a_sum(monkeypatch, way, lines, value):
    """Along the lines a tap in the padding is multiplied with a zero, which a number that is not finite turns into none."""
    monkeypatch.setattr(native, "WAY", way)
    native._described.cache_clear()
    for seed in seeds(60, 300):
        case = lines(seed)
        problem = case.problem()
        for map, pair in operands(case).items():
            for which in (0, 1):
                marked = [t.clone() for t in pair]
                marked[which].view(-1)[seed % marked[which].numel()] = value
                expected, got = (getattr(engine, map)(problem, *marked) for engine in (definition, native))
                assert torch.equal(expected.isfinite(), got.isfinite()), f"{map} operand {which} {case}"
    native._described.cache_clear()
