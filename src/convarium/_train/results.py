"""What came out: of one trained network, and of all seeds of a kind together."""

from __future__ import annotations

import csv
import dataclasses
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .._files.failures import InputError
from .fit import Epoch
from .intervals import student, wilson


class Key(NamedTuple):
    """Which network of a run."""

    task: str
    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.task}/{self.kind}/seed-{self.seed}"


@dataclass(frozen=True, slots=True)
class Result:
    """One trained network. ``rates`` has the best validation accuracy at each rate that was tried for its kind."""

    task: str
    kind: str
    seed: int
    rate: float
    rates: dict[str, float]
    best_epoch: int
    validation_accuracy: float
    validation_loss: float
    test_correct: int
    test_count: int
    test_loss: float
    parameters: int
    multiply_adds: int
    seconds_per_epoch: float
    history: tuple[Epoch, ...]

    @property
    def key(self) -> Key:
        return Key(self.task, self.kind, self.seed)

    @property
    def test_accuracy(self) -> float:
        return self.test_correct / self.test_count

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"test_accuracy": self.test_accuracy}

    @classmethod
    def from_dict(cls, values: dict[str, Any], origin: str) -> Result:
        try:
            fields = {field.name: values[field.name] for field in dataclasses.fields(cls)}
            fields["history"] = tuple(Epoch(**epoch) for epoch in fields["history"])
            return cls(**fields)
        except (KeyError, TypeError):
            raise InputError(f"{origin}: damaged, it lacks what a result has") from None


@dataclass(frozen=True, slots=True)
class Row:
    """All seeds of one kind on one task.

    ``half`` is half the 95 % interval of the mean over seeds (Student's t), None for one seed. ``wilson`` is the interval that
    the number of test images alone leaves; all kinds are tested on the same ones.
    """

    task: str
    kind: str
    seeds: int
    accuracy: float
    half: float | None
    wilson: tuple[float, float]
    parameters: int
    multiply_adds: int
    seconds_per_epoch: float
    rate: float

    @property
    def low(self) -> float:
        return self.accuracy - (self.half or 0)

    @property
    def high(self) -> float:
        return self.accuracy + (self.half or 0)


def rows(results: Sequence[Result]) -> list[Row]:
    """One row for each task and kind, in the order they were trained."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.task, result.kind), []).append(result)
    return [_row(members) for members in groups.values()]


def _row(members: Sequence[Result]) -> Row:
    first = members[0]
    accuracy, half = student([result.test_accuracy for result in members])
    sampled = wilson(round(accuracy * first.test_count), first.test_count)
    seconds = statistics.median(result.seconds_per_epoch for result in members)
    return Row(
        first.task, first.kind, len(members), accuracy, half, sampled,
        first.parameters, first.multiply_adds, seconds, first.rate,
    )  # fmt: skip


def verdicts(table: Sequence[Row]) -> dict[str, str]:
    """For each task, in words, which kinds' intervals are apart."""
    found = {}
    for task in dict.fromkeys(row.task for row in table):
        members = sorted((row for row in table if row.task == task), key=lambda row: -row.accuracy)
        if len(members) < 2 or any(row.half is None for row in members):
            continue
        pairs = [(a, b) for i, a in enumerate(members) for b in members[i + 1 :]]
        apart = [(a, b) for a, b in pairs if a.low > b.high]
        best, second = members[0], members[1]
        if best.low > second.high:
            lead = f"{best.kind} is above every other kind"
        else:
            level = [row.kind for row in members[1:] if row.high >= best.low]
            lead = f"{best.kind} leads, not clearly ahead of {', '.join(level)}"
        found[task] = f"{lead}; {len(apart)} of {len(pairs)} pairs of intervals do not overlap"
    return found


def waiting(results: Sequence[Result]) -> float:
    """The share of all steps' time that went by waiting for images."""
    epochs = [epoch for result in results for epoch in result.history]
    return sum(epoch.seconds_waiting for epoch in epochs) / (sum(epoch.seconds for epoch in epochs) or 1.0)


def to_csv(results: Sequence[Result]) -> str:
    """One line for each network and epoch, and what does not change from epoch to epoch on each of them."""
    columns = [field.name for field in dataclasses.fields(Result) if field.name not in ("history", "rates")]
    epochs = [field.name for field in dataclasses.fields(Epoch)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "test_accuracy", *(f"epoch_{name}" if name != "epoch" else name for name in epochs)])
    for result in results:
        fixed = [getattr(result, name) for name in columns] + [result.test_accuracy]
        for epoch in result.history:
            writer.writerow([*fixed, *(getattr(epoch, name) for name in epochs)])
    return text.getvalue()
