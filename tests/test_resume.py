"""Runs that cannot be lost: killed anywhere and resumed they come to the same bits; what is damaged is told and passed over."""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from convarium._cli import run as command
from convarium._cli.stopping import Stop
from convarium._files import atomic
from convarium._files.failures import InputError
from convarium._train import checkpoint, inside, pictures
from convarium._train.config import Config
from convarium._train.fit import Fit
from convarium._train.position import Position
from convarium._train.run_folder import RunFolder
from convarium._train.samples import Samples
from convarium._train.saving import Saver
from family import seeds

TINY = [
    "train", "digits", "--limit", "150", "--batch", "16", "--epochs", "2", "--kinds", "shared-valid,local", "--tasks", "plain",
    "--seeds", "2", "--rates", "0.03,0.1", "--threads", "1", "--checkpoint-every", "4",
]  # fmt: skip
STEPS = 2 * 3 * 2 * 6  # of two kinds with three trainings, each of two epochs
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not sent on Windows")


def outcome(folder):
    """All that a run came to but how long it took: its metrics, and its weights."""

    def timeless(value):
        if isinstance(value, dict):
            return {name: timeless(part) for name, part in value.items() if not name.startswith("seconds")}
        return [timeless(part) for part in value] if isinstance(value, list) else value

    metrics = timeless(json.loads((folder / "metrics.json").read_text()))
    return metrics, {str(path.relative_to(folder)): weights(path) for path in sorted(folder.rglob("*.safetensors"))}


def weights(path):
    """Every bit of them; safetensors writes its header in any order."""
    return {name: (tensor.dtype, tensor.shape, tensor.numpy().tobytes()) for name, tensor in load_file(path).items()}


def assert_finished(folder, expected):
    assert outcome(folder) == expected
    assert RunFolder.open(folder).complete
    assert not (folder / "checkpoints").exists()
    assert not [path for path in folder.rglob("*") if path.name.endswith(atomic.SUFFIX)]
    assert command(["checkpoint", "verify", str(folder)]) == 0


# In this process


@pytest.fixture
def quick(monkeypatch):
    """Runs without their pictures, which take longer than they do."""
    monkeypatch.setattr(pictures, "write", lambda run: [])
    monkeypatch.setattr(inside, "write", lambda run: "look.html")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a run in this process that is never stopped comes to."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    torch.use_deterministic_algorithms(True)  # as in every test
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "write", lambda run: [])
        patch.setattr(inside, "write", lambda run: "look.html")
        assert command([*TINY, "--out", str(folder), "--json"]) == 0
    return outcome(folder)


def stop_before(step, patch):
    """Let a signal come before this step of the process, and checkpoints be there when they are due; returns the steps made."""
    made = []
    train, save = Fit.step, Saver.step

    def stepping(fit, index, *batch):
        made.append(len(index))
        train(fit, index, *batch)

    def number(stop):
        return signal.SIGTERM if len(made) == step else 0

    def saving(saver, position, fresh):
        save(saver, position, fresh)
        saver._settle()

    patch.setattr(Fit, "step", stepping)
    patch.setattr(Saver, "step", saving)
    patch.setattr(Stop, "number", property(number, lambda stop, value: None), raising=False)
    return made


def stopped(folder, step, *options):
    """A run that was stopped there."""
    with pytest.MonkeyPatch.context() as patch:
        stop_before(step, patch)
        assert command([*TINY, *options, "--out", str(folder)]) == 75
    return folder


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A run that was stopped while the second kind's second rate was tried, with three checkpoints."""
    return stopped(tmp_path_factory.mktemp("runs") / "cut", 53, "--keep", "3")


@pytest.fixture
def copy(cut, tmp_path):
    return shutil.copytree(cut, tmp_path / "copy")


