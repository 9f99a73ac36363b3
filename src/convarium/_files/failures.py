"""What a user can get wrong, as one exception, and the packages that an installation may lack."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Something that was given (a file, a folder, an option) cannot be used; the message is one line and names it."""


class Told(InputError):
    """Something that another process of the same job says too; nobody needs to hear it twice."""


class MissingExtra(InputError):
    """A package of an extra is not installed."""


def extra(module: str, name: str = "train") -> Any:
    """Import a package that only the extra of this name needs; when it is missing, say in one line what to install.

    Examples:
        >>> extra("json").dumps([1])
        '[1]'
        >>> extra("no_such_package")
        Traceback (most recent call last):
        ...
        convarium._files.failures.MissingExtra: no_such_package is not installed: pip install 'convarium[train]'
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtra(f"{package} is not installed: pip install 'convarium[{name}]'") from None


def why(path: Path, error: OSError) -> InputError:
    """The one line for a file that the system does not let us use."""
    return InputError(f"{path}: {(error.strerror or str(error)).lower()}")
