"""What several processes check together, one after the other: ``torchrun --nproc-per-node N tests/in_ranks.py NAME ...``.

A name is a function of this file and perhaps ``=FOLDER``, which it is given; :mod:`test_distributed` runs them.
"""

from __future__ import annotations

import copy
import os
import random
import resource
import sys
import traceback
import warnings
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed._composable.replicate_with_fsdp import replicate
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

import convarium as cv
from family import random_case, seeds

WIDE = {"dtype": torch.float64}


# -- layers ----------------------------------------------------------------------------------------------------------------


def random_layer(case, rnd):
    """A layer of a case's geometry, and the size of its inputs."""
    n, call, options = case.n, case.call, dict(case.options)
    graph, groups = options.pop("channels"), options.pop("groups")
    kernel, size = case.weight_shape[-n:], case.input_shape[-n:]
    channels = {"groups": groups} if graph is None else {"channels": graph}
    arguments, end = (call.in_channels, call.out_channels, kernel), f"Conv{n}d"
    if transposed := rnd.random() < 0.3:
        del options["padding_mode"]
        size, end = call.output_size, f"ConvTranspose{n}d"
        pads = tuple((rnd.randint(0, 2), rnd.randint(0, 2)) for _ in range(n))
        axes = zip(size, options["stride"], pads, options["dilation"], kernel, strict=True)
        some = all((s - 1) * u - sum(p) + d * (k - 1) + 1 > 0 for s, u, p, d, k in axes)
        options["padding"] = pads if some else 0
        options["output_padding"] = tuple(rnd.randint(0, u - 1) for u in options["stride"])
        arguments = (call.out_channels, call.in_channels, kernel)
    kind = rnd.choice(["", "Tiled", "Local"])
    bias = rnd.choice([True, False] if transposed or not kind else [True, False, "untied"])
    if kind == "Tiled":
        options["tile"] = tuple(rnd.randint(1, length) for length in (size if transposed else call.output_size))
    elif kind == "Local":
        options["input_size"] = size
    elif graph is not None:
        return getattr(cv.nn, f"Channel{end}")(graph, kernel, bias=bias, **WIDE, **options), size
    elif not options["flip"] and takes(options["padding"]) and rnd.random() < 0.5:
        del options["flip"]
        return getattr(nn, end)(*arguments, bias=bias, **WIDE, **channels, **options), size
    return getattr(cv.nn, kind + end)(*arguments, bias=bias, **WIDE, **channels, **options), size


def takes(padding):
    """Whether PyTorch's own layers take this."""
    return isinstance(padding, int) or (not isinstance(padding, str) and isinstance(padding[0], int))


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def close(found, expected, tolerance=1e-9):
    found = whole(found)
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=tolerance, atol=tolerance)


def layers(mesh):
    """Random members of the family: outputs, both gradients, and the gradients of these."""
    for seed in seeds(60, 400):
        rnd = random.Random(seed)
        case = random_case(seed, torch.float64, least_batch=1)
        torch.manual_seed(seed)
        layer, size = random_layer(case, rnd)
        sharded = cv.distributed.shard_spatially(copy.deepcopy(layer), mesh, rnd.randint(-case.n, -1))
        inputs = torch.randn(case.input_shape[0], layer.in_channels, *size, **WIDE)
        if rnd.random() < 0.2:
            inputs = inputs[0]
        told = f"layers, seed {seed}: {sharded}"
        first, second = [], []
        for module in (layer, sharded):
            x = inputs.clone().requires_grad_()
            y, operands = module(x), [x, *module.parameters()]
            torch.manual_seed(seed)
            gradients = torch.autograd.grad(y, operands, torch.randn_like(y), create_graph=True)
            again = sum((whole(each) * torch.randn(each.shape, **WIDE)).sum() for each in gradients)
            first.append([y, *gradients])
            found = torch.autograd.grad(again, operands, allow_unused=True)
            second.append(
                [torch.zeros(o.shape, **WIDE) if f is None else f for f, o in zip(found, operands, strict=True)]
            )
        for order, (expected, found) in enumerate((first, second), start=1):
            for number, pair in enumerate(zip(found, expected, strict=True)):
                assert close(*pair), f"{told}: order {order}, number {number}"


