"""Traces as one page: a file that opens anywhere, without a server or a network.

The page (``page/`` beside ``src/``, built by ``make page``) computes by the same formula and compares with the numbers it is
given here. They are packed as float32, or, where they are many, as 16-bit fractions of the largest; of layers larger than that, a
part of the channels is shown, and the page says what the others add.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from .._spec.problem import Problem
from .fields import Fields
from .trace import Numbers, Trace

BUDGET = 3_500_000  # bytes of numbers: four thirds of them in the file, which stays below 5 MiB
SAMPLES = 16
EXACT = 400_000  # bytes of a layer up to which its numbers are packed whole


def page(traces: Sequence[Trace], title: str, input: Numbers, fields: Mapping[str, Fields | None]) -> str:
    """The whole file. ``input`` is the model's, and ``fields`` what each layer's output sees of it."""
    layers = []
    for trace in traces:
        layer = _layer(trace, BUDGET // len(traces))
        layer["field"] = _spread(fields.get(trace.name), trace.problem.ndim)
        layers.append(layer)
    content = {"title": title, "layers": layers, "network": _network(input) if len(traces) > 1 else None}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for character in "<>&":  # names are not to be trusted
        text = text.replace(character, f"\\u{ord(character):04x}")
    made = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    made = made.replace("<title>convarium</title>", f"<title>{html.escape(title)} — convarium</title>", 1)
    return made.replace("<!--data-->", f'<script type="application/json" id="data">{text}</script>', 1)


def _spread(fields: Fields | None, n: int) -> list[dict[str, float]] | None:
    """Of three directions; those that there are not see the one place that there is."""
    if fields is None or len(fields) != n:
        return None
    own = [{"start": float(f.start), "jump": float(f.jump), "size": float(f.size)} for f in fields]
    return [{"start": 0.0, "jump": 0.0, "size": 1.0}] * (3 - n) + own


def _network(input: Numbers) -> dict[str, Any] | None:
    """The model's input: a few samples and channels of it."""
    if not 3 <= input.ndim <= 5 or input.dtype.kind == "c" or input[0, 0].nbytes * SAMPLES > BUDGET // 4:
        return None
    shown = input[:SAMPLES, :3]
    return {
        "sizes": [1] * (5 - input.ndim) + list(input.shape[2:]),
        "channels": shown.shape[1],
        "numbers": _packed(shown, False),
    }


def _layer(trace: Trace, share: int) -> dict[str, Any]:
    problem = trace.problem
    if trace.output.dtype.kind == "c":
        raise ValueError(
            f"html: {trace.name} computes with complex numbers, which the page cannot show; look at its traces instead"
        )
    if problem.ndim > 3:
        raise ValueError(f"html: {trace.name} has {problem.ndim} directions; the page shows up to 3")
    batch = min(problem.batch, SAMPLES)
    while batch > 1 and _bytes(problem, batch, problem.wiring.in_channels, problem.wiring.out_channels, 2) > share:
        batch -= 1
    ins, outs = problem.wiring.in_channels, problem.wiring.out_channels
    while (ins > 1 or outs > 1) and _bytes(problem, batch, ins, outs, 2) > share:
        ins, outs = (ins, (outs + 1) // 2) if outs >= ins else ((ins + 1) // 2, outs)
    exact = _bytes(problem, batch, ins, outs, 4) <= min(share, EXACT)
    kept = np.flatnonzero((trace.edges[:, 0] < ins) & (trace.edges[:, 1] < outs))
    reads, writes = (outs, ins) if trace.transposed else (ins, outs)

    def pack(numbers: Numbers) -> dict[str, Any]:
        return _packed(numbers, exact)

    notes = []
    if batch < problem.batch:
        notes.append(f"the first {batch} of {problem.batch} samples")
    if ins < problem.wiring.in_channels or outs < problem.wiring.out_channels:
        notes.append(
            f"the first {ins} of {problem.wiring.in_channels} and {outs} of {problem.wiring.out_channels} channels"
        )
    if trace.mode is not None:
        notes.append(f"the input is padded already ({trace.mode})")
    return {
        "name": trace.name,
        "kind": problem.sharing,
        "n": problem.ndim,
        "transposed": trace.transposed,
        "axes": [_axis(None)] * (3 - problem.ndim) + [_axis(axis) for axis in problem.axes],
        "tile": [1] * (3 - problem.ndim) + list(problem.tile),
        "edges": trace.edges[kept].tolist(),
        "in_channels": ins,
        "out_channels": outs,
        "all_in_channels": problem.wiring.in_channels,
        "all_out_channels": problem.wiring.out_channels,
        "batch": batch,
        "all_batch": problem.batch,
        "note": "; ".join(notes),
        "input": pack(trace.input[:batch, :reads]),
        "weight": pack(trace.weight[kept]),
        "bias": None if trace.bias is None else pack(_tied(trace.bias[:writes])),
        "output": pack(trace.output[:batch, :writes]),
        "grad_output": pack(trace.grad_output[:batch, :writes]),
        "grad_input": pack(trace.grad_input[:batch, :reads]),
        "grad_weight": pack(trace.grad_weight[kept]),
    }


def _tied(bias: Numbers) -> Numbers:
    """One number a channel where all its positions have the same."""
    first = bias.reshape(len(bias), -1)[:, :1]
    return (
        first
        if np.array_equal(np.broadcast_to(first, (len(bias), bias[0].size)), bias.reshape(len(bias), -1))
        else bias
    )


def _axis(axis: Any) -> dict[str, Any]:
    if axis is None:
        return {"size": 1, "kernel": 1, "output": 1, "stride": 1, "dilation": 1, "padding": 0, "flip": False}
    names = ("size", "kernel", "output", "stride", "dilation", "padding", "flip")
    return {name: getattr(axis, name) for name in names}


def _bytes(problem: Problem, batch: int, ins: int, outs: int, each: int) -> int:
    """About: of a graph, as many edges as its part of all pairs."""
    edges = math.ceil(problem.wiring.n_edges * ins * outs / (problem.wiring.in_channels * problem.wiring.out_channels))
    cells = batch * (ins * math.prod(problem.input_size) + outs * math.prod(problem.output_size))
    return 2 * each * (cells + edges * math.prod(problem.tile) * math.prod(problem.kernel_size))


def _packed(numbers: Numbers, exact: bool) -> dict[str, Any]:
    """NaN has a place of its own; infinity is only kept where numbers are whole."""
    wide = np.ascontiguousarray(numbers, dtype=np.float64)
    finite = np.abs(wide[np.isfinite(wide)])
    if exact or np.isinf(wide).any():
        data, scale = wide.astype("<f4").tobytes(), None
    else:
        scale = float(finite.max(initial=0)) / 32767 or 1.0
        data = np.where(np.isnan(wide), -32768, np.rint(np.nan_to_num(wide) / scale)).astype("<i2").tobytes()
    return {"shape": list(numbers.shape), "scale": scale, "data": base64.b64encode(data).decode("ascii")}
