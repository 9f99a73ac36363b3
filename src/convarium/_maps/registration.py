"""The operators ``convarium::forward``, ``grad_input`` and ``grad_weight``, and how PyTorch differentiates them.

One kernel at the Autograd key does everything: reverse mode by a single-level ``autograd.Function``, forward mode by
unpacking and packing dual numbers, both at whatever level of ``torch.func`` the dispatcher is working on. Because it sits
below Dynamo, compiled and exported programs keep the operator whole and still differentiate it right, ``jvp`` inside
``torch.compile`` included. (Tried and worse: ``torch.library.register_autograd`` gives silently wrong forward-mode derivatives;
an ``autograd.Function`` around the operator is refused by Dynamo once it has a ``jvp``.)

Plain tensors that nobody transforms or watches do without operator and dispatcher, which would cost more than all the rest of
a call: ``call`` computes at once, in an ordinary ``autograd.Function`` where a gradient is wanted.

What this file uses of PyTorch beyond its documented face, all of it below: ``_SingleLevelFunction`` and the permission to use it
(a Function that acts on one functorch level, as generated code does), ``_AutoDispatchBelowAutograd``, ``redispatch``, and the
dual-number primitives ``_unpack_dual`` and ``_make_dual``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.forward_ad import _set_fwd_grad_enabled
from torch.autograd.function import _SingleLevelFunction
from torch.utils.flop_counter import register_flop_formula

from .._planner.run import run
from .._spec.problem import MAPS, OPERANDS, Map, Problem, problem_of, result_shape
from .._spec.wiring import parse_edges
from . import batching, decomposition
from .bilinear import GIVES, TAKES, derivative, sizes

NAMESPACE = "convarium"
_SETTINGS = ", ".join(f"SymInt[] {name}" for name in ("sizes", "stride", "padding", "dilation", "tile"))
_SETTINGS += ", str channels, bool flip, str engine"

_library = torch.library.Library(NAMESPACE, "DEF")
for _map in MAPS:
    _a, _b = OPERANDS[_map]
    _library.define(f"{_map}(Tensor {_a}, Tensor {_b}, {_SETTINGS}) -> Tensor")

forward = torch.ops.convarium.forward.default
grad_input = torch.ops.convarium.grad_input.default
grad_weight = torch.ops.convarium.grad_weight.default
_operators: dict[Map, Any] = {"forward": forward, "grad_input": grad_input, "grad_weight": grad_weight}


def call(map: Map, a: Tensor, b: Tensor, sizes: Sequence[int], *settings: Any) -> Tensor:
    """The operator; what it computes, at once, where PyTorch has nothing to transform or to watch; or what it is made of, in a
    program that leaves PyTorch."""
    if _are_plain(a, b):
        if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
            return Recorded.apply(map, sizes, settings, a, b)
        return _run(map, a, b, sizes, settings)
    if decomposition.is_wanted() and is_transformed():
        return decomposition.DECOMPOSITIONS[map](a, b, sizes, *settings)
    return _operators[map](a, b, sizes, *settings)


def is_transformed() -> bool:
    """Whether a call is traced, or belongs to a transformation: then tensors stand for more than their numbers."""
    return (
        torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    )


def _are_plain(*tensors: Tensor) -> bool:
    """Whether tensors are their numbers and no more, and nobody watches: then the dispatcher would only add its cost."""
    if is_transformed() or torch._C._len_torch_dispatch_stack() or torch._C._len_torch_function_stack():
        return False
    for tensor in tensors:
        if type(tensor) is not Tensor and type(tensor) is not torch.nn.Parameter:
            return False
        if tensor.is_conj() or tensor.is_neg():
            return False
        if torch._C._functorch.is_legacy_batchedtensor(tensor):  # as autograd.grad's is_grads_batched makes them
            return False
        if not _has_numbers(tensor):
            return False
    return not torch._C._autograd._profiler_enabled()


def _has_numbers(tensor: Tensor) -> bool:
    """Whether there is memory to point at: not on meta, of zeros that autograd leaves unwritten, of what functorch wraps."""
    try:
        return bool(tensor.data_ptr())
    except RuntimeError:  # there is no other way to ask
        return False


class Recorded(torch.autograd.Function):
    """A map of plain tensors, for the autograd of one level that they have."""

    @staticmethod
    def forward(ctx: Any, map: Map, sizes: Sequence[int], settings: Sequence[Any], a: Tensor, b: Tensor) -> Tensor:
        ctx.map, ctx.settings = map, settings
        ctx.save_for_backward(a, b)
        return _run(map, a, b, sizes, settings)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *_gradients(ctx.map, ctx, cotangent)


def _compute(map: Map) -> Any:
    """The kernel of every backend."""

    def kernel(a: Tensor, b: Tensor, sizes: Sequence[int], *settings: Any) -> Tensor:
        for name, tensor in zip(OPERANDS[map], (a, b), strict=True):
            if tensor.numel() and not _has_numbers(tensor):
                raise ValueError(
                    f"{map}: {name} must have its numbers in memory, but its storage was given back; one with storage would fit"
                )
        return _run(map, a, b, sizes, settings)

    return kernel


def _run(map: Map, a: Tensor, b: Tensor, sizes: Sequence[int], settings: Sequence[Any]) -> Tensor:
    """Find the problem, run it."""
    return run(map, _problem(map, a, b, sizes, settings), a, b, settings[-1])


def _problem(map: Map, a: Tensor, b: Tensor, sizes: Sequence[int], settings: Sequence[Any]) -> Problem:
    stride, padding, dilation, tile, channels, flip, _ = settings
    return problem_of(
        map, tuple(a.shape), tuple(b.shape), tuple(sizes), tuple(stride), tuple(padding), tuple(dilation), tuple(tile),
        channels, flip, _common_dtype(map, a, b), a.device.type,
    )  # fmt: skip


def _common_dtype(map: Map, a: Tensor, b: Tensor) -> torch.dtype:
    if a.dtype != b.dtype or a.device != b.device:
        first, second = OPERANDS[map]
        raise TypeError(f"{map}: {first} is {a.dtype} on {a.device}, {second} is {b.dtype} on {b.device}")
    return a.dtype


def _shape(map: Map) -> Any:
    """The kernel of tensors without data: the shape of the result, from sizes that may be symbolic.

    Where they are numbers, what is wrong with them is said now, while a program is traced, and not when it runs.
    """

    def kernel(a: Tensor, b: Tensor, sizes: Sequence[int], *settings: Any) -> Tensor:
        tile, channels = settings[3], settings[4]
        _common_dtype(map, a, b)
        if not any(isinstance(size, torch.SymInt) for size in (*a.shape, *b.shape, *sizes, *chain(*settings[:4]))):
            return a.new_empty(result_shape(map, _problem(map, a, b, sizes, settings)))
        by_edge, n = not channels.isdigit(), len(sizes)
        if map == "forward":
            shape = [a.shape[0], parse_edges(channels).out_channels if by_edge else b.shape[0], *sizes]
        elif map == "grad_input":
            shape = [
                a.shape[0],
                parse_edges(channels).in_channels if by_edge else b.shape[n + 1] * int(channels),
                *sizes,
            ]
        elif by_edge:
            shape = [parse_edges(channels).n_edges, *tile, *sizes]
        else:
            shape = [b.shape[1], *tile, a.shape[1] // int(channels), *sizes]
        return a.new_empty(shape)

    return kernel


def _flops(map: Map) -> Any:
    """What ``torch.utils.flop_counter`` counts: ``Problem.flops``, of sizes that may be symbolic."""

    def count(a: Tensor, b: Tensor, sizes: Sequence[int], *settings: Any, out_val: Tensor) -> int:
        tensors = {GIVES[map]: out_val, **dict(zip(TAKES[map], (a, b), strict=True))}
        weight, output = tensors["weight"].shape, tensors["output"].shape
        products = output[0] * math.prod(output[2:]) * math.prod(weight) // math.prod(settings[3])  # the tile
        return products * (8 if a.is_complex() else 2)

    return count


def _differentiable(map: Map) -> Any:
    operator = _operators[map]

    def below(keyset: Any, a: Tensor, b: Tensor, sizes: Any, settings: Any) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            return operator.redispatch(keyset & torch._C._after_autograd_keyset, a, b, sizes, *settings)

    class Bilinear(_SingleLevelFunction):
        @staticmethod
        def forward(ctx: Any, call: Any, a: Tensor, b: Tensor) -> Tensor:
            keyset, sizes, settings, grad_mode = call
            ctx.settings = settings
            ctx.save_for_backward(a, b)
            # A Function runs its forward with both modes off, but the levels of torch.func below this one need them.
            with torch.set_grad_enabled(grad_mode), _set_fwd_grad_enabled(True):
                return below(keyset, a, b, sizes, settings)

        @staticmethod
        def backward(ctx: Any, cotangent: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
            return None, *_gradients(map, ctx, cotangent)

    def kernel(keyset: Any, a: Tensor, b: Tensor, sizes: Any, *settings: Any) -> Tensor:
        a_tangent = b_tangent = None
        if torch._C._is_fwd_grad_enabled():
            (a_primal, a_tangent), (b_primal, b_tangent) = (torch._VF._unpack_dual(t, level=0) for t in (a, b))
        if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
            with enable_single_level_autograd_function(), _set_fwd_grad_enabled(False):
                result = Bilinear.apply(  # type: ignore[attr-defined]
                    (keyset, sizes, settings, torch.is_grad_enabled()), a, b
                )
        else:
            result = below(keyset, a, b, sizes, settings)
        if a_tangent is None and b_tangent is None:
            return result
        terms = []
        if a_tangent is not None:
            terms.append(operator(a_tangent, b_primal, sizes, *settings))
        if b_tangent is not None:
            terms.append(operator(a_primal, b_tangent, sizes, *settings))
        return torch._VF._make_dual(result, sum(terms[1:], start=terms[0]), level=0)

    return kernel


def _gradients(map: Map, ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Of the two operands of a map, those that are needed."""
    operands, needed = ctx.saved_tensors, ctx.needs_input_grad[-2:]
    first, second = (_derive(map, k, operands, cotangent, ctx.settings) if needed[k] else None for k in (0, 1))
    return first, second


def _derive(map: Map, which: int, operands: Any, cotangent: Tensor, settings: Any) -> Tensor:
    giver, a, b = derivative(map, which, operands, cotangent)
    n = len(settings[0])
    return call(giver, a, b, sizes(TAKES[map][which], operands[which], n), *settings)


for _map in MAPS:
    _library.impl(_map, _compute(_map), "CompositeExplicitAutograd")
    _library.impl(_map, _differentiable(_map), "Autograd", with_keyset=True)
    torch.library.register_fake(f"{NAMESPACE}::{_map}", _shape(_map), lib=_library)
    register_flop_formula(getattr(torch.ops.convarium, _map), get_raw=True)(_flops(_map))
    torch.library.register_vmap(f"{NAMESPACE}::{_map}", batching.rule(_map, _operators[_map]), lib=_library)
