"""A network's space cut in bands, one a rank."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.parameter import is_lazy

from .._spec.arguments import flag
from ._banded import cut_in_bands, is_banded
from ._doors import CALL, Entrance, gather_output, leave
from ._kinds import direction
from ._layout import Layout
from ._leaving import leave_gently
from ._parameters import draw, place


def shard_spatially(module: nn.Module, device_mesh: DeviceMesh, dim: int = -2, *, gather: bool = True) -> nn.Module:
    """Cut a network's space in bands, one for each rank of a mesh, in place.

    Each rank owns a band of the positions of every layer's output, ``ceil(size / ranks)`` of them in direction ``dim``: their
    activations, and where each position has a kernel of its own (:class:`~convarium.nn.LocalConv2d` and its kin) their
    weights, gradients and optimiser state. Between ranks travel the rows at the edges of bands that a neighbour's windows
    read, and on the way back their gradients; of what positions share, such as an ordinary convolution's weight, the
    gradient's sum. Numbers are those of one process, but for the order of sums.

    Parameters become :class:`~torch.distributed.tensor.DTensor`: a local layer's is ``Shard`` in the dimension of its
    positions, others are ``Replicate``. So optimisers, ``clip_grad_norm_``, ``fully_shard`` over another dimension of the
    mesh, and :mod:`torch.distributed.checkpoint`, which loads on any number of ranks or on one, take them as they are. Those
    on the meta device come into being on their own rank, and are drawn there by ``reset_parameters``, to the same numbers
    whatever the number of ranks; of others, the first rank's are handed out.

    ============================================================ =====================================================
    layers of :mod:`convarium.nn`, ``torch.nn.Conv`` and          any kernel, stride, dilation, padding and padding mode,
    ``ConvTranspose``, 1-D to 3-D                                 tile (turned to its phase), graph and groups
    ``MaxPool``, ``AvgPool``                                      windows that hang over bands; ``ceil_mode``
    ``AdaptiveAvgPool`` to one place, ``Flatten``                 where space ends: all ranks go on with the whole
    ``BatchNorm``                                                 mean and variance of all bands
    ``Dropout``                                                   a mask for each band
    whatever else works place by place                            as it is, such as activations, sums, concatenation
    other modules and functions                                   as PyTorch does them on ``DTensor``, which brings together
                                                                  what it cannot do in bands, or raises; convolutions as
                                                                  functions, or with a forward of their own, are refused
    ============================================================ =====================================================

    Args:
        module: a network, or a part of it. Inputs must be the same on every rank of the mesh (each takes its band), or
            ``DTensor``.
        device_mesh: of one dimension, such as ``init_device_mesh("cpu", (4,))`` or ``mesh["space"]`` of a larger one.
        dim: the direction to cut, as a dimension of a batch: -2, the rows of images.
        gather: return whole tensors, the same on every rank; False leaves them ``DTensor``, in bands where they are.

    Returns:
        The module itself.

    Raises:
        TypeError: no module, or no mesh.
        ValueError: no convolutions, or of different numbers of directions; ``dim`` is none of them; the mesh has more than one
            dimension; a lazy layer that has seen no input; a module that was sharded before. When called first: inputs differ
            between ranks, or random states, where there is dropout. When called: a convolution as a function, of bands.

    Examples:
        >>> import torch, convarium as cv
        >>> from torch.distributed import destroy_process_group, init_process_group
        >>> from torch.distributed.device_mesh import init_device_mesh
        >>> init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)  # torchrun does this
        >>> with torch.device("meta"):  # as large as all ranks together can hold
        ...     net = torch.nn.Sequential(cv.nn.LocalConv2d(3, 8, 3, input_size=(32, 32)), torch.nn.ReLU())
        >>> net = cv.distributed.shard_spatially(net, init_device_mesh("cpu", (1,)))
        >>> net(torch.randn(2, 3, 32, 32)).shape, net[0].weight.placements
        (torch.Size([2, 8, 30, 30]), (Shard(dim=1),))
        >>> destroy_process_group()
    """
    layout = Layout(_mesh(device_mesh), direction(CALL, module, dim))
    gather = flag(CALL, "gather", gather)
    modules = list(module.modules())
    for each in modules:
        if is_banded(each) or hasattr(each, "_sharded"):
            raise ValueError(f"{CALL}: {type(each).__name__} was sharded before; shard a module once")
        if any(map(is_lazy, each.parameters(recurse=False))):
            raise ValueError(f"{CALL}: {type(each).__name__} has no shape before its first input; call the module once")
    for each in modules:
        cut_in_bands(each, layout)
    leave_gently()
    known: dict[Tensor, nn.Parameter] = {}
    unborn = [(number, each) for number, each in enumerate(modules) if place(each, layout, known)]
    seed = _agreed_seed(layout) if unborn else 0
    for number, each in unborn:
        draw(each, layout, seed + (number << 32))
    module._sharded = True  # type: ignore[assignment]
    module.register_forward_pre_hook(Entrance(layout), with_kwargs=True)
    module.register_forward_hook(leave, always_call=True)
    if gather:
        module.register_forward_hook(gather_output)
    return module


def _mesh(device_mesh: Any) -> DeviceMesh:
    if not isinstance(device_mesh, DeviceMesh):
        raise TypeError(f"{CALL}: device_mesh must be a torch.distributed DeviceMesh, got {type(device_mesh).__name__}")
    if device_mesh.ndim != 1:
        names = device_mesh.mesh_dim_names
        hint = f"; device_mesh[{names[-1]!r}] would fit" if names else ""
        raise ValueError(f"{CALL}: device_mesh must have one dimension, got {device_mesh.ndim}{hint}")
    return device_mesh


def _agreed_seed(layout: Layout) -> int:
    """The first rank's random number."""
    seed = torch.randint(2**40, (1,)).to(layout.mesh.device_type)
    dist.broadcast(seed, group=layout.group, group_src=0)
    return int(seed)
