"""Layers as large as many processes together, on :mod:`torch.distributed`: each owns a band of space."""

from ._exchange import Traffic, counting
from .spatial import shard_spatially

__all__ = ["Traffic", "counting", "shard_spatially"]
