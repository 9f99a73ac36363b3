"""The planner: what can run, what it is reckoned to cost, and that a plan is what happens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import convarium as cv
from convarium._engines import ENGINES, definition
from convarium._planner import choice
from convarium._planner.choice import choose
from convarium._planner.profile import machine as this_machine
from convarium._planner.reckon import seconds
from convarium._spec.problem import MAPS
from convarium._spec.work import Work
from family import random_case, seeds

GRAPH = cv.ChannelGraph


@pytest.fixture
def fresh():
    """Choices are remembered; an engine that is added for a test must not be."""
    caches = (choice._asked, choice._planned, choice._only_engine)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_what_is_chosen_can_run_and_takes_the_least_time(seed):
    problem = random_case(seed, least_batch=1).problem()
    machine = this_machine()
    took, least = 0.0, 0.0
    for map in MAPS:
        chosen = choose(map, problem)
        assert ENGINES[chosen.engine].supports(map, problem) is None
        assert chosen.engine != "definition"
        reckoned = {
            name: seconds(work, problem, machine)
            for name, engine in ENGINES.items()
            if engine.UNASKED is None
            and engine.supports(map, problem) is None
            and (work := engine.work(map, problem)) is not None
        }
        assert chosen.seconds == reckoned[chosen.engine]
        assert chosen.seconds == min(reckoned.values()) or chosen.reason == choice.WHOLE
        assert dict(chosen.others).keys() == ENGINES.keys() - {chosen.engine}
        took, least = took + chosen.seconds, least + min(reckoned.values())
    assert took <= least + len(MAPS) * choice.OPERATOR * machine.call


def test_torch_has_all_maps_or_what_it_has_pays_for_our_operators(fresh, monkeypatch):
    """Where one map alone is quicker by another engine, the others lose the gradients that torch records by itself."""

    def plan_where_native_saves(calls):
        for name, theirs in (("aten", calls + 1), ("native", 1)):
            of = {"forward": 1, "grad_input": theirs, "grad_weight": 1}
            monkeypatch.setattr(ENGINES[name], "work", lambda map, problem, of=of: Work(0, 1, 0, calls=of[map]))
        choice._planned.cache_clear()
        return cv.plan2d((2, 3, 8, 8), (5, 3, 3, 3))

    whole = plan_where_native_saves(3 * choice.OPERATOR)
    assert set(whole.engines.values()) == {"aten"}
    assert choice.WHOLE in str(whole)
    assert "native     forward, grad_weight: about 1.0 times as long; grad_input: about 0.1 times as long" in str(whole)
    mixed = plan_where_native_saves(3 * choice.OPERATOR + 1)
    assert mixed.engines == {"forward": "aten", "grad_input": "native", "grad_weight": "aten"}


def test_an_engine_joins_by_being_listed_and_may_do_one_map_only(monkeypatch, fresh):
    calls = []

    def forward(problem, input, weight):
        calls.append(problem)
        return definition.forward(problem, input, weight)

    quick = SimpleNamespace(
        SUMMARY="quick",
        UNASKED=None,
        IS_TORCH=False,
        missing=lambda: None,
        supports=lambda map, problem: None if map == "forward" else "it goes forward only",
        caveat=lambda map, problem: None,
        work=lambda map, problem: Work(1, 1, 1, calls=0),
        forward=forward,
    )
    monkeypatch.setitem(ENGINES, "quick", quick)
    plan = cv.plan2d((8, 3, 64, 64), (5, 3, 3, 3))
    assert plan.engines["forward"] == "quick"
    assert "quick" not in (plan.engines["grad_input"], plan.engines["grad_weight"])
    assert "quick      grad_input, grad_weight: it goes forward only" in str(plan)
    input, weight = torch.randn(8, 3, 64, 64, requires_grad=True), torch.randn(5, 3, 3, 3, requires_grad=True)
    output = cv.conv2d(input, weight)
    assert len(calls) == 1
    torch.testing.assert_close(output, torch.conv2d(input, weight))
    assert all(g is not None for g in torch.autograd.grad(output.sum(), (input, weight)))
    with pytest.raises(ValueError, match="conv2d: engine='quick' cannot do this: it goes forward only"):
        cv.conv2d(input, weight, engine="quick")


@pytest.mark.parametrize("size", [(2, 4, 8, 8), (1, 1, 8, 8), (4, 3, 12, 12)])
def test_small_shared_problems_are_left_to_torch(size):
    """Its own gradients are recorded at once; an operator of ours costs more than such a convolution takes."""
    assert set(cv.plan2d(size, (4, size[1], 3, 3), padding=1).engines.values()) == {"aten"}


def test_a_slow_engine_is_not_chosen(monkeypatch, fresh):
    monkeypatch.setattr(ENGINES["aten"], "work", lambda map, problem: Work(1e18, 1, 1))
    assert "aten" not in cv.plan2d((2, 3, 8, 8), (5, 3, 3, 3)).engines.values()


def test_threads_are_part_of_the_plan():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = cv.plan2d((32, 64, 30, 30), (64, 64, 3, 3))
        torch.set_num_threads(2)
        together = cv.plan2d((32, 64, 30, 30), (64, 64, 3, 3))
    finally:
        torch.set_num_threads(threads)
    assert (alone.machine.threads, together.machine.threads) == (1, 2)
    assert together.choices[0].seconds < alone.choices[0].seconds


def test_a_plan_says_what_is_not_promised():
    plan = cv.plan2d((2, 3, 8, 8), (5, 3, 3, 3), padding=1, engine="aten")
    assert set(plan.caveats) == set(MAPS)
    assert "  but\n    a NaN or infinity in a weight or a gradient" in str(plan)
    assert not cv.plan2d((2, 3, 8, 8), (5, 3, 3, 3), padding=1, engine="matmul").caveats


@pytest.mark.parametrize(
    ("graph", "line"),
    [
        (GRAPH.interlaced(16, 32, 4), "4 groups after a permutation, 4 inputs and 8 outputs each"),
        (GRAPH.shuffled(12, 24, 3), "3 groups after a permutation, 4 inputs and 8 outputs each"),
        (GRAPH.groups(16, 32, 4), "4 groups, 4 inputs and 8 outputs each"),
        (GRAPH.depthwise(6), "6 groups, 1 input and 1 output each"),
        (GRAPH.banded(16, 32, 3), "14 blocks, 3 inputs and 2 to 4 outputs each"),
        (GRAPH.from_mask([[1, 1, 0], [1, 1, 0], [0, 0, 1]]), "2 blocks, 1 to 2 inputs and 1 to 2 outputs each"),
        (GRAPH.from_mask([[1, 1, 0], [0, 0, 0]], allow_empty=True), "1 block, 2 inputs and 1 output; 1 output of none"),
        (GRAPH.from_mask([[0, 0]], allow_empty=True), "no edges"),
    ],
    ids=str,
)
def test_a_plan_says_into_which_blocks_a_graph_falls(graph, line):
    plan = cv.plan2d((2, graph.in_channels, 8, 8), (graph.n_edges, 3, 3), channels=graph)
    assert f"\n  channels     {line}\n" in str(plan)
    told = plan.to_dict()["channels"]
    blocks = [block for block in graph.blocks if block.inputs]
    assert told["count"] == len(blocks)
    for side, sizes in (("outputs", [len(b.outputs) for b in blocks]), ("inputs", [len(b.inputs) for b in blocks])):
        assert told[side] == [min(sizes, default=0), max(sizes, default=0)]


def test_a_plan_of_all_channels_has_no_line_of_blocks():
    dense = GRAPH.dense(4, 6)
    assert "\n  channels" not in str(cv.plan2d((2, 4, 8, 8), (6, 4, 3, 3)))
    assert "\n  channels" not in str(cv.plan2d((2, 4, 8, 8), (24, 3, 3), channels=dense))
    assert "\n  channels     2 groups, 2 inputs and 3 outputs each\n" in str(
        cv.plan2d((2, 4, 8, 8), (6, 2, 3, 3), groups=2)
    )


def test_a_plan_says_how_long_zeros_for_missing_edges_would_take():
    """Only the plan that is read reckons it: the choice for a call does not."""
    graph = ~GRAPH.depthwise(64)
    arguments = ((8, 64, 32, 32), (graph.n_edges, 3, 3))
    plan, asked = (cv.plan2d(*arguments, channels=graph, engine=engine) for engine in ("auto", "dense"))
    by_map = {map: told["others"]["dense"] for map, told in plan.to_dict()["maps"].items()}
    for auto, dense in zip(plan.choices, asked.choices, strict=True):
        assert dict(auto.others)["dense"].endswith("engine='dense' asks for it")
        assert by_map[auto.map].endswith(f"asks for it; about {dense.seconds / auto.seconds:.1f} times as long")
    (line,) = (line for line in str(plan).splitlines() if line.startswith("    dense "))
    assert all(text.rpartition("; ")[2] in line for text in by_map.values())
    assert "definition never chosen: it is the slow judge of the others\n" in str(plan) + "\n"
    assert "times as long" not in str(asked)
