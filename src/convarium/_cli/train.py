"""``convarium train``: a network of each kind, side by side."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from .._files.failures import InputError
from .._train.config import JOBS, LONGEST, Config
from .._train.kinds import KINDS
from .._train.tasks import TASKS
from . import options
from .stopping import Stopped, stoppable

RUNS = Path("runs")
DEFAULTS = Config()
IMAGES, COMPARISON, TRAINING, OUTPUT = "Images", "Comparison", "Training", "Output"


def _default(value: object) -> str:
    """A default as a help text shows it: several values as they are typed, separated by commas."""
    if isinstance(value, tuple):
        value = ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return f" \\[default: {value}]"


def _listed(table: Iterable[str]) -> str:
    return ", ".join(table)


def train(
    job: Annotated[
        str, typer.Argument(metavar="JOB", help=f"What to train; so far there is {_listed(JOBS)}.", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Where images come from: digits (scikit-learn's own), a folder with one sub-folder a class, an .npz with x "
            f"and y, or MNIST's IDX files (their folder, or one image file).{_default(DEFAULTS.data)}",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The label file, when DATA is an IDX image file.", rich_help_panel=IMAGES),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Bring images to this size. Otherwise images of one size, up to 32, keep it; others are brought to 32.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Use at most N images, classes in proportion.", rich_help_panel=IMAGES),
    ] = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help=f"Middle layers: {_listed(KINDS)}.{_default('all')}", rich_help_panel=COMPARISON
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help=f"Questions: {_listed(f'{name} ({task.summary})' for name, task in TASKS.items())}.{_default('all')}",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Kernels that take turns in each direction, in the kind tiled.{_default(DEFAULTS.tile)}",
            rich_help_panel=COMPARISON,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Networks of each kind, from seeds 0 to N-1.{_default(len(DEFAULTS.seeds))}",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help=f"Passes over the training images.{_default(DEFAULTS.epochs)}", rich_help_panel=TRAINING
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Images a step.{_default(DEFAULTS.batch)}", rich_help_panel=TRAINING),
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help=f"Learning rates that each kind chooses from, on validation images.{_default(DEFAULTS.rates)}",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Threads to compute with.{_default('all cores')}", rich_help_panel=TRAINING),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Begin with the settings of a run's config.json; options given beside it win.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help=f"The run folder.{_default('runs/JOB-DATE-TIME')}", rich_help_panel=OUTPUT),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that is in FOLDER.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[bool, options.json_flag(OUTPUT)] = False,
) -> None:
    """Train a network of each kind of convolution on the same images, and compare them.

    The networks differ in their middle layer only. At the end there is a table, and the run folder has weights, metrics, settings
    and pictures. When Ctrl-C or SIGTERM stops it (exit code 130 or 143), the networks finished until then can be used.
    """
    base = Config() if config is None else Config.load(config)
    if seeds is not None and not 1 <= seeds <= LONGEST:
        raise InputError(f"--seeds: expected a whole number from 1 to {LONGEST:,}, got {seeds}")
    settings = base.replace(
        job=job, data=options.unambiguous(data), labels=labels, limit=limit, tile=tile, epochs=epochs, batch=batch,
        threads=threads, size=_numbers("--size", size, "x", int), kinds=_names(kinds), tasks=_names(tasks),
        seeds=None if seeds is None else tuple(range(seeds)), rates=_numbers("--rates", rates, ",", float),
    )  # fmt: skip
    _train(settings, out, overwrite, as_json)


def _train(config: Config, out: Path | None, overwrite: bool, as_json: bool) -> None:
    import torch

    from .._train import compare, inside, pictures, prepare
    from .._train.run_folder import RunFolder, check_free
    from . import display

    path = out or _free(config.job)
    check_free(path, overwrite)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    config = config.replace(threads=torch.get_num_threads())
    samples = prepare.read(config)
    compare.check(config, samples)
    show = display.choose(as_json)
    with stoppable() as stop:
        folder = RunFolder.create(path, config, prepare.card(samples, config), overwrite)
        started = time.perf_counter()
        try:
            show.opening(folder)
            with show.watching() as watch:
                compare.Compare(config, samples, folder, stop.here).run(watch)
                seconds = time.perf_counter() - started
                show.note("drawing the pictures")
                names = [*pictures.write(folder), inside.write(folder)]
            folder.finish()
        except Stopped as stopped:
            total, missing = len(folder.planned()), len(folder.missing())
            usable = ", which can be used" if missing < total else ""
            raise Stopped(stopped.number, f"{path} has {total - missing} of {total} networks{usable}") from None
    show.closing(folder, seconds, names)


def _free(job: str) -> Path:
    """A folder of the present second, and a number behind it if there is one already."""
    stem = f"{job}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = (RUNS / (stem if n == 1 else f"{stem}-{n}") for n in range(1, 1000))
    return next(path for path in candidates if not path.exists())


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(option: str, text: str | None, separator: str, kind: type[int] | type[float]) -> tuple[Any, ...] | None:
    if text is None:
        return None
    try:
        return tuple(kind(part) for part in text.lower().split(separator))
    except ValueError:
        example = "28x28" if separator == "x" else "0.003,0.01"
        raise InputError(f"{option}: {text!r} is not of the form {example}") from None
