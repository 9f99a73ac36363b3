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


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise why(path, error) from None


def checked(path: Path, expected: str | None) -> bytes:
    """What lies at ``path``, refused if it has another fingerprint; None expects nothing."""
    data = read(path)
    if expected is not None and fingerprint(data) != expected:
        raise InputError(f"{path}: damaged, it is not the file that the run wrote")
    return data


def parse(path: Path, data: bytes) -> dict[str, Any]:
    """The JSON object that ``path`` holds."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: damaged, not JSON") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: damaged, not what a run writes")
    return values


def to_json(value: Any, indent: int | None = 2) -> bytes:
    """JSON, indented for a reader or, several times as fast, in one line; NaN and infinities as JavaScript spells them."""
    return (json.dumps(value, indent=indent, allow_nan=True) + "\n").encode()
