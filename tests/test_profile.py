"""Plans for a measured machine: the profile's file, ``convarium calibrate``, ``convarium plan``, and the plans of layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

import convarium as cv
from convarium._cli import run
from convarium._planner import choice, measure, profile
from convarium._planner.machine import DEFAULTS, Machine

MEASURED = {"memory": 4e10, "cache": 2e11, "near": 2e7, "call": 1e-5, "float32": 2e11} | dict.fromkeys(
    ("float64", "complex64", "complex128", "bfloat16", "float16"), 1e11
)


def convarium(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "convarium", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's cache directory of its own, and nothing remembered."""
    monkeypatch.delenv(profile.VARIABLE, raising=False)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    caches = (profile._read, profile.machine_with, choice._asked, choice._planned, choice._only_engine)
    for cache in caches:
        cache.cache_clear()
    yield profile.default_path()
    for cache in caches:
        cache.cache_clear()


def write(path, settings):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(profile.content(settings))


def test_without_a_profile_there_are_defaults(home):
    assert profile.machine_with(3) == Machine(3)
    assert DEFAULTS in str(cv.plan2d((1, 1, 8, 8), (1, 1, 3, 3)))


def test_a_profile_is_what_plans_reckon_with(home):
    write(home, {1: MEASURED | {"float32": 1.2e11}, 2: MEASURED})
    two = profile.machine_with(2)
    assert (two.speed(torch.float32), two.speed(torch.float64), two.memory, two.call) == (2e11, 1e11, 4e10, 1e-5)
    assert (two.cache, two.near) == (1e11, 1e7)  # of each
    assert profile.machine_with(1).speed(torch.float32) == 1.2e11
    assert profile.machine_with(8).speed(torch.float32) == 8e11  # as many times what two do
    assert two.origin == str(home)
    assert str(home) in str(cv.plan2d((1, 1, 8, 8), (1, 1, 3, 3)))


def test_a_process_keeps_the_profile_it_began_with(home):
    write(home, {1: MEASURED})
    assert profile.machine_with(1).memory == 4e10
    write(home, {1: MEASURED | {"memory": 1e10}})
    assert profile.machine_with(2).memory == 4e10


def test_a_user_without_a_home_plans_by_the_defaults(home, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(profile, "default_path", nowhere)
    assert profile.machine_with(1).origin == "defaults: Could not determine home directory."


def written(**changes):
    return json.dumps(
        {"format": profile.FORMAT, "cpu": profile.cpu(), "torch": "", "threads": {"1": MEASURED}} | changes
    )


def with_one(**changes):
    return written(threads={"1": MEASURED | changes})


BROKEN = {  # and what is said
    "half of it": ("{", "damaged, not JSON"),
    "brackets without end": ("[" * 100_000, "damaged, not JSON"),
    "bytes that are no text": ("\udcff", "damaged, not JSON"),
    "another machine": (written(cpu="an abacus"), "of another machine, 'an abacus'"),
    "a list": ("[]", "not a profile"),
    "an unknown key": (written(more=1), "not a profile"),
    "another format": (written(format=1), "of format 1, not 2"),
    "no measurements": (written(threads={}), "without measurements"),
    "no threads": (written(threads={"0": MEASURED}), "not measurements of threads: '0'"),
    "a missing number": (written(threads={"1": {"memory": 1}}), "not measurements of threads: '1'"),
    "a negative number": (with_one(call=-1), "call must be a positive number"),
    "a number past any machine": (with_one(call=10**400), "call must be a positive number"),
    "a call of a busy machine": (with_one(call=0.043182), "a call that takes 43182 µs with 1 thread"),
    "threads that hinder each other": (
        written(threads={"1": MEASURED, "2": MEASURED | {"float32": 1e11}}),
        "float32 that 2 threads do 0.50 times as fast as 1 thread",
    ),
    "a word for a number": (with_one(call="x"), "call must be a positive number"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_profile_stops_nothing_and_is_told(home, name, monkeypatch):
    home.parent.mkdir()
    content, says = BROKEN[name]
    home.write_bytes(content.encode(errors="surrogateescape"))
    cv.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 2, 2))
    found = profile.machine_with(2)
    assert found.product == Machine(2).product
    assert f"defaults, as {home}: " in found.origin
    assert says in found.origin
    monkeypatch.setenv(profile.VARIABLE, str(home))  # one that was named must be right
    profile._read.cache_clear()
    profile.machine_with.cache_clear()
    with pytest.raises(ValueError, match="convarium calibrate writes a profile") as refused:
        profile.machine_with(2)
    assert says in str(refused.value)


def test_calibrate_measures_and_plan_reads_it(tmp_path):
    file = tmp_path / "deep" / "profile.json"
    done = convarium("calibrate", "--json", CONVARIUM_PROFILE=str(file), OMP_NUM_THREADS="1")
    if "what else runs" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["profile"] == str(file)
    assert list(file.parent.iterdir()) == [file]  # nothing is left beside it
    assert all(value > 0 for of in told["threads"].values() for value in of.values())
    done = convarium(
        "plan", "conv2d", "8x16x30x30", "8x16x3x3", "--padding", "same", "--json", CONVARIUM_PROFILE=str(file)
    )
    plan = json.loads(done.stdout)
    assert (plan["machine"], plan["output"], plan["flops"]) == (str(file), [8, 8, 30, 30], 2 * 8 * 8 * 900 * 16 * 9)
    assert set(plan["maps"]) == {"forward", "grad_input", "grad_weight"}


@pytest.fixture
def measured(monkeypatch):
    """Calibration as it is called, on a machine that has measured this."""

    def be(**changes):
        found = {1: MEASURED, 2: MEASURED | changes}
        monkeypatch.setattr("convarium._planner.measure.measure", lambda say: found)

    return be


def test_calibrate_writes_nothing_that_a_busy_machine_measured(home, measured, capsys):
    for changes in ({"call": 0.04}, {"memory": 1e10}):
        measured(**changes)
        assert run(["calibrate"]) == 2
        assert "what else runs on this machine?" in capsys.readouterr().err
    assert not home.exists()
    measured()
    assert run(["calibrate"]) == 0
    assert home.exists()


def test_calibrate_looks_where_it_is_to_write_before_it_measures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("convarium._planner.measure.measure", lambda say: pytest.fail("it measured"))
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "profile.json"):
        assert run(["calibrate", "--output", str(path)]) == 2
        assert str(path) in capsys.readouterr().err


