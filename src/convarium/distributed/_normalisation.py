"""Batch normalisation over several processes: mean and variance of all their places, as one process would find them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate

from ._layout import Layout, everywhere


def batch_norm(module: Any, input: Tensor, *, layout: Layout) -> Tensor:
    """As :class:`torch.nn.BatchNorm2d` and its kin, of a tensor in bands."""
    x = layout.spread(input)
    count = math.prod(x.shape) // max(x.shape[1], 1)
    return normalise(module, x, count, _whole, lambda values: _known(values, layout))


def normalise(
    module: Any, x: Tensor, count: int, total: Callable[[Tensor], Tensor], known: Callable[[Tensor], Tensor]
) -> Tensor:
    """What a batch normalisation makes of a process's part of a batch.

    Args:
        module: the layer.
        x: ``(batch, channels, *size)``.
        count: the entries a channel has on all processes together.
        total: the sum over the processes, on each of them; differentiable.
        known: what all processes have, in the form of ``x``.
    """
    module._check_input_dim(x)
    dtype, x = x.dtype, x.float() if x.element_size() == 2 else x
    places = [d for d in range(x.ndim) if d != 1]
    shape = (1, -1, *(1 for _ in places[1:]))
    if module.training or module.running_mean is None:
        if module.training and count <= 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
        mean = total(x.sum(places, keepdim=True)) / count
        centred = x - mean
        variance = total(centred.square().sum(places, keepdim=True)) / count
        if module.training and module.track_running_stats:
            _remember(module, mean, variance * (count / max(count - 1, 1)))
    else:
        mean, variance = (known(each.reshape(shape)) for each in (module.running_mean, module.running_var))
        centred = x - mean
    output = centred * torch.rsqrt(variance + module.eps)
    if module.affine:
        weight, bias = (known(each.reshape(shape)) for each in (module.weight, module.bias))
        output = output * weight + bias
    return output.to(dtype)


@torch.no_grad()
def _remember(module: Any, *moments: Tensor) -> None:
    module.num_batches_tracked.add_(1)
    share = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    for running, moment in zip((module.running_mean, module.running_var), moments, strict=True):
        local = moment.to_local() if isinstance(moment, DTensor) else moment
        running.lerp_(local.flatten().to(running.dtype), share)


def _known(values: Tensor, layout: Layout) -> Tensor:
    # the gradient of a parameter comes back whole, before its shape is undone: of one band PyTorch refuses that otherwise
    return _whole(values) if isinstance(values, DTensor) else everywhere(values, layout.mesh)


def _whole(values: Tensor) -> Tensor:
    assert isinstance(values, DTensor)
    return values.redistribute(placements=[Replicate()])
