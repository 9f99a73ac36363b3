"""The main job from the command line, on a tiny run: what it leaves, what uses it, what stops it, what it refuses."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

TINY = [
    "train",
    "digits",
    "--kinds",
    "shared-valid,local",
    "--tasks",
    "plain",
    "--seeds",
    "1",
    "--epochs",
    "2",
    "--rates",
    "0.03",
]


def command(*arguments):
    return [sys.executable, "-m", "convarium", *map(str, arguments)]


def convarium(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    done = convarium(*TINY, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    return folder


def test_a_run_leaves_weights_metrics_settings_and_pictures(run):
    names = {path.suffix for path in run.rglob("*") if path.is_file()}
    assert {".safetensors", ".json", ".csv", ".png"} <= names
    assert not [path for path in run.rglob("*") if path.suffix == ".tmp"]


def test_what_was_trained_is_used(run, tmp_path):
    done = convarium("evaluate", run, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    from PIL import Image

    Image.fromarray((np.eye(8) * 255).astype(np.uint8)).save(tmp_path / "eye.png")
    done = convarium("predict", run, tmp_path / "eye.png", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def broken(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    images, labels = path / "train-images-idx3-ubyte.gz", path / "train-labels-idx1-ubyte.gz"
    with gzip.open(images, "wb") as file:
        file.write(
            bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 8]) + bytes(100)
        )  # says 9 images, holds one and a half
    with gzip.open(labels, "wb") as file:
        file.write(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(9))
    return path


REFUSED = {
    "no such data": lambda tmp: ["train", "digits", "--data", tmp / "nothing"],
    "an empty folder": lambda tmp: ["train", "digits", "--data", tmp],
    "a truncated IDX file": lambda tmp: ["train", "digits", "--data", broken(tmp, "idx")],
    "an unknown kind": lambda tmp: ["train", "digits", "--kinds", "magic"],
    "no epochs": lambda tmp: ["train", "digits", "--epochs", "0"],
    "an unknown job": lambda tmp: ["train", "letters"],
    "a run that is none": lambda tmp: ["evaluate", tmp],
    "a picture of a run that is none": lambda tmp: ["predict", tmp, tmp / "x.png"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, tmp_path):
    done = convarium(*REFUSED[name](tmp_path))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_settings_with_unknown_keys_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"epochs": 2, "depth": 9}')
    done = convarium("train", "digits", "--config", tmp_path / "config.json")
    assert done.returncode == 2
    assert "depth" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(os.name == "nt", reason="signals of this kind are not sent on Windows")
def test_an_interrupted_run_says_what_it_has(how, tmp_path):
    folder = tmp_path / "cut"
    process = subprocess.Popen(
        command(*TINY[:-4], "--epochs", "40", "--rates", "0.03", "--out", folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while not folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5 * random.random())
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[how]
    if how != signal.SIGKILL:
        assert b"Traceback" not in errors
    done = convarium("evaluate", folder)
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert len(done.stderr.strip().splitlines()) == 1
