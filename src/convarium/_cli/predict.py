"""``convarium predict``: what a trained network sees in an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from . import options


def predict(
    run: options.Run,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.", show_default=False)],
    invert: Annotated[
        str,
        typer.Option(
            metavar="auto|yes|no",
            help="Exchange dark and light; auto does so when the background is opposite to the training images'.",
        ),
    ] = "auto",
    task: options.Task = None,
    kind: options.Kind = None,
    seed: options.Seed = None,
    as_json: options.AsJson = False,
) -> None:
    """Say what a trained network sees in images, how sure it is, and what was done to each image before."""
    from .._train import trained
    from .._train.run_folder import RunFolder

    folder = RunFolder.open(run)
    chosen = trained.load_network(folder, trained.choose(folder, task, kind, seed))
    readings = [(path, trained.read_image(path, chosen, invert)) for path in images]
    answers = [(path, reading, trained.probabilities(chosen, reading.image)) for path, reading in readings]
    if as_json:
        value = {
            "run": str(run),
            "network": chosen.result.key._asdict(),
            "images": [
                {"image": str(path), "class": ranked[0][0], "probabilities": dict(ranked), "steps": list(reading.steps)}
                for path, reading, ranked in answers
            ],
        }
        print(json.dumps(value, indent=2))
        return
    print(f"network  {chosen.result.key} (validation {100 * chosen.result.validation_accuracy:.1f} %)")
    for path, reading, ranked in answers:
        likeliest = ", ".join(f"{name} {100 * share:.1f} %" for name, share in ranked[:3])
        print(f"{path}: {likeliest}")
        print(f"  {'; '.join(reading.steps)}")
