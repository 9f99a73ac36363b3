"""``convarium look``: of a run's networks, and of a kernel on a photo."""

import json

import numpy as np
import pytest
from PIL import Image

from convarium._cli import run as command


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    options = ["--epochs", "1", "--seeds", "1", "--rates", "0.1", "--tasks", "plain", "--kinds", "shared-valid,local"]
    assert command(["train", "digits", *options, "--limit", "200", "--out", str(path), "--json"]) == 0
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
    return path


def data(path):
    text = path.read_text().split('<script type="application/json" id="data">')[1].split("</script>")[0]
    return json.loads(text)


def test_a_run_leaves_a_page_of_its_networks(trained):
    layers = data(trained / "look.html")["layers"]
    assert [layer["name"] for layer in layers] == [
        "shared-valid stem", "shared-valid middle", "local stem", "local middle",
    ]  # fmt: skip
    assert [layer["kind"] for layer in layers] == ["shared", "shared", "shared", "local"]
    assert layers[0]["batch"] == 4
    assert any(number != "A" for number in layers[1]["grad_weight"]["data"])


def test_a_page_of_some_of_it(trained, photo, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert (
        command(
            ["look", str(trained), "--image", "3", "--image", "5", "--layer", "middle", "--out", str(out), "--json"]
        )
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said == {"page": str(out), "bytes": out.stat().st_size, "layers": ["shared-valid middle", "local middle"]}
    assert data(out)["layers"][0]["batch"] == 2
    assert command(["look", str(trained), "--image", str(photo), "--kind", "local", "--out", str(out)]) == 0
    assert [layer["name"] for layer in data(out)["layers"]] == ["stem", "middle"]


@pytest.mark.parametrize("kernel", ["sobel", "gaussian", "text", "commas", "npy"])
def test_a_kernel_on_a_photo(kernel, photo, tmp_path, capsys):
    (tmp_path / "text").write_text("1 0 -1\n2 0 -2\n")
    (tmp_path / "commas").write_text("1,0,-1\n2,0,-2\n")
    np.save(tmp_path / "npy.npy", [[1, 0, -1], [2, 0, -2]])
    name = {"text": str(tmp_path / "text"), "commas": str(tmp_path / "commas"), "npy": str(tmp_path / "npy.npy")}.get(
        kernel, kernel
    )
    out = tmp_path / "page.html"
    assert (
        command(["look", "--image", str(photo), "--kernel", name, "--size", "30", "--stride", "2x1", "--out", str(out)])
        == 0
    )
    (layer,) = data(out)["layers"]
    taps, outputs = {"sobel": ([3, 3], 2), "gaussian": ([5, 5], 1)}.get(kernel, ([2, 3], 1))
    assert [axis["size"] for axis in layer["axes"]] == [1, 20, 30]
    assert [axis["kernel"] for axis in layer["axes"]][1:] == taps
    assert [axis["stride"] for axis in layer["axes"]][1:] == [2, 1]
    assert layer["outputs"] == list(range(outputs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "look: give a RUN, or --image FILE and --kernel NAME"),
        (["nowhere"], "nowhere"),
        (["RUN", "--kernel", "sobel"], "--kernel: a run has its own"),
        (["RUN", "--image", "999"], "--image: the run has test images 0 to 39, got 999"),
        (["RUN", "--image", "1", "--image", "PHOTO"], "--image: give numbers of test images, or files, not both"),
        (["RUN", "--layer", "head"], "--layer: no layer is called 'head'; there are shared-valid stem"),
        (["RUN", "--kind", "tiled"], "has no network with kind tiled"),
        (["--image", "PHOTO", "--kernel", "sobbel"], "--kernel: 'sobbel' is none of sobel, gaussian, laplace, sharpen, and no"),
        (["--image", "PHOTO", "--kernel", "PHOTO"], "no rows of numbers"),
        (["--image", "PHOTO", "--kernel", "sobel", "--size", "2"], "--kernel: sobel is larger than the photo, 1 x 2"),
        (["--image", "PHOTO", "--kernel", "sobel", "--stride", "0"], "stride"),
        (["RUN", "--stride", "2"], "--stride: a run has its own"),
        (["--image", "PHOTO", "--kernel", "sobel", "--layer", "stem"], "--layer: only a run has it"),
        (["--image", "PHOTO", "--kernel", "EMPTY"], "a kernel must be rows of real numbers"),
        (["--image", "PHOTO", "--kernel", "sobel", "--out", "."], ".: is a directory"),
        (["--image", "no.png", "--kernel", "sobel"], "no.png: no such file or directory"),
        (["--image", "PHOTO", "--kernel", "sobel", "--out", "/proc/none/page.html"], "/proc/none/page.html: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(arguments, message, trained, photo, tmp_path, capsys):
    words = [
        {"RUN": str(trained), "PHOTO": str(photo), "EMPTY": str(tmp_path / "empty.txt")}.get(word, word)
        for word in arguments
    ]
    (tmp_path / "empty.txt").touch()
    if "--out" not in words:
        words += ["--out", str(tmp_path / "page.html")]
    capsys.readouterr()
    assert command(["look", *words]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()
