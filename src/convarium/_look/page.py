"""Traces as one page: a file that opens anywhere, without a server or a network.

The page (``page/`` beside ``src/``, built by ``make page``) computes by the same formula and compares with the numbers it is
given here. They are packed as float32, or, where they are many, as 16-bit fractions of the largest. Of layers larger than that a
part is shown (the first samples, then channels, then places), and the page says what the rest adds to each sum.
"""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

import numpy as np

from .._spec.geometry import Axis
from .fields import Fields
from .trace import Numbers, Places, Trace

BUDGET = 3_500_000  # bytes of numbers: four thirds of them in the file, which stays below 5 MiB
SAMPLES = 16
EXACT = 400_000  # bytes of a layer up to which its numbers are packed whole
PLACES = 20_000  # of a channel that are shown


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


def _spread(fields: Fields | None, n: int) -> list[dict[str, Any]] | None:
    """Of three directions; those that there are not see the one place that there is."""
    if fields is None or len(fields) != n:
        return None
    own = [{"start": float(f.start), "jump": float(f.jump), "size": float(f.size), "wraps": f.wraps} for f in fields]
    return [{"start": 0.0, "jump": 0.0, "size": 1.0, "wraps": False}] * (3 - n) + own


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


@dataclass(frozen=True)
class _Part:
    """What is shown of a layer: samples, channels of the convolution, and its directions, cut off after some outputs."""

    batch: int
    inputs: Places
    outputs: Places
    edges: Places  # rows of the weight
    axes: tuple[Axis, ...]
    tile: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """About how many there are, gradients included."""
        reads, writes = (math.prod(getattr(axis, name) for axis in self.axes) for name in ("size", "output"))
        kernels = len(self.edges) * math.prod(self.tile) * math.prod(axis.kernel for axis in self.axes)
        return 2 * (self.batch * (len(self.inputs) * reads + len(self.outputs) * writes) + kernels)

    @property
    def places(self) -> int:
        return max(math.prod(getattr(axis, name) for axis in self.axes) for name in ("size", "output"))


def _part(trace: Trace, batch: int, ins: int, outs: int, longest: int) -> _Part:
    """The first samples, outputs, what these read, and the first positions of each direction."""
    problem, edges = trace.problem, trace.edges
    order = np.unique(edges[:, 1])[:outs]
    inputs = np.unique(edges[np.isin(edges[:, 1], order), 0])[:ins]
    kept = np.flatnonzero(np.isin(edges[:, 0], inputs) & np.isin(edges[:, 1], order))
    axes, tile = [], []
    for axis, count in zip(problem.axes, problem.tile, strict=True):
        output = min(axis.output, longest)
        size = (
            axis.size
            if output == axis.output
            else min(axis.size, max(1, (output - 1) * axis.stride + axis.reach - axis.padding))
        )
        axes.append(replace(axis, size=size, output=output))
        tile.append(min(count, output))
    return _Part(batch, inputs, order, kept, tuple(axes), tuple(tile))


