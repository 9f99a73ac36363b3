"""What an engine holds besides operands and result is a tenth of the windows at most, or 32 MiB: as peak resident memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import convarium as cv
from convarium._spec.problem import MAPS

MEASURE = """
import ctypes, math, re, torch, convarium as cv
from convarium._engines import ENGINES

def resident(name):
    return 1024 * int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

PAIRS = {{"forward": ("input", "weight"), "grad_input": ("output", "weight"), "grad_weight": ("input", "output")}}

def run(plan, map):
    problem = plan.problem
    operands = [torch.full(getattr(problem, name + "_shape"), 0.5, dtype=problem.dtype) for name in PAIRS[map]]
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not at hand
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before = resident("VmRSS")
    result = getattr(ENGINES["{engine}"], map)(problem, *operands)
    assert torch.isfinite(result.flatten()[:10]).all()
    return resident("VmHWM") - before - result.nbytes

torch.set_num_threads(1)
plan, problem = {plan}, {plan}.problem
windows = math.prod(problem.input_shape[:2]) * math.prod(problem.output_size) * math.prod(problem.kernel_size)
print(max(windows * problem.dtype.itemsize / 10 / 2**20, 32))
for map in PAIRS:
    run({small}, map)  # libraries set themselves up
    print(run(plan, map) / 2**20)
"""

HALVES = "dtype=torch.bfloat16"
CASES = [
    ("native", "many samples", "2d((256, 64, 30, 30), (8, 28, 28, 64, 3, 3))"),
    ("native", "a large picture", "2d((1, 4, 1026, 1026), (4, 4, 3, 3))"),
    ("native", "tiled", "2d((1, 4, 1024, 1024), (4, 2, 2, 4, 3, 3), dtype=torch.float64)"),
    ("native", "a graph", "2d((3, 8, 770, 770), (16, 3, 3), channels=cv.ChannelGraph.interlaced(8, 8, 4))"),
    ("native", "halves", f"2d((64, 64, 30, 30), (8, 28, 28, 64, 3, 3), {HALVES})"),
    ("native", "edges", "2d((1, 2048, 7, 7), (2048, 2048, 1, 1))"),
    ("native", "weights", "2d((1, 1024, 16, 16), (1024, 1024, 3, 3))"),
    ("native", "widened weights", f"2d((1, 1024, 16, 16), (1024, 1024, 3, 3), {HALVES})"),
    ("native", "phases", "2d((1, 16, 1026, 1026), (16, 1024, 1, 16, 3, 3))"),
    ("matmul", "local", "2d((16, 64, 114, 114), (64, 112, 112, 64, 3, 3))"),  # windows of 460 MiB, a weight of 1.7 GiB
    ("matmul", "shared", "2d((16, 32, 114, 114), (32, 32, 3, 3))"),
    ("spectral", "a long signal", "1d((1, 1, 30_000_000), (1, 1, 5000))"),
    ("spectral", "depthwise", "2d((4, 16, 112, 112), (16, 1, 5, 5), groups=16)"),
    ("aten", "tiled", "2d((16, 64, 58, 58), (64, 2, 2, 64, 3, 3))"),
    ("aten", "tiled, halves", f"2d((16, 64, 58, 58), (64, 2, 2, 64, 3, 3), {HALVES})"),
    ("aten", "tiled, a large picture", "2d((1, 16, 1026, 1026), (16, 2, 2, 16, 3, 3))"),
    ("aten", "tiled, one kernel a line", "2d((4, 8, 514, 514), (8, 4, 1, 8, 3, 3), padding=1)"),
    ("aten", "padded unevenly", "2d((16, 32, 112, 112), (32, 32, 2, 2), padding='same')"),
]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is Linux' to tell")
@pytest.mark.parametrize(("engine", "plan"), [pytest.param(e, plan, id=f"{e}, {name}") for e, name, plan in CASES])
def test_what_is_held_besides_operands_and_results_is_bounded(engine, plan):
    if cv.engines()[engine].startswith("not available"):
        pytest.skip(f"there is no {engine}")
    small = (
        "cv.plan1d((1, 1, 4000), (1, 1, 500))"
        if engine == "spectral"
        else "cv.plan2d((1, 2, 6, 6), (2, 2, 2, 2, 3, 3))"
    )
    script = MEASURE.format(engine=engine, plan=f"cv.plan{plan}", small=small)
    environment = os.environ | {"CONVARIUM_MEMORY_LIMIT": "0"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    allowed, *held = (float(number) for number in done.stdout.split())
    for map, most in zip(MAPS, held, strict=True):
        assert most <= allowed, f"{map}: {most:.0f} MiB besides operands and result, and {allowed:.0f} are allowed"
