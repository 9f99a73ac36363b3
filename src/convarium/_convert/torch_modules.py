"""Modules of PyTorch with this library's convolutions in the place of its own."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from .. import nn as ours

_TORCH = {getattr(nn, f"Conv{form}{n}d") for form in ("", "Transpose") for n in (1, 2, 3)}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def exchanged(module: nn.Module) -> nn.Module:
    """See :func:`convarium.convert.from_torch`."""
    for name, child in module.named_modules():
        if type(child) in _TORCH and (
            "weight" not in child._parameters or any(getattr(child, kind) for kind in _HOOKS)
        ):
            name = name or type(child).__name__
            raise ValueError(f"from_torch: {name} has hooks, or a weight that is pruned or normed; remove them before")
    found, made = copy.deepcopy(module), dict[int, nn.Module]()
    if type(found) in _TORCH:
        return _as_ours(found)
    for name, child in list(found.named_modules(remove_duplicate=False)):
        if type(child) in _TORCH:
            parent, _, own = name.rpartition(".")
            if id(child) not in made:
                made[id(child)] = _as_ours(child)
            setattr(found.get_submodule(parent), own, made[id(child)])
    return found


def _as_ours(module: Any) -> nn.Module:
    """With the very parameters of the module, which may be another's too."""
    kind = getattr(ours, type(module).__name__)
    more = {"output_padding": module.output_padding} if module.transposed else {"padding_mode": module.padding_mode}
    new: nn.Module = kind(
        module.in_channels, module.out_channels, module.kernel_size, stride=module.stride, padding=module.padding,
        dilation=module.dilation, groups=module.groups, bias=module.bias is not None, device="meta", **more,
    )  # fmt: skip
    for own, parameter in module._parameters.items():
        setattr(new, own, parameter)
    return new.train(module.training)
