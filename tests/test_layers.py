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


def test_a_lazy_layer_with_a_loaded_state_refuses_inputs_of_another_size():
    for name in ("LocalConv2d", "LocalConvTranspose2d"):
        for bias in (True, "untied"):
            size = {"output_size": 10} if "Transpose" in name and bias == "untied" else {}
            plain = getattr(cv.nn, name)(3, 5, 3, bias=bias, input_size=8, **size)
            lazy = getattr(cv.nn, f"Lazy{name}")(5, 3, bias=bias, **size)
            lazy.load_state_dict(plain.state_dict())
            with pytest.raises(ValueError, match=rf"^Lazy{name}: input \(2, 3, 14, 14\) needs a weight of shape"):
                lazy(torch.randn(2, 3, 14, 14))
            assert lazy(torch.randn(2, 3, 8, 8)).shape[1] == 5  # it was not spoilt by the refusal
    lazy = cv.nn.LazyLocalConv2d(5, 3)
    lazy.load_state_dict(torch.nn.Conv2d(3, 5, 3).state_dict())
    with pytest.raises(ValueError, match=r"needs a weight of shape .*untie"):
        lazy(torch.randn(2, 3, 8, 8))


def test_a_local_layer_has_a_kernel_for_each_position_or_refuses():
    layer, input = cv.nn.LocalConv2d(3, 4, 3, padding=1, input_size=8), torch.randn(1, 3, 8, 8)
    layer(input)
    layer.padding = 2
    with pytest.raises(ValueError, match=r"^LocalConv2d: .* positions \(10, 10\), .* kernels for \(8, 8\)"):
        layer(input)
    strided = cv.nn.LocalConv2d(3, 4, 3, stride=2, input_size=8)
    assert strided(torch.randn(1, 3, 7, 7)).shape == (1, 4, 3, 3)  # another size with the same positions
    for size in (2, 20):
        with pytest.raises(
            ValueError, match=rf"^LocalConv2d: .*made for input_size=\(8, 8\), got input \(1, 3, {size}, "
        ):
            strided(torch.randn(1, 3, size, size))


