"""What a tensor must be to take part: a kind, a dtype and a device, the same for all."""

from __future__ import annotations

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.complex128)


def check_tensors(call: str, **tensors: object) -> None:
    """Refuse what is no tensor, whole numbers, and mixed dtypes or devices; None is left out."""
    first: tuple[str, Tensor] | None = None
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{call}: {name} must be a torch.Tensor, got {type(tensor).__name__}")
        if tensor.dtype not in DTYPES:
            raise TypeError(f"{call}: {name} must be of floating-point or complex numbers, got {tensor.dtype}")
        if first is None:
            first = (name, tensor)
            continue
        other, reference = first
        if tensor.dtype != reference.dtype:
            raise TypeError(
                f"{call}: {name} is {tensor.dtype} but {other} is {reference.dtype}; {name}.to({other}.dtype) would fit"
            )
        if tensor.device != reference.device:
            raise ValueError(f"{call}: {name} is on {tensor.device} but {other} is on {reference.device}")


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
