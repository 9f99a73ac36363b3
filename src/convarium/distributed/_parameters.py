"""Parameters on a mesh: a kernel for each position with the rank of its position, all else with every rank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from ..nn import Layer
from ._banded import is_banded, plain
from ._bands import with_size
from ._kinds import kind_of
from ._layout import Layout, everywhere


def is_by_position(module: nn.Module, name: str) -> bool:
    """Whether a parameter has an entry for each position: a local layer's weight and untied bias."""
    if not (
        isinstance(module, Layer) and getattr(module, "input_size", None) and (is_banded(module) or kind_of(module))
    ):
        return False
    parameter = module._parameters.get(name)
    return parameter is not None and parameter.ndim > 1


def own_dim(module: Any, name: str, layout: Layout) -> int | None:
    """The dimension in which a parameter is cut, or None."""
    return 1 + module._n + layout.dim if is_by_position(module, name) else None


def place(module: nn.Module, layout: Layout, known: dict[Tensor, nn.Parameter]) -> bool:
    """Give a module's own parameters and buffers their place; returns whether some came into being there, without numbers."""
    unborn = False
    for name, old in list(module.named_parameters(recurse=False)):
        if old not in known:
            dim = own_dim(module, name, layout)
            placement = Replicate() if dim is None else Shard(dim)
            made = (
                _empty(old, placement, layout)
                if old.is_meta
                else distribute_tensor(old.detach(), layout.mesh, [placement])
            )
            known[old] = nn.Parameter(made, old.requires_grad)
            if dim is None and old.requires_grad:
                known[old].register_post_accumulate_grad_hook(_sum)
        unborn |= old.is_meta
        module.register_parameter(name, known[old])
    for name, buffer in list(module.named_buffers(recurse=False)):
        unborn |= buffer.is_meta
        own = _blank(buffer, layout) if buffer.is_meta else buffer
        module._buffers[name] = own if is_banded(module) else everywhere(own, layout.mesh)
    return unborn


def _blank(buffer: Tensor, layout: Layout) -> Tensor:
    """NaN where there can be, so that :func:`draw` sees what nobody filled."""
    blank = torch.empty_like(buffer, device=layout.mesh.device_type)
    return blank.fill_(torch.nan) if blank.is_floating_point() or blank.is_complex() else blank


def _empty(like: Tensor, placement: Shard | Replicate, layout: Layout) -> DTensor:
    shape: tuple[int, ...] = like.shape
    if isinstance(placement, Shard):
        start, stop = layout.bands(shape[placement.dim])
        shape = with_size(shape, placement.dim, stop - start)
    own = torch.empty(shape, dtype=like.dtype, device=layout.mesh.device_type)
    return DTensor.from_local(own, layout.mesh, [placement], run_check=False, shape=like.shape, stride=like.stride())


def _sum(parameter: Tensor) -> None:
    """A rank's gradient of what all ranks have is a part of it; the optimiser is to see the sum, which is on its way while the
    backward pass goes on: a rank that is late does not hold the others up at every parameter."""
    gradient = parameter.grad
    assert isinstance(parameter, DTensor)
    assert isinstance(gradient, DTensor)
    if gradient.placements == parameter.placements:
        return
    if torch.is_grad_enabled():  # to be differentiated again
        parameter.grad = gradient.redistribute(placements=parameter.placements)
        return
    summed = gradient.redistribute(placements=parameter.placements, async_op=True)
    parameter.grad = summed  # whoever looks at it before the end of the pass waits for it

    def settle() -> None:
        local = summed.to_local()
        if isinstance(local, AsyncCollectiveTensor):
            local = local.wait()
        if parameter.grad is summed:
            parameter.grad = DTensor.from_local(local, summed.device_mesh, summed.placements, run_check=False)

    torch.autograd.Variable._execution_engine.queue_callback(settle)


def draw(module: nn.Module, layout: Layout, seed: int) -> None:
    """``reset_parameters``, to the same numbers on any number of ranks: what is cut is drawn row by row."""
    kind = plain(module)
    if not hasattr(kind, "reset_parameters"):
        raise ValueError(
            f"{kind.__name__}: its parameters or buffers are on the meta device, and it has no reset_parameters to draw them"
        )
    values = {name: value for name, value in (module._parameters | module._buffers).items() if value is not None}
    own = {name: _local(value) for name, value in values.items()}
    cut = {name: dim for name in own if (dim := own_dim(module, name, layout)) is not None}
    rows = {name: own[name].new_empty(with_size(own[name].shape, dim, 1)) for name, dim in cut.items()}
    with _seeded(seed), _standing_in(module, own | rows):
        kind.reset_parameters(module)
    for name in module._buffers:
        if name in own and own[name].numel() and bool(own[name].isnan().all()):
            raise ValueError(
                f"{kind.__name__}: its buffer {name} is on the meta device, and reset_parameters does not fill it"
            )
    tied = {name: value.clone() for name, value in own.items() if name not in cut}
    for name, dim in list(cut.items())[:1]:
        start, stop = layout.bands(values[name].shape[dim])
        for row in range(start, stop):
            rows = {name: own[name].narrow(dim, row - start, 1) for name, dim in cut.items()}
            with _seeded(seed + 1 + row), _standing_in(module, tied | rows):
                kind.reset_parameters(module)


def _local(value: Tensor) -> Tensor:
    return value.to_local().detach() if isinstance(value, DTensor) else value


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _standing_in(module: nn.Module, values: dict[str, Tensor]) -> Iterator[None]:
    """The module with plain tensors in the place of its own: views, so that what is drawn lands in the band."""
    parameters, buffers = dict(module._parameters), dict(module._buffers)
    module._parameters.update({name: nn.Parameter(values[name], False) for name in parameters if name in values})
    module._buffers.update({name: values[name] for name in buffers if name in values})
    try:
        yield
    finally:
        module._parameters.update(parameters)
        module._buffers.update(buffers)
