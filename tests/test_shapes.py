"""The table of a model: receptive fields against gradients, costs against torch's counters, and what does not fit."""

import io
import json
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import convarium as cv
from convarium._cli import run as command
from family import seeds


def chain(seed):
    """Random layers one after the other, all of positive weights, and a size that suits them."""
    rnd = random.Random(seed)
    layers, channels = [], 1
    for _ in range(rnd.randint(1, 4)):
        kernel, stride, dilation = rnd.randint(1, 4), rnd.randint(1, 3), rnd.randint(1, 2)
        padding = rnd.randint(0, kernel // 2)
        kind = rnd.choice(["torch", "ours", "tiled", "max", "average", "transposed", "pad"])
        if kind == "torch":
            layers.append(nn.Conv1d(channels, 2, kernel, stride, padding, dilation))
        elif kind == "ours":
            layers.append(cv.nn.Conv1d(channels, 2, kernel, stride, ((padding, 0),), dilation))
        elif kind == "tiled":
            layers.append(
                cv.nn.TiledConv1d(channels, 2, kernel, tile=2, stride=stride, padding=padding, dilation=dilation)
            )
        elif kind == "transposed":
            layers.append(nn.ConvTranspose1d(channels, 2, kernel, stride, padding, dilation=dilation))
        elif kind == "pad":
            layers.append(nn.ConstantPad1d((padding, 2), 0.0))
        else:
            pool = nn.MaxPool1d if kind == "max" else nn.AvgPool1d
            layers.append(pool(kernel, stride, padding))
        channels = 2 if kind in ("torch", "ours", "tiled", "transposed") else channels
    model = nn.Sequential(*layers, nn.Conv1d(channels, 1, 1)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.abs() + 0.1)
    return model, 60


@pytest.mark.parametrize("seed", seeds(40, 400))
def test_receptive_fields_hold_all_that_has_a_gradient(seed):
    """And where nothing is reached backwards and no maximum leaves places out, exactly that, away from borders."""
    model, size = chain(seed)
    found = cv.shapes(model, (1, size))
    if found.error is not None:
        pytest.skip(found.error)
    input = torch.rand(1, 1, size, dtype=torch.float64, requires_grad=True)
    output = model(input)
    assert found.rows[-1].output == tuple(output.shape)
    (field,) = found.rows[-1].field
    exact = not any(isinstance(layer, (nn.ConvTranspose1d, nn.MaxPool1d)) for layer in model)
    for s in range(output.shape[2]):
        (gradient,) = torch.autograd.grad(output[0, 0, s], input, retain_graph=True)
        touched = np.flatnonzero(gradient[0, 0].numpy())
        start, end = field.start + s * field.jump, field.start + s * field.jump + field.size - 1
        if len(touched):
            assert start <= touched[0]
            assert touched[-1] <= end
        if exact and start >= 0 and end < size:
            assert (touched[0], touched[-1]) == (start, end)


class Between(nn.Module):
    """Two convolutions, and something between them."""

    def __init__(self, operation, first=None, second=None):
        super().__init__()
        self.first, self.second = first or nn.Conv1d(1, 2, 3, padding=1), second or nn.Conv1d(2, 1, 3, padding=1)
        self.operation = operation

    def forward(self, x):
        return self.second(self.operation(self.first(x)))


def written(y):
    y = y.clone()
    y[..., 1:] = y[..., :-1].clone()
    return y


BETWEEN = {
    "flip": lambda y: y.flip(-1), "roll": lambda y: y.roll(5, -1), "softmax": lambda y: y.softmax(-1),
    "softmax of channels": lambda y: y.softmax(1), "layer norm": lambda y: F.layer_norm(y, y.shape[-1:]),
    "instance norm": F.instance_norm, "group norm": lambda y: F.group_norm(y, 2), "cumsum": lambda y: y.cumsum(-1),
    "sort": lambda y: y.sort(-1)[0], "gate": lambda y: y * y.mean(-1, keepdim=True).sigmoid(), "written": written,
    "flat gate": lambda y: y * y.mean(-1).tanh()[..., None], "side by side": lambda y: torch.cat([y, y.flip(-1)], -1)[..., 10:30],
    "reflected": lambda y: F.pad(y, (2, 3), mode="reflect"), "copied": lambda y: F.pad(y, (5, 5), mode="replicate"),
    "around": lambda y: F.pad(y, (2, 2), mode="circular"), "zeros": lambda y: F.pad(y, (2, 1)), "relu": torch.relu_,
    "upsampled": lambda y: F.interpolate(y, scale_factor=2), "shuffled": lambda y: y.mT.reshape(y.shape),
}  # fmt: skip


@pytest.mark.parametrize("name", BETWEEN)
def test_no_operation_makes_a_field_too_small(name):
    torch.manual_seed(0)
    model = Between(BETWEEN[name]).double()
    input = torch.randn(1, 1, 20, dtype=torch.float64, requires_grad=True)
    output = model(input)
    view = cv.look(model, input)
    assert cv.shapes(model, (1, 20)).error is None
    for s in range(output.shape[2]):
        (gradient,) = torch.autograd.grad(output[0, 0, s], input, retain_graph=True)
        (seen,) = view.sees("second", (s,))
        assert set(np.flatnonzero(gradient[0, 0])) <= set(seen)
    (middle,) = view.sees("second", (9,))
    assert (len(middle) == 5) == (name in ("relu", "zeros", "softmax of channels", "reflected", "copied"))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_that_shows_other_places_is_seen(mode):
    model = Between(torch.relu, nn.Conv1d(1, 2, 3, padding=1, padding_mode=mode)).double()
    view = cv.look(model, torch.randn(1, 1, 12, dtype=torch.float64))
    assert view.sees("second", (0,)) == (range(12),)  # at the most
    assert view.sees("second", (6,)) == (range(4, 9),)


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv1d(1, 1, 3, padding=1), nn.Conv1d(1, 1, 3, padding=1)
        self.two.weight = self.one.weight
        self.scale = nn.Parameter(torch.ones(7))
        self.last = nn.LSTM(5, 3)

    def forward(self, x):
        return self.last(self.two(self.one(x)))[0]


def test_parameters_are_counted_once_whoever_owns_them():
    found = cv.shapes(Odd(), (1, 5))
    assert found.parameters == sum(p.numel() for p in Odd().parameters())
    assert [row.kind for row in found] == ["Conv1d", "Conv1d", "LSTM", "Odd"]


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 5, padding=2)
        self.last = nn.Conv2d(8, 2, 3)

    def forward(self, x):
        both = torch.cat([self.narrow(x).relu_(), self.wide(x)], 1)
        return F.adaptive_avg_pool2d(self.last(F.max_pool2d(both, 2)), 1).flatten(1)


