"""Where a step's time goes: what is told adds up, and is told of the right layer."""

import json

import pytest
import torch
from torch import nn

import convarium as cv
from convarium._cli import run
from convarium._train.fit import Fit
from convarium._train.profile import profile
from convarium._train.samples import Samples


def test_times_are_told_of_the_layers_and_maps_that_took_them():
    torch.manual_seed(0)
    network = nn.Sequential(
        cv.nn.LocalConv2d(1, 2, 3, input_size=(20, 20)), nn.ReLU(), cv.nn.LocalConv2d(2, 64, 5, input_size=(18, 18)), nn.Tanh(),
        nn.Flatten(), nn.Linear(64 * 14 * 14, 3),
    )  # fmt: skip
    samples = Samples(torch.rand(64, 1, 20, 20), torch.arange(64) % 3, ("a", "b", "c"), "")
    found = profile("network", Fit(network, samples, samples, 0.01, 0, 1, 32), steps=5)
    by_name = {part.name: part for part in found.parts}
    for name in ("0 (LocalConv2d)", "2 (LocalConv2d)"):
        assert by_name[name].forward > 0
        assert by_name[name].backward >= by_name[name].grad_input + by_name[name].grad_weight
        assert by_name[name].grad_weight > 0
    assert (
        by_name["0 (LocalConv2d)"].grad_input == 0 < by_name["2 (LocalConv2d)"].grad_input
    )  # of the images there is none
    for name in ("1 (ReLU)", "3 (Tanh)", "5 (Linear)", "loss"):
        assert by_name[name].backward > 0
        assert by_name[name].grad_weight == 0
    assert by_name["data"].backward == 0 < by_name["data"].forward
    assert by_name["optimiser"].forward > 0
    total = sum(part.forward + part.backward for part in found.parts) + found.rest
    assert total == pytest.approx(found.seconds, rel=0.02)
    assert found.processes == 1
    assert "communication" not in by_name


def test_the_command_says_it_and_keeps_it(tmp_path, capsys):
    folder = tmp_path / "run"
    tiny = ["--limit", "300", "--kinds", "local", "--tasks", "plain", "--epochs", "1", "--seeds", "1", "--rates", "0.1"]
    assert run(["train", "digits", *tiny, "--out", str(folder), "--profile"]) == 0
    said = capsys.readouterr().out
    assert "plain/local: a step takes" in said
    assert "middle (LocalConv2d)" in said
    (kept,) = json.loads((folder / "profile.json").read_text())
    assert kept["network"] == "plain/local"
    assert run(["train", "digits", *tiny, "--out", str(tmp_path / "other"), "--profile", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"]
