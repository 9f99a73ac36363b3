"""Weights of other libraries give their numbers here: against what the originals computed (``tools/references``)."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn.utils import prune

import convarium as cv

REFERENCES = Path(__file__).parent / "references"
KERAS, MODELS, FLAX = (np.load(REFERENCES / f"{name}.npz") for name in ("keras_layers", "keras_models", "flax_layers"))


def numbers(file):
    return sorted({key.partition(".")[0] for key in file}, key=int)


def described(number):
    kind, config, shape = json.loads(str(KERAS[f"{number}.layer"]))
    weights = [KERAS[f"{number}.weight{i}"] for i in range(9) if f"{number}.weight{i}" in KERAS]
    return kind, {**config, "batch_input_shape": [None, *shape]}, weights


def name_of(number):
    kind, config, _ = described(number)
    words = [
        kind,
        *(str(config[key]) for key in ("implementation", "padding", "data_format", "activation") if key in config),
    ]
    return f"{number}-{'-'.join(words)}"


def channels_first(array, config):
    return torch.from_numpy(array if config.get("data_format") == "channels_first" else np.moveaxis(array, -1, 1))


@pytest.mark.parametrize("number", numbers(KERAS), ids=name_of)
def test_keras_layers(number):
    kind, config, weights = described(number)
    model = cv.convert.from_keras([(kind, config, weights)])
    got = model(channels_first(KERAS[f"{number}.input"], config))
    expected = KERAS[f"{number}.output"]
    if expected.ndim == KERAS[f"{number}.input"].ndim:
        expected = channels_first(expected, config)
    torch.testing.assert_close(got, torch.as_tensor(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["deepface", "normalized"])
@pytest.mark.parametrize("form", [".h5", ".keras", "_2_13.keras"])  # the last of Keras 2.13
def test_keras_models_whole(name, form, tmp_path):
    file = REFERENCES / f"{name}{form}"
    model = cv.convert.from_keras(file)
    input = torch.from_numpy(np.moveaxis(MODELS[f"{name}.input"], -1, 1))
    expected = torch.from_numpy(MODELS[f"{name}.output"])
    torch.testing.assert_close(model(input), expected, rtol=1e-4, atol=1e-5)
    assert any(isinstance(layer, cv.nn.Layer) and layer.tile for layer in model)
    cv.convert.to_safetensors(file, tmp_path / "kept" / "model.safetensors")
    assert torch.equal(cv.convert.load(tmp_path / "kept" / "model.safetensors")(input), model(input))
    model.train()(input).sum().backward()  # it can learn on
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("flatten", ["channels_last", "channels_first"])
def test_keras_models_with_channels_first(flatten):
    """``Flatten`` takes numbers as they lie, or turns channels to the back; softmax is over the last axis."""
    model = cv.convert.from_keras(REFERENCES / f"first_{flatten}.h5")
    got = model(torch.from_numpy(MODELS[f"first_{flatten}.input"]))
    torch.testing.assert_close(got, torch.from_numpy(MODELS[f"first_{flatten}.output"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("number", numbers(FLAX))
def test_flax_layers(number):
    case = json.loads(str(FLAX[f"{number}.case"]))
    ones, padding = [1] * len(case["size"]), case["padding"]
    layer = cv.convert.local_from_flax(
        FLAX[f"{number}.kernel"], FLAX.get(f"{number}.bias", None),
        input_size=tuple(case["size"]), kernel_size=tuple(case["kernel_size"]), stride=tuple(case.get("strides", ones)),
        padding=padding if isinstance(padding, str) else tuple(map(tuple, padding)),
        dilation=tuple(case.get("kernel_dilation", ones)),
    )  # fmt: skip
    got = layer(torch.from_numpy(np.moveaxis(FLAX[f"{number}.input"], -1, 1)))
    torch.testing.assert_close(
        got, torch.from_numpy(np.moveaxis(FLAX[f"{number}.output"], -1, 1)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("stride", [1, (2, 1)])
def test_the_forums_recipe(stride):
    rows, columns = (stride, stride) if isinstance(stride, int) else stride
    input = torch.randn(2, 3, 7, 8)
    windows = input.unfold(2, 3, rows).unfold(3, 2, columns)
    windows = windows.contiguous().view(*windows.shape[:-2], -1)
    weight, bias = torch.randn(1, 4, 3, *windows.shape[2:4], 6), torch.randn(1, 4, *windows.shape[2:4])
    expected = (windows.unsqueeze(1) * weight).sum([2, -1]) + bias
    layer = cv.convert.local_from_unfold(weight, bias, input_size=(7, 8), kernel_size=(3, 2), stride=stride)
    torch.testing.assert_close(layer(input), expected, rtol=1e-4, atol=1e-5)


def test_torch7():
    input, weight, bias = torch.randn(2, 3, 6, 7), torch.randn(4, 6, 5, 3, 3, 2), torch.randn(5, 4, 6)
    windows = input.unfold(2, 3, 1).unfold(3, 2, 1)  # (B, C, H, W, kh, kw)
    expected = torch.einsum("bchwij,hwocij->bohw", windows, weight) + bias
    layer = cv.convert.local_from_torch7(weight, bias, input_size=(6, 7))
    torch.testing.assert_close(layer(input), expected, rtol=1e-4, atol=1e-5)


def test_modules_of_torch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect", dtype=torch.float64), nn.Tanh()
            )
            self.second = nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, dtype=torch.float64)
            self.second.weight.requires_grad_(False)

        def forward(self, input):
            return self.second(self.first(input))

    net, input = Net().eval(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    ours = cv.convert.from_torch(net)
    assert type(ours.first[0]) is cv.nn.Conv2d
    assert type(ours.second) is cv.nn.ConvTranspose2d
    assert not ours.second.weight.requires_grad
    assert not ours.training
    assert type(net.second) is nn.ConvTranspose2d  # the module itself stays as it is
    torch.testing.assert_close(ours(input), net(input))
    assert type(cv.convert.from_torch(nn.Conv1d(2, 2, 3))) is cv.nn.Conv1d


def test_what_stands_twice_in_a_module_stays_one():
    shared = nn.Conv1d(2, 2, 3, padding=1)
    tied = nn.Conv1d(2, 2, 3, padding=1)
    tied.weight = shared.weight
    net, input = nn.Sequential(shared, nn.Tanh(), shared, tied), torch.randn(1, 2, 5)
    ours = cv.convert.from_torch(net)
    assert ours[0] is ours[2]
    assert ours[3].weight is ours[0].weight
    assert ours[0].weight is not shared.weight
    torch.testing.assert_close(ours(input), net(input))
    prune.l1_unstructured(net[3], "weight", 0.5)
    with pytest.raises(
        ValueError, match=r"^from_torch: 3 has hooks, or a weight that is pruned or normed; remove them before$"
    ):
        cv.convert.from_torch(net)


def broken(kind, folder):
    """A file that cannot be used."""
    path = folder / {"truncated zip": "m.keras", "another zip": "m.keras"}.get(kind, "m.h5")
    if kind == "truncated":
        path.write_bytes((REFERENCES / "deepface.h5").read_bytes()[:5000])
    elif kind == "truncated zip":
        path.write_bytes((REFERENCES / "deepface.keras").read_bytes()[:5000])
    elif kind == "another zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "b")
    elif kind == "not keras":
        with h5py.File(path, "w") as file:
            file["x"] = np.zeros(3)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    elif kind == "safetensors":
        safetensors.torch.save_file({"weight": torch.zeros(200)}, path)
    elif kind == "text":
        path.write_text("hello")
    elif kind == "functional":
        shutil.copy(REFERENCES / "functional.h5", path)
    elif kind == "other weights":
        shutil.copy(REFERENCES / "normalized.h5", path)
        with h5py.File(path, "a") as file:
            group = next(group for name, group in file["model_weights"].items() if name.startswith("conv1d"))
            name = group.attrs["weight_names"][0]
            del group[name]
            group[name] = np.zeros((3, 2, 5), np.float32)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"m\.h5: no such file or directory$"),
        ("truncated", r"m\.h5: not a whole HDF5 file \("),
        ("truncated zip", r"m\.keras: not a whole \.keras file \("),
        ("another zip", r"m\.keras: a zip, but no \.keras file: it has no config\.json and model\.weights\.h5$"),
        (
            "not keras",
            r"m\.h5: has no Keras model in it, or weights alone; save the whole model: model\.save\(\.\.\.\)$",
        ),
        ("pickle", r"m\.h5: this is a pickle, which can run code when it is read; it is not opened$"),
        ("safetensors", r"m\.h5: this is a safetensors file already, as convert writes them; it reads Keras models$"),
        ("text", r"m\.h5: neither an HDF5 file nor a \.keras file$"),
        ("functional", r"m\.h5: the model is Functional, not Sequential; give its layers one by one, as a list$"),
        (
            "other weights",
            r"conv1d\w* \(Conv1D\): weight of shape \(3, 2, 5\) does not fit: it becomes \(5, 2, 3\), expected \(4, 2, 3\)$",
        ),
    ],
)
def test_files_that_cannot_be_used(kind, message, tmp_path):
    path = broken(kind, tmp_path)
    with pytest.raises(ValueError, match=message):
        cv.convert.from_keras(path)
    with pytest.raises(ValueError, match=message):
        cv.convert.to_safetensors(path, tmp_path / "out.safetensors")
    assert not list(tmp_path.glob("*out*"))


LOCAL = {"filters": 4, "kernel_size": 3, "strides": 1, "padding": "valid", "use_bias": False, "implementation": 1,
         "data_format": "channels_last", "batch_input_shape": (None, 8, 2)}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cv.convert.from_keras([("LSTM", {"name": "a", "batch_input_shape": (None, 3)}, []), ("GRU", {"name": "b"}, [])]),
         r"^from_keras: no layer here for a \(LSTM\), b \(GRU\); known are "),
        (lambda: cv.convert.from_keras([("LocallyConnected1D", LOCAL, [np.zeros((5, 6, 4))])]),
         r"^from_keras: LocallyConnected1D \(LocallyConnected1D\): weight: kernel must have shape \(6, 6, 4\), got \(5, 6, 4\)$"),
        (lambda: cv.convert.from_keras([("LocallyConnected1D", LOCAL, [])]), r"1 arrays are expected \(weight\), got 0$"),
        (lambda: cv.convert.from_keras([("Dense", {"units": 3, "use_bias": True}, [])]),
         r"^from_keras: the first layer must say the shape of an input, all but the batch; batch_input_shape is None$"),
        (lambda: cv.convert.from_keras([("Dense", {"batch_input_shape": (None, 3)}, [])]), r"its configuration has no 'units'$"),
        (lambda: cv.convert.from_keras([("Activation", {"activation": "mish", "batch_input_shape": (None, 3)}, [])]),
         r"activation 'mish' is not known$"),
        (lambda: cv.convert.from_keras([("LocallyConnected1D", LOCAL, [np.zeros((6, 6, 4))]),
                                        ("MaxPooling1D", {"name": "m", "data_format": "channels_first"}, [])]),
         r"channels are in one place in a model, but LocallyConnected1D has channels_last and m has channels_first$"),
        (lambda: cv.convert.from_keras([]), r"^from_keras: the first layer must say the shape"),
        (lambda: cv.convert.local_from_flax(np.zeros((6, 8, 4)), input_size=8, kernel_size=3),
         r"^local_from_flax: kernel must be \(\*positions, in_channels \* 3, out_channels\), got \(6, 8, 4\)$"),
        (lambda: cv.convert.local_from_flax(np.zeros((5, 9, 4)), input_size=8, kernel_size=3),
         r"^local_from_flax: weight has positions \(5,\), but an input of size \(8,\) has \(6,\) with this kernel"),
        (lambda: cv.convert.local_from_unfold(np.zeros((4, 3, 6, 6, 9)), input_size=8, kernel_size=(3, 3)),
         r"^local_from_unfold: weight must be \(1, out_channels, in_channels, \*positions, 9\), got \(4, 3, 6, 6, 9\)$"),
        (lambda: cv.convert.local_from_torch7(np.zeros((4, 3, 6))  , input_size=8),
         r"^local_from_torch7: weight must be \(\*positions, out_channels, in_channels, \*kernel\), got \(4, 3, 6\)$"),
    ],
)  # fmt: skip
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_files_that_convert_did_not_write(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors: not a model that convert wrote; its format is None$"):
        cv.convert.load(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes()[:20])
    with pytest.raises(ValueError, match=r"cut\.safetensors: not a whole safetensors file"):
        cv.convert.load(tmp_path / "cut.safetensors")
    for layers, message in [
        (None, r"damaged\.safetensors: its description of layers is damaged$"),
        ("{", r"damaged\.safetensors: its description of layers is damaged$"),
        ('[["Dense", {"units": 3, "use_bias": false, "batch_input_shape": [null, 2]}]]',
         r"damaged\.safetensors: Dense\.weight must have shape \(3, 2\), got None$"),
    ]:  # fmt: skip
        metadata = {"format": "convarium.keras.1"} | ({} if layers is None else {"layers": layers})
        save_file({"x": torch.zeros(1)}, tmp_path / "damaged.safetensors", metadata)
        with pytest.raises(ValueError, match=message):
            cv.convert.load(tmp_path / "damaged.safetensors")
    with pytest.raises(ValueError, match=r"none\.safetensors: no such file or directory$"):
        cv.convert.load(tmp_path / "none.safetensors")


def convarium(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "convarium", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    return done.returncode, done.stdout, done.stderr


def test_the_command(tmp_path):
    code, out, error = convarium("convert", REFERENCES / "deepface.h5", tmp_path / "out.safetensors", "--json")
    assert (code, error) == (0, "")
    told = json.loads(out)
    model = cv.convert.load(tmp_path / "out.safetensors")
    assert told["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert [row["name"] for row in told["layers"]] == [name for name, _ in model.named_children()]
    code, out, _ = convarium("convert", REFERENCES / "normalized.keras", tmp_path / "out.safetensors")
    assert code == 0
    assert "LocalConv1d(4, 3" in out
    (tmp_path / "other").mkdir()
    for arguments, message in [
        ((broken("pickle", tmp_path), tmp_path / "no.safetensors"), "this is a pickle"),
        ((broken("other weights", tmp_path / "other"), tmp_path / "no.safetensors"), "does not fit"),
        ((REFERENCES / "deepface.h5", tmp_path / "no.pt"), "OUT must be a .safetensors file"),
        ((REFERENCES / "deepface.h5", REFERENCES / "deepface.h5" / "no.safetensors"), "deepface.h5"),
    ]:
        code, out, error = convarium("convert", *arguments)
        assert code != 0
        assert out == ""
        assert message in error
        assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.glob("no*"))