def test_branches_and_functions_are_followed():
    model = Branches()
    rows = {row.name: row for row in cv.shapes(model, (3, 12, 10))}
    assert [rows[name].field[0].size for name in ("narrow", "wide", "last")] == [3, 5, 10]  # 5, +1, +2 * 2
    assert [float(f) for f in (rows["last"].field[1].jump, rows["last"].field[1].start)] == [2, -2]
    assert model.training


def test_costs_are_torchs_own():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), cv.nn.TiledConv2d(8, 4, 3, tile=2), nn.ConvTranspose2d(4, 4, 2, stride=2),
        nn.Flatten(), nn.Linear(4 * 14 * 14, 5),
    )  # fmt: skip
    found = cv.shapes(model, (3, 20, 20))
    assert found.error is None
    assert found.parameters == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, 3, 20, 20))
    assert 2 * found.multiply_adds == counter.get_total_flops()
    shared = nn.Conv2d(2, 2, 3, padding=1)
    twice = cv.shapes(nn.Sequential(shared, nn.ReLU(), shared), (2, 5, 5))
    assert [row.name for row in twice] == ["0", "0 (call 2)"]
    assert twice.parameters == sum(p.numel() for p in shared.parameters())


def test_coverage_shows_a_checkerboard():
    def covers(layer, size):
        return cv.shapes(layer, (1, size)).rows[0].covers

    assert covers(nn.Conv1d(1, 1, 3, stride=2), 21) == ((1, 2),)
    assert covers(nn.Conv1d(1, 1, 4, stride=2), 22) == ((2, 2),)
    assert covers(nn.Conv1d(1, 1, 2, stride=3), 20) == ((0, 1),)
    assert covers(nn.ConvTranspose1d(1, 1, 3, stride=2), 10) == ((1, 2),)
    assert covers(nn.ConvTranspose1d(1, 1, 4, stride=2), 10) == ((2, 2),)


def test_coverage_as_a_heatmap():
    found = cv.shapes(nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.ReLU(), nn.Conv2d(1, 1, (1, 2))), (1, 9, 7))
    figure = found.figure()
    input = torch.ones(1, 1, 9, 7, requires_grad=True)
    (counts,) = torch.autograd.grad(F.conv2d(input, torch.ones(1, 1, 3, 3), stride=2).sum(), input)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), counts[0, 0])
    figure.savefig(io.BytesIO(), format="svg")
    with pytest.raises(ValueError, match="figure: there is no convolution to draw"):
        cv.shapes(nn.Flatten(), (1, 3)).figure()


