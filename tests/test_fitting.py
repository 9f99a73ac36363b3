"""Whole networks of these layers under what people do to networks: compile, prune, hook, copy, count."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.utils.flop_counter import FlopCounterMode

import convarium as cv

GRAPH = cv.ChannelGraph.interlaced(8, 8, 4)
ARRIVING = [(3, 12, 12), (8, 6, 6), (8, 6, 6), (6, 3, 3), (4, 2, 2)]  # what comes into each convolution of the network
SIZES = [(4, 3, 12, 12), (2, 3, 12, 12), (7, 3, 12, 12)]


def network():
    return nn.Sequential(
        cv.nn.Conv2d(3, 8, 3, padding="same", stride=2), nn.BatchNorm2d(8), nn.ReLU(),
        cv.nn.ChannelConv2d(GRAPH, 3, padding=1), nn.ReLU(),
        cv.nn.TiledConv2d(8, 6, 3, tile=2, padding=1, bias="untied"), nn.MaxPool2d(2),
        cv.nn.LocalConv2d(6, 4, 2, input_size=(3, 3), bias="untied"), nn.Tanh(),
        cv.nn.ConvTranspose2d(4, 2, 3, stride=2),
    )  # fmt: skip


def gradients(model, input):
    input = input.clone().requires_grad_()
    output = model(input)
    return [output, *torch.autograd.grad(output.square().sum(), [input, *model.parameters()])]


@pytest.mark.filterwarnings("ignore")
def test_a_network_compiles_whole_and_once_for_all_batches():
    model = network()
    torch.compiler.reset()
    fast = torch.compile(model, fullgraph=True, backend="aot_eager")
    for number, size in enumerate(SIZES):
        input = torch.randn(size)
        with torch.compiler.set_stance("fail_on_recompile" if number == 2 else "default"):
            fast(input.requires_grad_()).sum()  # with and without gradients are two programs
    for size in SIZES:
        input = torch.randn(size)
        expected, got = gradients(copy.deepcopy(model), input), gradients(fast, input)
        for ours, theirs in zip(got, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_per_sample_gradients_of_a_network():
    model = network().eval()
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    input = torch.randn(5, 3, 12, 12)

    def loss(parameters, sample):
        return torch.func.functional_call(model, parameters, (sample[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, input)
    for index in (0, 4):
        expected = gradients(model, input[index : index + 1])[2:]
        for name, theirs in zip(parameters, expected, strict=True):
            torch.testing.assert_close(each[name][index], theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("index", [0, 3, 5, 7, 9])
def test_pruning_by_torch(index):
    model, input = network(), torch.randn(2, 3, 12, 12)
    layer = model[index]
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert (layer.weight == 0).float().mean() > 0.4
    model(input).sum().backward()
    assert (layer.weight_orig.grad[layer.weight_mask == 0] == 0).all()
    before = model.eval()(input)
    prune.remove(layer, "weight")
    torch.testing.assert_close(model(input), before)
    assert "weight" in dict(layer.named_parameters())


@pytest.mark.parametrize(
    "norm", [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal]
)
@pytest.mark.parametrize("index", [0, 3, 5, 7])
def test_parametrizations(norm, index):
    model, input = network(), torch.randn(2, 3, 12, 12)
    norm(model[index])
    model(input).square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model[index].parameters()
    )
    loaded = network()
    norm(loaded[index])
    loaded.load_state_dict(model.state_dict())
    torch.testing.assert_close(loaded.eval()(input), model.eval()(input))


def test_hooks_see_what_passes():
    model, input, seen = network().eval(), torch.randn(2, 3, 12, 12, requires_grad=True), []
    for layer in model:
        if isinstance(layer, cv.nn.Layer):
            layer.register_forward_pre_hook(lambda layer, inputs: seen.append(("before", layer)))
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(("forward", layer)))
            layer.register_full_backward_hook(lambda layer, inputs, outputs: seen.append(("backward", layer)))
    model(input).sum().backward()
    layers = [layer for layer in model if isinstance(layer, cv.nn.Layer)]
    assert seen == [(when, layer) for layer in layers for when in ("before", "forward")] + [
        ("backward", layer) for layer in reversed(layers)
    ]


def test_copies_files_and_empty_layers_that_are_filled_later():
    model, input = network().eval(), torch.randn(2, 3, 12, 12)
    expected = model(input)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(input), expected)
    with torch.device("meta"):
        empty = network()
    filled = empty.to_empty(device="cpu").eval()
    for layer in filled:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    assert filled(input).isfinite().all()
    filled.load_state_dict(model.state_dict())
    torch.testing.assert_close(filled(input), expected)


def test_channels_last_and_autocast():
    model, input = network().eval(), torch.randn(2, 3, 12, 12)
    expected = model(input)
    torch.testing.assert_close(model(input.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(input)
        output.float().square().sum().backward()
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, rtol=0.1, atol=0.05)
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_operations_are_counted_forward_and_backward():
    model, input = network().eval(), torch.randn(2, 3, 12, 12, requires_grad=True)
    layers = [layer for layer in model if isinstance(layer, cv.nn.Layer)]
    once = sum(layer.plan((2, *shape)).problem.flops for layer, shape in zip(layers, ARRIVING, strict=True))
    with FlopCounterMode(display=False) as counter:
        output = model(input)
    assert counter.get_total_flops() == once
    with FlopCounterMode(display=False) as counter:
        output.sum().backward()
    assert counter.get_total_flops() == 2 * once