def test_the_best_round_counts(monkeypatch):
    calls, copies = iter([3e-5, 2e-5, 4e-5, 5e-5]), iter([1e10, 3e10, 2e10, 1e10])
    monkeypatch.setattr(measure, "_calling", lambda: next(calls))
    monkeypatch.setattr(
        measure, "_copying", lambda size: next(copies) if size == 2**28 else 5e10 if size > 2**23 else 9e10
    )
    monkeypatch.setattr(measure, "_product", lambda name: 1e11)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    expected = {"memory": 3e10, "cache": 9e10, "near": 2**23, "call": 2e-5}
    assert measure.measure() == {1: expected | dict.fromkeys(profile.DTYPES, 1e11)}


def test_bytes_that_stay_in_the_caches_cost_less():
    two = Machine(2, memory=1e10, cache=5e10, near=1e6)
    assert two.moving(1e6) == pytest.approx(1e-5)
    assert two.moving(2e6) == pytest.approx(2e-5)
    assert two.moving(3e6) == pytest.approx(2e-5 + 1e-4)


def test_plan_prints_what_the_library_says():
    done = convarium("plan", "conv1d", "2x4x20", "8x3", "--interlaced", "2", "--engine", "matmul", "--threads", "1")
    graph = cv.ChannelGraph.interlaced(4, 4, 2)
    assert "interlaced" in done.stdout
    assert done.stdout.splitlines()[3] == "  output       (2, 4, 18)"
    assert done.stdout.count("asked for by name") == 3
    assert repr(graph) in done.stdout


