"""The core's memory, seen from torch: tensors whose blocks are kept when they are freed, and counted.

A block of 32 MiB or more goes back to the system at every ``free``, and its next use costs a page fault for every page, longer
than what a convolution computes into it. So results of the core come from a pool of huge pages and return to it.
"""

from __future__ import annotations

import ctypes
import math
import os
from ctypes import c_char_p, c_int64, c_void_p, py_object
from functools import lru_cache

import torch
import torch.utils.dlpack
from torch import Tensor

from .._files.failures import InputError
from .._spec.shown import shown
from . import library
from .allowed import allowed

VARIABLE = "CONVARIUM_MEMORY_LIMIT"
_LEAST = 256 * 1024  # bytes: smaller tensors are torch's own
_CODES = {  # as dlpack.h numbers them
    torch.float32: (2, 32), torch.float64: (2, 64), torch.float16: (2, 16), torch.bfloat16: (4, 16),
    torch.complex64: (5, 64), torch.complex128: (5, 128),
}  # fmt: skip

_Sizes = c_int64 * 8  # dimensions, as many as the core takes: a type made once, and not by each call

_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = py_object
_capsule.argtypes = [c_void_p, c_char_p, c_void_p]


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU, its numbers anything."""
    core = _pool()
    if core is None or math.prod(shape) * dtype.itemsize < _LEAST or dtype not in _CODES:
        return torch.empty(shape, dtype=dtype)
    managed = core.cv_managed_tensor(len(shape), _Sizes(*shape), *_CODES[dtype])
    if not managed:
        return torch.empty(shape, dtype=dtype)  # which says that there is no memory
    return torch.utils.dlpack.from_dlpack(_capsule(managed, b"dltensor", None))


def in_large_pages(tensor: Tensor) -> None:
    """Ask the system for huge pages under a tensor of torch's own, before anything is written to it.

    A local layer's kernels are read in pieces far from each other, where every small page costs a look into its table.
    """
    core = _core()
    if core is not None and type(tensor.data) is Tensor and tensor.device.type == "cpu":  # no fake, no part of a mesh
        core.cv_in_large_pages(tensor.data_ptr(), tensor.nbytes)


def memory_stats() -> dict[str, int]:
    """What the C++ core holds, in bytes: ``used`` by tensors and workspaces, ``cached`` for the next ones, the ``peak`` of what
    was used, the ``limit`` of what is cached; and how many blocks were ``taken``, of which the system gave ``fresh`` ones.

    Empty where there is no core. ``CONVARIUM_MEMORY_LIMIT`` in the environment sets the limit; with 0 none is kept, and results
    lie in torch's own memory. Without it, it is an eighth of the memory that the process may have, and 1 GiB where that is less.

    Examples:
        >>> import convarium as cv
        >>> stats = cv.memory_stats()
        >>> stats.get("cached", 0) >= 0
        True
    """
    core = _core()
    if core is None:
        return {}
    stats = core.cv_memory_stats()
    return {name: getattr(stats, name) for name, _ in stats._fields_}


def empty_cache() -> None:
    """Give the blocks that are kept for later back to the system.

    Examples:
        >>> import convarium as cv
        >>> cv.empty_cache()
        >>> cv.memory_stats().get("cached", 0)
        0
    """
    core = _core()
    if core is not None:
        core.cv_empty_cache()


@lru_cache(maxsize=1)
def _core() -> ctypes.CDLL | None:
    core = library.load()
    if isinstance(core, library.MissingCore):
        return None
    asked = _asked()
    core.cv_memory_limit(max(2**30, (allowed() or 0) // 8) if asked is None else asked)
    return core


@lru_cache(maxsize=1)
def _pool() -> ctypes.CDLL | None:
    """The core where results come from its memory."""
    return None if _asked() == 0 else _core()


def _asked() -> int | None:
    """The limit that the environment sets, in bytes."""
    if not (limit := os.environ.get(VARIABLE)):
        return None
    if not (limit.isascii() and limit.isdecimal()) or len(limit) > 4000 or int(limit) >= 2**63:
        raise InputError(f"{VARIABLE} must be a number of bytes, from 0 to less than 2**63, got {shown(limit)}")
    return int(limit)
