"""``convarium deblur``: every format in and out, what it says, and what it refuses."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import convarium as cv
from convarium._cli import run

IMAGE = np.random.default_rng(0).integers(0, 200, (40, 50)).astype(np.uint16)
COLOURS = np.random.default_rng(1).integers(0, 200, (40, 50, 3)).astype(np.uint8)
PSF = np.random.default_rng(2).random((2, 2, 3, 5))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("psf.npy", PSF)
    np.save("grey.npy", IMAGE)
    return tmp_path


def save(path, array):
    if path.endswith(".npy"):
        np.save(path, array)
    elif path.endswith(".zarr"):
        zarr.create_array(path, data=array, chunks=(16,) * array.ndim)
    elif path.endswith(".png"):
        Image.fromarray(array).save(path)
    else:
        tiles = {"tile": (16, 16), "compression": "zlib"} if "tiles" in path else {}
        tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack", **tiles)


def load(path):
    if path.endswith(".npy"):
        return np.load(path)
    if path.endswith(".zarr"):
        return zarr.open_array(path, mode="r")[:]
    return np.asarray(Image.open(path)) if path.endswith(".png") else tifffile.imread(path)


def expected(array, psf, iterations=10, axes=(0, 1)):
    light = cv.blockwise.richardson_lucy(array, psf, iterations, axes=axes).compute()
    return np.clip(np.rint(light), 0, np.iinfo(array.dtype).max).astype(array.dtype)


@pytest.mark.parametrize("array", [IMAGE, COLOURS], ids=["grey", "colours"])
@pytest.mark.parametrize("source", ["in.tif", "in.tiles.tif", "in.png", "in.npy", "in.zarr"])
@pytest.mark.parametrize("target", ["out.tif", "out.png", "out.npy", "out.zarr"])
def test_every_format(folder, capsys, array, source, target):
    save(source, array)
    named = [] if array.ndim == 2 or source.endswith((".tif", ".png")) else ["--axes", "0x1"]
    assert run(["deblur", source, target, "--psf", "psf.npy", "--chunks", "17", *named]) == 0
    np.testing.assert_array_equal(load(target), expected(array, PSF))
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "kernel  psf.npy, 3 x 5, a grid of 2 x 2"
    assert "9 blocks of 17 x 17" in said[2]
    assert not [path for path in folder.iterdir() if "unfinished" in path.name or "blocks" in path.name]


def test_volumes_series_and_floats(folder, capsys):
    stack = np.random.default_rng(0).random((2, 7, 20, 18)).astype(np.float32)  # time, depth, rows, columns
    tifffile.imwrite("in.tif", stack, metadata={"axes": "TZYX"})
    assert run(["deblur", "in.tif", "out.tif", "--psf", "gaussian:1x2x2", "--iterations", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["shape"] == [2, 7, 20, 18]
    assert said["dtype"] == "float32"
    kernel = 1.0
    for width in (1, 2, 2):
        at = np.arange(-4 * width, 4 * width + 1)
        kernel = np.multiply.outer(kernel, np.exp(-((at / width) ** 2) / 2))
    light = cv.blockwise.richardson_lucy(stack, kernel, 2, axes=(1, 2, 3)).compute()
    np.testing.assert_allclose(load("out.tif"), light, rtol=1e-6)
    assert run(["deblur", "grey.npy", "out.npy", "--psf", "gaussian:1", "--float"]) == 0
    assert load("out.npy").dtype == np.float32


def test_whole_numbers_are_cut_to_those_there_are(folder):
    for kind in ("uint8", "int32", "uint32", "int64", "uint64"):
        most = np.iinfo(kind).max
        np.save("in.npy", np.full((9, 9), most, kind))
        assert run(["deblur", "in.npy", "out.npy", "--psf", "gaussian:1", "--overwrite"]) == 0
        got = np.load("out.npy")
        assert got.dtype == kind
        assert got.min() > most * 0.9


def test_what_a_tiff_says_of_itself_is_kept(folder):
    stack = np.random.default_rng(0).integers(0, 99, (3, 8, 9)).astype(">u2")
    tifffile.imwrite("in.tif", stack, photometric="minisblack", metadata={"axes": "ZYX"}, byteorder=">")
    assert run(["deblur", "in.tif", "out.tif", "--psf", "gaussian:1x1x1"]) == 0
    with tifffile.TiffFile("out.tif") as file:
        assert file.series[0].axes == "ZYX"
    tifffile.imwrite("grey.tif", stack[0], byteorder=">")
    assert run(["deblur", "grey.tif", "out.png", "--psf", "gaussian:1"]) == 0
    assert run(["deblur", "grey.tif", "out.ZARR", "--psf", "gaussian:1"]) == 0
    np.testing.assert_array_equal(zarr.open_array("out.ZARR", mode="r")[:], load("out.png"))


def test_a_damaged_tiff_is_named(folder, capsys):
    tifffile.imwrite("in.tif", IMAGE, tile=(16, 16), compression="zlib")
    data = (folder / "in.tif").read_bytes()
    (folder / "in.tif").write_bytes(data[: len(data) // 2])
    assert run(["deblur", "in.tif", "out.tif", "--psf", "gaussian:1"]) == 2
    assert "in.tif: is " in capsys.readouterr().err


def test_a_second_run_is_refused_or_replaces(folder, capsys):
    command = ["deblur", "grey.npy", "out.tif", "--psf", "psf.npy"]
    assert run(command) == 0
    before = load("out.tif")
    assert run([*command, "--iterations", "3"]) == 2
    assert "out.tif: is there already; --overwrite would replace it" in capsys.readouterr().err
    np.testing.assert_array_equal(load("out.tif"), before)
    assert run([*command, "--iterations", "3", "--overwrite"]) == 0
    np.testing.assert_array_equal(load("out.tif"), expected(IMAGE, PSF, 3))


def test_ctrl_c_says_how_to_go_on(folder, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("convarium._blockwise.images.write", interrupted)
    command = ["deblur", "grey.npy", "out.tif", "--psf", "psf.npy", "--chunks", "20"]
    assert run(command) == 130
    assert "the same command goes on where this one was" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert run(command) == 0
    np.testing.assert_array_equal(load("out.tif"), expected(IMAGE, PSF))


REFUSED = [
    (["nothing.tif", "out.tif"], "nothing.tif: no such file or directory"),
    (["notes.txt", "out.tif"], "notes.txt: is not one of .zarr, .tif, .tiff, .npy, .png, .jpg, .jpeg"),
    (["notes.tif", "out.tif"], "notes.tif: is no TIFF that can be read"),
    (["notes.png", "out.tif"], "notes.png: is no picture that can be read"),
    (["notes.npy", "out.tif"], "notes.npy: is no whole .npy file of numbers"),
    (["pickle.npy", "out.tif"], "pickle.npy: is no whole .npy file of numbers"),
    (["group.zarr", "out.tif"], "group.zarr: is a group of arrays; name one of them: group.zarr/0"),
    (["empty.zarr", "out.tif"], "empty.zarr: is no whole Zarr array"),
    (["alpha.png", "out.png"], "alpha.png: has colours of kind RGBA; grey and RGB are read"),
    (["grey.npy", "out.jpg"], "out.jpg: is not one of .zarr, .tif, .tiff, .npy, .png"),
    (["grey.npy", "out.png", "--float"], "a PNG holds 8- or 16-bit grey or 8-bit RGB, and the result is float32"),
    (["grey.npy", "nowhere/out.tif"], "nowhere: no such folder"),
    (["grey.npy", "out.tif", "--axes", "0x0"], "--axes: 2 different axes from 0 to 1, got '0x0'"),
    (["grey.npy", "out.tif", "--chunks", "few"], "--chunks: whole numbers with x between"),
    (["grey.npy", "out.tif", "--psf", "gaussian:wide"], "--psf: gaussian:S with S a width in pixels"),
    (["grey.npy", "out.tif", "--psf", "gaussian:1x1x1"], "grey.npy: has 2 axes, and the kernel 3 directions; --axes says which"),
    (["grey.npy", "out.tif", "--psf", "nothing.npy"], "nothing.npy: no such file or directory"),
    (["grey.npy", "out.tif", "--psf", "number.npy"], "--psf: a kernel of 1 to 3 directions, or a grid of them, got shape ()"),
    (["grey.npy", "folder.tif", "--overwrite"], "folder.tif: is a directory"),
    (["grey.npy", "out.tif", "--psf", "zeros.npy"], "psf has a kernel that is zero everywhere"),
    (["grey.npy", "out.tif", "--iterations", "0"], "iterations"),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(REFUSED)))
def test_what_cannot_be_used_is_refused_in_a_line(folder, capsys, row):
    words, message = REFUSED[row]
    for name in ("notes.txt", "notes.tif", "notes.png", "notes.npy"):
        (folder / name).write_text("a note")
    np.save("pickle.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save("zeros.npy", np.zeros((3, 3)))
    zarr.create_group("group.zarr").create_array("0", data=IMAGE)
    np.save("number.npy", np.array(1.0))
    (folder / "empty.zarr").mkdir()
    (folder / "folder.tif").mkdir()
    Image.new("RGBA", (5, 5)).save("alpha.png")
    before = sorted(path.name for path in folder.iterdir())
    assert run(["deblur", *words, *([] if "--psf" in words else ["--psf", "psf.npy"])]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == before
