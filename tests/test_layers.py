"""Layers: torch.nn's own numbers where they overlap, and the other forms of one function."""

import copy
import pickle

import pytest
import torch

import convarium as cv

PAIRS = [
    ("Conv1d", {"stride": 2, "padding": 1, "groups": 2}),
    ("Conv2d", {"padding": "same", "dilation": 2}),
    ("Conv2d", {"padding": 1, "padding_mode": "reflect", "bias": False}),
    ("Conv3d", {"padding": (0, 1, 2)}),
    ("ConvTranspose1d", {"stride": 2, "output_padding": 1}),
    ("ConvTranspose2d", {"groups": 2, "padding": 1}),
    ("ConvTranspose3d", {"dilation": 2}),
]


@pytest.mark.parametrize(("name", "options"), PAIRS)
def test_same_numbers_as_torch(name, options):
    layers = []
    for module in (torch.nn, cv.nn):
        torch.manual_seed(0)
        layers.append(getattr(module, name)(4, 6, 3, **options))
    theirs, ours = layers
    assert all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))
    input = torch.randn(2, 4, *[7] * ours._n)
    torch.testing.assert_close(ours(input), theirs(input))
    torch.testing.assert_close(ours(input[0]), theirs(input[0]))
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())


GRAPH = cv.ChannelGraph.from_edges(4, 3, [(0, 0), (1, 0), (2, 0), (1, 1), (2, 2), (3, 2)])
KINDS = {
    "tiled": lambda **more: cv.nn.TiledConv2d(4, 6, 3, tile=2, bias="untied", **more),
    "local": lambda **more: cv.nn.LocalConv2d(4, 6, 3, input_size=8, bias="untied", **more),
    "channel": lambda **more: cv.nn.ChannelConv2d(GRAPH, 3, **more),
    "local graph": lambda **more: cv.nn.LocalConv2d(None, None, 3, input_size=8, channels=GRAPH, **more),
}


@pytest.mark.parametrize("kind", KINDS)
def test_copies_pickles_and_meta(kind):
    layer, input = KINDS[kind](stride=2, padding=((1, 0), (0, 1)), flip=True), torch.randn(2, 4, 8, 8)
    expected = layer(input)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(input), expected)
        assert repr(other) == repr(layer)
    empty = KINDS[kind](stride=2, padding=((1, 0), (0, 1)), flip=True, device="meta").to_empty(device="cpu")
    empty.reset_parameters()
    empty.load_state_dict(layer.state_dict())
    assert torch.equal(empty(input), expected)


def test_a_graph_layer_is_drawn_from_its_own_fan_in_and_refuses_another_graph():
    layer = cv.nn.ChannelConv2d(GRAPH, 3, bias=False)
    for output, reads in enumerate((3, 1, 2)):
        own = layer.weight[layer.edges[1] == output]
        assert own.abs().max() <= (9 * reads) ** -0.5
        assert own.abs().max() > 0.7 * (9 * reads) ** -0.5
    other = cv.nn.ChannelConv2d(
        cv.ChannelGraph.from_edges(4, 3, [(0, 0), (1, 0), (3, 0), (1, 1), (2, 2), (3, 2)]), 3, bias=False
    )
    with pytest.raises(RuntimeError, match="edge 2 is 3 -> 0 in the file and 2 -> 0 in the layer"):
        layer.load_state_dict(other.state_dict())


def test_lazy_layers_become_the_plain_class():
    layer = cv.nn.LazyLocalConv2d(6, 3, bias="untied")
    optimiser_free = repr(layer)
    layer(torch.randn(2, 4, 8, 8))
    assert type(layer) is cv.nn.LocalConv2d
    assert (layer.in_channels, layer.input_size, tuple(layer.bias.shape)) == (4, (8, 8), (6, 6, 6))
    assert "LazyLocalConv2d" in optimiser_free
    fresh = cv.nn.LazyLocalConv2d(6, 3, bias="untied")
    fresh.load_state_dict(layer.state_dict())
    input = torch.randn(2, 4, 8, 8)
    assert torch.equal(fresh(input), layer(input))


def test_a_frozen_operands_map_is_not_run(monkeypatch):
    ran = []
    from convarium._maps import registration

    run = registration.run
    monkeypatch.setattr(registration, "run", lambda map, *rest: ran.append(map) or run(map, *rest))
    layer = cv.nn.LocalConv2d(4, 6, 3, input_size=8, bias=False)
    layer(torch.randn(2, 4, 8, 8)).sum().backward()
    assert ran == ["forward", "grad_weight"]
    ran.clear()
    layer.requires_grad_(False)
    layer(torch.randn(2, 4, 8, 8, requires_grad=True)).sum().backward()
    assert ran == ["forward", "grad_input"]