def planned(capsys, *arguments):
    assert run(["plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_plan_takes_a_transposed_convolution(capsys):
    layer = cv.nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, groups=2)
    words = "conv_transpose2d 2x4x5x5 4x3x3x3 --stride 2 --output-padding 1 --groups 2"
    assert planned(capsys, *words.split()) == layer.plan((2, 4, 5, 5)).to_dict()


def test_plan_takes_a_padding_mode(capsys):
    expected = cv.plan1d((2, 4, 9), (4, 4, 3), padding=1, padding_mode="circular").to_dict()
    assert planned(capsys, "conv1d", "2x4x9", "4x4x3", "--padding", "1", "--padding-mode", "circular") == expected


def test_plan_takes_any_graph_in_words_or_from_a_file(capsys, tmp_path):
    graph = cv.ChannelGraph.banded(6, 6, 3)
    file = tmp_path / "a graph.json"
    graph.save(file)
    expected = cv.plan1d((2, 6, 9), (graph.n_edges, 3), channels=graph).to_dict()
    for words in ("banded 6 6 3", f"load '{file}'", f"'{file}'", "banded 6 6 3 --with depthwise 6"):
        assert planned(capsys, "conv1d", "2x6x9", f"{graph.n_edges}x3", "--graph", words) == expected


def test_a_plan_says_its_arithmetic_intensity():
    plan = cv.plan2d((1, 1, 3, 3), (1, 1, 3, 3))
    assert plan.to_dict()["intensity"] == plan.intensity == 18 / (19 * 4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("conv2d", "1x1x4x4", "1x1x3x3", "--threads", "0"), "--threads: from 1 to "),
        (("conv2d", "1x1x4x4", "1x1x3x3", "--threads", "100000"), "--threads: from 1 to "),
        (("conv2d", "1x4x4x4", "3x3x3", "--interlaced", "-4"), "--interlaced: at least 1, got -4"),
        (("conv2d", "1x4x4x4", "3x3x3", "--graph", "knitted 4 4"), "--graph: 'knitted' is no kind of graph"),
        (("conv2d", "1x4x4x4", "3x3x3", "--graph", "nowhere.json"), "nowhere.json: no such file"),
        (("conv2d", "1x4x4x4", "8x3x3", "--graph", "dense 4 2", "--interlaced", "2"), "--interlaced: --graph says"),
        (("conv2d", "1x1x4x4", "1x1x3x3", "--output-padding", "1"), "--output-padding: conv2d has none"),
        (("conv_transpose1d", "1x1x4", "1x1x3", "--padding-mode", "reflect"), "--padding-mode: conv_transpose1d pads"),
        (("conv_transpose1d", "1x1x4", "1x1x3", "--padding", "same"), "padding='same' is for convolutions"),
        (("conv1d", "1x1x4", "1x1x3", "--padding-mode", "some"), "padding_mode"),
        (("conv_transpose1d", "1x1x4", "1x1x3", "--dtype", "int64"), "dtype"),
        (("conv4d", "1", "1"), "none of conv1d"),
        (("conv2d", "1,4", "1"), "INPUT: whole numbers with x between"),
        (("conv2d", "1x1x4x4", "1x1x5x5"), "larger than the padded input"),
        (("conv2d", "1x1x4x4", "1x1x3x3", "--padding", "some"), "padding"),
        (("conv2d", "1x1x4x4", "1x1x3x3", "--engine", "steam"), "engine"),
        (("conv2d", "1x1x4x4", "1x1x3x3", "--dtype", "decimal"), "--dtype"),
        (("conv2d", "1x1x4x4", "1x1x3x3", "--dtype", "nn"), "--dtype: no numbers of torch are called 'nn'"),
        (("conv2d", "1x4x4x4", "3x3x3", "--interlaced", "3"), "3"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_line(arguments, says):
    done = convarium("plan", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


LAYERS = {
    "shared": (lambda: cv.nn.Conv2d(4, 6, 3, stride=2, padding=1), (2, 4, 9, 9)),
    "tiled": (lambda: cv.nn.TiledConv1d(4, 6, 3, tile=2, dtype=torch.float64), (4, 9)),
    "local": (lambda: cv.nn.LocalConv2d(4, 6, 3, input_size=(7, 8)), (2, 4, 7, 8)),
    "graph": (lambda: cv.nn.ChannelConv3d(cv.ChannelGraph.interlaced(4, 4, 2), 2), (2, 4, 5, 5, 5)),
    "transposed": (lambda: cv.nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1), (2, 4, 5, 5)),
    "local, transposed": (lambda: cv.nn.LocalConvTranspose1d(4, 6, 3, input_size=5), (2, 4, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_plan_of_a_layer_is_what_happens(name, monkeypatch):
    make, size = LAYERS[name]
    layer = make()
    plan = layer.plan(size)
    ran = []
    really_choose = choice.choose

    def choose(map, problem, *rest):
        ran.append(problem)
        return really_choose(map, problem, *rest)

    monkeypatch.setattr("convarium._planner.run.choose", choose)
    input = torch.randn(size, dtype=layer.weight.dtype)
    output = torch.func.functional_call(layer, dict(layer.named_parameters()), input.requires_grad_())
    output.sum().backward()
    assert all(problem == plan.problem for problem in ran)
    one = (1,) * (len(layer.kernel_size) + 2 - len(size))  # a sample alone is a batch of one
    told = plan.to_dict()
    assert (told["input"], told["output"]) == ([*one, *size], [*one, *output.shape])
    assert str(plan).startswith("transposed " if "transposed" in name else plan.problem.sharing)


def test_a_layer_plans_what_it_would_do_and_refuses_what_it_would_refuse():
    local = cv.nn.LocalConv2d(4, 6, 3, input_size=(7, 8))
    with pytest.raises(ValueError, match=r"LocalConv2d: the layer was made for input_size=\(7, 8\)"):
        local.plan((2, 4, 9, 9))
    with pytest.raises(ValueError, match="has no shape before its first input"):
        cv.nn.LazyLocalConv2d(6, 3).plan((2, 4, 9, 9))
    with pytest.raises(TypeError, match="input_size"):
        local.plan("large")
    assert cv.nn.Conv2d(4, 6, 3, engine="matmul").plan((1, 4, 9, 9)).engines["grad_weight"] == "matmul"


def test_a_transposed_plan_names_the_maps_as_the_layer_has_them():
    """Its forward is the other's grad_input: with an engine for one map only, that shows."""
    layer = cv.nn.ConvTranspose1d(1, 1, 16001, padding=8000)
    plan = layer.plan((1, 1, 40000))
    by_map = {c.map: c.engine for c in plan.choices}
    assert plan.engines == {
        "forward": by_map["grad_input"], "grad_input": by_map["forward"], "grad_weight": by_map["grad_weight"]
    }  # fmt: skip
