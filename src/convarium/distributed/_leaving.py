"""The way out of a process that gloo served.

One of gloo's threads may still hold the last tensor that travelled when the interpreter ends. PyTorch 2.13 then asks, on that
thread, for an interpreter that is no more, and the process aborts ("terminate called without an active exception"): 3 of 100
did, after programs of ten lines. ``destroy_process_group`` does not wait for these threads; letting them run does.
"""

from __future__ import annotations

import atexit
import functools
import time


@functools.cache
def leave_gently() -> None:
    """Give gloo's threads, once, the time to let go before the interpreter ends; they need microseconds of it."""
    atexit.register(time.sleep, 0.1)