@pytest.mark.parametrize(
    ("model", "size", "rows", "error"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 9)), (1, 8, 8), 2,
         "1: Conv2d: a kernel of 9 is larger than the padded input, 6 + 0 + 0 = 6; padding='same' would fit"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), cv.nn.Conv2d(3, 4, 3)), (1, 8, 8), 2,
         "2: Conv2d: reads 3 channels, but (1, 4, 6, 6) has 4; in_channels=4 would fit"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(100, 3)), (1, 8, 8), 3,
         "2: Linear: reads 100 features, but (1, 144) has 144; in_features=144 would fit"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(3)), (1, 8, 8), 2,
         "1: BatchNorm2d: has 3 features, but (1, 4, 6, 6) has 4 channels; num_features=4 would fit"),
        (nn.Conv1d(1, 2, 3), (1, 8, 8), 1,
         "Conv1d: reads 3 dimensions, a batch and channels included, but (1, 1, 8, 8) has 4"),
        (nn.Conv2d(1, 2, 3), (3,), 1, "Conv2d: reads 4 dimensions, a batch and channels included, but (1, 3) has 2"),
        (nn.Sequential(cv.nn.LocalConv2d(1, 1, 3, input_size=(9, 9))), (1, 8, 8), 1,
         "0: LocalConv2d: the layer was made for input_size=(9, 9), got input (1, 1, 8, 8); a layer with "
         "input_size=(8, 8) would fit"),
    ],
)  # fmt: skip
def test_the_layer_that_does_not_fit_ends_the_table(model, size, rows, error):
    found = cv.shapes(model, size)
    assert len(found) == rows
    assert found.rows[-1].output is None
    assert found.error == error
    assert "does not fit" in str(found)


def test_what_goes_wrong_between_layers_is_said_too():
    found = cv.shapes(Two(), (1, 8))
    assert "missing 1 required positional argument: 'y'" in found.error
    assert found.error in str(found)


def test_as_text_and_data():
    model = nn.Sequential(
        nn.Conv2d(1, 4, (3, 1), padding="same", dilation=2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    )
    found = cv.shapes(model, (1, 8, 8))
    lines = str(found).splitlines()
    assert " ".join(lines[1].split()) == "0 Conv2d 4x8x8 3x1 every 2 1 2x0 5x1 1 -2x0 2-3x1 16 768 aten"
    assert json.loads(json.dumps(found.to_dict()))["rows"][1]["field"][0] == {"start": -2.0, "jump": 2.0, "size": 6.0}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.shapes("net", (1, 2)), TypeError, "shapes: model must be a torch.nn.Module, got 'net'"),
        (lambda: cv.shapes(nn.ReLU(), 3), TypeError, "shapes: input_size"),
        (
            lambda: cv.shapes(nn.LazyConv2d(1, 3), (1, 8, 8)),
            ValueError,
            "shapes: LazyConv2d has no shape before its first input",
        ),
    ],
)
def test_wrong_calls_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mynet.py").write_text(
        "from torch import nn\n"
        "model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(5, 1))\n"
        "def make(): print('hello'); return model[0]\n"
        "def quits(): raise SystemExit('bye')\n"
    )
    assert command(["shapes", "mynet:make", "--input", "1x9x9"]) == 0
    shown = capsys.readouterr()
    assert "2x7x7" in shown.out
    assert "hello" not in shown.out
    assert command(["shapes", "mynet:model", "--input", "1x9x9", "--json"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"] in shown.err
    for words, message in (
        (["mynet:make"], "--input: give channels and size of the input"),
        (["mynet:make", "--input", "1,9,9"], "--input: whole numbers with x between"),
        (["mynet"], "mynet: neither the folder of a run nor MODULE:NAME"),
        (["mynet:nothing", "--input", "1x9x9"], "mynet:nothing: mynet has no 'nothing'"),
        (["mynet:nn.ReLU.forward.__doc__", "--input", "1x9x9"], "gives no torch.nn.Module"),
        (
            ["convarium.models:clcnet_a", "--input", "3x224"],
            "images must be (batch, 3, height, width), got (1, 3, 224)",
        ),
        (["mynet:quits", "--input", "1x9x9"], "mynet:quits: SystemExit: bye"),
        (["mynet:make", "--input", "1x9x9", "--task", "plain"], "--task: only a run has it"),
        (["nowhere:make", "--input", "1x9x9"], "nowhere:make: ModuleNotFoundError: No module named 'nowhere'"),
    ):
        assert command(["shapes", *words]) == 2
        shown = capsys.readouterr()
        assert message in shown.err
        assert not shown.out
