"""Checkpoints that several processes write a part of each: whole or absent, and the same numbers whoever goes on with them."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from convarium._cli import run
from convarium._train import checkpoint, shards
from convarium._train.run_folder import RunFolder
from family import seeds
from test_resume import mounted, outcome
from test_together import children, finished, torchrun, until

LONG = [
    "train", "digits", "--limit", "300", "--kinds", "local", "--tasks", "plain", "--epochs", "6", "--seeds", "1",
    "--rates", "0.1", "--threads", "1", "--checkpoint-every", "4",
]  # fmt: skip
SHARED = ["--parallel", "fsdp"]


def weights(folder):
    run = RunFolder.open(folder)
    return run.weights(run.planned()[0])


def newest(folder):
    return checkpoint.newest_first(folder / "checkpoints")[0]


def begun(folder, *options, number=3):
    """Two processes that have written so many checkpoints."""
    process = torchrun(2, *LONG, *SHARED, "--out", str(folder), *options)
    latest = folder / "checkpoints" / "latest"  # it always says one that is there, which a list made meanwhile may not
    until(lambda: latest.exists() and int(latest.read_text()) >= number, process)
    return process


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("never") / "run"
    finished(torchrun(2, *LONG, *SHARED, "--out", str(folder)))
    return folder


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A run of two processes that stopped in the middle."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    process = begun(folder, "--epochs", "60")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert f"convarium train --resume {folder} goes on" in said
    return folder


@pytest.fixture
def copy(cut, tmp_path):
    return shutil.copytree(cut, tmp_path / "run")


def test_each_process_writes_its_part(cut):
    names = {file.name for file in newest(cut).iterdir()}
    assert names == {"__0_0.distcp", "__1_0.distcp", shards.INDEX, checkpoint.STATE, checkpoint.COMPLETE}
    first, second = ((newest(cut) / f"__{rank}_0.distcp").stat().st_size for rank in (0, 1))
    held = checkpoint.tensors(checkpoint.load(newest(cut)).values)
    assert second > 0.3 * sum(tensor.nbytes for name, tensor in held.items() if "/optimiser/" in name)
    assert first < sum(tensor.nbytes for tensor in held.values())


def test_commands_see_the_tensors_whole(cut, tmp_path, capsys):
    assert run(["checkpoint", "verify", str(cut)]) == 0
    assert run(["checkpoint", "inspect", str(cut)]) == 0
    assert "8 x 1 x 3 x 3" in capsys.readouterr().out
    assert run(["checkpoint", "convert", str(cut), str(tmp_path / "weights.safetensors")]) == 0
    assert "damaged" not in capsys.readouterr().out


@pytest.mark.parametrize("seed", seeds(1, 10))
def test_killed_and_resumed_by_as_many_it_comes_to_the_same_bits(seed, never_stopped, tmp_path):
    rnd, folder = random.Random(seed), tmp_path / "run"
    process = begun(folder, number=rnd.randint(1, 4))
    for child in children(process.pid)[:: 1 + seed % 2]:
        os.kill(child, signal.SIGKILL)
    process.communicate(timeout=120)
    finished(torchrun(2, "train", "--resume", str(folder)))  # it knows that weights were spread
    assert outcome(folder) == outcome(never_stopped)


@pytest.mark.parametrize("ranks", [1, 3])
def test_another_number_goes_on(ranks, never_stopped, tmp_path):
    folder = tmp_path / "run"
    process = begun(folder)
    process.kill()
    process.communicate(timeout=120)
    if ranks == 1:
        assert run(["train", "--resume", str(folder)]) == 0
    else:
        finished(torchrun(ranks, "train", "--resume", str(folder), *SHARED))
    for name, tensor in weights(folder).items():
        torch.testing.assert_close(tensor, weights(never_stopped)[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["__1_0.distcp", shards.INDEX])
def test_a_damaged_part_is_told_and_the_checkpoint_before_used(name, copy, capsys):
    file = newest(copy) / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    assert run(["checkpoint", "verify", str(copy)]) == 2
    assert f"{file}: damaged" in capsys.readouterr().err
    assert run(["checkpoint", "inspect", str(newest(copy))]) == 2
    capsys.readouterr()
    process = subprocess.Popen(
        [sys.executable, "-m", "convarium", "train", "--resume", str(copy)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "goes on at plain/local/seed-0" in "".join(process.stdout.readline() for _ in range(12))
    process.kill()
    assert (
        f"{file}: damaged, it is not the file that the run wrote; this checkpoint is passed over"
        in process.communicate()[1]
    )


def fill(path):
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_is_told_in_a_line_each_and_loses_nothing(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        process = begun(disk / "run", "--epochs", "2000", number=1)
        with pytest.raises(OSError, match="No space left"):
            fill(disk / "ballast")
        _, said = process.communicate(timeout=120)
        assert process.returncode != 0
        ours = [line for line in said.splitlines() if line.startswith("convarium")]
        assert any(
            line.endswith(f"no space left on device; convarium train --resume {disk}/run goes on") for line in ours
        )
        assert all("no space left on device" in line or line == "convarium FAILED" for line in ours)
        assert checkpoint.load(newest(disk / "run"))


def test_a_host_with_a_folder_of_its_own_is_told(cut, tmp_path, monkeypatch):
    """Another's file does not lie where the index says."""
    folder = shutil.copytree(newest(cut), tmp_path / "checkpoints" / ".000009.1.unfinished")
    (folder / "__1_0.distcp").unlink()
    monkeypatch.setattr(shards, "_save", lambda *given: None)
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda *given, **named: None)
    with pytest.raises(
        ValueError, match=f"{Path(tmp_path)}/checkpoints: another host writes its part .* folder that all"
    ):
        shards.write(folder, {}, None)
