"""What the portable engine needs besides its operands stays bounded, however large the layer."""

import subprocess
import sys

import pytest

MEASURE = """
import resource, torch
from convarium._engines import matmul
from convarium._spec.problem import problem_of

def peak():  # bytes resident at most until now
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

torch.set_num_threads(1)
batch, channels, size = {batch}, {channels}, {size}
shapes = (batch, channels, size + 2, size + 2), (channels, size, size, channels, 3, 3)
ones = (1, 1)
problem = problem_of(
    "forward", *shapes, (size, size), ones, (0, 0), ones, (size, size), "1", False, torch.float32, "cpu"
)
small = problem_of(
    "forward", (1, 2, 4, 4), (2, 2, 2, 2, 3, 3), (2, 2), ones, (0, 0), ones, (2, 2), "1", False, torch.float32, "cpu"
)
def operands(problem):
    return [torch.full(s, 0.5) for s in (problem.input_shape, problem.weight_shape, problem.output_shape)]
def run(problem, input, weight, output):
    pair = {{"forward": (input, weight), "grad_input": (output, weight), "grad_weight": (input, output)}}["{map}"]
    return getattr(matmul, "{map}")(problem, *pair)
run(small, *operands(small))  # libraries set themselves up
tensors = operands(problem)
before = peak()
result = run(problem, *tensors)
assert torch.isfinite(result.flatten()[:10]).all()
print(peak() - before - result.numel() * 4)
"""


@pytest.mark.parametrize("map", ["forward", "grad_input", "grad_weight"])
def test_workspace_of_matmul_on_a_large_local_layer(map):
    """64 -> 64 channels, 3 x 3 on 112 x 112, batch 16: windows as a whole would be 460 MiB, the weight is 1.7 GiB."""
    pytest.importorskip("resource", reason="peak memory is read through the resource module, which this system lacks")
    script = MEASURE.format(map=map, batch=16, channels=64, size=112)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 64 * 2**20, f"{int(done.stdout) / 2**20:.0f} MiB besides input, weight and output"
