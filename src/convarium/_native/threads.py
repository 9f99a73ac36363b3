"""The threads that torch runs on, lent to the core.

OpenMP's threads wait actively for their next work. Had the core a team of its own, the two would take each other's cores: a call
just after one of torch's took 1.6 times as long.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import c_void_p
from pathlib import Path

import torch


class Team(ctypes.Structure):
    """``cv_team``."""

    _fields_ = [(name, c_void_p) for name in ("fork", "number", "size")]


def _of_torch() -> Team | None:
    """From the GNU OpenMP library that torch has loaded, or None: the core then has its own threads."""
    if not hasattr(os, "RTLD_NOLOAD"):
        return None
    beside_torch = sorted(map(str, (Path(torch.__file__).parent / "lib").glob("libgomp*.so*")))
    for name in (*beside_torch, "libgomp.so.1"):
        try:
            library = ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            functions = (library.GOMP_parallel, library.omp_get_thread_num, library.omp_get_num_threads)
        except (OSError, AttributeError):
            continue
        return Team(*(ctypes.cast(function, c_void_p).value for function in functions))
    return None


TEAM = _of_torch()  # the core keeps its address