@pytest.mark.parametrize("seed", seeds(8, STEPS))
def test_a_run_stopped_before_any_step_repeats_none_and_comes_to_the_same_bits(seed, whole, quick, tmp_path, capsys):
    step = seed if len(seeds(8, STEPS)) == STEPS else random.Random(seed).randrange(STEPS)
    folder = stopped(tmp_path / "a run", step)
    said = capsys.readouterr().err
    there = len(RunFolder.open(folder).results())
    assert said == (
        f"convarium: stopped by SIGTERM: {folder} has {there} of 4 networks; convarium train --resume '{folder}' goes on\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        made = stop_before(-1, patch)
        assert command(["train", "--resume", str(folder), "--json"]) == 0
    assert len(made) == STEPS - step
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out)["complete"]
    assert_finished(folder, whole)


def test_a_run_stopped_again_and_again(whole, quick, tmp_path):
    folder = stopped(tmp_path / "run", 3)
    steps = 3
    while steps < STEPS:
        with pytest.MonkeyPatch.context() as patch:
            made = stop_before(7, patch)
            code = command(["train", "--resume", str(folder)])
            steps += len(made)
        assert code == (75 if steps < STEPS else 0)
    assert steps == STEPS
    assert_finished(folder, whole)


def test_what_a_resumed_run_says(copy, quick, capsys):
    assert command(["train", "--resume", str(copy)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (so_far,) = [line for line in lines if line.startswith("so far")]
    assert so_far == "so far 2 of 4 networks; goes on at plain/local/seed-0, rate 0.1, epoch 1, after 5 steps"
    assert [line.split()[:2] for line in lines if "/seed-" in line and "rate" in line and "so far" not in line] == [
        ["3", "plain/local/seed-0"], ["4", "plain/local/seed-1"],
    ]  # fmt: skip
    assert command(["train", "--resume", str(copy)]) == 0
    assert capsys.readouterr().out == (f"{copy}: is complete, with all 4 networks; there is nothing to go on with\n")
    assert command(["train", "--resume", str(copy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"]


def newest(folder):
    return checkpoint.newest_first(folder / "checkpoints")[0]


def flipped(path, rnd):
    data = bytearray(path.read_bytes())
    data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
    path.write_bytes(data)


def truncated(path, rnd):
    path.write_bytes(path.read_bytes()[: rnd.randrange(path.stat().st_size)])


def missing(path, rnd):
    path.unlink()


@pytest.mark.parametrize("seed", seeds(3, 30))
@pytest.mark.parametrize("name", [checkpoint.TENSORS, checkpoint.STATE, checkpoint.COMPLETE])
@pytest.mark.parametrize("harm", [flipped, truncated, missing])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(harm, name, seed, copy, whole, quick, capsys):
    broken = newest(copy)
    harm(broken / name, random.Random(seed))
    assert command(["checkpoint", "verify", str(broken)]) == 2
    assert str(broken / name) in capsys.readouterr().err or name == checkpoint.COMPLETE
    assert command(["train", "--resume", str(copy)]) == 0
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith(f"convarium: warning: {broken}/")
    assert line.endswith("this checkpoint is passed over")
    assert "rate 0.1, epoch 1, after 4 steps" in shown.out
    assert_finished(copy, whole)


def test_without_a_good_checkpoint_finished_networks_are_kept(copy, whole, quick, capsys):
    for path in checkpoint.newest_first(copy / "checkpoints"):
        truncated(path / checkpoint.TENSORS, random.Random(0))
    assert command(["train", "--resume", str(copy)]) == 0
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 3
    assert "so far 2 of 4 networks\n" in shown.out
    assert_finished(copy, whole)


def test_latest_may_be_lost(copy, whole, quick, capsys):
    (copy / "checkpoints" / "latest").write_bytes(b"\xff\xfe")
    assert command(["train", "--resume", str(copy)]) == 0
    assert capsys.readouterr().err == ""
    assert_finished(copy, whole)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_network_is_told_and_trained_again(suffix, copy, whole, quick, capsys):
    path = copy / f"networks/plain/shared-valid/seed-0{suffix}"
    truncated(path, random.Random(0))
    assert command(["train", "--resume", str(copy)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert line.endswith("this network is trained again")
    assert_finished(copy, whole)


def test_a_kill_after_the_last_network_costs_no_metrics(copy, whole, quick):
    with pytest.MonkeyPatch.context() as patch:
        write = RunFolder.write_metrics

        def killed(run):
            if not run.missing():
                raise KeyboardInterrupt
            write(run)

        patch.setattr(RunFolder, "write_metrics", killed)
        assert command(["train", "--resume", str(copy)]) == 130
    assert command(["train", "--resume", str(copy)]) == 0
    assert_finished(copy, whole)


def test_another_runs_checkpoint_is_refused(copy, tmp_path, quick, capsys):
    other = stopped(tmp_path / "other", 5, "--epochs", "3")
    capsys.readouterr()
    shutil.rmtree(copy / "checkpoints")
    shutil.copytree(other / "checkpoints", copy / "checkpoints")
    path = newest(copy)
    assert command(["train", "--resume", str(copy)]) == 2
    assert capsys.readouterr().err == (
        f"convarium: {path}: a checkpoint of another run, its settings or data differ; without it the run goes on: remove it\n"
    )
    shutil.rmtree(copy / "checkpoints")
    assert command(["train", "--resume", str(copy)]) == 0


@pytest.mark.parametrize("harm", ["a shape", "a key", "a format"])
def test_a_checkpoint_that_does_not_fit_is_refused(harm, copy, capsys):
    values = checkpoint.load(newest(copy)).values
    if harm == "a shape":
        values["fit"]["network"]["head.weight"] = torch.zeros(3, 3)
    elif harm == "a key":
        del values["trials"][0]["best"]
    with pytest.MonkeyPatch.context() as patch:
        if harm == "a format":
            patch.setattr(checkpoint, "FORMAT", 9)
        checkpoint.write(copy / "checkpoints", values, RunFolder.open(copy).identity)
    assert command(["train", "--resume", str(copy)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(copy / "checkpoints") in line
    assert {"a shape": "head.weight", "a key": "holds not what", "a format": "format 9"}[harm] in line


def test_other_images_are_refused(tmp_path, quick, capsys):
    import numpy as np

    generator = np.random.default_rng(0)
    images, labels = generator.random((40, 8, 8)), np.arange(40) % 2
    np.savez(tmp_path / "data.npz", x=images, y=labels)
    options = ["--data", str(tmp_path / "data.npz"), "--batch", "4"]
    folder = stopped(tmp_path / "run", 9, *options)
    np.savez(tmp_path / "data.npz", x=images[::-1], y=labels)
    capsys.readouterr()
    assert command(["train", "--resume", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'data.npz'}: the images are not the ones that {folder} was begun with" in line
    np.savez(tmp_path / "data.npz", x=images, y=labels)
    assert command(["train", "--resume", str(folder)]) == 0


REFUSED = {
    "--epochs: RUN was begun with 2, not 3; --resume keeps its settings": ["--epochs", "3"],
    "--rates: RUN was begun with 0.03,0.1, not 0.1": ["--rates", "0.1"],
    "--limit: RUN was begun with 150, not 200": ["--limit", "200"],
    "--labels: RUN was begun with none, not x": ["--labels", "x"],
    "--threads: RUN was begun with 1, not 2": ["--threads", "2"],
    "--out: not with --resume": ["--out", "elsewhere"],
    "--overwrite: not with --resume": ["--overwrite"],
    "--config: not with --resume": ["--config", "config.json"],
    "keep: expected a whole number from 1 to 1,000, got 0": ["--keep", "0"],
    "checkpoint_every: expected": ["--checkpoint-every", "0"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_options_that_resume_cannot_keep_are_refused_by_name(message, copy, capsys):
    assert command(["train", "--resume", str(copy), *REFUSED[message]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"convarium: {message.replace('RUN', str(copy))}")


def test_options_that_say_what_the_run_has_are_not_refused(copy, whole, quick):
    assert command([*TINY, "--resume", str(copy), "--keep", "1", "--checkpoint-every", "1"]) == 0
    assert_finished(copy, whole)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "JOB: give what to train, one of digits, or --resume FOLDER"),
        (["train", "--resume", "nowhere"], "nowhere: no such folder"),
        (["train", "--resume", "empty"], "empty: not a run folder (run.json is missing)"),
    ],
)
def test_nothing_to_resume(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert command(words) == 2
    assert capsys.readouterr().err == f"convarium: {message}\n"


def test_two_processes_do_not_write_to_one_run(copy, quick, capsys):
    for words in (["train", "--resume", str(copy)], [*TINY, "--overwrite", "--out", str(copy)]):
        with RunFolder.open(copy).alone():
            assert command(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"convarium: {copy}: another process is writing to it; wait for it, or stop it first"
    assert command(["train", "--resume", str(copy)]) == 0


def test_a_run_uses_the_threads_it_was_begun_with(copy, quick, monkeypatch):
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    assert command(["train", "--resume", str(copy)]) == 0
    assert used == [1]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_so_many_checkpoints_are_kept(keep, tmp_path):
    folder = stopped(tmp_path / "run", 20, "--keep", str(keep))
    paths = checkpoint.newest_first(folder / "checkpoints")
    assert len(paths) == keep
    assert (folder / "checkpoints" / "latest").read_text().strip() == paths[0].name
    steps = [Position.read(checkpoint.load(path)).step for path in paths]
    assert steps == [8, 4, 0][:keep]  # of the second training, after twelve of the first


def test_the_settings_of_a_run_hold_for_its_checkpoints(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"checkpoint_every": 7, "keep": 5}))
    folder = stopped(tmp_path / "run", 3, "--config", str(config), "--keep", "4")
    kept = RunFolder.open(folder).config
    assert (kept.checkpoint_every, kept.keep) == (4, 4)


def test_overwriting_leaves_nothing_of_the_run_before(copy, quick, whole):
    (copy / "look.html").touch()
    (copy / "notes.txt").touch()
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RunFolder, "_begin", lambda run, _: seen.extend(path.name for path in run.path.iterdir()) or 1 / 0
        )
        assert command([*TINY, "--overwrite", "--out", str(copy)]) == 1
    assert sorted(name for name in seen if name != ".lock") == ["config.json", "data.json", "notes.txt", "run.json"]
    assert command(["train", "--resume", str(copy)]) == 0  # killed there, it is a run that was begun
    assert_finished(copy, whole)


# The disk


@contextlib.contextmanager
def mounted(path, size="4m"):
    """A small disk of its own, where we may mount one."""
    path.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a disk is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_is_told_in_a_line_and_loses_nothing(whole, quick, tmp_path, capsys):
    with mounted(tmp_path / "disk") as disk:
        folder, ballast = disk / "run", disk / "ballast"
        with pytest.MonkeyPatch.context() as patch:
            made = stop_before(-1, patch)
            train = Fit.step

            def filling(fit, index, *batch):
                train(fit, index, *batch)
                if len(made) == 30:
                    with contextlib.suppress(OSError), ballast.open("wb") as file:
                        while True:
                            file.write(bytes(4096))
                            file.flush()

            patch.setattr(Fit, "step", filling)
            assert command([*TINY, "--out", str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{folder}/" in line
        assert line.endswith(f"no space left on device; convarium train --resume {folder} goes on")
        assert checkpoint.load(newest(folder))
        assert command(["train", "--resume", str(folder)]) == 2
        ballast.unlink()
        capsys.readouterr()
        assert command(["train", "--resume", str(folder)]) == 0
        assert "goes on at plain/" in capsys.readouterr().out
        assert_finished(folder, whole)


def test_a_read_only_folder_is_told_in_a_line(cut, quick, tmp_path, capsys):
    with mounted(tmp_path / "disk") as disk:
        folder = shutil.copytree(cut, disk / "run")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert command(["train", "--resume", str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"convarium: {folder}: read-only file system"
        assert command(["checkpoint", "verify", str(folder)]) == 0
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert command(["train", "--resume", str(folder)]) == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_writer_that_fails_is_told_and_the_last_good_checkpoint_stays(number, copy, whole, quick, capsys):
    good = newest(copy)
    with pytest.MonkeyPatch.context() as patch:
        write = Path.write_bytes

        def fails(path, data):
            if checkpoint.STATE in path.name:
                write(path, data[:9])
                raise OSError(number, os.strerror(number), str(path))
            return write(path, data)

        patch.setattr(Path, "write_bytes", fails)
        assert command(["train", "--resume", str(copy)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    path = copy / "checkpoints" / f"{int(good.name) + 1:06d}"
    assert line == (f"convarium: {path}: {os.strerror(number).lower()}; convarium train --resume {copy} goes on")
    assert newest(copy) == good
    assert command(["train", "--resume", str(copy)]) == 0
    assert_finished(copy, whole)


# The writer


def a_fit(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(40, 1, 8, 8, generator=generator)
    samples = Samples(images, torch.arange(40) % 3, ("a", "b", "c"), "noise")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(144, 3)
        )  # fmt: skip
    return Fit(network, samples, samples, 0.01, seed, epochs=3, batch=7)


@pytest.mark.parametrize("at", [0, 1, 5, 6, 7, 17])
def test_a_loop_with_dropout_goes_on_from_its_state_on_disk(at, tmp_path):
    straight, stopped, resumed = a_fit(2), a_fit(2), a_fit(2)
    torch.manual_seed(5)
    straight.run()
    assert straight.best.epoch == 2  # of three: what is best may be behind us
    kept = []

    def between():
        if stopped.steps == at and not kept:
            kept.append(stopped.state())  # and on it trains, which must not change what was kept

    torch.manual_seed(5)
    stopped.run(between=between)
    path = checkpoint.write(tmp_path / "checkpoints", kept[0], "")
    torch.manual_seed(6)
    resumed.restore(checkpoint.load(path).values)
    assert resumed.steps == at
    resumed.run()
    for fit in (stopped, resumed):
        losses = [(epoch.training_loss, epoch.validation_loss) for epoch in fit.history]
        assert losses == [(epoch.training_loss, epoch.validation_loss) for epoch in straight.history]
        assert fit.best.epoch == straight.best.epoch
        for states in (
            (fit.network.state_dict(), straight.network.state_dict()),
            (fit.best_state, straight.best_state),
        ):
            assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


def a_position(fit):
    from convarium._train.results import Key

    return Position(Key("plain", "local", 0), 0.1, (), fit.state())


def test_no_step_waits_for_the_disk_and_one_checkpoint_is_written_at_a_time(cut, monkeypatch):
    fit, free, writing, most, written = a_fit(), threading.Event(), [], [], []

    def write(folder, values, run, kept, group):
        writing.append(values)
        most.append(len(writing))
        assert free.wait(60)
        written.append(values["fit"]["schedule"]["last_epoch"])
        writing.pop()
        return folder / f"{len(written):06d}"

    monkeypatch.setattr(checkpoint, "write", write)
    with Saver(RunFolder.open(cut), every=2, keep=2) as saver:

        def between():
            saver.step(lambda: a_position(fit), fresh=fit.steps == 0)
            if fit.steps == 9:
                free.set()
                while writing:
                    time.sleep(0.001)

        fit.run(between=between)
    assert most == [1] * len(most)
    assert written[0] == 0
    assert written[1] >= 10  # what was due meanwhile waited for a later step


def test_what_the_writer_fails_at_is_raised_at_the_next_step(cut, monkeypatch):
    def write(folder, values, run, kept, group):
        raise InputError("the disk is full")

    monkeypatch.setattr(checkpoint, "write", write)
    fit = a_fit()
    saver = Saver(RunFolder.open(cut), every=1, keep=2)
    saver.step(lambda: a_position(fit), fresh=True)
    while not saver._writing.done():
        time.sleep(0.001)
    with pytest.raises(InputError, match="the disk is full"):
        saver.step(lambda: a_position(fit), fresh=False)
    with pytest.raises(InputError, match="the disk is full"), Saver(RunFolder.open(cut), every=1, keep=2) as saver:
        saver.step(lambda: a_position(fit), fresh=True)  # and then it ended


KILLED_ANYWHERE = """
import os, pathlib, shutil, sys, torch
from convarium._train import checkpoint
folder = pathlib.Path(sys.argv[1])
checkpoint.write(folder, {"number": 1, "tensor s": [torch.ones(3)]}, "a run")
def reach(n):
    for place, name in [(os, "fsync"), (os, "replace"), (os, "open"), (pathlib.Path, "mkdir"), (pathlib.Path, "rename"),
                        (pathlib.Path, "write_bytes"), (pathlib.Path, "unlink"), (shutil, "rmtree"), (os, "rmdir"),
                        (os, "unlink")]:
        def counted(*given, _does=getattr(place, name), _name=name, **named):
            global left
            left -= 1
            if left == 0:
                if _name == "write_bytes":
                    _does(given[0], given[1][: len(given[1]) // 2])
                os._exit(9)
            return _does(*given, **named)
        setattr(place, name, counted)
    global left
    left = n
codes = []
while not codes or codes[-1]:
    child = os.fork()
    if not child:
        reach(len(codes) + 1)
        checkpoint.write(folder, {"number": len(codes) + 2, "tensor s": [torch.full((3,), len(codes) + 2.0)]}, "a run")
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    found = checkpoint.load(checkpoint.newest_first(folder)[0])
    number = found.values["number"]
    assert found.values["tensor s"][0].tolist() == [number] * 3
    print(codes[-1], number, len(checkpoint.newest_first(folder)))
"""


@POSIX
def test_a_kill_at_any_operation_on_files_leaves_a_good_checkpoint(tmp_path):
    words = [sys.executable, "-W", "ignore", "-c", KILLED_ANYWHERE, str(tmp_path / "checkpoints")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(lines) > 15
    assert {code for code, _, _ in lines[:-1]} == {9}
    assert lines[-1] == (0, len(lines) + 1, 1)


# Signals and kills


def begin(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "convarium", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


LONGER = [*TINY, "--epochs", "8"]  # of what is trained the most is within the loop


def begun(folder, mark="checkpoints/latest"):
    """A run in a process of its own, that trains."""
    process = begin(*LONGER, "--out", folder)
    while not (folder / mark).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    return process


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    """What a run in a process of its own comes to, and how long it trains."""
    folder = tmp_path_factory.mktemp("runs") / "never"
    process = begun(folder)
    start = time.monotonic()
    while not (folder / "networks/plain/local/seed-1.json").exists():
        time.sleep(0.01)
    seconds = time.monotonic() - start
    assert process.communicate() == (None, "")
    return outcome(folder), seconds


@POSIX
@pytest.mark.parametrize("seed", seeds(3, 20))
def test_killed_at_any_moment_and_resumed_it_comes_to_the_same_bits(seed, never_stopped, tmp_path):
    expected, seconds = never_stopped
    rnd, folder = random.Random(seed), tmp_path / "run"
    process = begun(folder) if seed % 5 else begun(folder, mark="")
    time.sleep(rnd.random() * seconds)
    process.kill()
    process.communicate()
    networks = len(RunFolder.open(folder).results())
    process = begin("train", "--resume", folder)
    time.sleep(1 + rnd.random() * (seconds + 1))  # its imports come first
    process.kill()
    process.communicate()
    assert len(RunFolder.open(folder).results()) >= networks
    process = begin("train", "--resume", folder)
    _, said = process.communicate()
    assert (process.returncode, said) == (0, "")
    assert_finished(folder, expected)


@POSIX
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal_it_can_be_resumed(how, never_stopped, tmp_path):
    expected, seconds = never_stopped
    folder = tmp_path / "run"
    process = begun(folder)
    time.sleep(seconds / 3)
    process.send_signal(how)
    _, said = process.communicate()
    name = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}[how]
    there = len(RunFolder.open(folder).results())
    assert (process.returncode, said) == (
        75, f"convarium: stopped by {name}: {folder} has {there} of 4 networks; convarium train --resume {folder} goes on\n",
    )  # fmt: skip
    assert checkpoint.load(newest(folder))
    process = begin("train", "--resume", folder)
    assert process.communicate() == (None, "")
    assert_finished(folder, expected)


SLOW_DISK = """
import time
from convarium._cli import main
from convarium._train.saving import Saver
Saver.now = lambda *_: time.sleep(100)
main()
"""


@POSIX
def test_a_second_signal_ends_it_at_once(quick, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_DISK, *LONGER, "--out", str(folder)], stdout=subprocess.DEVNULL
    )
    while not (folder / "checkpoints" / "latest").exists():
        time.sleep(0.01)
    start = time.monotonic()
    while process.poll() is None:
        process.terminate()
        time.sleep(0.2)
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() - start < 20
    assert command(["train", "--resume", str(folder), "--json"]) == 0
    assert RunFolder.open(folder).complete


# convarium checkpoint


def test_inspect_says_what_a_checkpoint_holds(cut, capsys):
    assert command(["checkpoint", "inspect", str(cut), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checkpoint"] == str(newest(cut))
    assert (found["network"], found["rate"]) == ({"task": "plain", "kind": "local", "seed": 0}, 0.1)
    assert (found["epoch"], found["step"]) == (1, 5)
    assert list(found["trials"]) == ["0.03"]
    (head,) = [tensor for tensor in found["tensors"] if tensor["name"] == "fit/network/head.weight"]
    assert head == {"name": "fit/network/head.weight", "dtype": "float32", "shape": [10, 16], "bytes": 640}
    assert command(["checkpoint", "inspect", str(newest(cut))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        f"checkpoint  {newest(cut)}",
        "network     plain/local/seed-0, rate 0.1",
        "position    epoch 1, after 5 steps",
        lines[3],
    ]
    assert len(lines) == 5 + len(found["tensors"])


def test_what_is_shown_of_a_run_is_its_newest_whole_checkpoint(copy, tmp_path, capsys):
    second = checkpoint.newest_first(copy / "checkpoints")[1]
    truncated(newest(copy) / checkpoint.STATE, random.Random(0))
    for words in (["inspect", str(copy)], ["convert", str(copy), str(tmp_path / "w.safetensors")]):
        assert command(["checkpoint", *words]) == 0
        shown = capsys.readouterr()
        assert shown.err.startswith(f"convarium: passed over: {newest(copy)}")
        assert shown.err.count("\n") == 1
    assert command(["checkpoint", "inspect", str(copy)]) == 0
    assert f"checkpoint  {second}\n" in capsys.readouterr().out
    for path in checkpoint.newest_first(copy / "checkpoints"):
        truncated(path / checkpoint.STATE, random.Random(0))
    assert command(["checkpoint", "inspect", str(copy)]) == 2
    assert capsys.readouterr().err.startswith(f"convarium: {newest(copy)}")


def test_verify_names_what_is_damaged(copy, quick, capsys):
    assert command(["checkpoint", "verify", str(copy)]) == 0
    assert capsys.readouterr().out.count("good") == 2 + 3
    flipped(copy / "networks/plain/shared-valid/seed-1.safetensors", random.Random(0))
    truncated(newest(copy) / checkpoint.STATE, random.Random(0))
    assert command(["checkpoint", "verify", str(copy), "--json"]) == 2
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert list(found["damaged"]) == ["networks/plain/shared-valid/seed-1", f"checkpoints/{newest(copy).name}"]
    assert len(found["good"]) == 3
    assert shown.err.startswith(f"convarium: {copy}: 2 of 5 damaged: ")
    assert command(["checkpoint", "verify", str(newest(copy))]) == 2
    assert capsys.readouterr().out == f"damaged  {newest(copy)}\n"
    assert command(["train", "--resume", str(copy)]) == 0
    (copy / "metrics.csv").write_text("better")
    capsys.readouterr()
    assert command(["checkpoint", "verify", str(copy)]) == 2
    assert "damaged  metrics.csv\n" in capsys.readouterr().out


def test_convert_writes_weights(cut, tmp_path, capsys):
    out = tmp_path / "weights.safetensors"
    assert command(["checkpoint", "convert", str(cut), str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == {"task": "plain", "kind": "local", "seed": 0}
    kept = checkpoint.load(newest(cut)).values["fit"]["network"]
    found = load_file(out)
    assert all(torch.equal(found[name], kept[name]) for name in kept)
    for name in ("plain/shared-valid/1", "plain/shared-valid/seed-1"):
        assert command(["checkpoint", "convert", str(cut), str(out), "--network", name]) == 0
        assert capsys.readouterr().out == f"{out}: plain/shared-valid/seed-1, 14 tensors, 1,492 numbers\n"
        assert weights(out) == weights(cut / "networks/plain/shared-valid/seed-1.safetensors")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "nowhere"], "nowhere: no such folder"),
        (["inspect", "."], ".: neither the folder of a run nor a checkpoint"),
        (["verify", "RUN/run.json"], "RUN/run.json: a file, and neither the folder of a run nor a checkpoint"),
        (["convert", "RUN", "out.pt"], "OUT must be a .safetensors file, got out.pt"),
        (["convert", "RUN", "RUN"], "OUT must be a .safetensors file, got RUN"),
        (["convert", "RUN", "RUN/networks/w.safetensors"], "OUT must lie outside of a run and of a checkpoint, not in RUN: got"),
        (["convert", "CHECKPOINT", "CHECKPOINT/tensors.safetensors"], "OUT must lie outside of a run and of a checkpoint"),
        (["convert", "RUN", "o.safetensors", "--network", "x"], "--network: expected TASK/KIND/SEED, such as plain/"),
        (["convert", "RUN", "o.safetensors", "--network", "plain/local/1"], "RUN: has no network plain/local/seed-1"),
        (["convert", "CHECKPOINT", "o.safetensors", "--network", "plain/local/1"], "--network: CHECKPOINT is a checkpoint"),
        (["convert", "RUN", "/proc/none/o.safetensors"], "/proc/none/o.safetensors: "),
        (["inspect"], "Missing argument 'PATH'"),
        (["look"], "No such command 'look'"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused_in_a_line(words, message, cut, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def named(text):
        return text.replace("RUN", str(cut)).replace("CHECKPOINT", str(newest(cut)))

    assert command(["checkpoint", *map(named, words)]) == 2
    shown = capsys.readouterr()
    assert named(message) in shown.err
    assert shown.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_complete_run_has_no_checkpoint(copy, quick, capsys):
    assert command(["train", "--resume", str(copy)]) == 0
    assert command(["checkpoint", "inspect", str(copy)]) == 2
    assert "has no checkpoint: it is complete, and --network names one of its networks" in capsys.readouterr().err
    assert command(["checkpoint", "convert", str(copy), "w.safetensors"]) == 2


def test_checkpoint_alone_shows_its_help(capsys):
    assert command(["checkpoint"]) == 0
    assert "inspect" in capsys.readouterr().out


def test_settings_before_checkpoints_are_still_read():
    assert Config.from_json('{"epochs": 3}').keep == 2
