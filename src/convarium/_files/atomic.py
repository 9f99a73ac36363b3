"""Writing a file so that under its name there is always all of it or none: written beside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from .failures import why

SUFFIX = ".unfinished"


def write(path: Path, data: bytes) -> None:
    """:func:`replace`, making the folder too, and with what the system refuses as an InputError of one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data)
    except OSError as error:
        raise why(path, error) from None


def replace(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``. A kill or a full disk leaves what was there before.

    Raises:
        OSError: the system does not let us; it names ``path``.
    """
    with beside(path) as part:
        part.write_bytes(data)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes ``path`` where nothing went wrong; :func:`replace` for what is not in memory."""
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
    part = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
    _settle(path.parent)


def _settle(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system has a way to ask for it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
