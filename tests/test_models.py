"""The networks are the published ones: their layers and counts; and each learns."""

from __future__ import annotations

import math

import pytest
import torch
from benchmarks.networks import shuffled
from torch import nn
from torch.nn import functional as F

import convarium as cv
from convarium.models.clcnet import BLOCKS
from convarium.models.lenet import c3_graph

datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed: no digits to learn")


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def multiply_adds(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Of a sample: kernels times positions of every convolution and linear layer."""
    found = []

    def add(layer: nn.Module, inputs, output) -> None:
        found.append(
            layer.weight.numel() * math.prod(output.shape[2:]) // math.prod(getattr(layer, "tile", None) or (1,))
        )

    hooks = [layer.register_forward_hook(add) for layer in network.modules()
             if isinstance(layer, cv.nn.Layer | nn.Linear)]  # fmt: skip
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return sum(found)


@pytest.mark.parametrize("index_bytes", [4, 8])
def test_clcnet_has_the_sizes_of_its_authors_files(index_bytes: int) -> None:
    """26.2 and 32.9 MB of torch7: weights and gradients, running statistics, two indices a channel that is interlaced.

    Indices are whole numbers of eight bytes, or numbers of four where the whole model was made one of floats.
    """
    sizes = []
    for network in (cv.models.clcnet_a(), cv.models.clcnet_b()):
        normalised = sum(layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
        interlaced = sum(layer.out_channels for layer in network.modules() if isinstance(layer, cv.nn.ChannelConv2d))
        assert (count(network), normalised, interlaced) in [(3_253_640, 12_992, 5_984), (4_085_128, 17_088, 8_032)]
        sizes.append((2 * 4 * count(network) + 2 * 4 * normalised + 2 * index_bytes * interlaced) / 1e6)
    assert [round(size, 1) for size in sizes] == [26.2, 32.9]


@pytest.mark.parametrize(
    ("name", "repeats", "total"),
    [("clcnet_a", (1, 1, 5, 2), 342_973_440), ("clcnet_b", (1, 1, 7, 3), 424_559_616)],
)
def test_clcnet_costs_what_its_stages_say(name: str, repeats: tuple[int, ...], total: int) -> None:
    """A block of M -> N has 9 M ** 2 / g1 + M N / 2 kernels' numbers, each used at every position; g1 is M / 2 throughout."""
    a, b, c, d = repeats
    blocks = [(32, 64, 112), (64, 128, 56), *[(128, 128, 56)] * a, (128, 256, 28), *[(256, 256, 28)] * b,
              (256, 512, 14), *[(512, 512, 14)] * c, (512, 1024, 7), *[(1024, 1024, 7)] * d]  # fmt: skip
    expected = 9 * 3 * 32 * 112**2 + 1024 * 1000 + sum(side**2 * (9 * m * 2 + m * n // 2) for m, n, side in blocks)
    assert multiply_adds(getattr(cv.models, name)(), (3, 224, 224)) == expected == total


def test_deepface_costs_what_its_layers_say() -> None:
    """Taps times inputs times outputs times positions: 152 -> 142 -> 71 -> 63 -> 55 -> 25 -> 21."""
    shared = 11**2 * 3 * 32 * 142**2 + 9**2 * 32 * 16 * 63**2
    local = 9**2 * 16 * 16 * 55**2 + 7**2 * 16 * 16 * 25**2 + 5**2 * 16 * 16 * 21**2
    linear = 16 * 21**2 * 4096 + 4096 * 4030
    with torch.device("meta"):
        found = multiply_adds(cv.models.deepface(), (3, 152, 152))
    assert found == shared + local + linear == 517_624_448


def test_the_tiled_cnn_costs_what_its_layers_say() -> None:
    """32 -> 25 -> 23 after the first layer and its pool, 16 -> 14 after the second: tiles take turns, and cost nothing more."""
    expected = 8**2 * 6 * 25**2 + 8**2 * 6 * 6 * 16**2 + 6 * 14**2 * 10
    for tile in (1, 2, 3):
        assert multiply_adds(cv.models.tiled_cnn(tile=tile), (1, 32, 32)) == expected == 841_584
    kernels = 4 * 8**2 * 6 + 4 * 8**2 * 6 * 6  # a tile of 2 x 2
    assert count(cv.models.tiled_cnn()) == kernels + 6 + 6 + 6 * 14**2 * 10 + 10 == 22_534


def test_every_block_of_clcnet_sees_every_channel() -> None:
    for inputs, outputs, _, g1, g2, _ in BLOCKS:
        stack = cv.ChannelStack(
            cv.ChannelGraph.interlaced(inputs, inputs, g1), cv.ChannelGraph.groups(inputs, outputs, g2)
        )
        assert stack.is_full
        assert not cv.ChannelStack(stack[0], cv.ChannelGraph.groups(inputs, outputs, 2 * g2)).is_full


def test_clcnet_is_grouped_convolutions_and_shuffles() -> None:
    torch.manual_seed(0)
    network = cv.models.ClcNet(1, 1, 1, 1, classes=10).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = shuffled(network).eval()(images)
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_lenet_has_table_i_and_the_papers_counts() -> None:
    graph, network = c3_graph(), cv.models.lenet5()
    assert graph.n_edges == 60
    assert [len(graph.parents(j)) for j in range(16)] == [3] * 6 + [4] * 9 + [6]
    assert {len(graph.children(i)) for i in range(6)} == {10}  # the table is even on the side of the inputs too
    counts = [count(part) for part in (network.c1, network.s2, network.c3, network.s4, network.c5, network.f6)]
    assert counts == [156, 12, 1516, 32, 48120, 10164]
    assert sum(counts) == 60_000
    places = {"c1": 28**2, "c3": 10**2, "c5": 1}  # the paper's connections count biases
    connections = [count(getattr(network, name)) * n for name, n in places.items()]
    assert connections == [122_304, 151_600, 48_120]


def test_deepface_has_the_papers_layers() -> None:
    with torch.device("meta"):
        network = cv.models.deepface()
    assert [layer.tile for layer in (network.l4, network.l5, network.l6)] == [(55, 55), (25, 25), (21, 21)]
    assert network.f7.in_features == 16 * 21 * 21
    local = sum(count(layer) for layer in (network.l4, network.l5, network.l6))
    assert count(network) == 118_923_774  # "more than 120 million", says the paper, whose layers add up to this
    assert (local + count(network.f7) + count(network.f8)) / count(network) > 0.95
    for sides in [(152, 152), (72, 72), (73, 74), (75, 91)]:
        cv.models.deepface(size=sides, width=2, features=2, classes=2)(torch.zeros(1, 3, *sides))


def test_tiled_cnn_has_l_squared_kernels() -> None:
    shared, tiled = (cv.models.tiled_cnn(tile=tile, maps=(6,)) for tile in (1, 2))
    assert tiled.layers[0].weight.numel() == 4 * shared.layers[0].weight.numel()
    assert tiled.head.weight.shape == shared.head.weight.shape


@pytest.mark.parametrize(
    ("make", "size", "epochs", "rate", "accuracy"),
    [
        (lambda: cv.models.ClcNet(1, 0, 1, 0, classes=10, in_channels=1), 16, 4, 3e-3, 0.85),
        (lambda: cv.models.lenet5(), 32, 4, 3e-3, 0.85),
        (lambda: cv.models.deepface(classes=10, size=72, width=16, features=512, in_channels=1), 72, 5, 2e-3, 0.7),
        (lambda: cv.models.tiled_cnn(size=16, kernel_size=4), 16, 10, 3e-3, 0.8),
    ],
    ids=["clcnet", "lenet5", "deepface", "tiled_cnn"],
)
def test_every_network_learns_digits_that_it_then_tells_apart(
    make, size: int, epochs: int, rate: float, accuracy: float
) -> None:
    """Chance is a tenth. With each of four seeds, they were right on 7 percent more than is asked, or on still more."""
    torch.manual_seed(0)
    digits = datasets.load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
    images, labels = F.interpolate(images, size=(size, size), mode="bilinear"), torch.tensor(digits.target)
    order = torch.randperm(len(labels))
    learned, held = order[:800], order[800:1200]
    network = make()
    F.cross_entropy(network(images[learned[:32]]), labels[learned[:32]]).backward()
    assert all(p.grad is not None and p.grad.abs().any() for p in network.parameters())
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for _ in range(epochs):
        for batch in learned[torch.randperm(800)].split(32):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        right = (network.eval()(images[held]).argmax(1) == labels[held]).float().mean()
    assert right > accuracy


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.models.ClcNet(1, 1, -1, 2), ValueError, "ClcNet: c must be at least 0, got -1"),
        (lambda: cv.models.clcnet_a(classes=0), ValueError, "ClcNet: classes must be at least 1"),
        (lambda: cv.models.clcnet_a(classes=2.0), TypeError, "ClcNet: classes must be a whole number"),
        (lambda: cv.models.deepface(size=71), ValueError, r"images of \(71, 71\) are too small: it takes 72"),
        (lambda: cv.models.deepface(size=(1, 2, 3)), ValueError, r"size must be a number or \(height, width\)"),
        (
            lambda: cv.models.tiled_cnn(size=16),
            ValueError,
            "images of size 16 are too small for 2 layers of kernel 8, pool 3",
        ),
        (lambda: cv.models.tiled_cnn(maps=()), ValueError, r"TiledCnn: maps must be at least one count, got \(\)"),
        (
            lambda: cv.models.tiled_cnn(maps=6),
            TypeError,
            r"TiledCnn: maps must be a sequence of counts.*got 6; \(6,\) would fit",
        ),
        (
            lambda: cv.models.tiled_cnn(maps="66"),
            TypeError,
            "TiledCnn: maps must be a sequence of counts, one a layer, got '66'",
        ),
        (lambda: cv.models.tiled_cnn(maps=(6, 6.0)), TypeError, "TiledCnn: maps must be a whole number, got 6.0"),
        (lambda: cv.models.tiled_cnn(tile=(2, 2)), TypeError, r"TiledCnn: tile must be a whole number, got \(2, 2\)"),
        (lambda: cv.models.deepface(size="96"), TypeError, "DeepFace: size must be a whole number, got '96'"),
        (lambda: cv.models.deepface(size=(96, None)), TypeError, "DeepFace: size must be a whole number, got None"),
        (lambda: cv.models.deepface(size=True), TypeError, "DeepFace: size must be a whole number, got True"),
        (lambda: cv.models.deepface(width=1), ValueError, "DeepFace: width must be at least 2, got 1"),
        (lambda: cv.models.deepface(sizes=96), TypeError, "unexpected keyword argument 'sizes'"),
        (
            lambda: cv.models.lenet5()(torch.zeros(2, 1, 28, 28)),
            ValueError,
            r"LeNet5: images must be \(batch, 1, 32, 32\), got \(2, 1, 28, 28\); torch.nn.functional.pad\(images, \(2, 2, 2, 2",
        ),
        (
            lambda: cv.models.lenet5()(torch.zeros(1, 32, 32)),
            ValueError,
            r"got \(1, 32, 32\); images.unsqueeze\(0\) would fit",
        ),
        (lambda: cv.models.lenet5()([0.0]), TypeError, r"LeNet5: images must be a tensor, got \[0.0\]"),
        (
            lambda: cv.models.lenet5()(torch.zeros(5, 32, 32)),
            ValueError,
            r"got \(5, 32, 32\); images.unsqueeze\(1\) would fit",
        ),
        (lambda: cv.models.lenet5()(torch.zeros(2, 3, 32, 32)), ValueError, r"got \(2, 3, 32, 32\)$"),
        (
            lambda: cv.models.tiled_cnn()(torch.zeros(2, 1, 33, 32)),
            ValueError,
            r"TiledCnn: images must be \(batch, 1, 32, 32\)",
        ),
        (
            lambda: cv.models.ClcNet(0, 0, 0, 0)(torch.zeros(3, 32, 32)),
            ValueError,
            r"ClcNet: images must be \(batch, 3, height, width\), got \(3, 32, 32\); images.unsqueeze\(0\) would fit",
        ),
        (lambda: cv.models.lenet5(engine="fast"), ValueError, "engine"),
    ],
)
def test_what_a_network_cannot_be_is_said(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
