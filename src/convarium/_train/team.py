"""The processes that train one network together: each takes its share of every batch, and the first one writes.

:class:`Alone` is one process, with nothing to set up; :class:`Together` is those that ``torchrun`` started. Images are dealt out
batch by batch, so a step is that of one process but for the order of sums, and no image is seen twice to fill a batch. What only
several need is imported where there are several.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.profiler import record_function

from .._files.failures import InputError, Told

PARALLEL = ("ddp", "fsdp")
T = TypeVar("T")


class Alone:
    """One process."""

    rank, size = 0, 1
    parallel: str | None = None  # what each process holds
    behind: dist.ProcessGroup | None = None  # where that is a part of the weights: who writes checkpoints of them

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def go_on_as(self, before: str | None) -> None:
        """Hold what processes held in the run that these go on with, unless another way was asked for."""

    def share(self, items: Tensor) -> Tensor:
        """This process's part of a batch, perhaps nothing."""
        return items

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes, on each of them."""
        return values

    def agreed(self, *numbers: int) -> tuple[int, ...]:
        """The largest of each number that a process has."""
        return tuple(int(max(each)) for each in zip(*self.told(*numbers), strict=True))

    def told(self, *numbers: float) -> list[tuple[float, ...]]:
        """The numbers of each process, in their order."""
        return [numbers]

    def gathered(self, value: T) -> list[T]:
        """What each process has, in their order."""
        return [value]

    def said(self, find: Callable[[], T]) -> T:
        """What the first process finds; the others do not look. If it cannot use what was given, all of them end."""
        return find()

    def spread(self, network: nn.Module) -> nn.Module:
        """The network as a step calls it: its gradients are means over the processes."""
        return network

    def whole(self, values: T) -> T:
        """Values whose tensors may be spread, as one process has them."""
        return values

    def like(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        """A whole tensor, spread as a parameter is."""
        return tensor

    def threads(self) -> int:
        """How many threads to compute with, if nobody says."""
        return torch.get_num_threads()


class Together(Alone):
    """The processes of a ``torch.distributed`` job."""

    def __init__(self, asked: str | None) -> None:
        self.rank, self.size, self._asked = dist.get_rank(), dist.get_world_size(), asked
        self.parallel = asked or PARALLEL[0]

    def go_on_as(self, before: str | None) -> None:
        self.parallel = self._asked or before or self.parallel

    def share(self, items: Tensor) -> Tensor:
        return items[self.rank :: self.size]

    def sum(self, values: Tensor) -> Tensor:
        total = values.clone()
        with record_function("communication"):
            dist.all_reduce(total)
        return total

    def told(self, *numbers: float) -> list[tuple[float, ...]]:
        own = torch.tensor(numbers, dtype=torch.float64)
        everybody = [torch.empty_like(own) for _ in range(self.size)]
        with record_function("communication"):
            dist.all_gather(everybody, own)
        return [tuple(row.tolist()) for row in everybody]

    def gathered(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def said(self, find: Callable[[], T]) -> T:
        values: list[Any] = [None, None]
        refusal: InputError | None = None
        if self.leads:
            try:
                values[0] = find()
            except InputError as error:
                refusal, values[1] = error, str(error)
        dist.broadcast_object_list(values, 0)
        if values[1] is not None:
            raise refusal or Told(values[1])
        found: T = values[0]
        return found

    def spread(self, network: nn.Module) -> nn.Module:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                module.forward = partial(self._normalise, module)  # type: ignore[method-assign]
        if self.parallel == "ddp":
            return nn.parallel.DistributedDataParallel(network)
        self.behind = self.behind or dist.new_group(backend="gloo")
        device = next(network.parameters()).device.type
        fully_shard(network, mesh=init_device_mesh(device, (self.size,)))
        return network

    def _normalise(self, module: nn.Module, x: Tensor) -> Tensor:
        """Batch normalisation over the batch of all processes; PyTorch's own that does it knows GPUs alone."""
        from ..distributed._normalisation import normalise

        def total(values: Tensor) -> Tensor:
            summed: Tensor = _Sum.apply(values, self)
            return summed

        count = int(self.sum(torch.tensor(x.numel() // x.shape[1])))
        return normalise(module, x, count, total, lambda values: values)

    def whole(self, values: T) -> T:
        from torch.distributed.tensor import DTensor
        from torch.utils._pytree import tree_map_only

        whole: T = tree_map_only(DTensor, lambda tensor: tensor.full_tensor(), values)
        return whole

    def like(self, tensor: Tensor, parameter: Tensor) -> Tensor:
        from torch.distributed.tensor import DTensor, Replicate

        if (
            not isinstance(parameter, DTensor) or tensor.shape != parameter.shape
        ):  # Adam counts steps in a tensor of one number
            return tensor
        mesh = parameter.device_mesh
        everywhere = DTensor.from_local(tensor.to(parameter.device), mesh, [Replicate()] * mesh.ndim, run_check=False)
        return everywhere.redistribute(placements=parameter.placements)

    def threads(self) -> int:
        return max(1, len(_cores()) // int(os.environ.get("LOCAL_WORLD_SIZE", self.size)))


class _Sum(torch.autograd.Function):
    """The sum over the processes; each of them makes use of it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, team: Alone) -> Tensor:
        ctx.team = team
        return team.sum(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.team.sum(gradient), None


ALONE = Alone()


@contextmanager
def team(parallel: str | None) -> Iterator[Alone]:
    """The processes that ``torchrun`` started, or one.

    Raises:
        InputError: a way to work together that there is not, or nobody to work with.
    """
    if parallel not in (None, *PARALLEL):
        refusal = f"--parallel: {parallel!r} is not one of {', '.join(PARALLEL)}"
        raise InputError(refusal) if os.environ.get("RANK", "0") == "0" else Told(refusal)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        if parallel is not None and "WORLD_SIZE" not in os.environ:
            raise InputError(
                "--parallel: there is one process; start several with torchrun --nproc-per-node N -m convarium train"
            )
        yield ALONE
        return
    from ..distributed._leaving import leave_gently

    leave_gently()
    store, rank, size = next(dist.rendezvous("env://"))  # type: ignore[attr-defined]
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    # torchrun's store still has the addresses of those that died
    store = dist.PrefixStore(f"attempt-{attempt}", store)  # type: ignore[attr-defined]
    gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Together(parallel)
    finally:
        dist.destroy_process_group()


def restarted() -> bool:
    """Whether ``torchrun`` started this process anew, after one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _cores() -> set[int] | range:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
