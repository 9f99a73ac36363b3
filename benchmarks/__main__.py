"""``python -m benchmarks``: every case, ours and its peers in one run, with the machine's limits measured beside them.

``--only NAME`` runs the cases whose name begins so; ``--threads N`` (2); ``--save`` writes ``benchmarks/RESULTS.md``, or
``RESULTS-avx2.md`` where that is what the core runs in.
``--sweep SECONDS`` draws random problems instead, and reports where ``engine="auto"`` is not the best engine by hand.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from typing import NoReturn

import torch

from . import calls, cases, checkpoints, measure, networks, page, ranks, results, run, sweep, training

WHOLE = {
    "calls": calls,
    "training": training,
    "clcnet": networks,
    "ranks": ranks,
    "checkpoints": checkpoints,
    "page": page,
}  # measured as a whole, in this order
MOST_THREADS = 1024


class Parser(argparse.ArgumentParser):
    """Refuses in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_THREADS}, got {text!r}")
    return int(text)


def duration(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return found


def main() -> None:
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help=f"cases whose name begins so, and of {', '.join(WHOLE)}, which are measured as a whole",
    )
    parser.add_argument("--threads", type=threads, default=2)
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/RESULTS.md, or the one of this instruction set"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweep", type=duration, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of the sweep")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.sweep is not None:
        return _sweep(arguments)
    chosen = [case for case in cases.read() if case.name.startswith(arguments.only)]
    whole = {name: module for name, module in WHOLE.items() if name.startswith(arguments.only)}
    if not chosen and not whole:
        sys.exit(f"no case begins with {arguments.only!r}; benchmarks/cases.txt has them")
    measured = {name: found for name, module in whole.items() if (found := module.measure()) is not None}
    report = results.Report(arguments.threads, measure.limits() if chosen else None, measured)
    for case in chosen:
        report.add(run.measure(case))
        if not arguments.json:
            print(report.last(), flush=True)
    if arguments.json:
        print(json.dumps(report.as_data()))
    else:
        for found in report.whole.values():
            print(found)
    if arguments.save:
        print(f"written to {report.save(sys.argv[1:])}", file=sys.stderr)
    return None


def _sweep(arguments: argparse.Namespace) -> None:
    def say(found: sweep.Found) -> None:
        if found.loss > sweep.ALLOWED and not arguments.json:
            print(found, flush=True)

    found = sweep.sweep(arguments.sweep, arguments.seed, say)
    if arguments.json:
        print(json.dumps([asdict(one) | {"loss": one.loss} for one in found]))
    else:
        print(sweep.summary(found))


if __name__ == "__main__":
    main()
