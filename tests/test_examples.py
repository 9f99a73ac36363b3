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


def test_every_example_is_tried_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"prune_digits.py"}
