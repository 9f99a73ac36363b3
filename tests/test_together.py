"""``convarium train`` on several processes: to one process's losses, stopped, killed and gone on with."""

import contextlib
import csv
import io
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

import two_hosts
from convarium._cli import run
from convarium._train.team import Alone
from family import seeds
from test_resume import a_fit, outcome

TINY = [
    "train", "digits", "--limit", "300", "--kinds", "shared-valid,local", "--tasks", "plain", "--epochs", "3", "--seeds", "1",
    "--rates", "0.1", "--threads", "1", "--checkpoint-every", "2",
]  # fmt: skip


def torchrun(ranks, *arguments, restarts=0, stdout=subprocess.PIPE, environment=None):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [*torchrun, f"--max-restarts={restarts}", "--monitor-interval=0.1", "-m", "convarium", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)


def finished(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err[-4000:]
    return out, err


def losses(folder):
    with open(folder / "metrics.csv", newline="") as file:
        names = ("epoch_training_loss", "epoch_validation_loss", "test_loss")
        return [[float(row[name]) for name in names] for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert run([*TINY, "--out", str(folder)]) == 0
    return losses(folder)


@pytest.mark.parametrize(("ranks", "parallel"), [(2, "ddp"), (4, "ddp"), (2, "fsdp"), (4, "fsdp")])
def test_several_reach_the_losses_of_one(alone, ranks, parallel, tmp_path):
    folder = tmp_path / "run"
    out, _ = finished(torchrun(ranks, *TINY, "--out", str(folder), "--parallel", parallel, "--json", "--profile"))
    told = json.loads(out)  # of one process, not of each
    assert told["complete"]
    for profile in json.loads((folder / "profile.json").read_text()):
        assert profile["processes"] == ranks
        assert sum(part["forward"] + part["backward"] for part in profile["parts"]) <= 1.02 * profile["seconds"]
        assert any(part["name"] == "communication" and part["forward"] > 0 for part in profile["parts"])
    for found, expected in zip(losses(folder), alone, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_hosts_reach_the_losses_of_one_process(alone, parallel, hosts, tmp_path):
    folder = tmp_path / "run"
    two_hosts.run(hosts, 1, "-m", "convarium", *TINY, "--out", str(folder), "--parallel", parallel)
    for found, expected in zip(losses(folder), alone, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two GPUs here")
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_gpus_reach_the_losses_of_one_process(alone, parallel, tmp_path):
    folder = tmp_path / "run"
    finished(torchrun(2, *TINY, "--out", str(folder), "--parallel", parallel, "--device", "cuda"))
    for found, expected in zip(losses(folder), alone, strict=True):
        assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a terminal of its own")
def test_a_terminal_has_a_live_table_of_ranks(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    options = [*TINY, "--epochs", "300", "--out", str(tmp_path / "run")]
    process = torchrun(2, *options, stdout=theirs, environment={"TERM": "xterm", "COLUMNS": "100", "LINES": "40"})
    os.close(theirs)
    shown = b""
    while rows(shown) < {0, 1}:
        shown += os.read(ours, 65536)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(OSError):  # the terminal goes when the last one leaves it
        while os.read(ours, 65536):
            pass
    process.communicate(timeout=120)
    os.close(ours)


def rows(shown):
    """Ranks that are said to be busy."""
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode(errors="replace")
    found = re.findall(rf"^ +(\d) +{re.escape(platform.node())} +(\d+) % +\d+\.\d % +[\d,]+ MiB", text, re.MULTILINE)
    return {int(rank) for rank, busy in found if int(busy) > 0}


def test_what_several_began_one_goes_on_with(alone, tmp_path):
    folder = tmp_path / "run"
    process = torchrun(2, *TINY, "--out", str(folder), "--parallel", "fsdp")
    until(lambda: (folder / "checkpoints" / "latest").exists(), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert said.count("convarium train --resume") == 1
    assert said.count("exitcode  : 75") in (0, 2)
    assert run(["train", "--resume", str(folder)]) == 0
    for found, expected in zip(losses(folder), alone, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes come to that nobody stops."""
    folder = tmp_path_factory.mktemp("two") / "run"
    finished(torchrun(2, *TINY, "--out", str(folder)))
    return outcome(folder)


def begun(folder, seed, restarts):
    """Two processes, at a moment after their first checkpoint."""
    process = torchrun(2, *TINY, "--out", str(folder), restarts=restarts)
    until(lambda: (folder / "checkpoints" / "latest").exists(), process)
    time.sleep(random.Random(seed).random())
    return process, children(process.pid)


@pytest.mark.parametrize("seed", seeds(1, 10))
def test_torchrun_recovers_a_rank_that_was_killed(two, seed, tmp_path):
    process, members = begun(tmp_path / "run", seed, restarts=1)
    os.kill(members[seed % len(members)], signal.SIGKILL)
    finished(process)
    assert outcome(tmp_path / "run") == two


@pytest.mark.parametrize("seed", seeds(1, 20))
def test_a_whole_job_that_was_killed_is_resumed_to_the_same_bits(two, seed, tmp_path):
    process, members = begun(tmp_path / "run", seed, restarts=0)
    process.kill()
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.communicate(timeout=120)
    assert run(["checkpoint", "verify", str(tmp_path / "run")]) == 0
    finished(torchrun(2, "train", "--resume", str(tmp_path / "run")))
    assert outcome(tmp_path / "run") == two


def test_each_process_has_its_random_state_and_its_losses_again():
    """A loop with dropout, of two processes that are not there: what each is told of the other is made up."""

    class Two(Alone):
        size = 2

        def __init__(self, rank):
            self.rank = rank

        def told(self, *numbers):
            return [numbers, numbers] if numbers else []

        def gathered(self, value):
            return [value, value]

    for rank in (0, 1):
        fit = a_fit()
        fit.team = Two(rank)
        fit._loss.fill_(0.1 + rank)
        before, state = torch.get_rng_state(), fit.state()
        drawn = torch.rand(3)
        other = a_fit()
        other.team = Two(rank)
        other.restore(state)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(torch.rand(3), drawn)
        assert float(other._loss) == float(fit._loss)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--resume", "nowhere"], "convarium: nowhere: no such folder"),
        (["digits", "--batch", "0"], "convarium: --batch: expected a whole number from 1 to 1,000,000, got 0"),
        (["digits", "--parallel", "both"], "convarium: --parallel: 'both' is not one of ddp, fsdp"),
    ],
)
def test_what_all_would_say_is_said_once(options, line):
    _, said = finished(torchrun(2, "train", *options), code=1)
    assert [part for part in said.splitlines() if part.startswith("convarium") and part != "convarium FAILED"] == [line]


def test_a_restart_replaces_what_another_job_left(alone, tmp_path):
    folder = tmp_path / "run"
    assert run([*TINY, "--out", str(folder)]) == 0
    (folder / "complete.json").unlink()
    process = torchrun(2, *TINY, "--out", str(folder), "--overwrite", restarts=1)
    until(lambda: not (folder / "metrics.csv").exists(), process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    finished(process)
    for found, expected in zip(losses(folder), alone, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


def test_wrong_calls(tmp_path, capsys):
    assert run([*TINY, "--parallel", "ddp"]) == 2
    assert "--parallel: there is one process; start several with torchrun" in capsys.readouterr().err
    assert run([*TINY, "--parallel", "both"]) == 2
    assert "--parallel: 'both' is not one of ddp, fsdp" in capsys.readouterr().err
    process = torchrun(2, *TINY, "--out", str(tmp_path))
    (tmp_path / "mine.txt").write_text("")
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert said.count("the folder is not empty and holds no run") == 1


def until(condition, process):
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[1][-4000:]
        assert time.monotonic() < end
        time.sleep(0.01)


def children(pid):
    """The workers that torchrun started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def test_a_run_that_goes_on_has_not_waited_yet(monkeypatch):
    from types import SimpleNamespace

    from convarium._train import ranks
    from convarium._train.team import ALONE

    monkeypatch.setattr(ranks, "WINDOW", 0.0)
    here = ranks.Ranks(ALONE)
    begun = SimpleNamespace(seconds_waiting=42.0)
    (rank,) = here.meet(0, begun)[1]
    assert rank.waiting == 0
    assert rank.memory > 2**20
    begun.seconds_waiting = 43.0
    assert here.meet(0, begun)[1][0].waiting > 0
    assert here.meet(7, SimpleNamespace(seconds_waiting=41.0))[1][0].waiting == 0
    assert here.meet(7, begun)[0] == 7


def test_of_many_ranks_the_busiest_are_shown():
    from rich.console import Console

    from convarium._cli.ranks import MOST, drawn
    from convarium._train.ranks import Rank

    ranks = [Rank(f"host-{n}", n % 40 / 100, 0.25, 2**30) for n in range(100)]
    console = Console(width=80, file=io.StringIO())
    console.print(drawn(ranks))
    lines = console.file.getvalue().splitlines()
    shown = [int(line.split()[0]) for line in lines if "host-" in line]
    assert shown == sorted(sorted(range(100), key=lambda n: -(n % 40))[:MOST])
    assert any(line.strip() == f"{100 - MOST} more, less busy" for line in lines)
    assert all("25.0 %" in line and "1,024 MiB" in line for line in lines if "host-" in line)
