"""Convolutions of every kind for PyTorch: shared, tiled, local and channel-local, forward and both gradients.

Functions (:func:`conv2d` and its kin) and layers (:mod:`convarium.nn`) have the argument order of PyTorch's. The rank of the
weight says how kernels are shared, a :class:`ChannelGraph` says which channels are joined, :mod:`convarium.grad` has the two
gradients as functions, :mod:`convarium.matrix` convolution as a matrix, :func:`plan2d` what will run and why;
:func:`convolve` and :func:`correlate` are for signals, NumPy in and out.
"""

from . import blockwise, convert, export, grad, matrix, models, nn
from ._native.memory import empty_cache, memory_stats
from ._spec.channels import ChannelGraph
from ._spec.stack import ChannelStack
from .design import BlockDesign, design_block
from .functional import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .looking import Shapes, Terms, Trace, View, look, shapes
from .planning import Plan, engines, plan1d, plan2d, plan3d
from .signal import FunctionConvolution, choose_method, convolve, convolve_functions, correlate, weighted_average

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
