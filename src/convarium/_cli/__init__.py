"""The command line, ``convarium`` or ``python -m convarium``: one command a file.

Exit codes: 0 done; 2 something given cannot be used (one line on standard error says what); 75 stopped by Ctrl-C or SIGTERM with
nothing lost (EX_TEMPFAIL of sysexits.h: the line on standard error says the command that goes on); 130 stopped by Ctrl-C, 143 by
SIGTERM, where there is nothing to go on from; 1 a fault of our own.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

__all__ = ["main", "run"]


def main() -> None:
    """The entry point: run the command and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code. Whatever fails, fails with one line on standard error."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what is drawn in signs that an encoding may lack
    try:
        from .app import command
        from .stopping import Stopped
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        return _say(f"{error.name} is not installed: pip install 'convarium[train]'", 2)
    try:
        return int(command().main(list(arguments), prog_name="convarium", standalone_mode=False) or 0)
    except Stopped as stop:
        return _say(str(stop), stop.code) if os.environ.get("RANK", "0") == "0" else stop.code
    except KeyboardInterrupt:
        return _say("stopped by Ctrl-C", 130)
    except Exception as error:
        return _fail(error)


def _fail(error: Exception) -> int:
    from .._files.failures import InputError, Told

    if isinstance(error, InputError):
        return 2 if isinstance(error, Told) else _say(str(error), 2)
    if callable(usage := getattr(error, "format_message", None)):
        return _say(f"{usage()} (convarium --help shows what there is)", 2)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{(error.strerror or str(error)).lower()}", 2)
    if _another_ended(error):
        return 1
    if _is_memory(error):
        return _say(
            "out of memory: ask for less at once, such as fewer channels, or a smaller size, batch or number of images",
            2,
        )
    if os.environ.get("CONVARIUM_TRACEBACK"):
        raise error
    return _say(f"a fault of our own, {type(error).__name__}: {error} (CONVARIUM_TRACEBACK=1 shows where)", 1)


def _another_ended(error: Exception) -> bool:
    """Of several processes, one whose peer is gone; that one says why."""
    gone = ("onnection closed by peer", "onnection reset by peer")
    return "RANK" in os.environ and isinstance(error, RuntimeError) and any(words in str(error) for words in gone)


def _is_memory(error: Exception) -> bool:
    """torch raises a plain RuntimeError where the system's memory ends."""
    wordings = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in wordings)
    )


def _say(message: str, code: int) -> int:
    """One line; of several processes that ``torchrun`` started, all but the first say which they are."""
    line, rank = " ".join(message.split()), os.environ.get("RANK", "0")
    print(f"convarium: {line}" if rank == "0" else f"convarium, rank {rank}: {line}", file=sys.stderr)
    return code
