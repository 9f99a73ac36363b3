"""Where a batch of images comes from: a tensor in memory, or something that makes it when it is asked for.

Either is indexed by a tensor of numbers and gives ``(batch, C, H, W)``, so nothing but a batch need ever be in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from torch import Tensor

Item = TypeVar("Item")
Made = TypeVar("Made")
AHEAD = 2


class Later(ABC):
    """Images that are made when they are asked for.

    Attributes:
        shape: ``(N, C, H, W)``.
        on_disk: whether they are read from a file each time, so that it pays to ask before they are needed.
    """

    shape: tuple[int, ...]
    on_disk: bool

    @abstractmethod
    def __getitem__(self, index: Tensor) -> Tensor:
        """The images of these numbers, ``(len(index), C, H, W)``, float32 from 0 to 1."""


Images: TypeAlias = Tensor | Later


class _Chosen(Later):
    def __init__(self, images: Later, index: Tensor) -> None:
        self._images, self._index = images, index
        self.shape, self.on_disk = (len(index), *images.shape[1:]), images.on_disk

    def __getitem__(self, index: Tensor) -> Tensor:
        return self._images[self._index[index]]


def chosen(images: Images, index: Tensor) -> Images:
    """The images of these numbers: a tensor's are copied, others stay where they are."""
    return images[index] if isinstance(images, Tensor) else _Chosen(images, index)


def on_disk(images: Images) -> bool:
    """Whether a batch of these is worth reading before it is needed."""
    return not isinstance(images, Tensor) and images.on_disk


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What is made of each item, in their order, on a thread that is a few items ahead of whoever takes them."""
    with ThreadPoolExecutor(1) as reader:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(reader.submit(make, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