CALLED_WRONG = {
    "channels": (lambda: cv.nn.TiledConv2d(4, 4, 3, tile=2)(torch.randn(1, 3, 8, 8)),
                 "TiledConv2d: weight (4, 2, 2, 4, 3, 3) reads 4 channels"),
    "channels of a transpose": (lambda: cv.nn.ConvTranspose2d(4, 4, 3)(torch.randn(1, 3, 8, 8)),
                                "ConvTranspose2d: weight must be (in_channels, "),
    "rank": (lambda: cv.nn.Conv2d(4, 4, 3)(torch.randn(8, 8)), "Conv2d: input must be (batch, channels"),
    "tile": (lambda: cv.nn.TiledConv2d(4, 4, 3, tile=7)(torch.randn(1, 4, 8, 8)), "TiledConv2d: tile (7, 7)"),
    "output size": (lambda: cv.nn.ConvTranspose2d(4, 4, 3)(torch.randn(1, 4, 8, 8), output_size=3),
                    "ConvTranspose2d: output_size"),
    "dtype": (lambda: cv.nn.Conv2d(4, 4, 3)(torch.randn(1, 4, 8, 8).double()), "Conv2d: weight is torch.float32 but input"),
    "no input": (lambda: cv.nn.LocalConv2d(4, 4, 3, input_size=8)(None), "LocalConv2d: input must be a torch.Tensor"),
    "no input size": (lambda: cv.nn.LocalConv2d(3, 5, 3), "LocalConv2d: input_size is missing; LazyLocalConv2d takes it from"),
    "no input size of a transpose": (lambda: cv.nn.LocalConvTranspose1d(3, 5, 3),
                                     "LocalConvTranspose1d: input_size is missing; LazyLocalConvTranspose1d takes it"),
    "no tile": (lambda: cv.nn.TiledConv2d(3, 5, 3), "TiledConv2d: tile is missing; tile=2 "),
    "no tile of a transpose": (lambda: cv.nn.TiledConvTranspose3d(3, 5, 3), "TiledConvTranspose3d: tile is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLED_WRONG)
def test_layers_speak_in_their_own_name(name):
    call, words = CALLED_WRONG[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(words)


def test_the_graph_of_a_layer_is_settled():
    layer = cv.nn.ChannelConv2d(cv.ChannelGraph.interlaced(4, 4, 2), 3)
    with pytest.raises(AttributeError, match=r"ChannelConv2d: channels is settled .*; layer.to_graph\(graph\) is"):
        layer.channels = cv.ChannelGraph.dense(4, 4)
    assert layer.channels == cv.ChannelGraph.interlaced(4, 4, 2)


def test_graph_layers_load_and_start_anew_whatever_the_default_device():
    layer = KINDS["channel"]()
    state, input = layer.state_dict(), torch.randn(2, 4, 8, 8)
    expected = layer(input)
    with torch.device("meta"):
        other = KINDS["channel"](device="cpu")
        other.load_state_dict(state)
        empty = KINDS["channel"]()
        empty.load_state_dict(state, assign=True)
        anew = KINDS["channel"](device="cpu")
        anew.reset_parameters()
    assert torch.equal(other(input), expected)
    assert torch.equal(empty(input), expected)
    assert torch.equal(anew.edges, layer.edges)
    kept = KINDS["channel"](device="meta")
    kept.load_state_dict(KINDS["channel"](device="meta").state_dict(), assign=True)
    assert kept.edges.device == kept.weight.device
    with torch.device("meta"):
        matrix = cv.matrix.conv_matrix(torch.ones(1, 1, 3, device="cpu"), (1, 4), padding=1, padding_mode="circular")
    assert matrix.to_dense().sum() == 12


@pytest.mark.parametrize(("name", "layer"), [
    ("shared", cv.nn.TiledConv2d(4, 6, 3, tile=2)),
    ("shared", cv.nn.LocalConv2d(4, 6, 3, input_size=8)),
    ("shared", cv.nn.TiledConvTranspose2d(4, 6, 3, tile=2)),
    ("dense", cv.nn.ChannelConv2d(cv.ChannelGraph.dense(4, 6), 3)),
    ("dense", cv.nn.ChannelConvTranspose2d(cv.ChannelGraph.dense(6, 4), 3)),
])  # fmt: skip
def test_a_state_dict_of_torchs_own_layer_is_recognised(name, layer):
    transposed = "Transpose" in type(layer).__name__
    theirs = (torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d)(4, 6, 3)
    with pytest.raises(RuntimeError) as caught:
        layer.load_state_dict({**layer.state_dict(), **theirs.state_dict()})
    home = "cv.nn.ConvTranspose2d" if transposed else "cv.nn.Conv2d"
    assert (f"load it into {home}, then .untie(" if name == "shared" else "weight[edges[1], edges[0]]") in str(
        caught.value
    )
    assert f"the file has a {name} weight" in str(caught.value)
    if name == "dense":
        layer.load_state_dict(layer.state_dict() | {"weight": theirs.weight[layer.edges[1], layer.edges[0]]})
        input = torch.randn(1, 4, 5, 5)
        torch.testing.assert_close(
            layer(input) - layer.bias.reshape(-1, 1, 1), theirs(input) - theirs.bias.reshape(-1, 1, 1)
        )


@pytest.mark.parametrize("transposed", [False, True])
def test_a_state_dict_of_torchs_groups_is_recognised(transposed):
    theirs = (torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d)(4, 6, 3, groups=2)
    kind = cv.nn.ChannelConvTranspose2d if transposed else cv.nn.ChannelConv2d
    layer = kind(cv.ChannelGraph.groups(*((6, 4) if transposed else (4, 6)), 2), 3)
    with pytest.raises(RuntimeError, match=r"a weight of groups; this layer takes weight.flatten\(0, 1\)"):
        layer.load_state_dict({**layer.state_dict(), **theirs.state_dict()})
    layer.load_state_dict({**layer.state_dict(), **theirs.state_dict(), "weight": theirs.weight.flatten(0, 1)})
    input = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(layer(input), theirs(input))
    other = kind(cv.ChannelGraph.interlaced(*((6, 4) if transposed else (4, 6)), 2), 3)
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        other.load_state_dict({**other.state_dict(), **theirs.state_dict()})


def test_edges_that_are_no_whole_numbers_are_refused():
    layer = cv.nn.ChannelConv2d(cv.ChannelGraph.interlaced(4, 4, 2), 3)
    state = layer.state_dict()
    with pytest.raises(RuntimeError, match=r"edges: edges are whole numbers, got torch.float32"):
        layer.load_state_dict({**state, "edges": state["edges"].float() + 0.4})


def test_other_forms_draw_no_numbers_and_keep_what_is_frozen():
    state = torch.get_rng_state()
    layers = [cv.nn.Conv2d(4, 6, 3), KINDS["tiled"](), KINDS["channel"](), KINDS["local graph"]()]
    state = torch.get_rng_state()
    forms = []
    for layer in layers:
        layer.weight.requires_grad_(False)
        forms += [layer.untie(input_size=8)]
        forms += [layer.to_dense()] if layer.channels is not None else [layer.untie(2)]
    assert torch.equal(torch.get_rng_state(), state)
    for form in forms:
        assert not form.weight.requires_grad
        assert form.bias.requires_grad
        assert form.weight.is_leaf
        assert not form.weight.is_meta


def test_untying_is_refused_before_memory_is_taken():
    layer = cv.nn.TiledConv2d(4, 6, 3, tile=3)
    with pytest.raises(ValueError, match=r"^TiledConv2d.untie: tile \(1000000, 1000000\) is not a multiple"):
        layer.untie(1000000)


@pytest.mark.parametrize("norm", ["spectral_norm", "weight_norm"])
def test_norms_of_a_transposed_layer_are_torchs_by_dim_1(norm):
    normed = []
    for module, options in ((torch.nn, {}), (cv.nn, {"dim": 1})):
        torch.manual_seed(0)
        layer = module.ConvTranspose2d(4, 6, 3)
        if module is torch.nn and norm == "weight_norm":
            options = {"dim": 1}
        normed.append(getattr(torch.nn.utils.parametrizations, norm)(layer, **options))
    assert torch.equal(normed[0].weight, normed[1].weight)


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_layers_refuse_tracers_by_name():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = KINDS["local"]()

        def forward(self, input):
            return self.layer(input).relu()

    input = torch.randn(1, 4, 8, 8)
    with pytest.raises(TypeError, match=r"^LocalConv2d: torch.jit.trace .* torch.export"):
        torch.jit.trace(Net(), input)
    with pytest.raises(TypeError, match=r"^LocalConv2d: torch.fx.symbolic_trace .* is_leaf_module"):
        torch.fx.symbolic_trace(Net())

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m, name):
            return isinstance(m, cv.nn.Layer) or super().is_leaf_module(m, name)

    net = Net()
    assert torch.equal(torch.fx.GraphModule(net, Tracer().trace(net))(input), net(input))
