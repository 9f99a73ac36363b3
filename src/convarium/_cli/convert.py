"""``convarium convert``: a model of Keras 2 as a file that PyTorch reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from . import options


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A sequential Keras 2 model: .h5 or .keras.", show_default=False)
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .safetensors file to write.", show_default=False)],
    as_json: options.AsJson = False,
) -> None:
    """Turn a sequential Keras 2 model, locally connected layers and all, into weights for PyTorch.

    In Python, `cv.convert.load("out.safetensors")` builds the model from them.
    """
    from .._files.failures import InputError
    from ..convert import to_safetensors

    if target.suffix != ".safetensors":
        raise InputError(f"OUT must be a .safetensors file, got {target}")
    model = to_safetensors(source, target)
    layers = [(name, str(layer), sum(p.numel() for p in layer.parameters())) for name, layer in model.named_children()]
    total = sum(count for _, _, count in layers)
    if as_json:
        rows = [{"name": name, "layer": layer, "parameters": count} for name, layer, count in layers]
        print(json.dumps({"source": str(source), "target": str(target), "parameters": total, "layers": rows}, indent=2))
        return
    width = max((len(name) for name, _, _ in layers), default=0)
    for name, layer, count in layers:
        print(f"{name:{width}}  {count:>9,}  {layer}")
    print(f"{'':{width}}  {total:>9,}  parameters, in {target}")
