"""Arrays in, arrays out: NumPy and torch operands as tensors of one dtype, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array: TypeAlias = "npt.NDArray[Any]"
ArrayLike: TypeAlias = "npt.NDArray[Any] | Sequence[Any] | complex"

# What a dtype is computed in. Unsigned integers wrap like the signed ones of their width, bit for bit; a boolean
# convolution is "any of the products", so it counts them; half precision accumulates in single precision.
_WORKING = {
    torch.bool: torch.int32,
    torch.uint8: torch.uint8,
    torch.int8: torch.int8,
    torch.int16: torch.int16,
    torch.int32: torch.int32,
    torch.int64: torch.int64,
    torch.uint16: torch.int16,
    torch.uint32: torch.int32,
    torch.uint64: torch.int64,
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex32: torch.complex64,
    torch.complex64: torch.complex64,
    torch.complex128: torch.complex128,
}
_VIEWED = (torch.uint16, torch.uint32, torch.uint64)


def enter(call: str, *, floating: bool = False, **operands: object) -> tuple[list[Tensor], Callable[[Tensor], Any]]:
    """The operands as tensors of one dtype to compute in, and the function that takes a result back to their kind.

    The dtype is the one to which NumPy, or torch, promotes theirs; with `floating`, integers become floating numbers.
    """
    if tensors := {name: value for name, value in operands.items() if isinstance(value, Tensor)}:
        for name, value in operands.items():
            if name not in tensors:
                raise TypeError(
                    f"{call}: {next(iter(tensors))} is a torch tensor and {name} is {_kind(value)}; both must be of one "
                    f"library: torch.as_tensor({name}) would fit"
                )
        common = _common_torch(call, tensors)
        if floating and not (common.is_floating_point or common.is_complex):
            common = torch.get_default_dtype()
        entered = [_to_working(value.to(common)) for value in tensors.values()]
        return entered, lambda result: _from_working(result, common)

    arrays = {name: _as_numpy(call, name, value) for name, value in operands.items()}
    shared = np.result_type(*(array.dtype for array in arrays.values())).newbyteorder("=")
    if floating and shared.kind not in "fc":
        shared = np.dtype(np.float64)
    entered = [_to_working(_share(array.astype(shared, copy=False))) for array in arrays.values()]
    back = torch.from_numpy(np.empty(0, shared)).dtype
    return entered, lambda result: _from_working(result, back).detach().resolve_conj().numpy()[()]


def readable(*tensors: Tensor) -> list[Tensor] | None:
    """The tensors with their values open to inspection, or None where there are no values yet (tracing, meta)."""
    if torch.compiler.is_compiling():
        return None
    opened = []
    for tensor in tensors:
        while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            tensor = torch._C._functorch.get_unwrapped(tensor)
        if tensor.is_meta or not _has_values(tensor):
            return None
        opened.append(tensor.detach())
    return opened


def _has_values(tensor: Tensor) -> bool:
    return type(tensor).__torch_dispatch__ in (Tensor.__torch_dispatch__, torch.nn.Parameter.__torch_dispatch__)


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _common_torch(call: str, tensors: dict[str, Tensor]) -> torch.dtype:
    (first, one), *others = tensors.items()
    common = one.dtype
    for name, tensor in tensors.items():
        if tensor.dtype not in _WORKING or tensor.layout != torch.strided:
            raise TypeError(
                f"{call}: {name} has dtype {tensor.dtype} and layout {tensor.layout}; "
                f"expected a dense tensor of bool, integer, floating or complex numbers"
            )
    for name, tensor in others:
        if tensor.device != one.device:
            raise ValueError(
                f"{call}: {first} is on {one.device} and {name} on {tensor.device}; {name}.to({first}.device) would fit"
            )
        if tensor.dtype != common:
            try:
                common = torch.promote_types(common, tensor.dtype)
            except RuntimeError as error:
                raise TypeError(
                    f"{call}: torch has no common dtype of {first} ({one.dtype}) and {name} ({tensor.dtype}); "
                    f"convert one of them: {first}.to(torch.int64) and {name}.to(torch.int64) would fit"
                ) from error
    return common


def _as_numpy(call: str, name: str, value: object) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{call}: {name} is a masked array, whose mask would be lost; {name}.filled(0) would fit")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{call}: {name} is no array of numbers: {error}") from error
    if array.dtype.kind not in "buifc":
        raise TypeError(f"{call}: {name} has dtype {array.dtype}; expected bool, integer, floating or complex numbers")
    if array.dtype.kind in "fc" and array.dtype.itemsize > (8 if array.dtype.kind == "f" else 16):
        fit = "float64" if array.dtype.kind == "f" else "complex128"
        raise TypeError(f"{call}: {name} has dtype {array.dtype}, wider than {fit}; {name}.astype(np.{fit}) would fit")
    return array


def _share(array: Array) -> Tensor:
    """The array as a tensor on the same memory, or on a copy where torch cannot look at that memory."""
    odd = any(stride < 0 or stride % array.itemsize for stride in array.strides)
    return torch.from_numpy(array.copy() if odd or not array.flags.writeable else array)


def _to_working(tensor: Tensor) -> Tensor:
    working = _WORKING[tensor.dtype]
    return tensor.view(working) if tensor.dtype in _VIEWED else tensor.to(working)


def _from_working(result: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.bool:
        return result != 0
    return result.view(dtype) if dtype in _VIEWED else result.to(dtype)
