"""The result as a Dask array: a task for each of its blocks, which reads its windows and computes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .._files.failures import extra
from .reading import Reader, identified

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dask.array

EXTRA = "blockwise"
NUMBERS = 1  # one more where a change here gives other numbers: what was kept before is then not taken for the same
Block = tuple[tuple[int, int], ...]  # from, to along each axis of the result


class Graph:
    """Built up: readers and constants first, then :meth:`array`."""

    def __init__(self, call: str, *identity: Any) -> None:
        """`identity` is all that the values depend on: equal ones make equal names, and an unfinished store goes on by them."""
        tokenize = extra("dask.base", EXTRA).tokenize
        self.name = f"{call}-{tokenize(NUMBERS, *map(identified, identity))}"
        self._tasks: dict[Any, Any] = {}
        self._dependencies: list[Any] = []

    def reader(self, name: str, array: Any) -> Reader:
        made = Reader(array, f"{self.name}-{name}")
        self._tasks |= made.own
        self._dependencies += made.dependencies
        return made

    def constant(self, name: str, value: Any) -> str:
        """A value that every task reads; it travels once."""
        key = f"{self.name}-{name}"
        self._tasks[key] = value
        return key

    def array(
        self,
        shape: Sequence[int],
        block: Sequence[int],
        dtype: Any,
        compute: Callable[..., Any],
        arguments: Callable[[Block], tuple[Any, ...]],
    ) -> dask.array.Array:
        """``compute(*arguments(block))`` for each block; arguments may be tasks and keys of constants."""
        da, graphs = extra("dask.array", EXTRA), extra("dask.highlevelgraph", EXTRA)
        chunks = tuple(
            (size,) * (length // size) + ((length % size,) if length % size else ()) if length else (0,)
            for length, size in zip(shape, block, strict=True)
        )
        bounds = [list(itertools.pairwise(itertools.accumulate(sizes, initial=0))) for sizes in chunks]
        for index in itertools.product(*(range(len(sizes)) for sizes in chunks)):
            here = tuple(bounds[axis][i] for axis, i in enumerate(index))
            self._tasks[(self.name, *index)] = (_alone, compute, *arguments(here))
        graph = graphs.HighLevelGraph.from_collections(self.name, self._tasks, dependencies=self._dependencies)
        return da.Array(graph, self.name, chunks, meta=np.empty((0,) * len(shape), dtype))


def _alone(compute: Callable[..., Any], *arguments: Any) -> Any:
    with one_thread():
        return compute(*arguments)


@contextmanager
def one_thread() -> Iterator[None]:
    """A block is computed by the one thread that Dask gives it: several blocks at once use the cores, and the numbers do
    not depend on how many."""
    torch.get_num_threads()  # torch gives each thread its number at the first use; ours must come after
    with _pools().limit(limits=1, user_api="openmp"):
        yield


@cache
def _pools() -> Any:
    return extra("threadpoolctl", EXTRA).ThreadpoolController()
