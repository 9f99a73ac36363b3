"""Tensors cut in bands: in and out of the form in which PyTorch knows them, :class:`torch.distributed.tensor.DTensor`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard

from ._bands import Bands

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A direction of space, ``dim`` counted from the end, cut in bands over a mesh."""

    mesh: DeviceMesh
    dim: int

    @property
    def ranks(self) -> int:
        return self.mesh.size()

    @property
    def rank(self) -> int:
        return self.mesh.get_local_rank()

    @property
    def group(self) -> dist.ProcessGroup:
        return self.mesh.get_group()

    def bands(self, size: int) -> tuple[int, int]:
        """This rank's positions of a direction of so many."""
        return Bands(size, self.ranks).of(self.rank)

    def place(self, ndim: int) -> Shard:
        return Shard(ndim + self.dim)

    def spread(self, tensor: Tensor) -> DTensor:
        """A tensor in bands. A plain one is taken to be whole, the same on every rank."""
        if not isinstance(tensor, DTensor):
            tensor = everywhere(tensor, self.mesh)
        placement = self.place(tensor.ndim)
        return tensor if tensor.placements == (placement,) else tensor.redistribute(placements=[placement])

    def join(self, band: Tensor, shape: Shape) -> DTensor:
        """This rank's band of a tensor of such a shape."""
        stride = tuple(math.prod(shape[d + 1 :]) for d in range(len(shape)))
        band = band.contiguous()
        return DTensor.from_local(
            band, self.mesh, [self.place(len(shape))], run_check=False, shape=torch.Size(shape), stride=stride
        )


def everywhere(tensor: Tensor, mesh: DeviceMesh) -> DTensor:
    """A tensor that every rank has whole."""
    return DTensor.from_local(tensor, mesh, [Replicate()], run_check=False)


def nothing(shape: Shape, *operands: Tensor) -> Tensor:
    """Zeros that autograd takes for a product of the operands: a rank without work takes part in every derivative's journeys."""
    return operands[0].new_zeros(shape) + math.prod(operand.flatten()[:0].sum() for operand in operands)
