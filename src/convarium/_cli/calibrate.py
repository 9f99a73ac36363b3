"""``convarium calibrate``: measure this machine, for the planner."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import options


def calibrate(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", show_default=False,
            help="Where to write the profile. \\[default: where the planner looks for it]",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:  # fmt: skip
    """Measure what this machine can do, so that plans reckon with it; some seconds, while nothing else runs."""
    from .._files import atomic
    from .._files.failures import InputError
    from .._planner import profile
    from .._planner.measure import measure

    def say(line: str) -> None:
        if not as_json and sys.stdout.isatty():
            print(f"measuring with {line} ...", file=sys.stderr)

    path = profile.default_path() if output is None else output
    atomic.check(path)
    settings = measure(say)
    if (why_not := profile.disturbed(settings)) is not None:
        raise InputError(
            f"nothing is written: {why_not} was measured; what else runs on this machine? Try again without it"
        )
    atomic.write(path, profile.content(settings))
    if as_json:
        print(json.dumps({"profile": str(path), "cpu": profile.cpu(), "threads": settings}, indent=2))
        return
    print(profile.cpu())
    for threads, of in settings.items():
        print(f"  {profile.in_words(threads)}")
        print(f"    memory      {of['memory'] / 1e9:8.1f} GB/s, read and written")
        print(f"    cache       {of['cache'] / 1e9:8.1f} GB/s, of {of['near'] / 2**20:.3g} MiB")
        print(f"    call        {of['call'] * 1e6:8.1f} \u00b5s")
        for name in profile.DTYPES:
            print(f"    {name:11} {of[name] / 1e9:8.1f} GFLOP/s, matrix product")
    print(f"written to {path}")
