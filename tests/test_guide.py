"""Programs and commands of the guide past one process, ``docs/distributed.md``, as they stand there, but for sizes."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

GUIDE = (Path(__file__).parent.parent / "docs" / "distributed.md").read_text()
PROGRAM, MESH, CHECKPOINT, RESTART = (
    block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if not block.startswith(">>>")
)
COMMANDS = re.findall(r"^    ((?:torchrun|convarium) .*)$", GUIDE, re.MULTILINE)
TINY = "--limit 200 --kinds local --tasks plain --epochs 1 --seeds 1 --rates 0.1 --threads 1"


def ran(command, folder):
    """A command of the guide, in a folder; what it prints."""
    words = shlex.split(command.replace("--nnodes 2", "--nnodes 1").replace("first.example:29500", "localhost:0"))
    if words[0] == "torchrun":
        alone = [] if "--nnodes" in words else ["--standalone"]
        words = [sys.executable, "-m", "torch.distributed.run", *alone, *words[1:]]
    else:
        words = [sys.executable, "-m", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stdout


def test_the_program_trains_the_same_on_one_on_four_and_on_hosts(tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)
    commands = [command for command in COMMANDS if command.endswith(" train.py")]
    assert len(commands) == 3
    one, four, hosts = (ran(command, tmp_path) for command in commands)
    assert one.split(",")[0] == four.split(",")[0] == hosts.split(",")[0]
    assert (one.split(", ")[1], four.split(", ")[1]) == ("64 of 64 rows here\n", "16 of 64 rows here\n")


def test_its_bands_and_batches_checkpoints_and_restarts_run(tmp_path):
    start, alone, rest = PROGRAM.partition('init_process_group("gloo")  # "nccl" on GPUs\n')
    network, sharding, training = rest.partition(
        "cv.distributed.shard_spatially(net, mesh)  # rows; dim=-1 cuts columns\n"
    )
    assert alone
    assert sharding
    end = "destroy_process_group()\n"
    (tmp_path / "both.py").write_text(start + alone + network + MESH + training.replace(end, "") + end)
    ran("torchrun --nproc-per-node 4 both.py", tmp_path)
    (tmp_path / "saved.py").write_text(
        start + RESTART + network + sharding + training.replace(end, "before = net(images)\n") + CHECKPOINT
        + "assert torch.equal(net(images), before)\n" + end
    )  # fmt: skip
    ran("torchrun --nproc-per-node 2 --max-restarts 3 saved.py", tmp_path)


def test_its_trainings_run(tmp_path):
    digits = np.random.default_rng(0).integers(0, 256, (60, 32, 32)).astype(np.uint8)
    np.save(tmp_path / "images.npy", digits)
    np.save(tmp_path / "labels.npy", np.arange(60) % 3)
    commands = [command for command in COMMANDS if "convarium train" in command]
    assert len(commands) == 4
    for command in commands:
        ran(f"{command} {TINY}", tmp_path)
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= {"mine", "ours", "safe"}
    (tmp_path / "runs/ours/complete.json").unlink()
    ran("torchrun --nproc-per-node 2 -m convarium train --resume runs/ours --log-to tensorboard", tmp_path)
    assert "`--log-to tensorboard`" in GUIDE


def test_no_command_is_left_out():
    assert len(COMMANDS) == 3 + 4
