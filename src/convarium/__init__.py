"""Convolutions of every kind for PyTorch: shared, tiled, local and channel-local, forward and both gradients.

Functions (:func:`conv2d` and its kin) and layers (:mod:`convarium.nn`) have the argument order of PyTorch's. The rank of the
weight says how kernels are shared, a :class:`ChannelGraph` says which channels are joined, :mod:`convarium.grad` has the two
gradients as functions, :mod:`convarium.matrix` convolution as a matrix, :func:`plan2d` what will run and why;
:func:`convolve` and :func:`correlate` are for signals, NumPy in and out.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import export, grad, matrix, nn
from ._native.memory import empty_cache, memory_stats
from ._spec.channels import ChannelGraph
from ._spec.stack import ChannelStack
from .functional import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .planning import Plan, engines, plan1d, plan2d, plan3d
from .signal import FunctionConvolution, choose_method, convolve, convolve_functions, correlate, weighted_average

if TYPE_CHECKING:
    from . import blockwise, convert, distributed, models
    from .design import BlockDesign, design_block
    from .looking import Shapes, Terms, Trace, View, look, shapes

__version__ = "0.1.0"

__all__ = [
    "BlockDesign",
    "ChannelGraph",
    "ChannelStack",
    "FunctionConvolution",
    "Plan",
    "Shapes",
    "Terms",
    "Trace",
    "View",
    "blockwise",
    "choose_method",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convert",
    "convolve",
    "convolve_functions",
    "correlate",
    "design_block",
    "distributed",
    "empty_cache",
    "engines",
    "export",
    "grad",
    "look",
    "matrix",
    "memory_stats",
    "models",
    "nn",
    "plan1d",
    "plan2d",
    "plan3d",
    "shapes",
    "weighted_average",
]

# Imported when they are first asked for: with them, importing would take twice as long.
_LATER = {name: name for name in ("blockwise", "convert", "distributed", "models")}
_LATER |= dict.fromkeys(("BlockDesign", "design_block"), "design")
_LATER |= dict.fromkeys(("Shapes", "Terms", "Trace", "View", "look", "shapes"), "looking")


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_LATER[name]}", __name__)
    found = globals()[name] = module if _LATER[name] == name else getattr(module, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
