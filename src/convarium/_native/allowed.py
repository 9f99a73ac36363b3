"""How much memory there may be."""

from __future__ import annotations

import contextlib
import os

_CONTAINERS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def allowed() -> int | None:
    """Bytes that the process may have: the least of the machine's, its container's and its own limit; None where nobody says."""
    found = [int(text) for text in map(_line, _CONTAINERS) if text.isdecimal()]
    with contextlib.suppress(ImportError, AttributeError, ValueError, OSError):  # Windows has none of these
        import resource

        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
        found += [limit for limit in limits if limit != resource.RLIM_INFINITY]
    return min(found, default=None)


def _line(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
