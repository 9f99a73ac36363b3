"""Find and load the shared library; say why where that cannot be."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_void_p
from functools import lru_cache
from pathlib import Path

from .._files.failures import InputError
from .._spec.shown import shown
from . import threads

ABI = 4
VARIABLE = "CONVARIUM_ISA"  # the instruction set to use
NONE = "none"  # in its place: no core
_NAMES = {"win32": "convarium_core.dll", "darwin": "libconvarium_core.dylib"}
NAME = _NAMES.get(sys.platform, "libconvarium_core.so")


class Axis(ctypes.Structure):
    """``cv_axis``."""

    _fields_ = [
        (name, c_int64)
        for name in ("size", "kernel", "output", "stride", "dilation", "begin", "tile", "tile_step", "tap_step")
    ]


class Blocks(ctypes.Structure):
    """``cv_blocks``."""

    _fields_ = [
        ("count", c_int64),
        ("outputs", c_int64),
        ("inputs", c_int64),
        ("output_channels", c_void_p),
        ("input_channels", c_void_p),
    ]


class Problem(ctypes.Structure):
    """``cv_problem``."""

    _fields_ = [
        ("batch", c_int64),
        ("in_channels", c_int64),
        ("out_channels", c_int64),
        ("axes", Axis * 3),
        ("rows", c_void_p),
        ("input_step", c_int64),
        ("classes", POINTER(Blocks)),
        ("n_classes", c_int64),
        ("dtype", c_int32),
        ("way", c_int32),
        ("add", c_int32),
    ]


class Tensor(ctypes.Structure):
    """``cv_tensor``."""

    _fields_ = [("data", c_void_p), ("strides", c_int64 * 5)]


class Memory(ctypes.Structure):
    """``cv_memory``."""

    _fields_ = [(name, c_int64) for name in ("used", "cached", "peak", "limit", "taken", "fresh")]


class MissingCore(Exception):
    """There is no core to load; the message says why and what to do."""


class SwitchedOff(MissingCore):
    """There shall be none."""


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL | MissingCore:
    """The library, or why there is none.

    Raises:
        InputError: ``CONVARIUM_ISA`` names no instruction set that this machine has.
    """
    asked = os.environ.get(VARIABLE)
    if asked == NONE:
        return SwitchedOff(f"{VARIABLE}={NONE} in the environment: it was switched off")
    path = _find()
    if path is None:
        return MissingCore(f"{NAME} was not built: pip install . builds it where there is a C++20 compiler")
    try:
        core = ctypes.CDLL(str(path))
        abi = core.cv_abi()
    except (OSError, AttributeError) as error:
        return MissingCore(f"{path} cannot be loaded: {error}")
    if abi != ABI:
        return MissingCore(f"{path} is of another version: it has ABI {abi}, not {ABI}")
    core.cv_isa.restype = c_char_p
    core.cv_isa_name.argtypes, core.cv_isa_name.restype = [c_int], c_char_p
    core.cv_isa_available.argtypes = [c_int]
    if asked and asked != core.cv_isa().decode():
        there = ", ".join(name for name, available in isas(core) if available)
        raise InputError(
            f"{VARIABLE} must be one of {there}, {NONE} on this machine, got {shown(asked)}; unset it for the first"
        )
    problem, tensor = POINTER(Problem), POINTER(Tensor)
    core.cv_forward.argtypes = [problem, tensor, c_void_p, tensor, c_int]
    core.cv_grad_input.argtypes = [problem, tensor, c_void_p, tensor, c_int]
    core.cv_grad_weight.argtypes = [problem, tensor, tensor, c_void_p, c_int]
    core.cv_way_of.argtypes = [problem, c_int]
    core.cv_managed_tensor.argtypes = [c_int32, c_void_p, c_int32, c_int32]
    core.cv_managed_tensor.restype = c_void_p
    core.cv_in_large_pages.argtypes, core.cv_in_large_pages.restype = [c_void_p, c_int64], None
    core.cv_empty_cache.restype = None
    core.cv_memory_limit.argtypes, core.cv_memory_limit.restype = [c_int64], None
    core.cv_memory_stats.restype = Memory
    core.cv_lend_team.argtypes, core.cv_lend_team.restype = [POINTER(threads.Team)], None
    core.cv_lend_team(threads.TEAM)
    return core


def isas(core: ctypes.CDLL) -> list[tuple[str, bool]]:
    """The instruction sets that were compiled, best first, and whether this machine has them."""
    found: list[tuple[str, bool]] = []
    while (name := core.cv_isa_name(len(found))) is not None:
        found.append((name.decode(), bool(core.cv_isa_available(len(found)))))
    return found


def _find() -> Path | None:
    """Beside this package, or where an editable install has put it."""
    beside = Path(__file__).parent.parent / NAME
    if beside.exists():
        return beside
    try:
        files = importlib.metadata.files("convarium") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == NAME), None)
