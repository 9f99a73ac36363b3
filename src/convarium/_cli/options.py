"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

PANEL = "Which network"


def json_flag(panel: str | None = None) -> Any:
    return typer.Option("--json", help="Print the results as JSON, and nothing else.", rich_help_panel=panel)


def _which(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text, show_default=False, rich_help_panel=PANEL)


Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run, as convarium train made it.", show_default=False)
]
Task = Annotated[str | None, _which("NAME", "The task it was trained for. \\[default: the run's first]")]
Kind = Annotated[str | None, _which("NAME", "Its kind. \\[default: what is best on validation images]")]
Seed = Annotated[int | None, _which("N", "Its seed. \\[default: what is best on validation images]")]
AsJson = Annotated[bool, json_flag()]
