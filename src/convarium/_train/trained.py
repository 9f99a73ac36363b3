"""Using what a run trained: choosing a network, giving it images in the shape it knows, saying what was done to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .._files.failures import InputError
from . import prepare
from .compare import new_network
from .fit import predict
from .network import SmallNetwork
from .results import Result
from .run_folder import RunFolder
from .samples import Samples, resize
from .sources import load, picture
from .tasks import TASKS

INVERT = ("auto", "yes", "no")


@dataclass(frozen=True, slots=True)
class Trained:
    """A network of a run, with its weights."""

    run: RunFolder
    result: Result
    network: SmallNetwork


@dataclass(frozen=True, slots=True)
class Reading:
    """An image as a network is shown it, ``(1, C, H, W)``, and in words what was done to it."""

    image: Tensor
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a network does on images: the whole, and class by class."""

    origin: str
    correct: int
    count: int
    classes: dict[str, tuple[int, int]]


def choose(run: RunFolder, task: str | None, kind: str | None, seed: int | None) -> Result:
    """The network asked for; of several, the one that is best on validation images."""
    results = run.results()
    if not results:
        raise InputError(f"{run.path}: no network was finished in this run")
    task = task or results[0].task
    wanted = {"task": task, "kind": kind, "seed": seed}
    for name, value in wanted.items():
        there = list(dict.fromkeys(getattr(result, name) for result in results))
        if value is not None and value not in there:
            raise InputError(f"{run.path}: has no network with {name} {value}; it has {', '.join(map(str, there))}")
        results = [result for result in results if value is None or getattr(result, name) == value]
    return max(results, key=lambda result: (result.validation_accuracy, -result.validation_loss))


def load_network(run: RunFolder, result: Result) -> Trained:
    """Build the network of a result and give it its weights."""
    card, config = run.card, run.config
    blank = torch.zeros(2, card.channels, *card.size)
    single = Samples(blank, torch.tensor([0, 1]), card.names, "")
    network = new_network(result.key, config, card.channels, card.size, prepare.compose(result.task, single, config))
    weights = run.weights(result.key)
    try:
        network.load_state_dict(weights)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{run.path}: the weights of {result.key} do not fit its network: {error}") from None
    return Trained(run, result, network.eval())


def evaluate(trained: Trained, data: str | None, labels: str | None) -> Evaluation:
    """Test a network: on other images, or on its run's own test images when none are given."""
    run, task = trained.run, trained.result.task
    if data is None:
        samples = prepare.read(run.config)
        if samples.digest() != run.card.digest:
            raise InputError(
                f"{run.config.data}: the images are not the ones this run was trained on; name others with --data"
            )
        samples = prepare.tasks(samples, run.config)[task].test
        origin = f"the run's own {len(samples):,} test images"
    else:
        samples = _named(load(data, labels, run.card.size, run.card.channels), run)
        origin = samples.origin
        samples = prepare.compose(task, samples, run.config)
    right = predict(trained.network, samples.images).argmax(1) == samples.labels
    members = [(name, samples.labels == label) for label, name in enumerate(run.card.names)]
    classes = {name: (int(right[of].sum()), int(of.sum())) for name, of in members if of.any()}
    return Evaluation(origin, int(right.sum()), len(samples), classes)


def _named(samples: Samples, run: RunFolder) -> Samples:
    """Labels renumbered by the names that the network was trained with."""
    known = run.card.names
    unknown = [name for name in samples.names if name not in known]
    used = {samples.names[label] for label in samples.labels.unique().tolist()}
    if unknown := [name for name in unknown if name in used]:
        raise InputError(f"{samples.origin}: class {unknown[0]!r} is unknown to this run; it knows {', '.join(known)}")
    numbers = torch.tensor([known.index(name) if name in known else -1 for name in samples.names])
    return Samples(samples.images, numbers[samples.labels], known, samples.origin)


def read_image(path: Path, trained: Trained, invert: str = "auto") -> Reading:
    """An image file in the shape, the colours and the polarity that the network was trained on."""
    if invert not in INVERT:
        raise InputError(f"--invert: {invert!r} is not one of {', '.join(INVERT)}")
    card, task = trained.run.card, trained.result.task
    raw = picture.read(path)
    image = raw if raw.shape[0] == card.channels else picture.read(path, card.channels)
    steps = [f"{raw.shape[1]} x {raw.shape[2]} {'grey' if raw.shape[0] == 1 else 'colour'}"]
    if raw.shape[0] != card.channels:
        steps.append("made grey" if card.channels == 1 else "grey in three channels")
    size = shown_size(task, trained.run)
    if tuple(image.shape[1:]) != size:
        steps.append(f"resized to {size[0]} x {size[1]}")
    image = resize(image[None].contiguous(), size)
    if invert == "yes" or (invert == "auto" and _opposite(image, card.background)):
        image = 1 - image
        steps.append(
            "inverted"
            if invert == "yes"
            else "inverted, its background is opposite to the training images' (--invert no keeps it)"
        )
    return Reading(image, tuple(steps))


def shown_size(task: str, run: RunFolder) -> tuple[int, int]:
    """The size of what a network of this task is shown."""
    card = run.card
    blank = Samples(torch.zeros(2, card.channels, *card.size), torch.tensor([0, 1]), card.names, "")
    return TASKS[task].compose(blank, 1, torch.Generator()).size


def _opposite(image: Tensor, background: float) -> bool:
    found = Samples(image, torch.zeros(1, dtype=torch.long), (), "").background
    return abs(found - background) > abs(1 - found - background) + 0.2


def probabilities(trained: Trained, image: Tensor) -> list[tuple[str, float]]:
    """Each class with its probability, the likeliest first."""
    shares = predict(trained.network, image).softmax(1)[0].tolist()
    return sorted(zip(trained.run.card.names, shares, strict=True), key=lambda pair: -pair[1])
