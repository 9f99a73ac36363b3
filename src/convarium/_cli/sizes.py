"""Sizes as they are written on a command line: ``3x224x224``."""

from __future__ import annotations

from .._files.failures import InputError


def sizes(name: str, text: str) -> tuple[int, ...]:
    """``3x3`` as ``(3, 3)``.

    Examples:
        >>> sizes("--input", "3x224x224")
        (3, 224, 224)
        >>> sizes("--input", "3,3")
        Traceback (most recent call last):
        ...
        convarium._files.failures.InputError: --input: whole numbers with x between, such as 3x3, got '3,3'
    """
    try:
        return tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"{name}: whole numbers with x between, such as 3x3, got {text!r}") from None


def each(name: str, text: str, n: int) -> tuple[int, ...]:
    """One number for all directions, or one for each."""
    found = sizes(name, text)
    if len(found) not in (1, n):
        raise InputError(f"{name}: one number or {n}, got {text!r}")
    return found * n if len(found) == 1 else found
