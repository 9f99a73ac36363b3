"""Writing files and folders so that under a name there is always all of it or none: written beside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
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


def check(path: Path) -> None:
    """Refuse now a path that :func:`write` would refuse after long work; nothing changes at it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        part = _aside(path)
        part.touch()
        part.unlink()
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
    part = _aside(path)
    try:
        yield part
        _flush(part)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        _tell(path, error)
        raise
    _settle(path.parent)


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """A folder to fill with files, which becomes ``path``, where there is nothing yet, if nothing went wrong."""
    part = _aside(path)
    shutil.rmtree(part, ignore_errors=True)  # of a killed process that had our number
    try:
        part.mkdir(parents=True)
        yield part
        for file in part.iterdir():
            _flush(file)
        _settle(part)
        part.rename(path)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        _tell(path, error)
        raise
    _settle(path.parent)


def remove(path: Path) -> None:
    """Remove a folder so that half of it never lies under its name; one that is not there is none to remove."""
    if path.is_dir():
        part = _aside(path)
        shutil.rmtree(part, ignore_errors=True)
        path.rename(part)
        shutil.rmtree(part)


def sweep(path: Path) -> None:
    """Remove what kills left half written anywhere in a folder."""
    for left in list(path.rglob(f".*{SUFFIX}")):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")


def _tell(path: Path, error: BaseException) -> None:
    """Name the file that was to be written, not the one beside it."""
    if isinstance(error, OSError) and error.errno is not None:
        raise type(error)(error.errno, error.strerror, str(path)) from None


def _flush(file: Path) -> None:
    """Make what is in a file survive a power cut."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def _settle(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system has a way to ask for it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
