"""How each kind of module runs in bands. What is not in the table runs as it is, on :class:`DTensor`, which is right where
PyTorch can do it and refused where it cannot: position by position in bands, else on what it brings together first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from .._spec.arguments import whole
from ..nn import Layer
from ..nn._layer import Transposed
from . import _convolution, _normalisation, _pooling
from ._bands import Work
from ._layout import Layout

Run = Callable[..., Tensor]


def flatten(module: Any, input: Tensor, *, layout: Layout) -> Tensor:
    """Space ends here: every rank gets the whole."""
    if isinstance(input, DTensor):
        input = input.redistribute(placements=[Replicate()])
    flat: Tensor = module._plain.forward(module, input)
    return flat


def dropout(module: Any, input: Tensor, *, layout: Layout) -> Tensor:
    """Each band drops places of its own; what all ranks have, all drop alike, if they were seeded alike."""
    if not (module.training and isinstance(input, DTensor)):
        plain: Tensor = module._plain.forward(module, input)
        return plain
    apart = layout.rank if isinstance(module, nn.Dropout) and input.placements != (Replicate(),) else 0
    seed = int(torch.randint(2**60, ()))
    with torch.random.fork_rng():
        torch.manual_seed(seed + apart)
        own = input.to_local()
        kept = module._plain.forward(module, own.clone() if module.inplace else own)
    return DTensor.from_local(
        kept, input.device_mesh, input.placements, run_check=False, shape=input.shape, stride=input.stride()
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """Modules that run in bands alike: how they run, and what that takes where rows travel for it."""

    run: Run
    work: Callable[..., Work] | None = None


_TABLE: dict[type | tuple[type, ...], Kind] = {
    (Transposed, _ConvTransposeNd): Kind(_convolution.transpose, _convolution.work_transposed),
    (Layer, _ConvNd): Kind(_convolution.convolve, _convolution.work),
    (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d): Kind(_normalisation.batch_norm),
    nn.Flatten: Kind(flatten),
    (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d): Kind(dropout),
}
for _n in (1, 2, 3):
    _work = partial(_pooling.work, n=_n)
    _TABLE[getattr(nn, f"MaxPool{_n}d")] = Kind(partial(_pooling.max_pool, n=_n), _work)
    _TABLE[getattr(nn, f"AvgPool{_n}d")] = Kind(partial(_pooling.average_pool, n=_n), _work)
    _TABLE[getattr(nn, f"AdaptiveAvgPool{_n}d")] = Kind(partial(_pooling.adaptive_average_pool, n=_n))


def kind_of(module: nn.Module) -> Kind | None:
    """How this module runs in bands; None where it runs as it is, as does a subclass with a forward of its own."""
    for classes, kind in _TABLE.items():
        if isinstance(module, classes):
            return kind if all(map(_is_ours, _definers(type(module)))) else None
    return None


def direction(call: str, module: Any, dim: Any) -> int:
    """``dim``, a dimension of a batch, counted from the end; it must be a direction that the module's convolutions have."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"{call}: module must be a torch.nn.Module, got {type(module).__name__}")
    found = {n for each in module.modules() if (n := _directions(each)) is not None}
    if not found:
        raise ValueError(
            f"{call}: {type(module).__name__} has no convolution, which would say how many directions there are"
        )
    if len(found) > 1:
        raise ValueError(
            f"{call}: {type(module).__name__} has convolutions of {sorted(found)} directions; shard its parts"
        )
    (n,) = found
    dim = whole(call, "dim", dim)
    counted = dim if dim < 0 else dim - (n + 2)
    if not -n <= counted < 0:
        raise ValueError(
            f"{call}: dim must be a direction of a batch of {n}-D inputs, {-n} to -1 or 2 to {n + 1}, got {dim}"
        )
    return counted


def _directions(module: nn.Module) -> int | None:
    if isinstance(module, Layer):
        return module._n
    return len(module.kernel_size) if isinstance(module, _ConvNd) else None


def _definers(kind: type) -> list[type]:
    """The classes that say what a module of this kind computes."""
    return [
        next(base for base in kind.__mro__ if name in vars(base))
        for name in ("forward", "_conv_forward")
        if hasattr(kind, name)
    ]


def _is_ours(kind: type) -> bool:
    return kind.__module__.startswith(("torch.nn.", Layer.__module__.rpartition(".")[0]))
