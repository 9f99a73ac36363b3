"""Batch normalisation in bands: mean and variance over the places of all ranks, as one process would find them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate

from ._layout import Layout, everywhere


def batch_norm(module: Any, input: Tensor, *, layout: Layout) -> Tensor:
    """As :class:`torch.nn.BatchNorm2d` and its kin."""
    x = layout.spread(input)
    module._check_input_dim(x)
    places = [d for d in range(x.ndim) if d != 1]
    shape = (1, -1, *(1 for _ in places[1:]))
    if module.training or module.running_mean is None:
        count = math.prod(x.shape[d] for d in places)
        if module.training and count <= 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
        mean = _everywhere(x.sum(places, keepdim=True)) / count
        centred = x - mean
        variance = _everywhere(centred.square().sum(places, keepdim=True)) / count
        if module.training and module.track_running_stats:
            _remember(module, mean, variance * (count / max(count - 1, 1)))
    else:
        mean, variance = (
            everywhere(each.reshape(shape), layout.mesh) for each in (module.running_mean, module.running_var)
        )
        centred = x - mean
    output = centred * torch.rsqrt(variance + module.eps)
    if module.affine:
        output = output * module.weight.reshape(shape) + module.bias.reshape(shape)
    return output


@torch.no_grad()
def _remember(module: Any, mean: Any, variance: Any) -> None:
    module.num_batches_tracked.add_(1)
    share = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean.to_local().flatten(), share)
    module.running_var.lerp_(variance.to_local().flatten(), share)


def _everywhere(partial: Tensor) -> DTensor:
    assert isinstance(partial, DTensor)
    return partial.redistribute(placements=[Replicate()])
