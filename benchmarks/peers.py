"""What else runs a case: recipes that people write today, torch's own convolution, and ours."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

import convarium as cv

from .cases import Case

Convolution = Callable[[Tensor, Tensor], Tensor]
_TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
OURS = "convarium"
SHARED = "torch, shared kernels"  # not the same function: the speed that equal FLOPs have where kernels are shared


def of(case: Case) -> dict[str, tuple[Convolution, tuple[int, ...]]]:
    """Each peer's function and the shape of its weight."""
    ours = getattr(cv, f"conv{case.n}d")
    graph, dense = case.graph, (case.outputs, case.inputs, *case.kernel)
    found: dict[str, tuple[Convolution, tuple[int, ...]]] = {
        OURS: (lambda x, w: ours(x, w, channels=graph), case.weight_shape),
        SHARED: (_TORCH[case.n], dense),
    }
    if case.kind == "graph":
        assert graph is not None
        mask = torch.from_numpy(graph.mask()).float().reshape(case.outputs, case.inputs, *(1,) * case.n)
        found["torch, dense with a mask"] = (lambda x, w: _TORCH[case.n](x, w * mask), dense)
    if case.kind == "local":
        found["strided view + bmm"] = (lambda x, w: strided_view(case, x, w), case.weight_shape)
        if case.n == 2:
            found["unfold + bmm"] = (lambda x, w: unfold(case, x, w), case.weight_shape)
            found["unfold + einsum"] = (lambda x, w: einsum(case, x, w), case.weight_shape)
    return found


def strided_view(case: Case, x: Tensor, w: Tensor) -> Tensor:
    """The best recipe: windows as a view, copied once, and a product a position."""
    n = case.n
    for d, k in enumerate(case.kernel):
        x = x.unfold(2 + d, k, 1)
    windows = x.permute(*range(2, 2 + n), 0, 1, *range(2 + n, 2 + 2 * n)).flatten(0, n - 1).flatten(2)
    kernels = w.permute(*range(1, 1 + n), 0, *range(1 + n, 2 + 2 * n)).flatten(0, n - 1).flatten(2)
    return torch.bmm(windows, kernels.mT).permute(1, 2, 0).unflatten(2, case.output)


def unfold(case: Case, x: Tensor, w: Tensor) -> Tensor:
    """The recipe of most answers on the web."""
    columns = F.unfold(x, case.kernel).permute(2, 0, 1)
    kernels = w.permute(1, 2, 3, 4, 5, 0).reshape(columns.shape[0], -1, case.outputs)
    return torch.bmm(columns, kernels).permute(1, 2, 0).unflatten(2, case.output)


def einsum(case: Case, x: Tensor, w: Tensor) -> Tensor:
    columns = F.unfold(x, case.kernel)
    return torch.einsum("bks,osk->bos", columns, w.flatten(3).flatten(1, 2)).unflatten(2, case.output)
