"""What a training run looks like: a live bar and a table on a terminal, plain lines elsewhere, one JSON value with --json."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from .._train.compare import FAIRNESS, Watch
from .._train.fit import Epoch
from .._train.ranks import Rank
from .._train.results import Key, Result, Row, rows, verdicts, waiting
from .._train.run_folder import RunFolder
from .._train.tasks import TASKS
from . import ranks, table


class Display(Protocol):
    """One of the three ways to show a run."""

    def opening(self, run: RunFolder, so_far: str | None) -> None: ...
    def watching(self) -> contextlib.AbstractContextManager[Watch]: ...
    def note(self, text: str) -> None: ...
    def closing(self, run: RunFolder, seconds: float, pictures: list[str]) -> None: ...


def choose(as_json: bool) -> Display:
    if as_json:
        return Json()
    return Terminal() if sys.stdout.isatty() else Lines()


class _Watch:
    """Counts epochs; shows nothing."""

    def begin(self, epochs: int, done: int, networks: int) -> None:
        pass

    def network(self, key: Key, rate: float, trial: bool) -> None:
        pass

    def epoch(self, epoch: Epoch) -> None:
        pass

    def ranks(self, ranks: list[Rank]) -> None:
        pass

    def result(self, result: Result) -> None:
        pass


class Silent:
    """Nothing at all: the first process of several shows the run."""

    def opening(self, run: RunFolder, so_far: str | None) -> None:
        pass

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        yield _Watch()

    def note(self, text: str) -> None:
        pass

    def closing(self, run: RunFolder, seconds: float, pictures: list[str]) -> None:
        pass


class Json:
    """Nothing but one JSON value on standard output; a bar on standard error if that is a terminal."""

    def opening(self, run: RunFolder, so_far: str | None) -> None:
        pass

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        if not sys.stderr.isatty():
            yield _Watch()
            return
        with _bar(stderr=True) as watch:
            yield watch

    def note(self, text: str) -> None:
        pass

    def closing(self, run: RunFolder, seconds: float, pictures: list[str]) -> None:
        results = run.results()
        rows_ = rows(results)
        value = {
            "run": str(run.path),
            "complete": run.complete,
            "seconds": round(seconds, 3),
            "learning_rates": FAIRNESS,
            "waiting_for_images": round(waiting(results), 4),
            "table": [dataclasses.asdict(row) for row in rows_],
            "verdicts": verdicts(rows_),
            "pictures": [name for name in pictures if name.endswith(".png")],
            "page": "look.html",
        }
        print(json.dumps(value, indent=2))


class Lines:
    """Plain lines, one for each finished network, for files and pipes."""

    def opening(self, run: RunFolder, so_far: str | None) -> None:
        for name, text in facts(run, so_far):
            print(f"{name:6} {text}")
        sys.stdout.flush()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        yield _LinesWatch()

    def note(self, text: str) -> None:
        print(text, flush=True)

    def closing(self, run: RunFolder, seconds: float, pictures: list[str]) -> None:
        results = run.results()
        rows_ = rows(results)
        print(table.plain(rows_))
        for line in remarks(run, rows_):
            print(line)
        print(f"{trained(results, seconds)}; weights, metrics and pictures are in {run.path}")
        print(f"to look inside, open {run.path / 'look.html'} in a browser")


class _LinesWatch(_Watch):
    def begin(self, epochs: int, done: int, networks: int) -> None:
        self.count = networks

    def result(self, result: Result) -> None:
        self.count += 1
        print(
            f"{self.count:3}  {result.key!s:30} rate {result.rate:<6g} validation {100 * result.validation_accuracy:5.1f} %"
            f"  test {100 * result.test_accuracy:5.1f} %",
            flush=True,
        )


class Terminal:
    """A live bar while it trains, then a table."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False)
        self._watch: Any = None

    def opening(self, run: RunFolder, so_far: str | None) -> None:
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold")
        grid.add_column(max_width=min(110, self.console.width - 12))
        for name, text in facts(run, so_far):
            grid.add_row(name, _plain(text))
        self.console.print(grid)
        self.console.print()

    @contextlib.contextmanager
    def watching(self) -> Iterator[Watch]:
        with _bar() as watch:
            self._watch = watch
            yield watch

    def note(self, text: str) -> None:
        if self._watch is not None:
            self._watch.say(text)

    def closing(self, run: RunFolder, seconds: float, pictures: list[str]) -> None:
        results = run.results()
        rows_ = rows(results)
        self.console.print(table.drawn(rows_))
        for line in remarks(run, rows_):
            print(textwrap.fill(line, min(120, self.console.width - 1), subsequent_indent="  "))
        print()
        print(f"{trained(results, seconds).capitalize()}. In {run.path}:")
        for name, what in contents(pictures):
            self.console.print(f"  [bold]{name:26}[/bold]{what}")


