"""Results on disk, block by block: whole under their name, the same bytes after a kill, and nothing lost to a wrong call."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask
import dask.array as da
import distributed
import h5py
import numpy as np
import pytest
import torch
import zarr

import convarium as cv
from convarium._blockwise.graph import one_thread
from convarium._files.failures import InputError

PROGRAM = """
import sys, time, dask.array as da, numpy as np, convarium as cv
def slow(block):
    time.sleep(0.05)
    return block
x = da.from_array(np.random.default_rng(0).random((60, 60)), chunks=13).map_blocks(slow, dtype=float)
cv.blockwise.store(cv.blockwise.convolve(x, np.ones((3, 3)), chunks=11), sys.argv[1])
"""


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def digest(folder):
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def finished(folder):
    return [file for file in folder.rglob("c/*/*") if file.suffix != ".partial"]


def small(factor=1.0):
    x = np.random.default_rng(0).random((30, 20))
    return cv.blockwise.convolve(x, np.full((3, 3), factor), "same", chunks=8)


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    run = [sys.executable, "-c", PROGRAM]
    subprocess.run([*run, tmp_path / "whole.zarr"], check=True, env=environment())
    for moment in (1, 7, 20):
        path = tmp_path / f"killed{moment}.zarr"
        unfinished = tmp_path / f"{path.name}.unfinished"
        process = subprocess.Popen([*run, path], env=environment())
        deadline = time.monotonic() + 60
        while len(finished(unfinished)) < moment and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not path.exists()  # what is there under its name is whole
        begun = {file: file.stat().st_mtime_ns for file in finished(unfinished)}
        assert len(begun) >= moment
        half = unfinished / "c" / "0" / f"0.{'0' * 32}.partial"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
        subprocess.run([*run, path], check=True, env=environment())
        assert not unfinished.exists()
        assert digest(path) == digest(tmp_path / "whole.zarr")
        for file, when in begun.items():  # what was done was not done again
            assert (path / file.relative_to(unfinished)).stat().st_mtime_ns == when


def test_a_result_is_known_again(tmp_path):
    path = tmp_path / "result.zarr"
    first = cv.blockwise.store(small(), path)
    np.testing.assert_array_equal(first[:], small().compute())
    before = digest(path)
    cv.blockwise.store(small(), path)
    assert digest(path) == before
    with pytest.raises(InputError, match="is there already, and is not this result; overwrite=True would replace it"):
        cv.blockwise.store(small(2.0), path)
    assert digest(path) == before
    np.testing.assert_array_equal(cv.blockwise.store(small(2.0), path, overwrite=True)[:], small(2.0).compute())
    assert sorted(os.listdir(tmp_path)) == ["result.zarr"]


def test_blocks_of_zeros_are_kept_too(tmp_path):
    kept = cv.blockwise.store(da.zeros((6, 5), chunks=4), tmp_path / "zeros.zarr")
    assert kept.nchunks_initialized == 4


def test_what_is_begun_of_another_is_not_touched(tmp_path):
    path = tmp_path / "result.zarr"
    with pytest.raises(ZeroDivisionError):
        cv.blockwise.store(
            da.ones((8, 8), chunks=4).map_blocks(lambda block: 1 / 0, dtype=float, meta=np.empty((0, 0))), path
        )
    with pytest.raises(InputError, match=r"result.zarr.unfinished: is another computation's, begun and not finished"):
        cv.blockwise.store(small(), path)
    assert (tmp_path / "result.zarr.unfinished" / "zarr.json").exists()
    cv.blockwise.store(small(), path, overwrite=True)


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    for name in ("home", "result.zarr.unfinished"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.tex").write_text("mine")
    for path in (tmp_path / "home", tmp_path / "result.zarr"):
        with pytest.raises(InputError, match="is no Zarr array; it is not replaced"):
            cv.blockwise.store(small(), path, overwrite=True)
    assert all((tmp_path / name / "thesis.tex").exists() for name in ("home", "result.zarr.unfinished"))
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    cv.blockwise.store(small(), empty, overwrite=True)


def test_a_group_a_file_and_a_link(tmp_path):
    group = zarr.create_group(tmp_path / "g.zarr")
    group.create_array("raw", data=np.ones(3))
    (tmp_path / "notes").write_text("mine")
    for name in ("g.zarr", "notes"):
        with pytest.raises(InputError, match="is no Zarr array; it is not replaced"):
            cv.blockwise.store(small(), tmp_path / name, overwrite=True)
    assert (tmp_path / "g.zarr" / "raw").exists()
    cv.blockwise.store(small(), tmp_path / "real.zarr")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "real.zarr")
    cv.blockwise.store(small(2.0), tmp_path / "link.zarr", overwrite=True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "real.zarr")[:], small(2.0).compute())
    assert (tmp_path / "link.zarr").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["g.zarr", "link.zarr", "notes", "real.zarr"]


@pytest.mark.parametrize("kind", ["zarr", "hdf5", "memmap"])
def test_a_source_is_known_by_its_files(tmp_path, kind):
    def opened(value=None):
        path = tmp_path / f"in.{kind}"
        if kind == "memmap":
            array = np.memmap(path, "f8", "r+" if path.exists() else "w+", shape=(8,))
        elif kind == "hdf5":
            file = h5py.File(path, "r" if value is None else "a")  # closing what may be written is writing
            array = file["x"] if value is None else file.require_dataset("x", (8,), "f8")
        else:
            array = zarr.open_array(path, mode="a", shape=(8,), chunks=(4,), dtype="f8")
        if value is not None:
            array[:] = value
            getattr(array, "flush", getattr(getattr(array, "file", None), "flush", lambda: None))()
        return array

    def names(array):
        found = cv.blockwise.convolve(array, np.ones(3), chunks=4).name
        if kind == "hdf5":
            array.file.close()
        return found

    names(opened(1.0))
    first = names(opened())
    assert names(opened()) == first
    time.sleep(0.02)  # the clock of the file system
    names(opened(2.0))
    assert names(opened()) != first


def test_beginning_anew_leaves_nothing_of_what_was(tmp_path):
    path = tmp_path / "result.zarr"
    cv.blockwise.store(small(), path)
    path.rename(tmp_path / "result.zarr.unfinished")
    (tmp_path / "result.zarr.unfinished" / "c" / "0" / "0").write_bytes(b"of an older day")
    np.testing.assert_array_equal(cv.blockwise.store(small(), path, overwrite=True)[:], small().compute())


def test_all_blocks_are_there_and_only_the_name_is_missing(tmp_path):
    path = tmp_path / "result.zarr"
    cv.blockwise.store(small(), path)
    path.rename(tmp_path / "result.zarr.unfinished")
    np.testing.assert_array_equal(cv.blockwise.store(small(), path)[:], small().compute())


def test_a_source_that_vanishes_is_named(tmp_path):
    def vanished(block):
        raise FileNotFoundError(2, "No such file or directory", "scan.tif")

    array = da.ones((8, 8), chunks=4).map_blocks(vanished, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(InputError, match=r"^scan\.tif: no such file or directory$"):
        cv.blockwise.store(array, tmp_path / "a.zarr")


def test_wrong_calls(tmp_path):
    notes = tmp_path / "notes"
    notes.write_text("mine")
    with pytest.raises(InputError, match="notes: is there already"):
        cv.blockwise.store(small(), notes)
    assert notes.read_text() == "mine"
    with pytest.raises(InputError, match="no such folder"):
        cv.blockwise.store(small(), tmp_path / "nowhere" / "result.zarr")
    with pytest.raises(InputError, match="notes"):
        cv.blockwise.store(small(), notes / "result.zarr")
    with pytest.raises(TypeError, match="array must be a Dask array, got ndarray"):
        cv.blockwise.store(np.ones(3), tmp_path / "a.zarr")
    with pytest.raises(ValueError, match=r"array.rechunk\(\(3,\)\) would fit"):
        cv.blockwise.store(da.from_array(np.ones(5), chunks=((2, 3),)), tmp_path / "a.zarr")
    with pytest.raises(TypeError, match="array has dtype object; expected bool"):
        cv.blockwise.store(da.from_array(np.array([{}, {}], object), chunks=1), tmp_path / "a.zarr")
    ones = da.ones(6, chunks=3)
    with pytest.raises(ValueError, match=r"blocks of unknown size; array.compute_chunk_sizes\(\) would fit"):
        cv.blockwise.store(ones[ones > 0], tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        cv.blockwise.store(small(), tmp_path / "a.zarr", workers=0)
    assert sorted(os.listdir(tmp_path)) == ["notes"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="permission denied"):
        cv.blockwise.store(small(), tmp_path / "a.zarr")


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("convarium._blockwise.store.write", full)
    with pytest.raises(InputError, match=r"a\.zarr: no space left on device"):
        cv.blockwise.store(small(), tmp_path / "a.zarr")
    monkeypatch.undo()
    np.testing.assert_array_equal(cv.blockwise.store(small(), tmp_path / "a.zarr")[:], small().compute())


def test_a_block_has_one_thread_and_others_keep_theirs():
    torch.set_num_threads(2)
    seen = {}

    def in_a_thread(name):
        def work():
            with one_thread() if name == "block" else dask.config.set({}):
                seen[name] = torch.get_num_threads()
            seen[f"after {name}"] = torch.get_num_threads()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    try:
        for name in ("block", "other"):
            in_a_thread(name)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        assert seen == {"block": 1, "after block": 2, "other": 2, "after other": 2}
    finally:
        torch.set_num_threads(1)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is Linux' to tell")
def test_memory_is_that_of_the_blocks(tmp_path):
    """256 MiB in and 256 MiB out, in blocks of a MiB, with less than 100 MiB."""
    program = f"""
