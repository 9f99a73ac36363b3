"""Coming in: weights of Keras 2, flax, torch7 and common recipes as layers of this library.

Whole models: :func:`from_keras` reads a file of a sequential Keras 2 model, :func:`from_torch` exchanges the convolutions of a
PyTorch module. One locally connected layer: ``local_from_...`` takes the arrays as the other library keeps them. What comes out
takes PyTorch's layout, channels first, and gives the original's numbers to rounding. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from . import nn as ours
from ._convert import keras_files, keras_layers, keras_weights, local_weights, torch_modules
from ._convert.keras_layers import KerasLayer
from ._convert.local_layers import Numbers, as_array, local_layer, taps_of

__all__ = [
    "from_keras",
    "from_torch",
    "load",
    "local_from_flax",
    "local_from_torch7",
    "local_from_unfold",
    "to_safetensors",
]


def from_keras(
    file_or_layers: str | os.PathLike[str] | Sequence[tuple[str, dict[str, Any], Sequence[Any]]],
) -> nn.Sequential:
    """A sequential Keras 2 model as ``nn.Sequential``, in evaluation mode.

    Known are convolutions (shared, transposed, depthwise, separable), ``LocallyConnected1D`` and ``2D`` in all three
    implementations, dense layers, pooling, padding, batch normalisation, dropout, flattening and activations. An input is
    ``(batch, channels, *size)``, whatever the model's ``data_format``; a ``Flatten`` keeps the order that Keras has.

    Args:
        file_or_layers: a ``.h5`` file of the whole model or a ``.keras`` file (``pip install 'convarium[convert]'``); or its
            layers, each as ``(class name, layer.get_config(), layer.get_weights())``, the first with ``batch_input_shape``.

    Raises:
        ValueError: the file is not whole, not Keras', or not sequential; layers that are not known, all of them named; weights
            that do not fit.

    Examples:
        >>> import numpy as np, convarium as cv
        >>> config = {"filters": 4, "kernel_size": 3, "strides": 1, "padding": "valid", "use_bias": False, "implementation": 1,
        ...           "data_format": "channels_last", "batch_input_shape": (None, 8, 2)}
        >>> cv.convert.from_keras([("LocallyConnected1D", config, [np.ones((6, 6, 4))])])
        Sequential(
          (LocallyConnected1D): LocalConv1d(2, 4, kernel_size=(3,), stride=(1,), input_size=(8,), bias=False)
        )
    """
    call = "from_keras"
    if isinstance(file_or_layers, (str, os.PathLike)):
        path = Path(file_or_layers)
        return keras_layers.sequential(keras_files.read(path), f"{call}: {path}")
    layers = [
        KerasLayer(kind, dict(config), tuple(np.asarray(array) for array in arrays))
        for kind, config, arrays in file_or_layers
    ]
    return keras_layers.sequential(layers, call)


def to_safetensors(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> nn.Sequential:
    """Convert a Keras 2 file into one that :func:`load` reads without h5py; written whole or not at all.

    Returns:
        The model.
    """
    layers = keras_files.read(Path(source))
    model = keras_layers.sequential(layers, f"to_safetensors: {source}")
    keras_weights.save(Path(target), layers, model)
    return model


def load(path: str | os.PathLike[str]) -> nn.Sequential:
    """The model that :func:`to_safetensors` wrote.

    Raises:
        ValueError: the file is not whole or not of this kind.
    """
    return keras_weights.load(Path(path), f"load: {path}")


def local_from_flax(
    kernel: Numbers, bias: Numbers | None = None, *, input_size: Any, kernel_size: Any,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1,
) -> ours.Layer:  # fmt: skip
    """``flax.linen.ConvLocal`` (1-3 D) as ``LocalConv1d``, ``2d`` or ``3d``.

    Args:
        kernel: ``(*positions, in_channels * taps, out_channels)``, a window being all taps of a channel, then of the next.
        bias: ``(*positions, out_channels)``, or None.
        input_size: the size of an input, without batch and channels.
        kernel_size: taps in each direction; ``stride``, ``padding`` (``"valid"``, ``"same"``, or pairs) and ``dilation``
            (flax: ``kernel_dilation``) as the layer had them. An ``input_dilation`` is not possible here.

    Raises:
        ValueError: shapes that do not fit, or whose positions are not those of such an input.

    Examples:
        >>> import numpy as np, convarium as cv
        >>> cv.convert.local_from_flax(np.zeros((6, 9, 4)), input_size=8, kernel_size=3).weight.shape
        torch.Size([4, 6, 3, 3])
    """
    call, taps = "local_from_flax", taps_of("local_from_flax", kernel_size, input_size)
    weight = local_weights.from_flax(call, as_array(kernel), taps)
    moved = None if bias is None else np.moveaxis(as_array(bias), -1, 0)
    return local_layer(call, weight, moved, len(taps), input_size, stride, padding, dilation)


def local_from_unfold(
    weight: Numbers, bias: Numbers | None = None, *, input_size: Any, kernel_size: Any,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1,
) -> ours.Layer:  # fmt: skip
    """The locally connected layer of PyTorch's forum (``unfold``, times weight, summed) as ``LocalConv``.

    Args:
        weight: ``(1, out_channels, in_channels, *positions, taps)``.
        bias: ``(1, out_channels, *positions)``, or None.

    Raises:
        ValueError: shapes that do not fit, or whose positions are not those of such an input.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.convert.local_from_unfold(torch.zeros(1, 4, 3, 6, 6, 9), input_size=8, kernel_size=(3, 3)).weight.shape
        torch.Size([4, 6, 6, 3, 3, 3])
    """
    call, taps = "local_from_unfold", taps_of("local_from_unfold", kernel_size, input_size)
    turned = local_weights.from_unfold(call, as_array(weight), taps)
    first = None if bias is None else as_array(bias)[0]
    return local_layer(call, turned, first, len(taps), input_size, stride, padding, dilation)


def local_from_torch7(
    weight: Numbers, bias: Numbers | None = None, *, input_size: Any, stride: Any = 1, padding: Any = 0
) -> ours.Layer:
    """torch7's ``nn.SpatialConvolutionLocal`` and its kin as ``LocalConv``.

    Args:
        weight: ``(*positions, out_channels, in_channels, *kernel)``.
        bias: ``(out_channels, *positions)``, or None.

    Raises:
        ValueError: shapes that do not fit, or whose positions are not those of such an input.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.convert.local_from_torch7(torch.zeros(6, 6, 4, 3, 3, 3), input_size=8).weight.shape
        torch.Size([4, 6, 6, 3, 3, 3])
    """
    call = "local_from_torch7"
    turned = local_weights.from_torch7(call, as_array(weight))
    given = None if bias is None else as_array(bias)
    return local_layer(call, turned, given, turned.ndim // 2 - 1, input_size, stride, padding, 1)


def from_torch(module: nn.Module) -> nn.Module:
    """A copy of a module in which each ``torch.nn.Conv*`` and ``ConvTranspose*`` is this library's, with the same numbers.

    The function stays the same; the layers can then be untied, pruned to a graph, planned and looked into. Classes derived from
    torch's are left as they are; a layer or a parameter that stands in several places stays one.

    Raises:
        ValueError: a convolution has hooks, or a weight that is pruned or normed; both belong to torch's layer.

    Examples:
        >>> import torch, convarium as cv
        >>> cv.convert.from_torch(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()))[0].untie(tile=2)
        TiledConv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), tile=(2, 2))
    """
    return torch_modules.exchanged(module)
