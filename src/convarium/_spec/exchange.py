"""Channel graphs to and from what other libraries and files hold."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._files import atomic
from .patterns import Mask
from .shown import shown

FORMAT = "convarium channel graph 1"


def mask_of_array(call: str, mask: Any) -> Mask:
    """Of an array, tensor or lists of shape ``(out_channels, in_channels)``, of booleans or 0 and 1."""
    must = f"{call}: mask must be an array of 0 and 1 (or booleans)"
    if isinstance(mask, Tensor):
        if mask.layout != torch.strided or mask.is_meta:
            raise TypeError(f"{must}, dense and with numbers, got {shown(mask)}")
        mask = (
            mask.detach().cpu().to(torch.float64 if mask.is_floating_point() else mask.dtype)
        )  # NumPy has no bfloat16
    try:
        array = np.asarray(mask)
    except (TypeError, ValueError):
        raise TypeError(f"{must}, its rows equally long, got {shown(mask)}") from None
    if array.dtype.kind not in "biuf":
        hint = "; ChannelGraph.from_scipy takes sparse matrices" if hasattr(mask, "tocsr") else ""
        raise TypeError(f"{must}, got {type(mask).__name__}{hint}")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{call}: mask must be (out_channels, in_channels), with at least one of each, got shape {array.shape}"
        )
    as_bool = array.astype(np.bool_)
    if not np.array_equal(as_bool, array):
        raise ValueError(f"{call}: mask must hold only 0 and 1 (or booleans), got {array[as_bool != array].flat[0]}")
    return as_bool


def mask_of_scipy(call: str, matrix: Any) -> Mask:
    """Of a sparse matrix or array of shape ``(out_channels, in_channels)``: its stored entries must be 0 or 1."""
    if not hasattr(matrix, "tocoo"):
        raise TypeError(f"{call}: matrix must be a SciPy sparse matrix, got {shown(matrix)}; from_mask takes arrays")
    entries = matrix.tocoo()
    if len(entries.shape) != 2 or 0 in entries.shape:
        raise ValueError(f"{call}: matrix must be (out_channels, in_channels), got shape {tuple(entries.shape)}")
    places = entries.row.astype(np.int64) * entries.shape[1] + entries.col
    if len(np.unique(places)) != len(places):
        raise ValueError(f"{call}: matrix has an entry twice; matrix.sum_duplicates() adds them up")
    mask = np.zeros(entries.shape, dtype=np.bool_)
    values = np.asarray(entries.data)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{call}: matrix must hold only 0 and 1, got {values[~np.isin(values, (0, 1))][0]}")
    mask[entries.row, entries.col] = values != 0
    return mask


def mask_of_networkx(call: str, graph: Any) -> Mask:
    """Of a bipartite graph as NetworkX marks it: nodes with ``bipartite=0`` are inputs, with 1 outputs, in their order."""
    if not (hasattr(graph, "nodes") and hasattr(graph, "edges")):
        raise TypeError(f"{call}: graph must be a NetworkX graph, got {shown(graph)}")
    sides: tuple[dict[Any, int], dict[Any, int]] = ({}, {})
    for node, attributes in graph.nodes(data=True):
        side = attributes.get("bipartite")
        if side not in (0, 1):
            raise ValueError(f"{call}: node {node!r} must have bipartite=0 (an input) or 1 (an output), got {side!r}")
        sides[side][node] = len(sides[side])
    inputs, outputs = sides
    if not inputs or not outputs:
        raise ValueError(
            f"{call}: the graph has {len(inputs)} inputs and {len(outputs)} outputs; one of each is the least"
        )
    mask = np.zeros((len(outputs), len(inputs)), dtype=np.bool_)
    for a, b in graph.edges():
        if b in inputs and not graph.is_directed():
            a, b = b, a
        if a not in inputs or b not in outputs:
            raise ValueError(f"{call}: edge {(a, b)!r} does not lead from an input to an output")
        if mask[outputs[b], inputs[a]]:
            raise ValueError(f"{call}: edge {(a, b)!r} is given twice")
        mask[outputs[b], inputs[a]] = True
    return mask


def read(call: str, path: Any) -> tuple[int, int, str]:
    """What a file of :func:`write` holds."""
    wrong = f"{call}: {path} is no channel graph"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no text, no JSON, a number too long, or lists too deep
        raise ValueError(f"{wrong}: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{wrong}: its format is not {FORMAT!r}")
    keys = {"format", "in_channels", "out_channels", "edges"}
    if set(content) != keys:
        raise ValueError(f"{wrong}: it has {', '.join(sorted(content))}, and not {', '.join(sorted(keys))}")
    return content["in_channels"], content["out_channels"], content["edges"]


def write(path: Any, in_channels: int, out_channels: int, edges: str) -> None:
    if not isinstance(path, str | PathLike):
        raise TypeError(f"ChannelGraph.save: path must be a str or a Path, got {shown(path)}")
    content = {"format": FORMAT, "in_channels": in_channels, "out_channels": out_channels, "edges": edges}
    atomic.replace(Path(path), f"{json.dumps(content, indent=2)}\n".encode())
