"""Bands of space on several processes: tests/in_ranks.py, run by torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import convarium as cv
import two_hosts
from convarium.distributed._bands import Bands, cut, overlap, spread

RANKS = [1, 2, 3, 4]


def in_ranks(ranks, *names):
    return torchrun(ranks, Path(__file__).with_name("in_ranks.py"), *names)


def torchrun(ranks, script, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, timeout=1200)
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stdout


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_layers_in_bands_are_whole_ones(ranks):
    in_ranks(ranks, "layers", "pools_and_norms", "padded", "checkpointed")


@pytest.mark.parametrize("ranks", RANKS)
def test_networks_in_bands_train_as_whole_ones(ranks):
    in_ranks(ranks, "training", "halves", "memory", "refusals", "traffic", "settled")


def test_bands_and_batches():
    in_ranks(4, "two_dimensions")


def test_checkpoints_load_on_any_number_of_ranks(tmp_path):
    in_ranks(3, f"saving={tmp_path}")
    for ranks in (1, 2):
        in_ranks(ranks, f"loading={tmp_path}")


def test_weights_are_born_on_their_rank_the_same_on_any_number(tmp_path):
    for ranks in (1, 2, 3):
        in_ranks(ranks, f"birth={tmp_path}")
    one, *others = (torch.load(tmp_path / f"{ranks}.pt") for ranks in (1, 2, 3))
    for other in others:
        assert other.keys() == one.keys()
        assert all(torch.equal(other[name], one[name]) for name in one)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize("ranks", [1, 4])
def test_a_layer_too_large_for_one_process_trains_on_four(ranks):
    in_ranks(ranks, "confined")


def test_two_hosts(hosts):
    script = Path(__file__).with_name("in_ranks.py")
    two_hosts.run(hosts, 2, str(script), "training", "traffic", PYTHONPATH=str(script.parent))


@pytest.mark.parametrize(("size", "ranks", "sizes"), [(9, 4, [3, 3, 3, 0]), (8, 3, [3, 3, 2]), (2, 4, [1, 1, 0, 0])])
def test_bands_are_those_of_dtensor(size, ranks, sizes):
    bands = [Bands(size, ranks).of(rank) for rank in range(ranks)]
    assert [stop - start for start, stop in bands] == sizes
    chunks = [len(chunk) for chunk in torch.arange(size).chunk(ranks)]
    assert sizes == chunks + [0] * (ranks - len(chunks))


def test_what_is_sent_is_what_is_awaited():
    """Of every pair of ranks, the pieces that one takes are those that the other puts."""
    for size in (1, 2, 7, 12):
        for ranks in (1, 2, 3, 5):
            for extent, stride, before in ((1, 1, 0), (3, 1, 1), (5, 2, 0), (4, 3, 2), (7, 1, 6)):
                output = (size + 2 * before - extent) // stride + 1
                if output < 1:
                    continue
                axis = (size, output, extent, stride, before)
                modes = [None, "circular", "replicate", *(["reflect"] if before < size else [])]
                modes = modes if before <= size else [None]
                every = [
                    *([cut(*axis, mode, ranks, rank).route for rank in range(ranks)] for mode in modes),
                    [spread(output, size, extent, stride, before, ranks, rank).route for rank in range(ranks)],
                ]
                parts = [overlap(*axis, 1, ranks, rank) for rank in range(ranks)]
                assert all(parts) or not any(parts)
                if all(parts):
                    every.append([each.route for each in parts])
                for routes in every:
                    for here in range(ranks):
                        assert not routes[here].stays(here) or not routes[here].sent(here)
                        for there in range(ranks):
                            takes = [p.stop - p.start for p in routes[here].takes if p.peer == there]
                            assert takes == [p.stop - p.start for p in routes[there].puts if p.peer == here]


def test_traffic_is_counted_from_nothing():
    with cv.distributed.counting() as outer, cv.distributed.counting() as inner:
        pass
    assert outer == inner == cv.distributed.Traffic(0, 0)
