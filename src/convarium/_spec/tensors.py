"""What a tensor must be to take part: a kind, a dtype and a device, the same for all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .shown import shown

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)


def no_tensor(call: str, name: str, value: object) -> TypeError:
    hint = "; torch.from_numpy makes one" if isinstance(value, np.ndarray) else ""
    return TypeError(f"{call}: {name} must be a torch.Tensor, got {type(value).__name__}{hint}")


def check_tensors(call: str, *, bias: object = None, **tensors: object) -> None:
    """Refuse what is no tensor of numbers in rows, and mixed dtypes or devices; there may be no bias."""
    if bias is not None:
        tensors["bias"] = bias
    first: tuple[str, Tensor] | None = None
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise no_tensor(call, name, tensor)
        if tensor.layout is not torch.strided or tensor.is_nested:
            kind = "nested" if tensor.is_nested else str(tensor.layout)
            raise TypeError(f"{call}: {name} must be a dense tensor, got a {kind} one")
        if hasattr(tensor, "device_mesh"):
            raise TypeError(
                f"{call}: {name} must be a plain tensor, got a DTensor; {name}.full_tensor() would fit, and a layer in a network "
                f"given to convarium.distributed.shard_spatially takes one"
            )
        check_dtype(call, name, tensor.dtype)
        if first is None:
            first = (name, tensor)
            continue
        other, reference = first
        if tensor.dtype != reference.dtype:
            moves = name != "weight"  # data to the weight's dtype
            if (tensor if moves else reference).is_complex() > (reference if moves else tensor).is_complex():
                moves = not moves  # but no complex numbers to real ones
            fit = f"{name}.to({other}.dtype)" if moves else f"{other}.to({name}.dtype)"
            raise TypeError(f"{call}: {name} is {tensor.dtype} but {other} is {reference.dtype}; {fit} would fit")
        if tensor.device != reference.device:
            raise ValueError(f"{call}: {name} is on {tensor.device} but {other} is on {reference.device}")


def check_dtype(call: str, name: str, dtype: object) -> None:
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"{call}: {name} must be a torch.dtype, got {shown(dtype)}")
    if dtype not in DTYPES:
        raise TypeError(f"{call}: {name} must be of floating-point or complex numbers, got {dtype}")


def autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """The tensors in autocast's dtype where it is on, as for ``conv2d``; float64 and complex numbers stay as they are."""
    device = next((tensor.device.type for tensor in tensors if isinstance(tensor, Tensor)), "cpu")
    if not autocasting(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(
        tensor.to(dtype)
        if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.dtype != torch.float64
        else tensor
        for tensor in tensors
    )


def autocasting(device: str) -> bool:
    """Whether autocast is on for this type of device."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
