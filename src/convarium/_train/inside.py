"""A run's networks, looked into: what their layers did with images, and what the loss told them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from .._files.failures import InputError
from .._look.fields import Fields
from ..looking import Trace, View, look
from . import prepare
from .results import Result
from .run_folder import RunFolder
from .trained import choose, load_network, read_image

PAGE = "look.html"
SHOWN = 4  # test images of the page that a run leaves


def best(run: RunFolder, task: str | None = None, kind: str | None = None, seed: int | None = None) -> list[Result]:
    """The best network of each kind, of one task: that of `task`, or the first."""
    if kind is not None:
        return [choose(run, task, kind, seed)]
    task = choose(run, task, None, seed).task
    kinds = dict.fromkeys(result.kind for result in run.results() if result.task == task)
    return [choose(run, task, each, seed) for each in kinds]


def images(run: RunFolder, task: str, wanted: list[str]) -> tuple[Tensor, Tensor | None]:
    """Test images by number, or image files, and their labels (of files there are none)."""
    numbers = [word for word in wanted if word.isdecimal()]
    if numbers and len(numbers) < len(wanted):
        raise InputError("--image: give numbers of test images, or files, not both")
    if wanted and not numbers:
        (first, *_) = best(run, task)
        network = load_network(run, first)
        return torch.cat([read_image(Path(word), network).image for word in wanted]), None
    samples = prepare.read(run.config)
    if samples.digest() != run.card.digest:
        raise InputError(
            f"{run.config.data}: the images are not the ones this run was trained on; name files with --image"
        )
    test = prepare.tasks(samples, run.config)[task].test
    places = [int(word) for word in numbers] or list(range(min(SHOWN, len(test))))
    if max(places) >= len(test):
        raise InputError(f"--image: the run has test images 0 to {len(test) - 1}, got {max(places)}")
    index = torch.tensor(places)
    return test.images[index], test.labels[index]


def view(run: RunFolder, results: list[Result], shown: Tensor, labels: Tensor | None) -> View:
    """The layers of each network; gradients are of the mean cross-entropy (without labels: of what the network itself says)."""
    traces: list[Trace] = []
    fields: dict[str, Fields | None] = {}
    for result in results:
        network = load_network(run, result).network
        gradient = _gradient(network(shown).detach(), labels)
        found = look(network, shown, gradient)
        before = f"{result.kind} " if len(results) > 1 else ""
        traces += [replace(trace, name=before + name) for name, trace in found.traces.items()]
        fields |= {before + name: field for name, field in found.fields.items()}
    return View(traces, shown.numpy(), fields)


def write(run: RunFolder) -> str:
    """The page of a finished run, into its folder; returns its name."""
    results = best(run)
    made = view(run, results, *images(run, results[0].task, []))
    run.write(PAGE, made.page(f"{run.card.origin}, {results[0].task}").encode())
    return PAGE


def _gradient(scores: Tensor, labels: Tensor | None) -> Tensor:
    """Of the loss by the network's output."""
    scores = scores.requires_grad_()
    loss = F.cross_entropy(scores, scores.argmax(1) if labels is None else labels)
    (found,) = torch.autograd.grad(loss, scores)
    return found
