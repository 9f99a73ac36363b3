"""Small published networks made of these layers, one a file. They are plain :class:`torch.nn.Module`, without trained weights."""

from .clcnet import ClcNet, clcnet_a, clcnet_b
from .deepface import DeepFace, deepface
from .lenet import LeNet5, lenet5
from .tiled_cnn import TiledCnn, tiled_cnn

__all__ = ["ClcNet", "DeepFace", "LeNet5", "TiledCnn", "clcnet_a", "clcnet_b", "deepface", "lenet5", "tiled_cnn"]
