"""``convarium evaluate``: test a trained network."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from . import options


def evaluate(
    run: options.Run,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Images with labels, as train takes them. \\[default: the run's own test images]"
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="The label file, when DATA is an IDX image file.")
    ] = None,
    task: options.Task = None,
    kind: options.Kind = None,
    seed: options.Seed = None,
    as_json: options.AsJson = False,
) -> None:
    """Test a trained network on its run's own test images, or on others, class by class."""
    from .._train import trained
    from .._train.intervals import wilson
    from .._train.run_folder import RunFolder

    folder = RunFolder.open(run)
    chosen = trained.load_network(folder, trained.choose(folder, task, kind, seed))
    found = trained.evaluate(chosen, options.unambiguous(data), labels)
    low, high = wilson(found.correct, found.count)
    if as_json:
        value = {
            "run": str(run),
            "complete": folder.complete,
            "missing": [str(key) for key in folder.missing()],
            "network": chosen.result.key._asdict(),
            "data": found.origin,
            "correct": found.correct,
            "count": found.count,
            "accuracy": found.correct / found.count,
            "interval": [low, high],
            "classes": {name: {"correct": right, "count": count} for name, (right, count) in found.classes.items()},
        }
        print(json.dumps(value, indent=2))
        return
    if not folder.complete:
        print(f"{run}: unfinished, {len(folder.missing())} of {len(folder.planned())} networks are missing")
    print(f"network   {chosen.result.key} (validation {100 * chosen.result.validation_accuracy:.1f} %)")
    print(f"images    {found.origin}")
    share = 100 * found.correct / found.count
    print(
        f"accuracy  {share:.1f} %, {found.correct:,} of {found.count:,} "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}, Wilson)"
    )
    width = max(map(len, found.classes))
    for name, (right, count) in found.classes.items():
        print(f"  {name:{width}}  {100 * right / count:5.1f} %  {right:,} of {count:,}")
