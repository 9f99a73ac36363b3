"""What will run, and why, before it runs: shapes alone make a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ._engines import ENGINES
from ._planner.choice import check_engine
from ._planner.plan import Plan, plan
from ._spec import arguments as _arguments
from ._spec import call as _call
from ._spec.channels import ChannelGraph
from ._spec.shown import shown
from ._spec.tensors import check_dtype

__all__ = ["Plan", "engines", "plan1d", "plan2d", "plan3d"]

Size = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


def engines() -> dict[str, str]:
    """The engines that ``engine=`` takes, and what each does, in one line, or why it cannot run on this machine.

    Examples:
        >>> import convarium as cv
        >>> for name, summary in cv.engines().items():
        ...     print(f"{name:10}  {summary}")  # doctest: +ELLIPSIS
        aten        torch's own convolution; a small tile as one strided call for each of its kernels
        native      ...
        matmul      windows as a matrix, products by torch in bounded workspace; any device, dtype and channel graph
        spectral    Fourier transforms of overlapping segments, for large kernels that positions share
        dense       any graph as a dense convolution, with zeros where it has no edge
        definition  windows, Hadamard products and sums, as the formula is written; the judge of the others
    """
    found = {}
    for name, engine in ENGINES.items():
        why_not = engine.missing()
        found[name] = engine.SUMMARY if why_not is None else f"not available: {why_not}"
    return found


def plan2d(
    input_size: Sequence[int],
    weight_size: Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Plan:
    """How :func:`convarium.conv2d` of an input and a weight of these shapes, and its two gradients, will run.

    Args:
        input_size, weight_size: shapes, as the tensors of :func:`convarium.conv2d` have them.
        dtype, device: of the tensors.
        others: as for :func:`convarium.conv2d`.

    Examples:
        >>> import convarium as cv
        >>> plan = cv.plan2d((32, 64, 30, 30), (64, 28, 28, 64, 3, 3), engine="matmul")
        >>> print(plan)  # doctest: +ELLIPSIS
        local convolution, 2-D, float32 on cpu, ... threads
          input        (32, 64, 30, 30)
          weight       (64, 28, 28, 64, 3, 3), ChannelGraph(64 -> 64, dense, 4096 edges)
          output       (32, 64, 28, 28)
          each map     1.85 GFLOP, 129 MB at least, 14.3 FLOP/B, 28.9 M parameters
          floor        ...s, ...
          limits       ... GFLOP/s, ... GB/s, ... GB/s in ... of cache
                       ...
        <BLANKLINE>
          map          engine         time  of floor     moved  workspace  why
          forward      matmul     ... asked for by name
          grad_input   matmul     ... asked for by name
          grad_weight  matmul     ... asked for by name
        <BLANKLINE>
          why not
            aten       not asked for
            native     not asked for
            spectral   not asked for
            dense      not asked for
            definition not asked for
        >>> plan.engines["grad_weight"]
        'matmul'
    """
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip)
    return _plan("plan2d", 2, input_size, weight_size, arguments, engine, dtype, device)


def plan1d(
    input_size: Sequence[int],
    weight_size: Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Plan:
    """How :func:`convarium.conv1d` will run; see :func:`plan2d`."""
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip)
    return _plan("plan1d", 1, input_size, weight_size, arguments, engine, dtype, device)


def plan3d(
    input_size: Sequence[int],
    weight_size: Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: ChannelGraph | None = None,
    flip: bool = False,
    engine: str = "auto",
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Plan:
    """How :func:`convarium.conv3d` will run; see :func:`plan2d`."""
    arguments = (stride, padding, dilation, groups, padding_mode, channels, flip)
    return _plan("plan3d", 3, input_size, weight_size, arguments, engine, dtype, device)


def _plan(
    name: str, n: int, input: Any, weight: Any, arguments: Any, engine: str, dtype: torch.dtype, device: str
) -> Plan:
    check_engine(name, engine)
    check_dtype(name, "dtype", dtype)
    input_size = _arguments.shape(name, "input_size", input)
    call = _call.convolution(name, n, input_size, _arguments.shape(name, "weight_size", weight), None, *arguments)
    batch = input_size[0] if len(input_size) == n + 2 else 1
    return plan(call.problem(batch, dtype, _device_type(name, device)), engine, name)


def _device_type(name: str, device: Any) -> str:
    if not isinstance(device, str | torch.device):
        raise TypeError(f"{name}: device must be a torch.device or its name, got {shown(device)}")
    try:
        return torch.device(device).type
    except RuntimeError:
        raise ValueError(f"{name}: device must be a torch.device or its name, got {shown(device)}") from None
