"""``python -m benchmarks``: every case, ours and its peers in one run, with the machine's limits measured beside them.

``--only NAME`` runs the cases whose name begins so; ``--threads N`` (2); ``--save`` writes ``benchmarks/RESULTS.md``.
``--sweep SECONDS`` draws random problems instead, and reports where ``engine="auto"`` is not the best engine by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

import torch

from . import calls, cases, measure, networks, results, run, sweep, training


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        default="",
        help="cases whose name begins so; 'calls' is what a call and an import cost, 'training' a whole step, 'clcnet' a network",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="write benchmarks/RESULTS.md")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweep", type=float, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0, help="of the sweep")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.sweep is not None:
        return _sweep(arguments)
    chosen = [case for case in cases.read() if case.name.startswith(arguments.only)]
    costs = calls.measure() if "calls".startswith(arguments.only) else None
    if not chosen and costs is None and not any(name.startswith(arguments.only) for name in ("training", "clcnet")):
        sys.exit(f"no case begins with {arguments.only!r}; benchmarks/cases.txt has them")
    torch.set_num_threads(arguments.threads)
    report = results.Report(arguments.threads, measure.limits() if chosen else None, costs,
                            training.measure() if "training".startswith(arguments.only) else None,
                            networks.measure() if "clcnet".startswith(arguments.only) else None)  # fmt: skip
    for case in chosen:
        report.add(run.measure(case))
        if not arguments.json:
            print(report.last(), flush=True)
    if arguments.json:
        print(json.dumps(report.as_data()))
    else:
        for whole in (report.training, report.networks):
            if whole is not None:
                print(whole)
        if costs is not None:
            print(report.calls())
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
