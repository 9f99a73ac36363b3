"""What a network costs: parameters, and multiply-adds for one image forward."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, image: Tensor) -> int:
    """Multiply-adds of the convolutions and linear layers; taps that fall into padding are counted.

    A convolution meets its weights once for each output position, a transposed one once for each input position.

    Args:
        network: any module of convolutions, batch normalisations and linear layers.
        image: one image, ``(1, C, H, W)``.

    Examples:
        >>> multiply_adds(nn.Conv2d(8, 16, 3), torch.zeros(1, 8, 6, 6)) == 4 * 4 * 16 * 8 * 9
        True
        >>> multiply_adds(nn.ConvTranspose2d(8, 16, 3, stride=2), torch.zeros(1, 8, 6, 6)) == 6 * 6 * 16 * 8 * 9
        True
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, Tensor) or weight.ndim < 2:
            return
        kernels = math.prod(getattr(layer, "tile", ()) or ())
        places = inputs[0] if getattr(layer, "transposed", False) else output
        positions = places[0, 0].numel() if places.ndim > 2 else 1
        total += weight.numel() // kernels * positions

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(image)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return total
