"""Where tensors enter and leave a sharded module: cut in bands, kept from what would mistake a band for a whole, joined."""

from __future__ import annotations

import zlib
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ._layout import Layout, everywhere

CALL = "shard_spatially"


class Entrance:
    """Plain tensors that enter a sharded module: this rank's bands of them."""

    def __init__(self, layout: Layout) -> None:
        self._layout, self._checked = layout, False

    def __call__(self, module: nn.Module, arguments: Any, keywords: Any) -> Any:
        if not self._checked:
            self._check(module, arguments, keywords)
        self._checked = True
        entered = tree_map_only(Tensor, self._enter, (arguments, keywords))
        _guard.__enter__()
        return entered

    def _enter(self, tensor: Tensor) -> Tensor:
        if isinstance(tensor, DTensor):
            return tensor
        in_space = tensor.is_floating_point() or tensor.is_complex()
        if in_space and tensor.ndim > -self._layout.dim:
            return self._layout.spread(tensor)
        return everywhere(tensor, self._layout.mesh)

    def _check(self, module: nn.Module, *inputs: Any) -> None:
        """The habit of data parallelism, a batch and a seed for each rank, would be wrong in silence; so the first ones are
        compared."""
        plain = [each for each in tree_leaves(inputs) if isinstance(each, Tensor) and not isinstance(each, DTensor)]
        if any(each.is_meta for each in plain):
            raise ValueError(
                f"{CALL}: an input on the meta device has no numbers, of which the ranks could take their bands; "
                f"convarium.distributed.predict says what a step would cost"
            )
        drops = module.training and any(isinstance(each, nn.modules.dropout._DropoutNd) for each in module.modules())
        own = torch.tensor(
            [_number(str([(each.shape, each.dtype) for each in plain])), *_sums(plain), _number(_random()) if drops else 0.0],
            dtype=torch.float64, device=self._layout.mesh.device_type,
        )  # fmt: skip
        every = [torch.empty_like(own) for _ in range(self._layout.ranks)]
        dist.all_gather(every, own, group=self._layout.group)
        if any(not torch.equal(other[:-1], own[:-1]) for other in every):
            raise ValueError(
                f"{CALL}: every rank of the mesh must be given the same input, of which it takes its band; got others. Batches "
                f"of their own belong to another dimension of the mesh"
            )
        if any(other[-1] != own[-1] for other in every):
            raise ValueError(
                f"{CALL}: dropout needs the same random state on every rank of the mesh; torch.manual_seed(seed) on each fits"
            )


class _Guard(TorchFunctionMode):
    """PyTorch convolves tensors in bands as if each were whole, and says nothing."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        n = _CONVOLUTIONS.get(function)
        if n is not None and any(_is_in_bands(each, n) for each in (*arguments, *keywords.values())):
            raise ValueError(
                f"{CALL}: {function.__name__} of a tensor in bands would miss its neighbours' rows; make it a layer of torch.nn "
                f"or convarium.nn with their own forward (parametrize its weight), or gather the tensor first: .full_tensor()"
            )
        return function(*arguments, **keywords)


_CONVOLUTIONS = {getattr(torch, f"conv{kind}{n}d"): n for kind in ("", "_transpose") for n in (1, 2, 3)}
_guard = _Guard()


def _is_in_bands(value: Any, n: int) -> bool:
    """Whether one of the last ``n`` dimensions is cut."""
    return isinstance(value, DTensor) and any(
        isinstance(each, Shard) and each.dim >= value.ndim - n for each in value.placements
    )


def leave(module: nn.Module, arguments: Any, output: Any) -> None:
    if _guard in torch.overrides._get_current_function_mode_stack():
        _guard.__exit__(None, None, None)


def _number(text: str) -> float:
    """A number of a text, the same in every process."""
    return float(zlib.crc32(text.encode()))


def _random() -> str:
    return torch.get_rng_state().numpy().tobytes().hex()


def _sums(tensors: list[Tensor]) -> list[float]:
    """Of all numbers of all tensors, one that says little of their size and much of whether they are the same."""
    real = [torch.view_as_real(each) if each.is_complex() else each for each in tensors]
    return [sum(float(each.detach().sum(dtype=torch.float64).nan_to_num()) for each in real)]


def gather_output(module: nn.Module, arguments: Any, output: Any) -> Any:
    """Whole tensors that are no views, which ``fully_shard`` warns of."""
    return tree_map_only(DTensor, lambda tensor: tensor.full_tensor().clone(), output)
