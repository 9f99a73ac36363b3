"""``convarium checkpoint``: what a checkpoint holds, whether it is whole, and its weights as a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._files.failures import InputError
from . import options

if TYPE_CHECKING:
    from .._train.checkpoint import Checkpoint
    from .._train.results import Key
    from .._train.run_folder import RunFolder

app = typer.Typer(
    help="See what a checkpoint of a run holds, whether it is whole, and take its weights.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Where = Annotated[
    Path,
    typer.Argument(
        metavar="PATH", help="A checkpoint, RUN/checkpoints/NUMBER, or the folder of a run.", show_default=False
    ),
]


@app.callback(invoke_without_command=True)
def begin(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


@app.command()
def inspect(path: Where, as_json: options.AsJson = False) -> None:
    """Say where a checkpoint, or the latest one of a run, stands, and what tensors it holds."""
    from .._train import checkpoint
    from .._train.position import Position

    found = _checkpoint(path)
    position = Position.read(found)
    tensors = checkpoint.tensors(found.values)
    rows: list[dict[str, Any]] = [
        {"name": name, "dtype": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "bytes": t.nbytes}
        for name, t in tensors.items()
    ]
    trials = {f"{trial.rate:g}": trial.best.validation_accuracy for trial in position.trials}
    if as_json:
        value = {
            "checkpoint": str(found.path),
            "network": position.key._asdict(),
            "rate": position.rate,
            "epoch": position.epoch,
            "step": position.step,
            "trials": trials,
            "bytes": sum(t.nbytes for t in tensors.values()),
            "tensors": rows,
        }
        print(json.dumps(value, indent=2))
        return
    print(f"checkpoint  {found.path}")
    print(f"network     {position.key}, rate {position.rate:g}")
    print(f"position    epoch {position.epoch}, after {position.step:,} steps")
    if trials:
        print(f"tried       {', '.join(f'rate {rate}: {100 * share:.1f} %' for rate, share in trials.items())}")
    print(f"tensors     {len(rows)}, {sum(t.nbytes for t in tensors.values()):,} bytes")
    width = max(map(len, tensors))
    for row in rows:
        shape = " x ".join(map(str, row["shape"])) or "scalar"
        print(f"  {row['name']:{width}}  {row['dtype']:8} {row['bytes']:>9,}  {shape}")


@app.command()
def verify(path: Where, as_json: options.AsJson = False) -> None:
    """Check every fingerprint of a checkpoint, or of a run: its checkpoints, its networks, and all files once it is complete.

    Exit code 0 if all is what was written, 2 if something is damaged.
    """
    from .._train import checkpoint

    checks: dict[str, Callable[[], object]] = {}
    if (run := _run(path)) is None:
        checks[str(path)] = partial(checkpoint.verify, path)
    else:
        checks |= dict(_checks(run))
    damaged = {}
    for name, check in checks.items():
        try:
            check()
        except InputError as damage:
            damaged[name] = str(damage)
    if as_json:
        value = {"path": str(path), "good": [name for name in checks if name not in damaged], "damaged": damaged}
        print(json.dumps(value, indent=2))
    else:
        for name in checks:
            print(f"{'damaged' if name in damaged else 'good':8} {name}")
    if damaged:
        raise InputError(f"{path}: {len(damaged)} of {len(checks)} damaged: {next(iter(damaged.values()))}")


@app.command()
def convert(
    path: Where,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .safetensors file to write.", show_default=False)],
    network: Annotated[
        str | None,
        typer.Option(
            metavar="TASK/KIND/SEED",
            help="A finished network of a run. \\[default: the one being trained, as it is in the checkpoint]",
            show_default=False,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a network's weights as one .safetensors file."""
    from .._files import atomic
    from .._train.position import Position
    from .._train.run_folder import MARK, weights_file

    if target.suffix != ".safetensors":
        raise InputError(f"OUT must be a .safetensors file, got {target}")
    for folder in target.resolve().parents:
        if folder == path.resolve() or (folder / MARK).is_file():
            raise InputError(f"OUT must lie outside of a run and of a checkpoint, not in {folder}: got {target}")
    if network is None:
        position = Position.read(_checkpoint(path))
        key, weights = position.key, position.fit["network"]
    elif (run := _run(path)) is None:
        raise InputError(f"--network: {path} is a checkpoint; only a run has finished networks")
    else:
        key = _key(run, network)
        weights = run.weights(key)
    atomic.write(target, weights_file(key, weights))
    count = sum(tensor.numel() for tensor in weights.values())
    if as_json:
        value = {
            "path": str(path),
            "target": str(target),
            "network": key._asdict(),
            "tensors": len(weights),
            "numbers": count,
        }
        print(json.dumps(value, indent=2))
    else:
        print(f"{target}: {key}, {len(weights)} tensors, {count:,} numbers")


def _run(path: Path) -> RunFolder | None:
    """The run that lies there; None where it is a checkpoint."""
    from .._train import checkpoint
    from .._train.run_folder import MARK, RunFolder

    if not path.is_dir():
        why = "a file, and neither the folder of a run nor a checkpoint" if path.exists() else "no such folder"
        raise InputError(f"{path}: {why}")
    if (path / MARK).is_file():
        return RunFolder.open(path)
    if not any((path / name).is_file() for name in (checkpoint.COMPLETE, checkpoint.STATE)):
        raise InputError(f"{path}: neither the folder of a run nor a checkpoint")
    return None


def _checkpoint(path: Path) -> Checkpoint:
    """The checkpoint that lies there, or the latest one of the run that is whole, as ``--resume`` finds it."""
    from .._train import checkpoint

    run = _run(path)
    if run is None:
        return checkpoint.load(path)
    damaged: list[checkpoint.Damaged] = []
    found = checkpoint.newest_whole(run.checkpoints, damaged.append)
    if found is None and damaged:
        raise damaged[0]
    if found is None:
        why = "it is complete, and --network names one of its networks" if run.complete else "none was written yet"
        raise InputError(f"{path}: has no checkpoint: {why}")
    for damage in damaged:
        print(f"convarium: passed over: {damage}", file=sys.stderr)
    return found


def _checks(run: RunFolder) -> Iterator[tuple[str, Callable[[], object]]]:
    """What has a fingerprint, and what checks it."""
    from .._files.fingerprints import check
    from .._train import checkpoint

    missing = set(run.missing())
    for key in run.planned():
        if key not in missing:
            yield f"networks/{key}", partial(run.weights, key)
    for path in sorted(checkpoint.newest_first(run.checkpoints)):
        yield f"checkpoints/{path.name}", partial(checkpoint.verify, path)
    for name, fingerprint in run.fingerprints.items():
        yield name, partial(check, run.path / name, fingerprint)


def _key(run: RunFolder, text: str) -> Key:
    """The network that TASK/KIND/SEED names."""
    named = {f"{key.task}/{key.kind}/{key.seed}": key for key in run.planned()}
    if (key := named.get(text.replace("/seed-", "/"))) is None:
        raise InputError(f"--network: expected TASK/KIND/SEED, such as {next(iter(named))}, got {text!r}")
    return key
