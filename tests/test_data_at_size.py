"""Images that stay on disk: the same numbers as in memory, a bound on memory, and files that change under the reader."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from convarium._files.failures import InputError
from convarium._train import prepare
from convarium._train.config import Config
from convarium._train.fit import Fit, evaluate, predict
from convarium._train.images import AHEAD, ahead
from convarium._train.samples import Samples
from convarium._train.sources import load
from convarium._train.sources.npy import File
from convarium._train.split import limit, split

COUNT = 60


def arrays(*shape, dtype=np.uint8):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, *shape)).astype(np.uint8)
    images = images if dtype == np.uint8 else (images / 255).astype(dtype)
    return images, np.arange(COUNT) % 3


def saved(folder, images, labels):
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    np.savez(folder / "both.npz", x=images, y=labels)
    return str(folder / "images.npy"), str(folder / "both.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, ">f4", np.float64])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3), (3, 40, 30), (1, 6, 6)])
def test_an_array_on_disk_has_the_images_of_one_in_memory(shape, dtype, tmp_path):
    on_disk, in_memory = saved(tmp_path, *arrays(*shape, dtype=dtype))
    for size, colour in ((None, None), ((12, 10), None), (None, 1), ((5, 8), 3)):
        found, expected = load(on_disk, None, size, colour), load(in_memory, None, size, colour)
        assert isinstance(expected.images, torch.Tensor)
        assert found.images.shape == expected.images.shape
        assert found.names == expected.names
        assert torch.equal(found.labels, expected.labels)
        index = torch.randperm(COUNT)[:17]
        assert torch.equal(found.images[index], expected.images[index])
        assert found.images[index[:0]].shape == expected.images[index[:0]].shape
        assert found.digest() == expected.digest()
        assert found.background == expected.background


def test_parts_of_parts_are_read_from_the_same_file(tmp_path):
    found, expected = map(load, saved(tmp_path, *arrays(8, 8)))
    for choose in (lambda all_: split(all_, 0.2, 0.3, 5).validation, lambda all_: limit(all_, 40, 1)[torch.arange(9)]):
        assert choose(found).digest() == choose(expected).digest()
    for config in (Config(pairs=3), Config(pairs=1, split_seed=4)):
        for task in config.tasks:
            pair = [prepare.tasks(samples, config)[task].train for samples in (found, expected)]
            assert pair[0].digest() == pair[1].digest()
            assert pair[0].images.on_disk or task == "plain"


def test_training_from_disk_is_training_from_memory(tmp_path):
    histories = []
    for source in saved(tmp_path, *arrays(8, 8)):
        config = Config(data=source, epochs=3, batch=8)
        parts = prepare.tasks(prepare.read(config), config)["place"]
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        net.append(torch.nn.Linear(4, 3))
        fit = Fit(net, parts.train, parts.validation, 0.1, 0, config.epochs, config.batch)
        fit.run()
        assert all(0 < epoch.seconds_waiting <= epoch.seconds for epoch in fit.history)
        scores = evaluate(net, parts.test), predict(net, parts.test.images).sum().item()
        histories.append([(epoch.training_loss, epoch.validation_loss) for epoch in fit.history] + [scores])
    assert histories[0] == histories[1]


def test_checkpoints_and_results_of_runs_that_did_not_count_waiting(tmp_path):
    parts = prepare.tasks(prepare.read(Config(limit=100)), Config())["plain"]
    states = []
    for _ in range(2):
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        fit = Fit(net, parts.train, parts.validation, 0.1, 0, 2, 16)
        fit.epoch()
        states.append(fit.state())
    earlier = states[0]
    del earlier["seconds_waiting"], earlier["history"][0]["seconds_waiting"]
    fit.restore(earlier)
    fit.run()
    assert len(fit.history) == 2
    assert fit.history[0].seconds_waiting == 0


LIMITED = """
import json, resource, sys
from convarium import _cli
import convarium._train.inside, convarium._train.pictures, matplotlib.figure, torch
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
code = _cli.run(sys.argv[1:])
print(json.dumps(peak() - before), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are Linux's")
def test_a_file_larger_than_the_memory_used(tmp_path):
    megabytes, side = 512, 64
    array = np.lib.format.open_memmap(
        tmp_path / "images.npy", "w+", np.uint8, (megabytes * 2**20 // side**2, side, side)
    )
    labels = np.arange(len(array)) % 3
    for label in range(3):
        array[label:300:3, 20 * label] = 255  # the rest is of zeros, which take no room on the disk
    array.flush()
    np.save(tmp_path / "labels.npy", labels)
    options = ["--data", str(tmp_path / "images.npy"), "--size", "8x8", "--tasks", "plain", "--kinds", "local"]
    options += [
        "--epochs",
        "1",
        "--seeds",
        "1",
        "--rates",
        "0.1",
        "--batch",
        "4096",
        "--json",
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "train", "digits", *options], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["waiting_for_images"] < 1
    assert float(done.stderr) < megabytes * 0.8  # as floats in memory it would be four times the file


def test_a_file_that_is_cut_or_taken_away_meanwhile_is_named(tmp_path):
    path, _ = saved(tmp_path, *arrays(8, 8))
    samples = load(path)
    with open(path, "r+b") as file:
        file.truncate(128 + 64 * 30)
    assert samples.images[torch.arange(30)].shape == (30, 1, 8, 8)
    with pytest.raises(InputError, match=r"images.npy: image 30 is not there any more; the file was cut short"):
        samples.images[torch.arange(29, 32)]
    with pytest.raises(InputError, match=r"image 30 is not there"):
        predict(torch.nn.Identity(), samples.images)
    (tmp_path / "images.npy").unlink()
    with pytest.raises(InputError, match=r"images.npy: no such file"):
        samples.images[torch.arange(3)]


def wrong(change):
    def make(folder):
        saved(folder, *arrays(8, 8))
        change(folder / "images.npy", folder / "labels.npy")
        return str(folder / "images.npy")

    return make


WRONG = {
    "no labels": (lambda x, y: y.unlink(), "there is no labels.npy beside it; give its labels with --labels"),
    "labels of others": (lambda x, y: np.save(y, np.arange(59)), r"one label for each of the 60 images of images.npy"),
    "labels of halves": (
        lambda x, y: np.save(y, np.ones(60) / 2),
        "labels.npy: its array must hold whole numbers or texts",
    ),
    "cut short": (
        lambda x, y: x.write_bytes(x.read_bytes()[:-1]),
        "images.npy: damaged, cut short, or not a .npy file",
    ),
    "no array": (
        lambda x, y: x.write_bytes(b"nothing like that"),
        "images.npy: damaged, cut short, or not a .npy file",
    ),
    "empty": (lambda x, y: x.write_bytes(b""), "images.npy: damaged, cut short, or not a .npy file"),
    "an archive": (lambda x, y: x.write_bytes((x.parent / "both.npz").read_bytes()), "an .npz archive, not one array"),
    "objects": (
        lambda x, y: np.save(x, np.array([{}], dtype=object), allow_pickle=True),
        "arrays of Python objects are not read",
    ),
    "Fortran's order": (lambda x, y: np.save(x, np.asfortranarray(np.zeros((60, 8, 8)))), "Fortran's order"),
    "a table": (lambda x, y: np.save(x, np.zeros((60, 64))), r"its array must be \(N, H, W\)"),
    "two channels": (lambda x, y: np.save(x, np.zeros((60, 8, 8, 2))), r"it is \(60, 8, 8, 2\)"),
    "nothing": (lambda x, y: np.save(x, np.zeros((0, 8, 8))), r"its array must be \(N, H, W\)"),
    "five channels": (lambda x, y: np.save(x, np.zeros((60, 5, 8, 8))), r"its array must be \(N, H, W\)"),
    "texts": (lambda x, y: np.save(x, np.full((60, 8, 8), "a")), "must hold bytes, or numbers from 0 to 1"),
    "numbers beyond 1": (lambda x, y: np.save(x, np.full((60, 8, 8), 2.0)), "it goes from 2 to 2"),
    "not a number": (lambda x, y: np.save(x, np.full((60, 8, 8), np.nan)), "it goes from nan to nan"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_array_of_images_is_refused(name, tmp_path):
    change, match = WRONG[name]
    with pytest.raises(InputError, match=match):
        load(wrong(change)(tmp_path))


def test_labels_elsewhere_and_labels_as_texts(tmp_path):
    images, labels = arrays(8, 8)
    np.save(tmp_path / "x_train.npy", images)
    np.save(tmp_path / "y_train.npy", np.array(["a", "b", "c"])[labels])
    assert load(str(tmp_path / "x_train.npy")).names == ("a", "b", "c")
    (tmp_path / "y_train.npy").rename(tmp_path / "labels.npy")
    assert load(str(tmp_path / "x_train.npy")).names == ("a", "b", "c")
    (tmp_path / "labels.npy").rename(tmp_path / "other.npy")
    with pytest.raises(InputError, match=r"there is no y_train.npy or labels.npy beside it"):
        load(str(tmp_path / "x_train.npy"))
    found = load(str(tmp_path / "x_train.npy"), str(tmp_path / "other.npy"))
    assert torch.equal(found.labels, torch.from_numpy(labels))


def test_reading_is_ahead_in_order_and_tells_its_errors():
    started = []

    def make(item):
        started.append((item, threading.current_thread()))
        if item == 5:
            raise InputError("five")
        return item

    taken = ahead(make, range(10))
    for expected in range(5):
        assert next(taken) == expected
        limit_ = time.monotonic() + 10
        while len(started) < expected + 1 + AHEAD and time.monotonic() < limit_:
            time.sleep(0.001)
        assert [item for item, _ in started] == list(range(expected + 1 + AHEAD))[: len(started)]
    with pytest.raises(InputError, match="five"):
        next(taken)
    (thread,) = {thread for _, thread in started}
    assert thread is not threading.current_thread()
    thread.join(10)
    assert not thread.is_alive()


def test_many_images_tell_their_background_by_some(monkeypatch):
    monkeypatch.setattr("convarium._train.samples.SEEN", 10)
    images = torch.zeros(95, 1, 4, 4)
    images[::10] = 1
    assert Samples(images, torch.zeros(95), ("a", "b"), "").background == 1


def test_a_file_is_read_in_parts(tmp_path, monkeypatch):
    path, _ = saved(tmp_path, *arrays(40, 30))
    expected = load(path, None, (8, 8)).images[torch.arange(COUNT)]
    monkeypatch.setattr("convarium._train.sources.npy.PART", 7 * 40 * 30)
    read, parts = File._read, []
    monkeypatch.setattr(File, "_read", lambda self, index: parts.append(len(index)) or read(self, index))
    assert torch.equal(load(path, None, (8, 8)).images[torch.arange(COUNT)], expected)
    assert max(parts) == 7
