"""What else runs a case: recipes that people write today, torch's own convolution, and ours."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import scipy.fft
import scipy.signal
import torch
import torch.nn.functional as F
from torch import Tensor

import convarium as cv

from .cases import Case

Convolution = Callable[[Tensor, Any], Tensor]
_TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
OURS = "convarium"
SHARED = "torch, shared kernels"  # not the same function: the speed that equal FLOPs have where kernels are shared


@dataclass(frozen=True)
class Peer:
    """A way to compute a case: its function, the shape of its weight, and whether it has gradients."""

    function: Convolution
    weight: tuple[int, ...]
    learns: bool = True
    part: int = 1  # it computes one of so many, and its time is multiplied
    same: bool = True  # the same function as ours
    apart: bool = False  # its own threads still spin when the next one's turn comes, so it is timed after all others
    prepare: Callable[[Tensor], Any] = lambda weight: weight  # its own form of the weight, made once and not timed


OTHERS = {"jax": "jax", "fft_conv_pytorch": "fft-conv-pytorch"}  # modules that need not be here, and what installs them


def absent() -> list[str]:
    """The peers that are not installed."""
    return [name for module, name in OTHERS.items() if importlib.util.find_spec(module) is None]


def of(case: Case) -> dict[str, Peer]:
    ours, graph, padding, groups = getattr(cv, f"conv{case.n}d"), case.graph, case.padding, case.groups
    theirs, dense = _TORCH[case.n], (case.outputs, case.inputs // groups, *case.kernel)
    by_output = 1 if graph is not None else groups
    found = {OURS: Peer(lambda x, w: ours(x, w, padding=padding, groups=by_output, channels=graph), case.weight_shape)}
    if case.kind == "interlaced":
        found["permuted, torch grouped"] = Peer(lambda x, w: permuted(case, x, w), case.weight_shape)
    shared = Peer(
        lambda x, w: theirs(x, w, padding=padding, groups=groups), dense,
        part=case.part, same=case.kind in ("shared", "grouped", "depthwise"),
    )  # fmt: skip
    found[f"{SHARED}, 1/{case.part} x {case.part}" if case.part > 1 else SHARED] = shared
    if case.kind == "graph":
        assert graph is not None
        mask = torch.from_numpy(graph.mask()).float().reshape(case.outputs, case.inputs, *(1,) * case.n)
        found["torch, dense with a mask"] = Peer(lambda x, w: theirs(x, w * mask), dense, same=False)
        if case.tile:  # without the graph: what zeros in a dense weight would cost, were they free
            every = (case.outputs, *case.tile, case.inputs, *case.kernel)
            found["convarium, every edge"] = Peer(lambda x, w: ours(x, w, padding=padding), every, same=False)
    if case.kind == "local":
        found["strided view + bmm"] = Peer(lambda x, w: strided_view(case, x, w), case.weight_shape)
        if case.n == 2:
            found["unfold + bmm"] = Peer(lambda x, w: unfold(case, x, w), case.weight_shape)
            found["unfold + einsum"] = Peer(lambda x, w: einsum(case, x, w), case.weight_shape)
        if case.n < 3 and OTHERS["jax"] not in absent():  # it has none in 3-D, and no gradient that ends within minutes
            found["jax, local convolution"] = Peer(
                jax_local(case), case.weight_shape, learns=False, apart=True, prepare=lambda w: jax_weight(case, w)
            )  # fmt: skip
    if case.inputs == case.groups and math.prod(case.kernel) > 500:
        if OTHERS["fft_conv_pytorch"] not in absent():
            found["fft-conv-pytorch"] = Peer(fft_conv(case), dense)
        found["scipy.signal.oaconvolve"] = Peer(lambda x, w: overlap_add(case, x, w), dense, learns=False)
        found["bare FFT pair"] = Peer(lambda x, w: bare(case, x, w), dense, learns=False)
    return found


def permuted(case: Case, x: Tensor, w: Tensor) -> Tensor:
    """Interlaced groups are groups once channels are put in their order."""
    g = case.groups
    x = x.unflatten(1, (-1, g)).transpose(1, 2).flatten(1, 2)
    w = w.reshape(-1, g, case.inputs // g, *case.kernel).transpose(0, 1).flatten(0, 1)
    z = _TORCH[case.n](x, w, padding=case.padding, groups=g)
    return z.unflatten(1, (g, -1)).transpose(1, 2).flatten(1, 2)


def jax_local(case: Case) -> Convolution:
    """``conv_general_dilated_local``, compiled; tensors are shared, not copied."""
    import jax

    space = "HW"[: case.n]
    compiled = jax.jit(
        lambda x, w: jax.lax.conv_general_dilated_local(
            x, w, (1,) * case.n, "VALID", case.kernel, dimension_numbers=(f"NC{space}", f"{space}IO", f"NC{space}")
        )
    )
    return lambda x, w: torch.from_dlpack(compiled(jax.dlpack.from_dlpack(x.detach()), w).block_until_ready())


def jax_weight(case: Case, w: Tensor) -> Any:
    """``(*output, in_channels * taps, out_channels)``: the order in which it is fastest on a CPU."""
    import jax

    n = case.n
    flat = w.permute(*range(1, n + 1), *range(n + 1, 2 * n + 2), 0).flatten(n, 2 * n)
    return jax.dlpack.from_dlpack(flat.contiguous())


def fft_conv(case: Case) -> Convolution:
    from fft_conv_pytorch import fft_conv as convolve

    warnings.filterwarnings("ignore", module="fft_conv_pytorch")  # of what torch will change
    return lambda x, w: convolve(x, w, padding=case.padding, groups=case.groups)


def overlap_add(case: Case, x: Tensor, w: Tensor) -> Tensor:
    space = tuple(range(2, 2 + case.n))
    z = scipy.signal.oaconvolve(x.numpy(), w[:, 0].flip(tuple(range(1, 1 + case.n))).numpy()[None], "full", axes=space)
    return _inner(case, torch.from_numpy(z))


def bare(case: Case, x: Tensor, w: Tensor) -> Tensor:
    """Two transforms, a product and a transform back, all of it at once."""
    space = tuple(range(2, 2 + case.n))
    sizes = [scipy.fft.next_fast_len(x.shape[d] + w.shape[d] - 1, real=True) for d in space]
    product = torch.fft.rfftn(x, sizes, space) * torch.fft.rfftn(
        w[:, 0].flip(tuple(range(1, 1 + case.n)))[None], sizes, space
    )
    return _inner(case, torch.fft.irfftn(product, sizes, space))


def _inner(case: Case, full: Tensor) -> Tensor:
    for d, (size, k) in enumerate(zip(case.output, case.kernel, strict=True)):
        full = full.narrow(2 + d, k - 1 - case.padding, size)
    return full


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
