"""``convarium shapes``: a network layer by layer, from shapes alone."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .refusals import refuse, told
from .sizes import sizes


def shapes(
    network: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODULE:NAME", show_default=False,
            help="The folder of a run, or what a module has: a network, or a function that makes one.",
        ),
    ],
    input: Annotated[
        str | None,
        typer.Option(metavar="CxHxW", show_default=False, help="Channels and size: 3x224x224. \\[default: a run's own]"),
    ] = None,
    task: options.Task = None,
    kind: options.Kind = None,
    seed: options.Seed = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Print a table of a network's layers: sizes, receptive fields, coverage, parameters, products and engines.

    Nothing is computed. It goes on up to the layer that does not fit (exit code 2), and says which argument would make it fit.
    """
    import convarium as cv

    from .._files.failures import InputError

    if Path(network).is_dir():
        model, size = _of_run(Path(network), task, kind, seed)
    else:
        refuse("only a run has it", task=task, kind=kind, seed=seed)
        model, size = _of_module(network), None
    if input is not None:
        size = sizes("--input", input)
    if size is None:
        raise InputError("--input: give channels and size of the input, such as 3x224x224")
    found = told(cv.shapes, model, size)
    if as_json or len(found):  # of a network that refuses its input there is nothing to show
        print(json.dumps(found.to_dict(), indent=2) if as_json else found)
    if found.error is not None:
        raise InputError(found.error)


def _of_run(path: Path, task: str | None, kind: str | None, seed: int | None) -> Any:
    from .._train import trained
    from .._train.run_folder import RunFolder

    run = RunFolder.open(path)
    chosen = trained.load_network(run, trained.choose(run, task, kind, seed))
    return chosen.network, (run.card.channels, *trained.shown_size(chosen.result.task, run))


def _of_module(name: str) -> Any:
    import torch

    from .._files.failures import InputError

    module, colon, attribute = name.partition(":")
    if not colon or not attribute:
        raise InputError(f"{name}: neither the folder of a run nor MODULE:NAME, such as torchvision.models:resnet18")
    sys.path.insert(0, "")  # modules that lie here
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is not our answer
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                if not hasattr(found, part):
                    raise InputError(f"{name}: {getattr(found, '__name__', module)} has no {part!r}")
                found = getattr(found, part)
            if not isinstance(found, torch.nn.Module) and callable(found):
                found = found()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever importing it raises is the user's to read
        raise InputError(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}") from None
    finally:
        sys.path.pop(0)
    if not isinstance(found, torch.nn.Module):
        raise InputError(f"{name}: gives no torch.nn.Module, but {type(found).__name__}")
    return found
