"""What a run writes down as it goes."""

import json
import platform
import sys

import pytest

from convarium._cli import run
from convarium._train.log import LOG

TINY = [
    "train", "digits", "--limit", "300", "--kinds", "shared-valid", "--tasks", "plain", "--epochs", "2", "--seeds", "1",
    "--rates", "0.1,0.3",
]  # fmt: skip


def lines(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_a_line_an_epoch(tmp_path):
    assert run([*TINY, "--out", str(tmp_path / "run")]) == 0
    found = lines(tmp_path / "run")
    assert [line["event"] for line in found] == ["began", *["epoch"] * 4, "result"]
    assert found[0] == {"time": found[0]["time"], "event": "began", "epochs": 4, "done": 0, "processes": 1}
    assert [(line["rate"], line["epoch"]) for line in found[1:5]] == [(0.1, 1), (0.1, 2), (0.3, 1), (0.3, 2)]
    for line in found[1:5]:
        (rank,) = line["ranks"]
        assert 0 <= line["seconds_waiting"] <= line["seconds"]
        assert rank["host"] == platform.node()
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["networks"][0]
    chosen = [line for line in found[1:5] if line["rate"] == metrics["rate"]]
    assert [line["validation_loss"] for line in chosen] == [epoch["validation_loss"] for epoch in metrics["history"]]
    assert found[5]["test_accuracy"] == metrics["test_accuracy"]
    assert [line["time"] for line in found] == sorted(line["time"] for line in found)


def test_half_a_line_is_ended_when_a_run_goes_on(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("convarium._train.compare.Compare._keep", lambda *arguments: 1 / 0)
        assert run([*TINY, "--out", str(folder)]) == 1
    with (folder / LOG).open("ab") as file:
        file.write(b'{"time": 1')
    assert run(["train", "--resume", str(folder)]) == 0
    texts = (folder / LOG).read_text().splitlines()
    assert texts.count('{"time": 1') == 1
    events = [json.loads(text)["event"] for text in texts if text != '{"time": 1']
    assert events.count("went on") == 1
    assert events[-1] == "result"


def test_tensorboard_gets_the_same_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run"
    assert run([*TINY, "--out", str(folder), "--log", "tensorboard"]) == 0
    board = EventAccumulator(str(folder / "tensorboard" / "plain/shared-valid/seed-0" / "rate-0.3"))
    board.Reload()
    shown = [(event.step, event.value) for event in board.Scalars("validation/loss")]
    told = [(line["epoch"], line["validation_loss"]) for line in lines(folder) if line.get("rate") == 0.3][:2]
    assert shown == [(step, pytest.approx(value)) for step, value in told]
    names = {"training/loss", "validation/loss", "validation/accuracy", "seconds", "seconds/waiting"}
    assert set(board.Tags()["scalars"]) == names


def test_wrong_logs(tmp_path, monkeypatch, capsys):
    assert run([*TINY, "--out", str(tmp_path / "run"), "--log", "paper"]) == 2
    assert "--log: 'paper' is not one of tensorboard" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert run([*TINY, "--out", str(tmp_path / "run"), "--log", "tensorboard"]) == 2
    assert "tensorboard is not installed: pip install 'convarium[train]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
