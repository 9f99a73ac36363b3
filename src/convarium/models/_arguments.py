"""What the networks are given, checked."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from .._spec.arguments import is_sequence, whole
from .._spec.channel_arguments import check_count
from .._spec.shown import shown, written


def positive_number(call: str, name: str, value: Any, least: int = 1) -> int:
    return whole(call, name, value if least < 1 else check_count(call, name, value), least)


def height_and_width(call: str, size: Any) -> tuple[int, int]:
    sides = tuple(size) if is_sequence(size) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"{call}: size must be a number or (height, width), got {shown(size)}")
    height, width = (positive_number(call, "size", side) for side in sides)
    return height, width


def counts(call: str, name: str, values: Any) -> tuple[int, ...]:
    if not is_sequence(values):
        one = isinstance(values, int) and not isinstance(values, bool)
        hint = f"; ({values},) would fit" if one else ""
        raise TypeError(f"{call}: {name} must be a sequence of counts, one a layer, got {shown(values)}{hint}")
    if not values:
        raise ValueError(f"{call}: {name} must be at least one count, got {shown(values)}")
    return tuple(positive_number(call, name, value) for value in values)


def check_images(call: str, images: Tensor, channels: int, size: tuple[int, int] | None = None) -> None:
    """Images in a batch, of the size where it has to be one."""
    if not isinstance(images, Tensor):
        raise TypeError(f"{call}: images must be a tensor, got {shown(images)}")
    expected = ("batch", channels, *(size or ("height", "width")))
    shape = tuple(images.shape)
    if len(shape) == 4 and shape[1] == channels and size in (None, shape[2:]):
        return
    hint = ""
    if size is not None and len(shape) == 4 and shape[1] == channels:
        short = [wanted - has for wanted, has in zip(size, shape[2:], strict=True)]
        if min(short) >= 0 and all(each % 2 == 0 for each in short):
            pad = written((short[1] // 2,) * 2 + (short[0] // 2,) * 2)
            hint = f"; torch.nn.functional.pad(images, {pad}) would fit"
    elif len(shape) == 3 and shape[0] == channels and size in (None, shape[1:]):
        hint = "; images.unsqueeze(0) would fit"
    elif len(shape) == 3 and channels == 1 and size in (None, shape[1:]):
        hint = "; images.unsqueeze(1) would fit"
    raise ValueError(f"{call}: images must be {written(expected)}, got {shape}{hint}")