import re, dask.array as da, numpy as np, convarium as cv
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
def make(x): return cv.blockwise.convolve(x, np.ones((9, 9), np.float32), "same", method="direct", chunks=512)
cv.blockwise.store(make(da.ones((512, 512), chunks=300, dtype=np.float32)), {str(tmp_path / "first.zarr")!r}, workers=2)
before = peak()
cv.blockwise.store(make(da.ones((8192, 8192), chunks=300, dtype=np.float32)), {str(tmp_path / "large.zarr")!r}, workers=2)
print(peak() - before)
"""
    grown = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment()
    )
    assert 0 <= float(grown.stdout) < 100


def test_a_cluster_computes_the_same(tmp_path):
    x = zarr.create_array(tmp_path / "x.zarr", shape=(70, 60), chunks=(16, 16), dtype="float32")
    x[:] = np.random.default_rng(0).random((70, 60))
    psf = np.random.default_rng(1).random((2, 2, 3, 3))
    here = cv.blockwise.richardson_lucy(x, psf, 3, chunks=20).compute()
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster,
        distributed.Client(cluster),
    ):
        result = cv.blockwise.richardson_lucy(x, psf, 3, chunks=20)
        np.testing.assert_array_equal(cv.blockwise.store(result, tmp_path / "sharp.zarr")[:], here)
