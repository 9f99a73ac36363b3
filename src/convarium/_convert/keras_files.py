"""Sequential models of Keras 2 in files: ``.h5``, and ``.keras`` (a zip of a description and an HDF5 file of weights).

Nothing is unpickled, and no code in a file is run: a description names layers, and what is not known by name is refused.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .._files.failures import InputError, extra, why
from .keras_layers import KerasLayer
from .local_weights import Array


def read(path: Path) -> list[KerasLayer]:
    """The layers of a model in a file, with their arrays.

    Raises:
        InputError: the file is not there, not whole, not Keras', or no sequential model.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise why(path, error) from None
    for signature, reader in ((b"\x89HDF", _from_h5), (b"PK", _from_zip)):
        if start.startswith(signature):
            try:
                return reader(path)
            except (KeyError, AttributeError, TypeError, OSError, RuntimeError, zlib.error) as error:
                raise InputError(f"{path}: the file is damaged ({_first_line(error)})") from None
    if start[8:] == b"{":  # after the length of its header
        raise InputError(f"{path}: this is a safetensors file already, as convert writes them; it reads Keras models")
    if start.startswith(b"\x80"):
        raise InputError(f"{path}: this is a pickle, which can run code when it is read; it is not opened")
    raise InputError(f"{path}: neither an HDF5 file nor a .keras file")


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]


def _open(path: Path, data: Any) -> Any:
    try:
        return extra("h5py", "convert").File(data, "r")
    except OSError as error:
        raise InputError(f"{path}: not a whole HDF5 file ({_first_line(error)})") from None


def _from_h5(path: Path) -> list[KerasLayer]:
    with _open(path, path) as file:
        if "model_config" not in file.attrs or "model_weights" not in file:
            raise InputError(
                f"{path}: has no Keras model in it, or weights alone; save the whole model: model.save(...)"
            )
        layers = described(_json(path, file.attrs["model_config"]), str(path))
        weights = file["model_weights"]
        return [KerasLayer(kind, config, _arrays(weights.get(config.get("name")))) for kind, config in layers]


def _arrays(group: Any) -> tuple[Array, ...]:
    names = [] if group is None else group.attrs.get("weight_names", [])
    return tuple(np.asarray(group[name.decode() if isinstance(name, bytes) else name]) for name in names)


def _from_zip(path: Path) -> list[KerasLayer]:
    try:
        with zipfile.ZipFile(path) as archive:
            if not {"config.json", "model.weights.h5"} <= set(archive.namelist()):
                raise InputError(f"{path}: a zip, but no .keras file: it has no config.json and model.weights.h5")
            layers = described(_json(path, archive.read("config.json")), str(path))
            data = archive.read("model.weights.h5")
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise InputError(f"{path}: not a whole .keras file ({error})") from None
    with _open(path, io.BytesIO(data)) as file:
        groups = file.get("layers", file.get("_layer_checkpoint_dependencies"))  # the latter until Keras 2.13
        places = {kind: _numbered(groups, _snake_case(kind)) for kind in {kind for kind, _ in layers}}
        return [KerasLayer(kind, config, _variables(next(places[kind], None))) for kind, config in layers]


def _numbered(groups: Any, name: str) -> Iterator[Any]:
    """The groups of layers of one kind, in the order of the model: NAME, NAME_1, NAME_2 or, in older files, with gaps."""
    found = [key for key in groups if re.fullmatch(rf"{name}(_\d+)?", key)]
    return (groups[key] for key in sorted(found, key=lambda key: (len(key), key)))


def _variables(group: Any) -> tuple[Array, ...]:
    variables = {} if group is None else group.get("vars", {})
    return tuple(np.asarray(variables[key]) for key in sorted(variables, key=lambda key: (len(key), key)))


def _snake_case(kind: str) -> str:
    """As Keras names the groups of its files: ``LocallyConnected2D`` is ``locally_connected2d``."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()


def _json(path: Path, text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"{path}: the model's description is not JSON") from None


def described(model: Any, source: str) -> list[tuple[str, dict[str, Any]]]:
    """Kind and configuration of each layer of a sequential model's description."""
    kind = model.get("class_name") if isinstance(model, dict) else None
    if kind != "Sequential":
        raise InputError(f"{source}: the model is {kind}, not Sequential; give its layers one by one, as a list")
    layers = model.get("config", {})
    layers = layers.get("layers") if isinstance(layers, dict) else layers
    if not isinstance(layers, list) or not all(
        isinstance(each, dict) and {"class_name", "config"} <= set(each) for each in layers
    ):
        raise InputError(f"{source}: the model's description has no list of layers")
    return [(str(each["class_name"]), each["config"]) for each in layers]
