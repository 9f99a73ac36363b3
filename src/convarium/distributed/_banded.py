"""What a module becomes that runs in bands: an object of the same class, with :class:`Banded` before it."""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor, nn

from .._spec.tensors import no_tensor
from ._kinds import Run, kind_of
from ._layout import Layout


class Banded(nn.Module):
    _plain: type[nn.Module]
    _layout: Layout
    _run: Run

    def forward(self, input: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        if not isinstance(input, Tensor):
            raise no_tensor(self._plain.__name__, "input", input)
        return self._run(self, input, *arguments, **keywords, layout=self._layout)

    def extra_repr(self) -> str:
        own = self._plain.extra_repr(self)
        return ", ".join([*([own] if own else []), f"band {self._layout.rank} of {self._layout.ranks}"])


@cache
def _class(kind: Any) -> Any:
    return type(kind.__name__, (Banded, kind), {"_plain": kind, "__module__": kind.__module__})


def cut_in_bands(module: nn.Module, layout: Layout) -> None:
    """Make a module run in bands, if its kind can."""
    if (kind := kind_of(module)) is not None:
        before: Any = type(module)
        module.__class__ = _class(before)
        object.__setattr__(module, "_layout", layout)
        object.__setattr__(module, "_run", kind.run)


def is_banded(module: nn.Module) -> bool:
    return isinstance(module, Banded)


def plain(module: nn.Module) -> type[nn.Module]:
    """The class that a module had before."""
    return module._plain if isinstance(module, Banded) else type(module)