class _BarWatch(_Watch):
    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=1, what="")

    def begin(self, epochs: int, done: int, networks: int) -> None:
        self._progress.update(self._task, total=epochs, completed=done)

    def network(self, key: Key, rate: float, trial: bool) -> None:
        trying = "trying rate" if trial else "rate"
        self.say(f"{key.task:6}{key.kind:15} seed {key.seed}, {trying} {rate:g}")

    def say(self, text: str) -> None:
        self._progress.update(self._task, what=text)

    def epoch(self, epoch: Epoch) -> None:
        self._progress.advance(self._task)

    def ranks(self, ranks: list[Rank]) -> None:
        self._progress.crew = ranks


@contextlib.contextmanager
def _bar(stderr: bool = False) -> Iterator[_BarWatch]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    class Bar(Progress):
        crew: Sequence[Rank] = ()

        def get_renderables(self) -> Iterator[Any]:
            yield self.make_tasks_table(self.tasks)
            if len(self.crew) > 1:
                yield ranks.drawn(self.crew)

    columns = (
        BarColumn(24, complete_style="#0072B2", finished_style="#0072B2"),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[what]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=stderr), transient=True) as progress:
        yield _BarWatch(progress)


def facts(run: RunFolder, so_far: str | None) -> list[tuple[str, str]]:
    """What is about to be trained, on what, how rates are chosen, and how far it got before."""
    counts = run.card.counts
    parts = f"{counts['train']:,} to train on, {counts['validation']:,} to choose by, {counts['test']:,} to test on"
    tasks = [(task, TASKS[task].summary) for task in run.config.tasks]
    rates = ", ".join(f"{rate:g}" for rate in run.config.rates)
    return [
        ("data", f"{run.card.origin}; {parts}"),
        *tasks,
        ("rates", f"{rates}. {FAIRNESS}."),
        ("run", str(run.path)),
        *([] if so_far is None else [("so far", so_far)]),
    ]


def remarks(run: RunFolder, table_: list[Row]) -> list[str]:
    """How to read the table, and what it says."""
    lines = [f"{task}: {verdict}." for task, verdict in verdicts(table_).items()]
    for task in run.config.tasks:
        if (placeless := TASKS[task].placeless) is not None:
            best = 100 * placeless(len(run.card.names))
            lines.append(
                f"{task}: who knows both images but not which is where gets about {best:.0f} % right; "
                "what shared kernels get above it they owe to borders, where windows meet the edge or both images."
            )
    seeds = table_[0].seeds
    if seeds > 1:
        widest = max((row.wilson[1] - row.wilson[0]) / 2 for row in table_)
        lines.append(
            f"±: 95 % interval of the mean over {seeds} seeds (Student's t). All kinds are tested on the same images; "
            f"their number alone would move each value by up to ±{100 * widest:.1f} (Wilson)."
        )
    else:
        lines.append("One seed: no interval. Use --seeds 3 for one.")
    return lines


def contents(pictures: list[str]) -> list[tuple[str, str]]:
    what = {
        "curves-and-kernels.png": "learning curves, learned kernels",
        "accuracy-parameters.png": "accuracy against parameters",
        "look.html": "look inside: learned kernels, test images and the loss's gradients, in a browser",
    }
    return [
        *((name, what[name]) for name in pictures),
        ("metrics.csv, metrics.json", "every epoch; this table"),
        ("log.jsonl", "what happened when, a JSON object a line"),
        ("networks/", "weights (safetensors)"),
        ("config.json", "all settings: convarium train digits --config FILE repeats the run"),
    ]


def trained(results: list[Result], seconds: float) -> str:
    """How long it took, and how much of the steps was waiting."""
    return f"trained in {duration(seconds)}, {100 * waiting(results):.1f} % of the steps waiting for images"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)
