"""The tensors of a checkpoint that no process has whole: each writes its part, by :mod:`torch.distributed.checkpoint`.

::

    __0_0.distcp, __1_0.distcp, ...  the parts of each process
    .metadata                        which part of which tensor lies where; a pickle, as PyTorch has it

What is in parts is a ``DTensor``. The rest is taken from the first process, whose it is: PyTorch would take it from any of them.
The folder must be one that all of them see.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from .._files.failures import InputError, why

INDEX = ".metadata"


def write(folder: Path, tensors: Mapping[str, Tensor], group: dist.ProcessGroup) -> list[Path]:
    """Write to a folder what this process, the first of the group, has, while the others :func:`join`; all the files.

    Raises:
        OSError: the system does not let one of them.
        InputError: another process sees another folder.
    """
    from torch.distributed.checkpoint.filesystem import FileSystemReader

    dist.broadcast_object_list([folder], group=group, group_src=0)
    _save(folder, tensors, group)
    parts = FileSystemReader(folder).read_metadata().storage_data.values()
    files = [folder / INDEX, *(folder / name for name in sorted({part.relative_path for part in parts}))]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{file.parent.parent}: another host writes its part of a checkpoint to a folder of its own; give --out a folder "
                "that all hosts share, or --parallel ddp, with which the first process writes alone"
            )
    return files


def join(tensors: Mapping[str, Tensor], group: dist.ProcessGroup) -> None:
    """Write this process's parts to where the first one says.

    Raises:
        InputError: the system does not let one of them.
    """
    from torch.distributed.tensor import DTensor

    told: list[Path | None] = [None]
    dist.broadcast_object_list(told, group=group, group_src=0)
    (folder,) = told
    assert folder is not None
    try:
        _save(folder, {name: tensor for name, tensor in tensors.items() if isinstance(tensor, DTensor)}, group)
    except OSError as error:
        raise why(folder.parent, error) from None


def read(folder: Path) -> dict[str, Tensor]:
    """All tensors, whole, whoever wrote their parts."""
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = FileSystemReader(folder)
    found = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in reader.read_metadata().state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one process reads them
        load(found, storage_reader=reader, no_dist=True)
    return found


def _save(folder: Path, tensors: Mapping[str, Tensor], group: dist.ProcessGroup) -> None:
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    try:
        save(dict(tensors), storage_writer=FileSystemWriter(folder), process_group=group)
    except CheckpointException as failed:  # of one process or several
        error, _ = next(iter(failed.failures.values()))
        raise error from None