def pools_and_norms(mesh):
    for seed in seeds(60, 400):
        rnd = random.Random(seed)
        n = rnd.choice([1, 2, 3])
        torch.manual_seed(seed)
        kernel = [rnd.randint(1, 4) for _ in range(n)]
        padding = [rnd.randint(0, k // 2) for k in kernel]
        window = {"kernel_size": kernel, "stride": [rnd.randint(1, 4) for _ in range(n)], "padding": padding}
        window["ceil_mode"] = rnd.random() < 0.5
        kind, dilation = rnd.choice(["MaxPool", "AvgPool", "AdaptiveAvgPool", "BatchNorm"]), 1
        if kind == "MaxPool":
            dilation = rnd.randint(1, 2)
            layer = getattr(nn, f"MaxPool{n}d")(dilation=dilation, **window)
        elif kind == "AvgPool":
            more = {} if n == 1 else {"divisor_override": rnd.choice([None, None, 3])}
            layer = getattr(nn, f"AvgPool{n}d")(count_include_pad=rnd.random() < 0.5, **window, **more)
        elif kind == "AdaptiveAvgPool":
            layer = getattr(nn, f"AdaptiveAvgPool{n}d")(rnd.choice([1, 1, 2]))
        else:
            settings = {"affine": rnd.random() < 0.8, "track_running_stats": rnd.random() < 0.8}
            layer = getattr(nn, f"BatchNorm{n}d")(3, momentum=rnd.choice([0.1, None]), **settings)
        within = 0 if kind == "AvgPool" else 2  # of an average PyTorch wants a kernel's size without the padding
        least = [dilation * (k - 1) + 1 - within * p for k, p in zip(kernel, padding, strict=True)]
        size = [max(1, low) + rnd.randint(0, 7) for low in least]
        net = nn.Sequential(getattr(cv.nn, f"Conv{n}d")(3, 3, 1), layer).double()
        inputs = torch.randn(rnd.randint(1, 3) + (kind == "BatchNorm"), 3, *size, **WIDE)
        sharded = cv.distributed.shard_spatially(copy.deepcopy(net), mesh, rnd.randint(-n, -1))
        for training in (True, False):
            found = []
            for module in (net, sharded):
                module.train(training)
                x = inputs.clone().requires_grad_()
                y = module(x)
                if y.isinf().any():  # of a window with nothing in it the gradient goes anywhere
                    break
                torch.manual_seed(seed)
                y.backward(torch.randn_like(y))
                found.append([y, x.grad, *(each.grad for each in module.parameters()), *module.buffers()])
            for number, pair in enumerate(zip(*reversed(found), strict=True) if len(found) == 2 else ()):
                assert close(*pair), f"pools_and_norms, seed {seed}: {layer} of {size}, number {number}"


def halves(mesh):
    """Autocast, and bfloat16 as it is."""
    torch.manual_seed(0)
    net = nn.Sequential(
        cv.nn.LocalConv2d(4, 8, 3, padding=1, input_size=(9, 9)), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)
    )
    sharded = cv.distributed.shard_spatially(copy.deepcopy(net), mesh)
    x = torch.randn(2, 4, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = net(x), sharded(x)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert close(found.float(), expected.float(), 0.05)
    found.float().square().sum().backward()
    expected.float().square().sum().backward()
    largest = max(
        each.grad.abs().max() for each in net.parameters()
    )  # before normalisation a bias has none but rounding
    for a, b in zip(sharded.parameters(), net.parameters(), strict=True):
        assert (whole(a.grad) - b.grad).abs().max() <= 0.1 * max(b.grad.abs().max(), 0.5 * largest)
    found, expected = sharded.bfloat16()(x.bfloat16()), net.bfloat16()(x.bfloat16())
    assert found.dtype == expected.dtype
    assert close(found.float(), expected.float(), 0.1)


def padded(mesh):
    """Where every row that a rank has goes to another, and as many come back."""
    torch.manual_seed(0)
    for size, mode, options in (
        (4, "reflect", {"kernel_size": 2, "stride": 3, "padding": ((3, 0),)}),
        (3, "circular", {"kernel_size": 1, "stride": 2, "padding": ((1, 0),)}),
    ):
        layer = cv.nn.Conv1d(1, 1, padding_mode=mode, **options, **WIDE)
        sharded = cv.distributed.shard_spatially(copy.deepcopy(layer), mesh, -1)
        x = torch.randn(2, 1, size, **WIDE)
        assert close(sharded(x), layer(x).detach()), mode


def checkpointed(mesh):
    """Activation checkpointing, with ranks that have nothing to do in some layers."""
    torch.manual_seed(0)
    parts = [nn.Sequential(cv.nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2)), nn.Sequential(cv.nn.Conv2d(2, 2, 1))]

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList(copy.deepcopy(parts))

        def forward(self, x):
            for part in self.parts:
                x = checkpoint(part, x, use_reentrant=False)
            return x

    plain, sharded = Checkpointed().double(), cv.distributed.shard_spatially(Checkpointed().double(), mesh)
    x1, x2 = (torch.arange(12.0, **WIDE).reshape(1, 1, 3, 4).sin().requires_grad_() for _ in range(2))
    plain(x1).square().sum().backward()
    sharded(x2).square().sum().backward()
    assert close(x2.grad, x1.grad)


# -- networks --------------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """A forward of its own, between layers that are known."""

    def __init__(self):
        super().__init__()
        self.body = cv.nn.Conv2d(8, 8, 3, padding="same")
        self.slope = nn.Parameter(torch.empty(1, 8, 1, 1))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.constant_(self.slope, 0.1)

    def forward(self, x):
        y = self.body(x)
        return torch.where(y > 0, y, self.slope * y) + x


def network(seed=0, norm=True):
    torch.manual_seed(seed)
    return nn.Sequential(
        cv.nn.LocalConv2d(3, 8, 3, padding=1, input_size=(13, 11), bias="untied"),
        nn.BatchNorm2d(8) if norm else nn.Identity(), nn.ReLU(), Residual(), nn.MaxPool2d(3, 2, 1),
        cv.nn.TiledConv2d(8, 6, 3, tile=(3, 2), padding="same", padding_mode="circular"), nn.GELU(),
        cv.nn.LocalConv2d(6, 5, 2, stride=2, input_size=(7, 6)), nn.Flatten(), nn.Linear(45, 4),
    ).double()  # fmt: skip


def batches(count=20, size=6):
    generator = torch.Generator().manual_seed(7)
    for _ in range(count):
        x = torch.randn(size, 3, 13, 11, generator=generator, **WIDE)
        yield x, torch.randint(4, (size,), generator=generator)


def train(net, optimiser, share=slice(None)):
    losses = []
    for x, labels in batches():
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(x[share]), labels[share])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
    return torch.tensor(losses)


