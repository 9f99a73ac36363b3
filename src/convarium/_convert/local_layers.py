"""A local layer of the numbers that another library has for it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from .. import nn as ours
from .._spec.arguments import positive
from .local_weights import Array

Numbers: TypeAlias = Array | Tensor


def as_array(value: Numbers) -> Array:
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def taps_of(call: str, kernel_size: Any, input_size: Any) -> tuple[int, ...]:
    """The kernel size, in as many directions as either of them has."""
    several = [value for value in (kernel_size, input_size) if not isinstance(value, int)]
    return positive(call, "kernel_size", kernel_size, len(several[0]) if several else 1)


def local_layer(
    call: str, weight: Array, bias: Array | None, n: int, input_size: Any, stride: Any, padding: Any, dilation: Any
) -> ours.Layer:
    """``weight`` is ``(out_channels, *positions, in_channels, *kernel)``, ``bias`` ``(out_channels, *positions)``."""
    if isinstance(padding, str):
        padding = 0 if padding.lower() == "valid" else padding.lower()
    layer: ours.Layer = getattr(ours, f"LocalConv{n}d")(
        weight.shape[1 + n], weight.shape[0], weight.shape[-n:], stride=stride, padding=padding, dilation=dilation,
        input_size=input_size, bias=False if bias is None else "untied", dtype=torch.from_numpy(weight[:0]).dtype,
    )  # fmt: skip
    for name, values in (("weight", weight), ("bias", bias)):
        if values is None:
            continue
        target = getattr(layer, name)
        if values.shape != tuple(target.shape):
            raise ValueError(
                f"{call}: {name} has positions {values.shape[1 : 1 + n]}, but an input of size {layer.input_size} has "
                f"{tuple(target.shape)[1 : 1 + n]} with this kernel, stride and padding"
            )
        with torch.no_grad():
            target.copy_(torch.from_numpy(np.ascontiguousarray(values)))
    return layer
