"""The three maps as operators of PyTorch, and around them what lets every transformation through.

``bilinear``      the maps and their derivatives: who takes what, who gives what
``registration``  the operators, and how autograd, forward mode and torch.func reach them
``batching``      what vmap does
"""

from .registration import forward, grad_input, grad_weight

__all__ = ["forward", "grad_input", "grad_weight"]
