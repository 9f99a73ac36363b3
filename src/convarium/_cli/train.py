"""``convarium train``: a network of each kind, side by side."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._files.failures import InputError
from .._files.fingerprints import to_json
from .._train.config import JOBS, LONGEST, Config
from .._train.kinds import KINDS
from .._train.tasks import TASKS
from . import options
from .refusals import refuse
from .stopping import Stop, Stopped, stoppable

if TYPE_CHECKING:
    from .._train.fit import Fit
    from .._train.position import Position
    from .._train.profile import Profile
    from .._train.resume import Standing
    from .._train.run_folder import RunFolder
    from .._train.samples import Samples
    from .._train.team import Alone

RUNS = Path("runs")
DEFAULTS = Config()
IMAGES, COMPARISON, TRAINING, OUTPUT = "Images", "Comparison", "Training", "Output"


def _shown(value: object) -> str:
    """A setting as it is typed: several values separated by commas."""
    if isinstance(value, tuple):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    return "none" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Seen:
    """How a run is looked at; no number depends on it."""

    log: str | None
    profile: bool
    as_json: bool


def _default(value: object) -> str:
    """A default as a help text shows it."""
    return f" \\[default: {_shown(value)}]"


def _listed(table: Iterable[str]) -> str:
    return ", ".join(table)


def train(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB",
            help=f"What to train; so far there is {_listed(JOBS)}. Not with --resume.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Where images come from: digits (scikit-learn's own), a folder with one sub-folder a class, an .npz with x "
            "and y, a .npy of images, however large, with its labels.npy, or MNIST's IDX files (their folder, or one image file)."
            f"{_default(DEFAULTS.data)}",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The label file, when DATA is an IDX image file or a .npy.", rich_help_panel=IMAGES
        ),
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
    on_error: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="At a file of a folder that cannot be read: stop, or skip, which names it, leaves it out and counts it."
            f"{_default(DEFAULTS.on_error)}",
            rich_help_panel=IMAGES,
        ),
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
    device: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help=f"cpu, or cuda: under torchrun each process on a GPU of its own, with NCCL.{_default(DEFAULTS.device)}",
            rich_help_panel=TRAINING,
        ),
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
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Go on with the run in FOLDER, with its own settings, to the same numbers as if it had never stopped.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Steps from one checkpoint to the next; there is one before each training, too."
            f"{_default(DEFAULTS.checkpoint_every)}",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"Checkpoints to keep, the newest, until the run is complete.{_default(DEFAULTS.keep)}",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    parallel: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Under torchrun, what each process holds: ddp, the whole network, or fsdp, its share of the weights and of the "
            "optimiser. \\[default: ddp, or what a resumed run was begun with]",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            "--log",
            "--log-to",
            metavar="TO",
            help="Beside the run folder's log.jsonl, a line an epoch: tensorboard, in the folder's tensorboard/. torchrun takes "
            "--log for its own: write --log-to behind it.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="First say where a step's time goes, of each kind: by layer and map, communication apart; also in the folder's "
            "profile.json.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: Annotated[bool, options.json_flag(OUTPUT)] = False,
) -> None:
    """Train a network of each kind of convolution on the same images, and compare them.

    The networks differ in their middle layer only. At the end there is a table, and the run folder has weights, metrics, settings
    and pictures. Ctrl-C and SIGTERM write a checkpoint, and it ends with exit code 75; --resume goes on from there, and from the
    last checkpoint after a kill or a power cut. The networks finished until then can be used.

    torchrun --nproc-per-node N -m convarium train ... shares every batch out among N processes, to the same losses.
    """
    from .._train.log import check as check_log
    from .._train.team import restarted, team

    check_log(log)
    seen = Seen(log, profile, as_json)
    if seeds is not None and not 1 <= seeds <= LONGEST:
        raise InputError(f"--seeds: expected a whole number from 1 to {LONGEST:,}, got {seeds}")
    given = {
        "job": job, "data": options.unambiguous(data), "labels": labels, "limit": limit, "on_error": on_error,
        "tile": tile, "epochs": epochs,
        "batch": batch, "threads": threads, "device": device, "size": _numbers("--size", size, "x", int), "kinds": _names(kinds),
        "tasks": _names(tasks), "seeds": None if seeds is None else tuple(range(seeds)),
        "rates": _numbers("--rates", rates, ",", float), "checkpoint_every": checkpoint_every, "keep": keep,
    }  # fmt: skip
    with team(parallel) as ours:
        if resume is not None:
            refuse(
                "not with --resume, which goes on in the run's folder with its settings",
                config=config,
                out=out,
                overwrite=overwrite,
            )
            _resume(resume, given, ours, seen)
        elif job is None:
            raise InputError(f"JOB: give what to train, one of {_listed(JOBS)}, or --resume FOLDER")
        else:
            if restarted() and _is_ours(out, overwrite, ours):
                assert out is not None
                _resume(out, given, ours, seen)
            else:
                _begin(ours.said(lambda: _settings(config, given)), out, overwrite, ours, seen)


def _settings(file: Path | None, given: dict[str, Any]) -> Config:
    """Settings of a file, with what was given beside it; an option is refused by the name that was typed."""
    base = Config() if file is None else Config.load(file)
    try:
        return base.replace(**given)
    except InputError as refusal:
        name, _, why = str(refusal).partition(":")
        raise InputError(f"{_option(name)}:{why}" if given.get(name) is not None else str(refusal)) from None


def _option(name: str) -> str:
    return "JOB" if name == "job" else f"--{name.replace('_', '-')}"


def _begin(config: Config, out: Path | None, overwrite: bool, ours: Alone, seen: Seen) -> None:
    """A new run."""
    import torch

    from .._train import compare, prepare
    from .._train.device import check_device
    from .._train.resume import Standing
    from .._train.run_folder import RunFolder, check_free

    path = ours.said(lambda: out or _free(config.job))
    ours.said(lambda: check_free(path, overwrite))
    check_device(config.device)
    torch.set_num_threads(config.threads or ours.threads())
    config = config.replace(threads=torch.get_num_threads())
    samples = prepare.read(config, _warn if ours.leads else lambda line: None)
    compare.check(config, samples)
    card = prepare.card(samples, config)
    with stoppable(patient=ours.size > 1) as stop:
        folder = RunFolder(path, config, card)
        if ours.leads:
            folder = RunFolder.create(path, config, card, overwrite, ours.parallel)
        with _writing(folder, ours):
            _train(folder, config, samples, Standing(), None, stop, ours, seen)


def _is_ours(out: Path | None, overwrite: bool, ours: Alone) -> bool:
    """A process died, and torchrun started the command anew: whether the run to go on with was begun before that."""
    from .._train.run_folder import MARK, RunFolder

    if out is None:
        raise InputError("--out: torchrun starts the command anew, which must name the run's folder to go on with it")
    return ours.said(lambda: (out / MARK).is_file() and (not overwrite or RunFolder.open(out).begun_by_this_job))


def _resume(path: Path, given: dict[str, Any], ours: Alone, seen: Seen) -> None:
    """A run that was begun. What no number depends on can be set anew."""
    import torch

    from .._train import prepare
    from .._train.device import check_device
    from .._train.resume import standing
    from .._train.run_folder import RunFolder
    from . import display

    def opened() -> tuple[RunFolder, bool, str | None]:
        folder = RunFolder.open(path)
        return folder, folder.complete, folder.parallel

    folder, complete, parallel = ours.said(opened)  # the others may be on a host that has no such file
    ours.go_on_as(parallel)
    for name, value in given.items():
        own = getattr(folder.config, name)
        if value not in (None, own) and name not in ("checkpoint_every", "keep"):
            raise InputError(
                f"{_option(name)}: {path} was begun with {_shown(own)}, not {_shown(value)}; --resume keeps its settings"
            )
    config = folder.config.replace(checkpoint_every=given["checkpoint_every"], keep=given["keep"])
    if complete:
        if not ours.leads:
            return
        if seen.as_json:
            display.choose(seen.as_json).closing(folder, 0.0, sorted(picture.name for picture in path.glob("*.png")))
        else:
            print(f"{path}: is complete, with all {len(folder.planned())} networks; there is nothing to go on with")
        return
    check_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    samples = prepare.read(config, _warn if ours.leads else lambda line: None)
    with stoppable(patient=ours.size > 1) as stop, _writing(folder, ours):
        found = ours.said(lambda: standing(folder, samples, _warn))
        so_far = f"{len(found.finished)} of {len(folder.planned())} networks"
        so_far += "" if found.at is None else f"; goes on at {found.at}"
        _train(folder, config, samples, found, so_far, stop, ours, seen)


def _warn(line: str) -> None:
    print(f"convarium: warning: {line}", file=sys.stderr)


def _writing(folder: RunFolder, ours: Alone) -> contextlib.AbstractContextManager[None]:
    return folder.alone() if ours.leads else contextlib.nullcontext()


def _train(
    folder: RunFolder,
    config: Config,
    samples: Samples,
    found: Standing,
    so_far: str | None,
    stop: Stop,
    ours: Alone,
    seen: Seen,
) -> None:
    from .._train import compare, inside, pictures
    from .._train.log import logged
    from .._train.profile import profiles
    from .._train.ranks import Ranks
    from .._train.saving import Saver
    from . import display

    show = display.choose(seen.as_json) if ours.leads else display.Silent()
    go_on = f"convarium train --resume {shlex.quote(str(folder.path))} goes on"
    started = time.perf_counter()
    try:
        show.opening(folder, so_far)
        if seen.profile:
            _profile(folder, [*profiles(config, samples, ours)], ours, seen)
        with contextlib.ExitStack() as stack:
            watch = stack.enter_context(show.watching())
            if ours.leads:
                watch = stack.enter_context(logged(folder.path, watch, ours.size, seen.log))
            ranks = Ranks(ours)
            with Saver(folder, config.checkpoint_every, config.keep, found.checkpoint, ours) as saver:

                def between(position: Callable[[], Position], fit: Fit) -> None:
                    number, they = ranks.meet(stop.number, fit)
                    if number != 0:
                        saver.now(position)
                        raise Stopped(number)
                    watch.ranks(they)
                    saver.step(position, fresh=fit.steps == 0)

                compare.Compare(config, samples, folder, between, found.finished, found.at, ours).run(watch)
            seconds = time.perf_counter() - started
            if not ours.leads:
                return
            stop.here()
            show.note("drawing the pictures")
            names = [*pictures.write(folder), inside.write(folder)]
        folder.finish()
    except InputError as error:
        raise InputError(f"{error}; {go_on}") from None
    except Stopped as stopped:
        total, missing = len(folder.planned()), len(folder.missing())
        note = f"{folder.path} has {total - missing} of {total} networks; {go_on}"
        raise Stopped(stopped.number, note, resumable=True) from None
    show.closing(folder, seconds, names)


def _profile(folder: RunFolder, found: list[Profile], ours: Alone, seen: Seen) -> None:
    if ours.leads:
        folder.write("profile.json", to_json([asdict(each) for each in found]))
    for each in found if ours.leads and not seen.as_json else ():
        print(f"{each}\n", flush=True)


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
