"""What the benchmarks refuse, and what they draw and time."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from benchmarks import cases, peers, sweep

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a graph 4->4 3x3 8x8 2", "graph needs density=D, the part of the edges; its options are"),
        ("a tiled 4->4 3x3 8x8 2 tyle=3", "tiled has no option 'tyle'; it has padding, torch, tile, local, groups"),
        ("a local 4->4 3x3 8x8 2 density=0.5", "local has no option 'density'; it has"),
        ("a looped 4->4 3x3 8x8 2", "kind must be one of local, tiled, shared"),
        ("a local 4->4 3x3 8 2", "kernel and output must be of one rank, got 3x3 and 8"),
        ("a local 4->4", "name, kind, channels, kernel, output and batch are needed"),
        ("a local 4->4 3x3 8x8 2 torch=1/0", "Fraction(1, 0)"),
    ],
)
def test_a_case_that_cannot_be_read_is_named(tmp_path, line, said):
    table = tmp_path / "cases.txt"
    table.write_text(f"# cases\nb local 4->4 3x3 8x8 2\n{line}\n")
    with pytest.raises(SystemExit) as refused:
        cases.read(table)
    assert str(refused.value).startswith(f"{table}, line 3: {said}")
    assert str(refused.value).endswith(line)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sweep", "0"), "argument --sweep: must be a number of seconds above 0, got '0'"),
        (("--sweep", "nan"), "argument --sweep: must be a number of seconds above 0, got 'nan'"),
        (("--sweep", "soon"), "argument --sweep: must be a number of seconds above 0, got 'soon'"),
        (("--threads", "0"), "argument --threads: must be a whole number from 1 to 1024, got '0'"),
        (("--threads", "2.5"), "argument --threads: must be a whole number from 1 to 1024, got '2.5'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(words, said):
    command = [sys.executable, "-m", "benchmarks", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"python -m benchmarks: {said}\n"


def test_a_graph_has_the_part_of_the_edges_that_was_asked_for_and_every_output_a_parent():
    for case in cases.read():
        if case.kind != "graph":
            continue
        assert case.graph is not None
        assert case.graph.n_edges == round(case.options["density"] * case.inputs * case.outputs), case.name
        assert all(case.graph.parents(output) for output in range(case.outputs)), case.name


def test_peers_that_are_the_same_function_agree_on_a_small_case():
    case = cases.Case("small", "depthwise", 2, 2, (601,), (300,), 2)
    x, w = torch.randn(case.input_shape), torch.randn(case.weight_shape)
    there = peers.of(case)
    expected = there[peers.OURS].function(x, w)
    assert len(there) >= 4
    for name, peer in there.items():
        torch.testing.assert_close(peer.function(x, w), expected, rtol=1e-3, atol=1e-3, msg=name)
    assert ("fft-conv-pytorch" in there) == ("fft-conv-pytorch" not in peers.absent())


def test_a_sweep_draws_all_of_the_family():
    chance = random.Random(0)
    drawn = [sweep.draw(chance) for _ in range(60)]
    problems = [problem for _, problem in drawn]
    assert {problem.dtype for problem in problems} == {torch.float32, torch.float64, torch.bfloat16}
    assert any(axis.dilation > 1 for problem in problems for axis in problem.axes)
    assert any(len({axis.stride for axis in problem.axes}) > 1 for problem in problems)
    assert any("random_regular" in line for line, _ in drawn)
    assert sweep.draw(random.Random(0))[0] == drawn[0][0]


def test_a_sweep_sees_an_engine_that_is_reckoned_wrong():
    """Whatever the planner thinks of it, each is timed; one far behind only twice."""
    times = {"quick": 0.001, "slow": 0.05}
    count = dict.fromkeys(times, 0)

    def call(name):
        count[name] += 1
        time.sleep(times[name])

    found = sweep.timed({name: lambda name=name: call(name) for name in times})
    assert count["slow"] == 2
    assert count["quick"] > 3
    assert found["slow"] >= 0.05 > found["quick"]
    one = sweep.Found("", "forward", "slow", found, {"quick": 1.0, "slow": 0.001})
    assert one.best == "quick"
    assert math.isclose(one.loss, found["slow"] / found["quick"])
