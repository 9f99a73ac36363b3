"""Files that are read back: as JSON, and with fingerprints that tell whether they are what was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from .failures import InputError, why


def fingerprint(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def fingerprint_of(path: Path) -> str:
    """That of a file, which need not fit in memory."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise why(path, error) from None


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise why(path, error) from None


def checked(path: Path, expected: str | None) -> bytes:
    """What lies at ``path``, refused if it has another fingerprint; None expects nothing."""
    data = read(path)
    if expected is not None and fingerprint(data) != expected:
        raise _damaged(path)
    return data


def check(path: Path, expected: str) -> None:
    """Refuse a file, which need not fit in memory, that has another fingerprint."""
    if fingerprint_of(path) != expected:
        raise _damaged(path)


def parse(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON object that ``path`` holds."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: damaged, not JSON") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: damaged, not what a run writes")
    return values


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: damaged, it is not the file that the run wrote")


def to_json(value: Any, indent: int | None = 2) -> bytes:
    """JSON, indented for a reader or, several times as fast, in one line; NaN and infinities as JavaScript spells them."""
    return (json.dumps(value, indent=indent, allow_nan=True) + "\n").encode()
