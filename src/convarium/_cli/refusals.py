"""What is refused, in a line that is the user's to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._files.failures import InputError


def told(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a function of the library, which says what it refuses."""
    try:
        return function(*arguments, **keywords)
    except (ValueError, TypeError) as error:
        raise error if isinstance(error, InputError) else InputError(str(error)) from None


def refuse(why: str, **options: Any) -> None:
    """Refuse options that were given and mean nothing here."""
    for name, value in options.items():
        if value not in (None, False, (), []):
            raise InputError(f"--{name}: {why}")
