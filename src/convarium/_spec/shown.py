"""How an error shows a value that it refuses: on one line, tensors and arrays by their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

_MOST = 80  # characters


def shown(value: Any) -> str:
    """The value as its user would write it, cut short where that is long."""
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim:
        kind = "a tensor" if isinstance(value, torch.Tensor) else "an array"
        return f"{kind} of shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _MOST else text[: _MOST - 4] + " ..."


def written(shape: Sequence[int]) -> str:
    """A shape, or sizes, as Python writes a tuple; symbolic sizes too."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