def _fitting(trace: Trace, share: int) -> _Part:
    """As much of a layer as fits into so many bytes, two a number."""
    problem = trace.problem
    batch, ins, outs = min(problem.batch, SAMPLES), problem.wiring.in_channels, problem.wiring.out_channels
    longest = max(problem.output_size)
    while (part := _part(trace, batch, ins, outs, longest)).places > PLACES and longest > 1:
        longest = max(1, longest * 3 // 4)
    while 2 * part.numbers > share and (batch > 1 or ins > 1 or outs > 1 or longest > 1):
        if batch > 1:
            batch -= 1
        elif ins > 1 or outs > 1:
            ins, outs = (ins, (outs + 1) // 2) if outs >= ins else ((ins + 1) // 2, outs)
        else:
            longest = max(1, longest * 3 // 4)
        part = _part(trace, batch, ins, outs, longest)
    return part


def _layer(trace: Trace, share: int) -> dict[str, Any]:
    problem = trace.problem
    if trace.output.dtype.kind == "c":
        raise ValueError(f"html: {trace.name} computes with complex numbers, which the page cannot show; its trace can")
    if problem.ndim > 3:
        raise ValueError(f"html: {trace.name} has {problem.ndim} directions; the page shows up to 3")
    if not len(trace.edges):
        raise ValueError(f"html: {trace.name} reads nothing, its graph has no edge")
    part = _fitting(trace, share)
    exact = 4 * part.numbers <= min(share, EXACT)
    reads: tuple[Any, ...] = (slice(part.batch), part.inputs, *(slice(axis.size) for axis in part.axes))
    writes: tuple[Any, ...] = (slice(part.batch), part.outputs, *(slice(axis.output) for axis in part.axes))
    ours, theirs = (writes, reads) if trace.transposed else (reads, writes)
    kernels: tuple[Any, ...] = (part.edges, *(slice(count) for count in part.tile))
    where = {int(i): k for k, i in enumerate(part.inputs)}, {int(j): k for k, j in enumerate(part.outputs)}

    def pack(numbers: Numbers) -> dict[str, Any]:
        return _packed(numbers, exact)

    notes = []
    if part.batch < problem.batch:
        notes.append(f"the first {part.batch} of {problem.batch} samples")
    if len(part.inputs) < problem.wiring.in_channels or len(part.outputs) < problem.wiring.out_channels:
        of = f"{problem.wiring.in_channels} and {len(part.outputs)} of {problem.wiring.out_channels} channels"
        notes.append(f"{len(part.inputs)} of {of}")
    cut = tuple(axis.output for axis in part.axes) != problem.output_size
    if cut:
        notes.append(f"the first {' x '.join(str(axis.output) for axis in part.axes)} places")
    if trace.mode is not None:
        notes.append(f"the input is padded already ({trace.mode})")
    none = [asdict(Axis(1, 1, 1))]
    return {
        "name": trace.name,
        "kind": problem.sharing,
        "n": problem.ndim,
        "transposed": trace.transposed,
        "axes": none * (3 - problem.ndim) + [asdict(axis) for axis in part.axes],
        "tile": [1] * (3 - problem.ndim) + list(part.tile),
        "edges": [[where[0][i], where[1][j]] for i, j in trace.edges[part.edges].tolist()],
        "inputs": part.inputs.tolist(),
        "outputs": part.outputs.tolist(),
        "batch": part.batch,
        "partial": cut or len(part.edges) < len(trace.edges),
        "more_samples": part.batch < problem.batch,
        "note": "; ".join(notes),
        "input": pack(trace.input[ours]),
        "weight": pack(trace.weight[kernels]),
        "bias": None if trace.bias is None else pack(_tied(trace.bias[theirs[1:]])),
        "output": pack(trace.output[theirs]),
        "grad_output": pack(trace.grad_output[theirs]),
        "grad_input": pack(trace.grad_input[ours]),
        "grad_weight": pack(trace.grad_weight[kernels]),
    }


def _tied(bias: Numbers) -> Numbers:
    """One number a channel where all its positions have the same."""
    first = bias.reshape(len(bias), -1)[:, :1]
    return (
        first
        if np.array_equal(np.broadcast_to(first, (len(bias), bias[0].size)), bias.reshape(len(bias), -1))
        else bias
    )


def _packed(numbers: Numbers, exact: bool) -> dict[str, Any]:
    """NaN has a place of its own; infinity is only kept where numbers are whole."""
    wide = np.ascontiguousarray(numbers, dtype=np.float64)
    finite = np.abs(wide[np.isfinite(wide)])
    if (exact and finite.max(initial=0) < 3e38) or np.isinf(wide).any():
        data, scale = wide.astype("<f4").tobytes(), None
    else:
        scale = float(finite.max(initial=0)) / 32767 or 1.0
        data = np.where(np.isnan(wide), -32768, np.rint(np.nan_to_num(wide) / scale)).astype("<i2").tobytes()
    return {"shape": list(numbers.shape), "scale": scale, "data": base64.b64encode(data).decode("ascii")}
