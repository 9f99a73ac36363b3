"""Layers as large as many processes together, on :mod:`torch.distributed`: each owns a band of space."""

from ._exchange import Traffic, counting
from .prediction import LayerCost, Prediction, predict
from .spatial import shard_spatially

__all__ = ["LayerCost", "Prediction", "Traffic", "counting", "predict", "shard_spatially"]