def training(mesh):
    """A network of every sort of layer for 20 steps of two optimisers, as one process trains it."""
    net = network()
    sharded = cv.distributed.shard_spatially(copy.deepcopy(net), mesh)
    for kind, settings in ((torch.optim.Adam, {}), (torch.optim.SGD, {"momentum": 0.9})):
        expected = train(net, kind(net.parameters(), 0.01, **settings))
        found = train(sharded, kind(sharded.parameters(), 0.01, **settings))
        assert torch.allclose(found, expected, rtol=1e-6), (found, expected)
    for (name, found), expected in zip(sharded.state_dict().items(), net.state_dict().values(), strict=True):
        assert close(found, expected, 1e-6), name
    net.eval(), sharded.eval()
    x, _ = next(batches(1))
    assert close(sharded(x), net(x), 1e-6)


def two_dimensions(mesh):
    """Bands in one dimension of a mesh, batches in the other."""
    mesh = init_device_mesh("cpu", (2, dist.get_world_size() // 2), mesh_dim_names=("data", "space"))
    mine = slice(mesh.get_local_rank("data"), None, 2)
    for spread in (fully_shard, replicate):
        net = network(norm=False)
        sharded = cv.distributed.shard_spatially(copy.deepcopy(net), mesh["space"])
        for part in [each for each in sharded if isinstance(each, cv.nn.Layer)]:
            spread(part, mesh=mesh["data"])
        spread(sharded, mesh=mesh["data"])
        expected = train(net, torch.optim.Adam(net.parameters(), 0.01))
        losses = train(sharded, torch.optim.Adam(sharded.parameters(), 0.01), mine)
        dist.all_reduce(losses, group=mesh["data"].get_group())
        assert torch.allclose(losses / 2, expected, rtol=1e-5), (losses / 2, expected)


def saving(mesh, folder):
    """A checkpoint of as many files as ranks, and what comes after it."""
    sharded = cv.distributed.shard_spatially(network(), mesh)
    optimiser = torch.optim.Adam(sharded.parameters(), 0.01)
    train(sharded, optimiser)
    model, state = get_state_dict(sharded, optimiser)
    dcp.save({"model": model, "optimiser": state}, checkpoint_id=folder)
    losses = train(sharded, optimiser)
    if mesh.get_rank() == 0:
        torch.save(losses, folder / "losses.pt")


def loading(mesh, folder):
    """On another number of ranks, or on one that knows of none, it goes on as it would have."""
    net = network(seed=1)
    if mesh.size() > 1:
        cv.distributed.shard_spatially(net, mesh)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    model, state = get_state_dict(net, optimiser)
    dcp.load({"model": model, "optimiser": state}, checkpoint_id=folder)
    set_state_dict(net, optimiser, model_state_dict=model, optim_state_dict=state)
    assert torch.allclose(train(net, optimiser), torch.load(folder / "losses.pt"), rtol=1e-6)


def birth(mesh, folder):
    """From the meta device: the same numbers on any number of ranks, no two rows alike, and all of them drawn."""
    with torch.device("meta"):
        net = network(seed=3)
    torch.manual_seed(3 + mesh.get_local_rank())  # the first rank's counts
    cv.distributed.shard_spatially(net, mesh)
    assert not any(each.is_meta for each in (*net.parameters(), *net.buffers()))
    state = {name: whole(each) for name, each in net.state_dict().items()}
    weight = state["0.weight"]
    assert len(weight.unique()) > 0.99 * weight.numel()
    assert weight.abs().max() <= 27**-0.5
    assert (weight.flatten(2).std((0, 2)) > 0.8 * weight.std()).all()
    assert (state["1.weight"] == 1).all()
    assert (state["1.running_var"] == 1).all()
    if mesh.get_rank() == 0:
        torch.save(state, folder / f"{mesh.size()}.pt")


# -- what it costs ---------------------------------------------------------------------------------------------------------


def traffic(mesh):
    """Rows at the edges of bands travel, and nothing else: what is counted is what was predicted, on every rank."""
    net = nn.Sequential(
        cv.nn.LocalConv2d(3, 8, 5, padding=2, input_size=(17, 9)), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1), nn.MaxPool2d(3, 2),
        cv.nn.TiledConvTranspose2d(4, 5, 4, stride=2, padding=1, tile=2), nn.AvgPool2d(3, 1, 1),
        cv.nn.Conv2d(5, 2, 3, padding=3, padding_mode="circular"), nn.AdaptiveAvgPool2d(1),
    )  # fmt: skip
    expected = cv.distributed.predict(net, (2, 3, 17, 9), mesh.size())
    sharded = cv.distributed.shard_spatially(net, mesh)
    assert len(expected.layers) == 6
    torch.manual_seed(0)
    with cv.distributed.counting() as forward:
        y = sharded(torch.randn(2, 3, 17, 9))
    with cv.distributed.counting() as backward:
        y.sum().backward()
    rank = mesh.get_local_rank()
    assert forward.bytes == sum(layer.forward[rank] for layer in expected.layers)
    assert backward.bytes == sum(layer.backward[rank] for layer in expected.layers)
    assert forward.bytes + backward.bytes == expected.sent(rank)
    assert sum(layer.held[rank] for layer in expected.layers) == 4 * sharded[0].weight.to_local().numel()
    if mesh.size() == 2:  # two rows of the first layer's input, one or none of the others'
        assert expected.layers[0].forward == (2 * 4 * 2 * 3 * 9,) * 2


def memory(mesh):
    """A rank holds its part of everything."""
    torch.manual_seed(0)
    net = nn.Sequential(
        cv.nn.LocalConv2d(4, 16, 3, padding=1, input_size=(32, 32)), nn.ReLU(),
        cv.nn.LocalConv2d(16, 16, 3, padding=1, input_size=(32, 32)), nn.ReLU(),
    )  # fmt: skip
    whole_size = sum(each.numel() for each in net.parameters())
    cv.distributed.shard_spatially(net, mesh)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        loss = net(torch.randn(8, 4, 32, 32)).square().mean()
    loss.backward()
    optimiser.step()
    states = [each for state in optimiser.state.values() for each in state.values() if each.ndim]
    held = [each.to_local() for p in net.parameters() for each in (p, p.grad)] + [each.to_local() for each in states]
    assert sum(each.numel() for each in held) <= 1.1 * 4 * whole_size / mesh.size()
    kept = {
        each.untyped_storage().data_ptr(): each.untyped_storage().nbytes()
        for each in kept
        if not isinstance(each, DTensor)
    }
    numbers = 8 * 32 * (32 // mesh.size() + 2) * (4 + 4 * 16) + 1.1 * whole_size / mesh.size()
    assert sum(kept.values()) <= 4 * numbers


def confined(mesh):
    """With memory for half of what a layer needs to train: too little for one process, enough for four."""
    in_bands = mesh.size() > 1
    small = cv.distributed.shard_spatially(nn.Conv2d(1, 1, 3, padding=1), mesh)  # what is made once
    small(torch.ones(1, 1, 8, 8)).sum().backward()
    torch.optim.Adam(small.parameters(), fused=True).step()
    used = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line)
    needed = 4 * 4 * 32 * 32 * 9 * 48 * 48  # weights, gradients and Adam's two
    limit = 2**10 * used + needed // 2
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    def steps():
        with torch.device("meta" if in_bands else "cpu"):
            net = cv.nn.LocalConv2d(32, 32, 3, padding=1, input_size=(48, 48))
        if in_bands:
            cv.distributed.shard_spatially(net, mesh)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        torch.manual_seed(0)
        x = torch.randn(1, 32, 48, 48)
        for _ in range(3):
            optimiser.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimiser.step()
            yield float(loss.detach())

    if in_bands:
        first, *_, last = steps()
        assert last < first
    else:
        with pytest.raises((MemoryError, RuntimeError), match="memory"):
            list(steps())


# -- wrong calls -----------------------------------------------------------------------------------------------------------


def refusals(mesh):
    local = cv.nn.LocalConv2d(3, 4, 3, input_size=(8, 8))
    sharded = cv.distributed.shard_spatially(local, mesh)

    def said(kind, words, call, *arguments, **keywords):
        with pytest.raises(kind) as raised:
            call(*arguments, **keywords)
        assert words in str(raised.value)

    shard = cv.distributed.shard_spatially
    said(ValueError, "LocalConv2d was sharded before", shard, local, mesh)
    said(TypeError, "module must be a torch.nn.Module, got Tensor", shard, torch.ones(1), mesh)
    said(TypeError, "device_mesh must be a torch.distributed DeviceMesh, got int", shard, nn.Conv2d(1, 1, 1), 2)
    said(ValueError, "ReLU has no convolution", shard, nn.ReLU(), mesh)
    said(
        ValueError,
        "convolutions of [1, 2] directions",
        shard,
        nn.Sequential(nn.Conv1d(1, 1, 1), nn.Conv2d(1, 1, 1)),
        mesh,
    )
    said(
        ValueError,
        "dim must be a direction of a batch of 2-D inputs, -2 to -1 or 2 to 3, got 1",
        shard,
        nn.Conv2d(1, 1, 1),
        mesh,
        1,
    )
    said(TypeError, "dim must be a whole number", shard, nn.Conv2d(1, 1, 1), mesh, 1.5)
    said(TypeError, "gather must be True or False", shard, nn.Conv2d(1, 1, 1), mesh, gather=2)
    said(ValueError, "LazyLocalConv2d has no shape before its first input", shard, cv.nn.LazyLocalConv2d(4, 3), mesh)
    said(ValueError, "made for input_size=(8, 8), got input (1, 3, 9, 8)", sharded, torch.ones(1, 3, 9, 8))
    said(ValueError, "reads 3 channels", sharded, torch.ones(1, 4, 8, 8))
    said(TypeError, "input must be a torch.Tensor, got list", sharded, [1.0])
    said(TypeError, "missing 1 required positional argument: 'input'", sharded)
    said(TypeError, "is torch.float32 but", sharded, torch.ones(1, 3, 8, 8, **WIDE))
    said(ValueError, "return_indices=True cannot be sharded", shard(
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.MaxPool2d(2, return_indices=True)), mesh), torch.ones(1, 3, 8, 8))  # fmt: skip

    class Own(nn.Conv2d):
        def forward(self, x):
            return super().forward(x)

    class Function(nn.Module):
        def __init__(self, call):
            super().__init__()
            self.first, self.call = cv.nn.Conv2d(3, 3, 3, padding=1), call

        def forward(self, x):
            return self.call(self.first(x), torch.ones(2, 3, 3, 3))

    image = torch.ones(1, 3, 8, 8)
    said(
        ValueError, "conv2d of a tensor in bands would miss", shard(nn.Sequential(nn.ReLU(), Own(3, 2, 3)), mesh), image
    )
    said(ValueError, "conv2d of a tensor in bands would miss", shard(Function(nn.functional.conv2d), mesh), image)
    said(TypeError, "conv2d: input must be a plain tensor, got a DTensor", shard(Function(cv.conv2d), mesh), image)
    named = Function(lambda x, weight: nn.functional.conv2d(input=x, weight=weight))
    said(ValueError, "conv2d of a tensor in bands would miss", shard(named, mesh), image)
    said(ValueError, "conv2d of a tensor in bands would miss", shard(Function(nn.functional.conv2d), mesh), image[0])
    assert nn.functional.conv2d(image, torch.ones(1, 3, 3, 3)).shape == (1, 1, 6, 6)  # outside of it nothing is refused
    with torch.device("meta"):
        unfilled = nn.Sequential(cv.nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
        unfilled[1].register_buffer("scale", torch.ones(3))
    said(ValueError, "BatchNorm2d: its buffer scale is on the meta device, and reset_parameters", shard, unfilled, mesh)
    dropping = nn.Sequential(cv.nn.Conv2d(3, 3, 3), nn.Dropout(0.5, inplace=True))
    torch.manual_seed(0)
    dropped = shard(dropping, mesh)(image)
    assert 0 < (dropped == 0).sum() < dropped.numel()
    if mesh.size() > 1:
        torch.manual_seed(mesh.get_local_rank())
        again = shard(nn.Sequential(cv.nn.Conv2d(3, 3, 3), nn.Dropout()), mesh)
        said(ValueError, "dropout needs the same random state on every rank", again, image)
        torch.manual_seed(0)
        ragged = torch.ones(1, 3, 8, 8)[None] if mesh.get_local_rank() else image
        unlike = shard(cv.nn.Conv2d(3, 3, 3), mesh)
        said(ValueError, "every rank of the mesh must be given the same input", unlike, ragged)
        fresh = shard(cv.nn.LocalConv2d(3, 4, 3, input_size=(8, 8)), mesh)
        mine = torch.full((1, 3, 8, 8), float(mesh.get_local_rank()))
        said(ValueError, "every rank of the mesh must be given the same input", fresh, mine)
        both = init_device_mesh("cpu", (1, mesh.size()), mesh_dim_names=("data", "space"))
        said(ValueError, "one dimension, got 2; device_mesh['space'] would fit", shard, nn.Conv2d(1, 1, 1), both)


def settled(mesh):
    """After a backward pass, a gradient that all ranks sum is an ordinary one, whether or not somebody looks."""
    net = cv.distributed.shard_spatially(nn.Conv2d(2, 3, 3, padding=1), mesh)
    for _ in range(2):
        net(torch.ones(1, 2, 6, 6)).sum().backward()
        for parameter in net.parameters():
            assert type(parameter.grad.to_local()) is torch.Tensor
    expected = nn.Conv2d(2, 3, 3, padding=1)
    expected(torch.ones(1, 2, 6, 6)).sum().backward()
    assert close(net.weight.grad.to_local(), 2 * expected.weight.grad)
    del net
    net = cv.distributed.shard_spatially(nn.Conv2d(2, 3, 3), mesh)
    net(torch.ones(1, 2, 6, 6)).sum().backward()  # and nobody looks


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        for word in sys.argv[1:]:
            name, _, folder = word.partition("=")
            mesh = init_device_mesh("cpu", (dist.get_world_size(),), mesh_dim_names=("space",))
            globals()[name](mesh, *([Path(folder)] if folder else []))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # not to wait for the others, who may be waiting for this one
    dist.destroy_process_group()
