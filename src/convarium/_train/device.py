"""Where a run computes: on the CPU, or each process on a GPU of its own."""

from __future__ import annotations

import os

import torch

from .._files.failures import InputError

DEVICES = ("cpu", "cuda")


def check_device(device: str) -> None:
    """Refuse, before anything is begun, a device that is not here, and take this process's own of several.

    Raises:
        InputError: PyTorch finds no GPU, or fewer than there are processes on this host.
    """
    if device != "cuda":
        return
    if not torch.cuda.is_available():
        raise InputError("--device: cuda, but PyTorch finds no GPU that it can use here")
    own, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if own >= count:
        raise InputError(
            f"--device: cuda, but this host has {count} GPU(s) and process {own} on it wants one of its own"
        )
    torch.cuda.set_device(own)
