"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .._files.failures import InputError

PANEL = "Which network"


def json_flag(panel: str | None = None) -> Any:
    return typer.Option("--json", help="Print the results as JSON, and nothing else.", rich_help_panel=panel)


def unambiguous(data: str | None) -> str | None:
    """``--data digits`` is scikit-learn's; beside a folder of that name the user has to say which is meant."""
    if data == "digits" and Path(data).exists():
        raise InputError(
            "--data: digits are scikit-learn's, and there is a ./digits here: write ./digits for that one, or rename it"
        )
    return data


def _which(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text, show_default=False, rich_help_panel=PANEL)


Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run, as convarium train made it.", show_default=False)
]
Task = Annotated[str | None, _which("NAME", "The task it was trained for. \\[default: the run's first]")]
Kind = Annotated[str | None, _which("NAME", "Its kind. \\[default: what is best on validation images]")]
Seed = Annotated[int | None, _which("N", "Its seed. \\[default: what is best on validation images]")]
AsJson = Annotated[bool, json_flag()]
