"""Which images are for training, validation and testing: drawn once, class by class, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._files.failures import InputError
from .samples import Samples


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts without a common image; testing images are looked at once, after every choice is made."""

    train: Samples
    validation: Samples
    test: Samples


def split(samples: Samples, validation: float, test: float, seed: int) -> Split:
    """Divide each class in the same proportions. A test set that the source has is kept as it is.

    Raises:
        InputError: if a class has too few images to be in each part.
    """
    generator = torch.Generator().manual_seed(seed)
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for label, name in enumerate(samples.names):
        members = (samples.labels == label).nonzero()[:, 0]
        if len(members) == 0:
            continue
        members = members[torch.randperm(len(members), generator=generator)]
        if samples.held_out is None:
            n_test = max(1, round(len(members) * test))
            tested, rest = members[:n_test], members[n_test:]
        else:
            held_out = samples.held_out[members]
            tested, rest = members[held_out], members[~held_out]
        divided = members if samples.held_out is None else rest
        n_validation = max(1, round(len(divided) * validation))
        validated, trained = rest[:n_validation], rest[n_validation:]
        if min(len(tested), len(validated), len(trained)) == 0:
            number = "1 image" if len(members) == 1 else f"{len(members)} images"
            raise InputError(f"class {name!r} has {number}: too few to be in training, validation and test")
        for part, chosen in zip(parts, (trained, validated, tested), strict=True):
            part.append(chosen)
    train, valid, tests = (samples[torch.cat(part).sort().values] for part in parts)
    return Split(train, valid, tests)


def limit(samples: Samples, count: int, seed: int) -> Samples:
    """At most ``count`` images, the classes (and the source's own test set) in the proportions they have."""
    if len(samples) <= count:
        return samples
    generator = torch.Generator().manual_seed(seed)
    stratum = samples.labels * 2 + (0 if samples.held_out is None else samples.held_out.long())
    kept = []
    for value in stratum.unique():
        members = (stratum == value).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        kept.append(members[: max(1, len(members) * count // len(samples))])
    return samples[torch.cat(kept).sort().values]
