"""Programs that leave PyTorch: standard operators in the place of this library's own.

``torch.onnx.export(model, args, dynamo=True)`` needs nothing from here: every layer and function becomes standard ONNX
operators (``Conv``, ``Gather``, ``MatMul``, ...). For other ways out, :func:`aten` makes ``torch.export.export`` write ATen's
operators alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from ._maps import decomposition

__all__ = ["aten"]


def aten() -> AbstractContextManager[None]:
    """Within it, ``torch.export.export`` and ``torch.compile`` see ATen's operators in the place of this library's.

    What reads the program then needs to know nothing of it: AOTInductor packages that run without Python, ExecuTorch, other
    converters. Without it an exported program keeps ``convarium::forward`` and its kin whole, which run faster here, and need
    ``import convarium`` where they are loaded. The engine that was asked for by name is not asked then.

    Shared kernels become one convolution, with a graph of channels too: permuted into groups, or dense with zeros where the graph
    has no edge. So does a small tile. Local kernels and large tiles become gathered windows and a batch of matrix products. A
    NaN or infinity may pass those zeros. The batch may be dynamic, and where kernels are shared the size too.

    Raises:
        TypeError: while a program is traced: a tensor is complex.
        ValueError: while a program is traced: the size of the input of a tiled or local layer is dynamic.

    Examples:
        >>> import torch, convarium as cv
        >>> layer, input = cv.nn.LocalConv2d(3, 4, 3, input_size=(8, 8)), torch.randn(2, 3, 8, 8)
        >>> with cv.export.aten():
        ...     program = torch.export.export(layer, (input,))
        >>> any("convarium" in str(node.target) for node in program.graph.nodes)
        False
        >>> bool(torch.allclose(program.module()(input), layer(input), atol=1e-5))
        True
    """
    return decomposition.wanted()
