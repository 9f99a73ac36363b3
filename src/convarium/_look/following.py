"""Receptive fields through the operations of PyTorch: what the result of one sees, from what its operands see.

Every tensor that comes of the input has a field, in the input's directions. Operations that work place by place keep it,
windows widen it; any other may have looked at all of its operands, and is taken to have done so. So a field is what may be
seen at the most, and never less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .fields import Fields, each, reached, union, whole, window, wrapped

Seen = Sequence[tuple[Tensor, Fields]]  # the operands that come of the input

_NAMES = """
abs add addcdiv addcmul alias bernoulli celu ceil clamp clamp_max clamp_min clone copy cos detach div dropout elu erf
exp exp2 expm1 fill floor gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu lerp lift_fresh log log1p log2
log_sigmoid_forward maximum minimum mish mul native_dropout neg positive pow prelu _prelu_kernel reciprocal relu relu6
round rrelu_with_noise rsqrt rsub selu sigmoid sign silu sin softplus softshrink sqrt square sub tanh tanhshrink
threshold to _to_copy where xlogy
"""
PLACE_BY_PLACE = frozenset(_NAMES.split())


def follow(operation: Any, args: Any, result: Tensor, seen: Seen) -> Fields:
    """``operation`` is an overload of a packet, called with ``args``."""
    name, space = operation.overloadpacket.__name__, operation.namespace
    source, fields = seen[0]
    n = len(fields)
    spatial = result.ndim == n + 2 and source.ndim == n + 2 and source is args[0]
    if space == "convarium" and spatial and len(seen) == 1:
        _, weight, _, stride, padding, dilation, *_ = args
        if name in ("forward", "grad_input"):
            return each(window if name == "forward" else reached, fields, weight.shape[-n:], stride, dilation, padding)
    if space != "aten":
        return _everything(seen)
    if name == "convolution" and spatial and len(seen) == 1:
        _, weight, _, stride, padding, dilation, transposed, *_ = args
        return each(reached if transposed else window, fields, weight.shape[2:], stride, dilation, padding)
    if name in _POOLS and spatial:
        kernel, stride, padding, dilation = _POOLS[name](*args[1:])
        return each(window, fields, kernel, stride or kernel, dilation, padding)
    if name == "constant_pad_nd" or name.startswith(("reflection_pad", "replication_pad")):
        if not spatial or len(args[1]) > 2 * n:
            return _everything(seen)
        pads = [*args[1], *[0] * (2 * n - len(args[1]))]
        shifted = each(window, fields, 1, 1, 1, pads[-2::-2])
        return shifted if name == "constant_pad_nd" else wrapped(shifted)
    if _is_place_by_place(name, args):
        return _together(result, seen)
    return _everything(seen)


def _max_pool(kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, *_: Any) -> tuple[Any, ...]:
    return kernel, stride, padding, dilation


def _average_pool(kernel: Any, stride: Any = (), padding: Any = 0, *_: Any) -> tuple[Any, ...]:
    return kernel, stride, padding, 1


_POOLS = {
    **{f"max_pool{n}d_with_indices": _max_pool for n in (2, 3)},
    **{f"avg_pool{n}d": _average_pool for n in (2, 3)},
}


def _is_place_by_place(name: str, args: Any) -> bool:
    if "batch_norm" in name:  # of a model that evaluates; one that learns looks at all places
        return "no_training" in name or not any(argument is True for argument in args)
    if name == "cat":
        return (args[1] if len(args) > 1 else 0) in (0, 1)
    if name in ("_softmax", "_log_softmax"):
        return args[1] == 1
    return name.removesuffix("_") in PLACE_BY_PLACE


def _together(result: Tensor, seen: Seen) -> Fields:
    """Place by place, where operands have the result's places, or one number for all of them."""
    n = len(seen[0][1])
    size = tuple(result.shape[2:])
    found = []
    for tensor, fields in seen:
        alike = tensor.ndim == n + 2 and tuple(tensor.shape[2:]) == size
        found.append(fields if alike or all(field.jump == 0 for field in fields) else whole_of(tensor, fields))
    try:
        return union(found)
    except ValueError:
        return _everything(seen)


def _everything(seen: Seen) -> Fields:
    return union([whole_of(tensor, fields) for tensor, fields in seen])


def whole_of(tensor: Tensor, fields: Fields) -> Fields:
    """Of all places of a tensor; one that has no places has it already."""
    return whole(fields, tensor.shape[2:]) if tensor.ndim == len(fields) + 2 else fields
