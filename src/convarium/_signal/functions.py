"""Functions of time for the convolution integral: callables with a support, and samples joined by straight lines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._spec.shown import shown


@dataclass(frozen=True)
class Function:
    """A function that is zero outside ``low..high`` and smooth between its ``breaks``."""

    evaluate: Callable[[Tensor], Tensor]
    low: float
    high: float
    breaks: Tensor  # increasing, finite, the finite ends among them
    linear: bool  # a straight line between the breaks


def function(call: str, name: str, given: object, support: object, is_torch: bool, device: torch.device) -> Function:
    """`given` as a :class:`Function`, after every check of it and of its support."""
    if callable(given):
        low, breaks, high = _support(call, name, support)
        return Function(
            _called(call, name, given, is_torch),
            low,
            high,
            torch.tensor(breaks, dtype=torch.float64, device=device),
            False,
        )
    if not (isinstance(given, (tuple, list)) and len(given) == 2):
        raise TypeError(
            f"{call}: {name} must be a callable or a pair (times, values) of a sampled function, got {type(given).__name__}"
        )
    if support is not None:
        raise ValueError(
            f"{call}: {name}_support is given, but {name} is sampled: it is zero outside its times already; leave it out"
        )
    times, values = (
        samples(call, f"{name}'s {what}", part, is_torch, device)
        for what, part in zip(("times", "values"), given, strict=True)
    )
    if times.dim() != 1 or times.shape != values.shape:
        raise ValueError(
            f"{call}: {name}'s times and values must be two vectors of one length; "
            f"got shapes {tuple(times.shape)} and {tuple(values.shape)}"
        )
    if len(times) < 2:
        raise ValueError(f"{call}: {name} needs two samples or more, or its integral is zero, got {len(times)}")
    if times.is_complex():
        raise TypeError(f"{call}: {name}'s times must be real, got dtype {times.dtype}")
    knots = times.detach()
    if not bool(torch.isfinite(knots).all()):
        raise ValueError(f"{call}: {name}'s times must be finite, got {_first(~torch.isfinite(knots), knots)}")
    falls = knots[1:] <= knots[:-1]
    if bool(falls.any()):
        at = int(falls.nonzero()[0, 0])
        raise ValueError(
            f"{call}: {name}'s times must increase, got times[{at}] = {float(knots[at]):g} and "
            f"times[{at + 1}] = {float(knots[at + 1]):g}"
        )
    return Function(lambda a: _interpolated(times, values, a), float(knots[0]), float(knots[-1]), knots, True)


def samples(call: str, name: str, given: object, is_torch: bool, device: torch.device) -> Tensor:
    """Numbers as a float64 or complex128 tensor, of the library that the call is in."""
    if isinstance(given, Tensor) != is_torch:
        one, other = ("a torch tensor", "t is not") if isinstance(given, Tensor) else ("not a torch tensor", "t is")
        raise TypeError(f"{call}: {name} is {one} and {other}; sampled functions and t must be of one library")
    if isinstance(given, Tensor):
        if given.device != device:
            raise ValueError(f"{call}: {name} is on {given.device} and t on {device}; they must be on one device")
        return given.to(torch.complex128 if given.is_complex() else torch.float64)
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{call}: {name} is no array of numbers: {error}") from error
    if array.dtype.kind not in "buifc":
        raise TypeError(f"{call}: {name} has dtype {array.dtype}; expected numbers")
    return torch.from_numpy(np.array(array, dtype=np.complex128 if array.dtype.kind == "c" else np.float64))


def moments(call: str, given: object) -> Tensor:
    """The times at which an integral is evaluated: real and finite."""
    device = given.device if isinstance(given, Tensor) else torch.device("cpu")
    t = samples(call, "t", given, isinstance(given, Tensor), device)
    if t.is_complex():
        raise TypeError(f"{call}: t must be real, got complex numbers")
    if not bool(torch.isfinite(t).all()):
        raise ValueError(f"{call}: t must be finite, got a NaN or an infinity")
    return t


def check_range(call: str, x: Function, w: Function, t: Tensor) -> None:
    """Refuse a t at which the range where neither function is zero has no end."""
    low, high = (t - w.high).clamp(min=x.low), (t - w.low).clamp(max=x.high)
    endless = (low < high) & (torch.isinf(low) | torch.isinf(high))
    if bool(endless.any()):
        raise ValueError(
            f"{call}: at t = {float(t[endless][0]):g} the range of the integral is infinite: x is given on "
            f"({x.low:g}, {x.high:g}) and w on ({w.low:g}, {w.high:g}); x_support=(low, high) or w_support=(low, high) "
            f"with finite ends would fit"
        )


def _support(call: str, name: str, support: object) -> tuple[float, list[float], float]:
    if support is None:
        return -math.inf, [], math.inf
    expected = f"{call}: {name}_support must be an increasing sequence (low, high), or (low, jump, ..., high)"
    try:
        places = [float(place) for place in support]  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise TypeError(f"{expected} of numbers, got {shown(support)}") from error
    if len(places) < 2:
        raise ValueError(f"{expected}, got {len(places)} number(s)")
    if any(not left < right for left, right in itertools.pairwise(places)):  # a NaN fails this too
        raise ValueError(f"{expected}, got {tuple(places)}")
    return places[0], [place for place in places if math.isfinite(place)], places[-1]


def _called(call: str, name: str, given: Callable[..., Any], is_torch: bool) -> Callable[[Tensor], Tensor]:
    kind = "torch tensor" if is_torch else "NumPy array"

    def evaluate(a: Tensor) -> Tensor:
        try:
            result = given(a if is_torch else a.numpy())
        except Exception as error:
            error.add_note(f"{call} called {name} with a {kind} of {a.numel()} times; it must take and return arrays")
            raise
        try:
            value = torch.as_tensor(result if is_torch else np.asarray(result), device=a.device)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{call}: {name} must return a number for every time, got {shown(result)}") from None
        if value.shape not in (a.shape, ()):
            raise ValueError(
                f"{call}: {name} must return a number for every time: called with shape {tuple(a.shape)}, "
                f"it returned shape {tuple(value.shape)}"
            )
        return value.to(torch.complex128 if value.is_complex() else torch.float64).expand(a.shape)

    return evaluate


def _interpolated(times: Tensor, values: Tensor, a: Tensor) -> Tensor:
    right = torch.searchsorted(times.detach(), a.detach().contiguous()).clamp(1, len(times) - 1)
    left = right - 1
    part = (a - times[left]) / (times[right] - times[left])
    return values[left] * (1 - part) + values[right] * part


def _first(bad: Tensor, values: Tensor) -> str:
    at = int(bad.nonzero()[0, 0])
    return f"times[{at}] = {float(values[at])}"
