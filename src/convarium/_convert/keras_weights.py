"""A converted model in one file: its numbers as safetensors, and beside them the description that it is built from again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from .._files import atomic
from .._files.failures import InputError, extra, why
from .keras_layers import KerasLayer, sequential

FORMAT = "convarium.keras.1"


def save(path: Path, layers: Sequence[KerasLayer], model: nn.Sequential) -> None:
    """Written beside and renamed."""
    description = json.dumps([[layer.kind, layer.config] for layer in layers])
    metadata = {"format": FORMAT, "layers": description}
    atomic.write(path, extra("safetensors.torch", "convert").save(model.state_dict(), metadata))


def load(path: Path, call: str) -> nn.Sequential:
    torch_files = extra("safetensors", "convert")
    try:
        path.open("rb").close()  # whose errors are the system's own
        with torch_files.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path}: not a model that convert wrote; its format is {metadata.get('format')}")
            model = sequential(_described(path, metadata), call)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except OSError as error:
        raise why(path, error) from None
    except torch_files.SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if (got := {name: tuple(tensor.shape) for name, tensor in tensors.items()}) != expected:
        name = next(name for name in [*expected, *got] if expected.get(name) != got.get(name))
        raise InputError(f"{path}: {name} must have shape {expected.get(name)}, got {got.get(name)}")
    model.load_state_dict(tensors)
    return model


def _described(path: Path, metadata: dict[str, str]) -> list[KerasLayer]:
    try:
        return [KerasLayer(str(kind), dict(config), None) for kind, config in json.loads(metadata["layers"])]
    except (KeyError, ValueError, TypeError):
        raise InputError(f"{path}: its description of layers is damaged") from None
