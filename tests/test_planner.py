"""The planner: what can run, what it is reckoned to cost, and that a plan is what happens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import convarium as cv
from convarium._engines import ENGINES, definition
from convarium._planner import choice
from convarium._planner.choice import choose, seconds
from convarium._planner.profile import machine as this_machine
from convarium._spec.problem import MAPS
from convarium._spec.work import Work
from family import random_case, seeds


@pytest.fixture
def fresh():
    """Choices are remembered; an engine that is added for a test must not be."""
    caches = (choice._choose, choice._only_engine)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_what_is_chosen_can_run_and_takes_the_least_time(seed):
    problem = random_case(seed, least_batch=1).problem()
    machine = this_machine()
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
        assert chosen.seconds == min(reckoned.values()) == reckoned[chosen.engine]
        assert dict(chosen.others).keys() == ENGINES.keys() - {chosen.engine}


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
    plan = cv.plan2d((2, 3, 8, 8), (5, 3, 3, 3))
    assert plan.engines["forward"] == "quick"
    assert "quick" not in (plan.engines["grad_input"], plan.engines["grad_weight"])
    assert "quick      grad_input, grad_weight: it goes forward only" in str(plan)
    input, weight = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randn(5, 3, 3, 3, requires_grad=True)
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
