"""The examples run as they are written, with less to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_pruning_digits_keeps_a_quarter_of_the_kernels() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: no digits to learn")
    command = [sys.executable, str(EXAMPLES / "prune_digits.py"), "--epochs", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stages = json.loads(done.stdout)
    assert list(stages) == ["dense", "pruned", "fine-tuned"]
    kernels = 9 * (16 * 64 + 64 * 128)
    assert stages["dense"]["parameters"] - stages["pruned"]["parameters"] == kernels * 3 // 4
    assert all(0 <= stage["accuracy"] <= 100 and stage["milliseconds"] > 0 for stage in stages.values())


def test_a_plain_loop_reads_digits() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: no digits to learn")
    command = [sys.executable, str(EXAMPLES / "plain_loop.py"), "--epochs", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["accuracy"] > 85


def test_a_lightning_module_learns() -> None:
    pytest.importorskip("lightning", reason="Lightning is not installed")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "lightning_module.py")], capture_output=True, text=True, check=True
    )
    assert float(done.stdout.rsplit("loss ", 1)[1]) < 1


def test_a_gigapixel_in_small(tmp_path) -> None:
    command = [sys.executable, str(EXAMPLES / "gigapixel.py"), "--json", "--size", "1300", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert 0 < facts["peak"] < 1  # GiB
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corner.png", "seen.zarr", "sharp.zarr"]


def test_every_example_is_tried_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "gigapixel.py",
        "lightning_module.py",
        "plain_loop.py",
        "prune_digits.py",
    }
