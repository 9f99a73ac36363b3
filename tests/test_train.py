"""The main job from the command line, on a tiny run: what it leaves, what uses it, what stops it, what it refuses."""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

import convarium as cv
from convarium._files import atomic
from convarium._files.failures import InputError
from convarium._train import cost, pictures
from convarium._train.config import Config
from convarium._train.results import Result

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


def convarium(*arguments, **keywords):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **keywords)


def said(done):
    """What a refused command said: one line, exit code 2."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    assert "a fault of our own" not in line
    return line


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
    assert not [path for path in run.rglob("*") if path.suffix == atomic.SUFFIX]


def test_the_line_of_those_who_see_no_place_is_drawn_below_a_good_network_too():
    good = Result("place", "local", 0, 0.1, {}, 1, 0.97, 0.1, 97, 100, 0.1, 1_752_170, 2_494_720, 1.0, ())
    assert pictures._accuracy_parameters([good], 10).startswith(b"\x89PNG")  # without a warning of the layout


def test_a_run_records_what_its_engines_were_planned_with(run):
    recorded = json.loads((run / "run.json").read_text())["planned_with"]
    assert set(recorded) == {"origin", "product", "memory", "cache", "near", "call"}


def test_what_was_trained_is_used(run, tmp_path):
    done = convarium("evaluate", run, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    from PIL import Image

    Image.fromarray((np.eye(8) * 255).astype(np.uint8)).save(tmp_path / "eye.png")
    done = convarium("predict", run, tmp_path / "eye.png", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def a_broken_idx(path):
    """It says that it has 9 images and holds one and a half."""
    path.mkdir()
    with gzip.open(path / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 8]) + bytes(100))
    with gzip.open(path / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(9))
    return path


def lines_and_columns(count=30, size=10):
    """Bytes and labels: a bright row, or a bright column."""
    generator = np.random.default_rng(0)
    images = np.zeros((count, size, size), np.uint8)
    for number, image in enumerate(images):
        (image if number % 2 else image.T)[generator.integers(size)] = 255
    return images, np.array(["column", "row"])[np.arange(count) % 2]


def an_archive(path):
    images, labels = lines_and_columns()
    np.savez(path, x=images, y=labels)
    return path


def a_folder_of_images(path):
    from PIL import Image

    for number, (image, label) in enumerate(zip(*lines_and_columns(), strict=True)):
        (path / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path / label / f"{number}.png")
    return path


def a_broken_image(path):
    image = a_folder_of_images(path) / "row" / "1.png"
    image.write_bytes(image.read_bytes()[:45])
    return path


SOURCES = {"images.npz": an_archive, "images": a_folder_of_images}


@pytest.mark.parametrize("name", SOURCES)
def test_trains_on_the_users_own_images(name, tmp_path):
    data, folder = SOURCES[name](tmp_path / name), tmp_path / "run"
    done = convarium(*TINY, "--data", data, "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    done = convarium("evaluate", folder, "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["count"] == 30
    assert set(found["classes"]) == {"row", "column"}


def test_files_that_cannot_be_read_are_named_counted_and_left_out(tmp_path):
    data, folder = a_broken_image(tmp_path / "images"), tmp_path / "run"
    done = convarium(*TINY, "--data", data, "--out", folder, "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("convarium: warning: ") == 1
    assert f"{data / 'row' / '1.png'}: " in done.stderr
    assert "left out" in done.stderr
    assert "1 that cannot be read left out" in done.stdout
    assert convarium("evaluate", folder).returncode == 0
    for path in (data / "row").iterdir():
        path.write_bytes(b"no image")
    done = convarium(*TINY, "--data", data, "--out", tmp_path / "other", "--on-error", "skip")
    assert done.returncode == 2
    assert "row: none of its 15 images can be read" in done.stderr


def settings(path, **values):
    path.write_text(json.dumps(values))
    return path


REFUSED = {  # what is typed, and a word that the one line must have
    "no such data": (lambda tmp: ["train", "digits", "--data", tmp / "nothing"], "nothing"),
    "an empty folder": (lambda tmp: ["train", "digits", "--data", tmp], "sub-folders"),
    "a truncated IDX file": (lambda tmp: ["train", "digits", "--data", a_broken_idx(tmp / "idx")], "cut short"),
    "a truncated image": (lambda tmp: ["train", "digits", "--data", a_broken_image(tmp / "images")], "1.png"),
    "an unknown kind": (lambda tmp: ["train", "digits", "--kinds", "magic"], "magic"),
    "an unknown job": (lambda tmp: ["train", "letters"], "letters"),
    "a run that is none": (lambda tmp: ["evaluate", tmp], "run.json"),
    "a picture of a run that is none": (lambda tmp: ["predict", tmp, tmp / "x.png"], "run.json"),
    "an unknown setting": (
        lambda tmp: ["train", "digits", "--config", settings(tmp / "c.json", epochs=2, depth=9)],
        "depth",
    ),
    "no epochs": (lambda tmp: ["train", "digits", "--epochs", "0"], "epochs: expected"),
    "no seed": (lambda tmp: ["train", "digits", "--seeds", "0"], "--seeds: expected"),
    "fewer seeds than none": (lambda tmp: ["train", "digits", "--seeds", "-1"], "from 1 to 1,000"),
    "more seeds than memory": (lambda tmp: ["train", "digits", "--seeds", str(10**11)], "from 1 to 1,000"),
    "more threads than a machine": (lambda tmp: ["train", "digits", "--threads", "100000"], "threads: expected"),
    "a batch of 10**20": (lambda tmp: ["train", "digits", "--batch", str(10**20)], "batch: expected"),
    "images for a job": (
        lambda tmp: ["train", "images.npy"],
        "not one of digits; images of your own are given with --data",
    ),
    "an unknown device": (lambda tmp: ["train", "digits", "--device", "abacus"], "not one of cpu, cuda"),
    "half a size": (lambda tmp: ["train", "digits", "--size", "8"], "8x8"),
    "too few images": (lambda tmp: ["train", "digits", "--limit", "20"], "--limit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, tmp_path):
    typed, word = REFUSED[name]
    assert word in said(convarium(*typed(tmp_path), cwd=tmp_path))
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    assert "PyTorch finds no GPU" in said(convarium(*TINY, "--device", "cuda", cwd=tmp_path))
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_trains_as_the_cpu_does(run, tmp_path):
    folder = tmp_path / "run"
    done = convarium(*TINY, "--device", "cuda", "--out", folder, "--json")
    assert done.returncode == 0, done.stderr
    found, expected = (json.loads((path / "metrics.json").read_text())["networks"] for path in (folder, run))
    for here, there in zip(found, expected, strict=True):
        losses = [[epoch["training_loss"] for epoch in result["history"]] for result in (here, there)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_digits_beside_a_folder_digits_are_refused(tmp_path):
    a_folder_of_images(tmp_path / "digits")
    assert "./digits" in said(convarium(*TINY, "--data", "digits", cwd=tmp_path))
    done = convarium(*TINY, "--data", "./digits", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_damaged_weights_are_told_once(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    for file in copy.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-9])
    line = said(convarium("evaluate", copy))
    assert "damaged" in line
    assert "do not fit" not in line


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")])
def test_out_of_memory_is_told_in_one_line(error, monkeypatch, capsys):
    from convarium import _cli
    from convarium._train import prepare

    def fails(*arguments):
        raise error

    monkeypatch.setattr(prepare, "read", fails)
    assert _cli.run(["train", "digits", "--out", "nowhere"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "out of memory" in line


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": ()},
        {"seeds": (1, 2, 1)},
        {"seeds": (-1,)},
        {"seeds": (2**63,)},
        {"seeds": tuple(range(1001))},
        {"rates": (10**400,)},
        {"rates": (float("nan"),)},
        {"test": 10**400},
        {"channels": (4, 4 * 10**9)},
        {"pairs": 10**7},
        {"tile": 10**10},
        {"threads": 10**5},
        {"split_seed": 10**30},
        {"split_seed": -1},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_settings_out_of_range_name_themselves(changes):
    with pytest.raises(InputError, match=f"^{next(iter(changes))}: "):
        Config(**changes)


@pytest.mark.parametrize("text", ['{"batch": 1' + "0" * 5000 + "}", "[" * 100_000, "\xff", "[]"], ids=len)
def test_what_is_no_settings_file_is_refused(text):
    with pytest.raises(InputError, match=r"expected a JSON object|not JSON"):
        Config.from_json(text.encode("latin-1"))


def test_many_seeds_are_checked_at_once():
    start = time.monotonic()
    with pytest.raises(InputError):
        Config.from_json(json.dumps({"seeds": list(range(10**6))}))
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(8, 16, 3, stride=2),
        cv.nn.ConvTranspose2d(8, 16, 3, stride=2),
        cv.nn.TiledConvTranspose2d(8, 16, 3, stride=2, tile=2),
    ],
)
def test_a_transposed_layer_meets_its_weights_at_each_input(layer):
    assert cost.multiply_adds(layer, torch.zeros(1, 8, 6, 6)) == 6 * 6 * 8 * 16 * 9


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
    assert process.returncode == {signal.SIGTERM: 75, signal.SIGINT: 75, signal.SIGKILL: -9}[how]
    if how != signal.SIGKILL:
        assert b"Traceback" not in errors
    done = convarium("evaluate", folder)
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert len(done.stderr.strip().splitlines()) == 1
