"""What ``convarium calibrate`` has measured, as one small file that is read once.

The file is ``convarium/profile.json`` in the user's cache directory, or the one that ``CONVARIUM_PROFILE`` names. A file of
another CPU, or one that cannot be read, is left aside, and every plan says so; one that was named is refused. The same profile
gives the same plans, and so the same bits.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from .._files.failures import InputError
from .._spec.shown import shown
from .machine import DEFAULTS, Machine

VARIABLE = "CONVARIUM_PROFILE"
FORMAT = 2
DTYPES = ("float32", "float64", "complex64", "complex128", "bfloat16", "float16")
_SETTINGS = {"memory", "cache", "near", "call", *DTYPES}
_LONGEST = 1e-3  # seconds: no call of an idle machine takes longer
_LEAST = 0.7  # of what fewer threads do: more are never so much slower on an idle machine


def machine() -> Machine:
    """This one, with the threads that torch has now."""
    return machine_with(torch.get_num_threads())


@lru_cache(maxsize=64)
def machine_with(threads: int) -> Machine:
    settings, origin = _read()
    if not settings:
        return Machine(threads, origin=origin)
    measured = [count for count in settings if count <= threads]
    count = max(measured) if measured else min(settings)
    of = settings[count]
    ratios = tuple((getattr(torch, name), of[name] / of["float32"]) for name in DTYPES if name != "float32")
    product, cache, near = (of[name] / count for name in ("float32", "cache", "near"))
    return Machine(threads, product, of["memory"], cache, near, of["call"], ratios, origin)


def default_path() -> Path:
    """Where the profile of this user lies."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "convarium" / "profile.json"


def content(settings: dict[int, dict[str, float]]) -> bytes:
    """The file of a profile of this machine. By number of threads: bytes/s, bytes, seconds a call, FLOP/s by dtype."""
    threads = {str(count): of for count, of in settings.items()}
    profile = {"format": FORMAT, "cpu": cpu(), "torch": torch.__version__, "threads": threads}
    return (json.dumps(profile, indent=2) + "\n").encode()


@lru_cache(maxsize=1)
def cpu() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)  # plans of one process reckon with one profile, whatever is written meanwhile
def _read() -> tuple[dict[int, dict[str, float]], str]:
    """The settings, by number of threads, and where they come from; none, and why."""
    named = bool(os.environ.get(VARIABLE))
    try:
        path = default_path()
    except RuntimeError as error:  # a user without a home
        return {}, f"defaults: {error}"
    try:
        settings = _checked(_parsed(path.read_bytes()))
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not named:
            return {}, DEFAULTS
        why = f"{path}: {(error.strerror or str(error)).lower() if isinstance(error, OSError) else error}"
        if named:
            raise InputError(f"{VARIABLE}={why}; convarium calibrate writes a profile, or unset it") from None
        return {}, f"defaults, as {why}; convarium calibrate writes it anew"
    return settings, str(path)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("damaged, not JSON") from None


def _checked(found: Any) -> dict[int, dict[str, float]]:
    if not isinstance(found, dict) or found.keys() != {"format", "cpu", "torch", "threads"}:
        raise ValueError("not a profile")
    if found["format"] != FORMAT:
        raise ValueError(f"a profile of format {found['format']!r}, not {FORMAT}")
    if found["cpu"] != cpu():
        raise ValueError(f"of another machine, {shown(found['cpu'])}, and this is {cpu()!r}")
    if not isinstance(found["threads"], dict) or not found["threads"]:
        raise ValueError("a profile without measurements")
    settings = {}
    for count, of in found["threads"].items():
        if not count.isdecimal() or not int(count) or not isinstance(of, dict) or of.keys() != _SETTINGS:
            raise ValueError(f"not measurements of threads: {str(count)[:40]!r}")
        for name, value in of.items():
            if not isinstance(value, int | float) or not 0 < value < 1e30:
                raise ValueError(f"{name} must be a positive number, got {value!r}")
        settings[int(count)] = of
    if (why_not := disturbed(settings)) is not None:
        raise ValueError(why_not)
    return settings


def disturbed(settings: dict[int, dict[str, float]]) -> str | None:
    """Why these are no measurements of a machine that did nothing else, or None."""
    counts = sorted(settings)
    for count in counts:
        if settings[count]["call"] > _LONGEST:
            return f"a call that takes {settings[count]['call'] * 1e6:.0f} \u00b5s with {in_words(count)}"
    for fewer, more in pairwise(counts):
        for name in ("memory", "float32", "float64"):
            ratio = settings[more][name] / settings[fewer][name]
            if ratio < _LEAST:
                return f"{name} that {in_words(more)} do {ratio:.2f} times as fast as {in_words(fewer)}"
    return None


def in_words(count: int) -> str:
    """So many threads."""
    return f"{count} thread{'s' if count > 1 else ''}"
