"""Channel graphs are their masks: every constructor, property and text of a graph against plain boolean matrices."""

from __future__ import annotations

import base64
import copy
import dataclasses
import pickle
import random
import re

import numpy as np
import pytest
import torch

import convarium as cv
from convarium import ChannelGraph
from convarium._spec.wiring import Wiring, parse_wiring, repeated
from family import random_graph, seeds


def mask_of(inputs: int, outputs: int, reads) -> np.ndarray:
    return np.array([[reads(i, j) for i in range(inputs)] for j in range(outputs)], dtype=bool)


def some_graph(seed: int) -> ChannelGraph:
    rnd = random.Random(seed)
    common, a, b = rnd.randint(1, 4), rnd.randint(1, 4), rnd.randint(1, 4)
    return random_graph(rnd, common * a, common * b)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (ChannelGraph.dense(3, 2), mask_of(3, 2, lambda i, j: True)),
        (ChannelGraph.groups(4, 6, 2), mask_of(4, 6, lambda i, j: i // 2 == j // 3)),
        (ChannelGraph.depthwise(3), mask_of(3, 3, lambda i, j: i == j)),
        (ChannelGraph.depthwise(3, 2), mask_of(3, 6, lambda i, j: i == j // 2)),
        (ChannelGraph.interlaced(4, 6, 2), mask_of(4, 6, lambda i, j: i % 2 == j % 2)),
        (ChannelGraph.from_edges(3, 2, [(2, 0), (0, 1), (1, 1)]), mask_of(3, 2, lambda i, j: (j == 0) == (i == 2))),
        (ChannelGraph.from_mask(torch.eye(3)), mask_of(3, 3, lambda i, j: i == j)),
        (ChannelGraph.from_mask([[True, False], [False, False]], allow_empty=True), np.array([[1, 0], [0, 0]], bool)),
    ],
    ids=str,
)
def test_constructors_mean_what_they_say(graph: ChannelGraph, expected: np.ndarray) -> None:
    assert np.array_equal(graph.mask(), expected)


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_every_view_of_a_graph_is_its_mask(seed: int) -> None:
    graph = some_graph(seed)
    mask = graph.mask()
    outputs, inputs = np.nonzero(mask)  # row-major: sorted by output and then input
    assert np.array_equal(graph.edges, [inputs, outputs])
    assert graph.n_edges == mask.sum()
    assert graph.is_full == mask.all()
    assert all(graph.parents(j) == tuple(np.flatnonzero(mask[j])) for j in range(graph.out_channels))
    assert all(graph.children(i) == tuple(np.flatnonzero(mask[:, i])) for i in range(graph.in_channels))
    covered = np.zeros(mask.shape, dtype=int)
    for block in graph.blocks:
        covered[np.ix_(block.outputs, block.inputs)] += 1
    assert np.array_equal(covered, mask), "blocks cover each edge once"
    assert sorted(j for block in graph.blocks for j in block.outputs) == list(range(graph.out_channels))


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_equal_edges_make_equal_graphs(seed: int) -> None:
    graph = some_graph(seed)
    pairs = graph.edges.T.tolist()
    random.Random(seed).shuffle(pairs)
    again = ChannelGraph.from_edges(graph.in_channels, graph.out_channels, pairs, allow_empty=True)
    others = (
        again,
        ChannelGraph.from_mask(graph.mask().astype(int), allow_empty=True),
        ChannelGraph(graph.in_channels, graph.out_channels, graph.text),
        dataclasses.replace(graph),
        pickle.loads(pickle.dumps(graph)),
        copy.deepcopy(graph),
    )
    for other in others:
        assert other == graph
        assert hash(other) == hash(graph)
        assert repr(other) == repr(graph)
    flipped = graph.mask()
    flipped[0, 0] ^= True
    assert ChannelGraph.from_mask(flipped, allow_empty=True) != graph


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_composition_is_the_boolean_product(seed: int) -> None:
    rnd = random.Random(seed)
    widths = [rnd.choice([2, 4, 6]) for _ in range(3)]
    first, second = random_graph(rnd, widths[0], widths[1]), random_graph(rnd, widths[1], widths[2])
    reach = (second.mask().astype(int) @ first.mask().astype(int)) > 0
    assert np.array_equal((second @ first).mask(), reach)


@pytest.mark.parametrize("g1", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("g2", [1, 2, 3, 4, 6, 12])
def test_clcnet_rule_for_seeing_every_channel(g1: int, g2: int) -> None:
    interlaced, grouped = ChannelGraph.interlaced(12, 12, g1), ChannelGraph.groups(12, 24, g2)
    assert (grouped @ interlaced).is_full == (12 / g2 >= g1)


@pytest.mark.parametrize("seed", seeds(60, 600))
@pytest.mark.parametrize("times", [1, 2, 3])
def test_copies_of_a_wiring_lie_side_by_side(seed: int, times: int) -> None:
    wiring = Wiring(some_graph(seed), by_edge=True)
    text = repeated(wiring.text, times)
    many = parse_wiring(text, times * wiring.in_channels, times * wiring.out_channels)
    assert parse_wiring(many.text, many.in_channels, many.out_channels) == many
    expected = np.kron(np.eye(times, dtype=int), wiring.graph.mask())
    assert many.n_edges == expected.sum()
    edges = np.zeros_like(expected)
    edges[tuple(many.edges()[::-1])] += 1
    assert np.array_equal(edges, expected)
    covered = np.zeros_like(expected)
    for alike in many.bicliques():
        for outputs, inputs in zip(alike.outputs, alike.inputs, strict=True):
            covered[np.ix_(outputs, inputs)] += 1
    assert np.array_equal(covered, expected), "bicliques cover each edge once"


def named(graph: ChannelGraph) -> ChannelGraph | None:
    """What the constructor that a repr names makes of its numbers."""
    found = re.fullmatch(r"ChannelGraph\((\d+) -> (\d+), (.*), (\d+) edges\)", repr(graph))
    inputs, outputs, n_edges = (int(found[n]) for n in (1, 2, 4))
    assert (inputs, outputs, n_edges) == (graph.in_channels, graph.out_channels, graph.n_edges)
    match found[3].split():
        case ["dense"]:
            return ChannelGraph.dense(inputs, outputs)
        case ["depthwise"]:
            return ChannelGraph.depthwise(inputs, outputs // inputs)
        case ["groups" | "interlaced" | "shuffled" | "banded" as kind, number]:
            return getattr(ChannelGraph, kind)(inputs, outputs, int(number))
        case ["banded", width, "circular"]:
            return ChannelGraph.banded(inputs, outputs, int(width), circular=True)
        case ["hierarchical", branching, "level", level]:
            return ChannelGraph.hierarchical(inputs, int(branching), int(level))
    assert re.fullmatch(r"(\d+ blocks?, )?\d+ (to \d+ parents|parents each)", found[3])
    return None


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_a_regular_graph_is_printed_as_a_constructor_that_makes_it(seed: int) -> None:
    rnd = random.Random(seed)
    common, a, b = rnd.randint(1, 6), rnd.randint(1, 6), rnd.randint(1, 6)
    inputs, outputs, groups = common * a, common * b, common
    branching, levels = rnd.choice([(2, 4), (3, 3), (4, 2), (5, 2), (6, 1)])
    for graph in (
        ChannelGraph.dense(inputs, outputs),
        ChannelGraph.groups(inputs, outputs, groups),
        ChannelGraph.depthwise(inputs, b),
        ChannelGraph.interlaced(inputs, outputs, groups),
        ChannelGraph.shuffled(inputs, outputs, groups),
        ChannelGraph.banded(inputs, outputs, rnd.randint(1, inputs)),
        ChannelGraph.banded(inputs, outputs, rnd.randint(1, inputs), circular=True),
        ChannelGraph.hierarchical(branching**levels * rnd.randint(1, 3), branching, rnd.randrange(levels)),
    ):
        assert named(graph) == graph, repr(graph)
        assert named(ChannelGraph.from_mask(graph.mask())) == graph


@pytest.mark.parametrize("seed", seeds(100, 2000))
def test_any_graph_is_printed_as_a_constructor_only_if_that_makes_it(seed: int) -> None:
    rnd = random.Random(seed)
    graph = some_graph(seed)
    assert named(graph) in (graph, None)
    regular = ChannelGraph.hierarchical(16, 2, rnd.randrange(4)) | ChannelGraph.depthwise(16)
    i, j = rnd.randrange(16), rnd.randrange(16)
    mask = regular.mask()
    mask[j, i] ^= True
    assert named(ChannelGraph.from_mask(mask, allow_empty=True)) is None


def test_a_graph_cannot_be_changed() -> None:
    graph = ChannelGraph.from_edges(3, 3, [(0, 0), (2, 1), (1, 2)])
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.in_channels = 4
    with pytest.raises(ValueError, match="read-only"):
        graph.edges[0, 0] = 2
    graph.mask()[:] = True  # a copy
    assert graph.n_edges == graph.mask().sum() == 3


@pytest.mark.parametrize(
    "text", ["g", "g:", "g:x", "g:-1", "g:0", "g:3", "i:3", "e:", "e:AAAA", "e:*", "x:1", "g:1:1", "g:²"]
)
def test_text_that_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=f"ChannelGraph: {re.escape(repr(text))} is no channel graph of 4 -> 4 channels"
    ):
        ChannelGraph(4, 4, text)


def test_a_graph_counts_its_edges_itself() -> None:
    assert dataclasses.replace(ChannelGraph.groups(4, 4, 2), in_channels=6).n_edges == 12
    with pytest.raises(ValueError, match="ChannelGraph: 'g:2' is no channel graph of 5 -> 4 channels"):
        dataclasses.replace(ChannelGraph.groups(4, 4, 2), in_channels=5)
    with pytest.raises(TypeError):
        ChannelGraph(4, 4, "g:2", 8)


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_any_text_of_the_same_edges_makes_the_same_graph(seed: int) -> None:
    graph = some_graph(seed)
    bits = np.packbits(graph.mask())
    bits[-1] |= (1 << (-graph.mask().size % 8)) - 1  # past the mask's end, where a graph has nothing
    again = ChannelGraph(graph.in_channels, graph.out_channels, "e:" + base64.b64encode(bits).decode())
    assert again == graph
    assert hash(again) == hash(graph)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_an_array_of_edges_has_a_pair_a_row(kind) -> None:
    graph = ChannelGraph.from_edges(3, 3, [(0, 0), (2, 1), (1, 2)])
    assert ChannelGraph.from_edges(3, 3, kind(graph.edges.T.tolist())) == graph
    with pytest.raises(ValueError, match=r"ChannelGraph.from_edges: edges must be \(edges, 2\), .* edges.T would fit"):
        ChannelGraph.from_edges(3, 3, kind(graph.edges.tolist()))
    assert ChannelGraph.from_edges(2, 2, kind([[0, 1], [1, 0]])).parents(0) == (1,)


@pytest.mark.parametrize("tile", [(), (2, 3), (5, 5)], ids=["shared", "tiled", "local"])
@pytest.mark.parametrize("mask", [[[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 0, 1]]], ids=["no edges", "an empty output"])
def test_an_output_that_reads_nothing_is_its_bias(mask, tile) -> None:
    graph = ChannelGraph.from_mask(mask, allow_empty=True)
    input, bias = torch.randn(2, 3, 7, 7, requires_grad=True), torch.randn(2, requires_grad=True)
    weight = torch.randn(graph.n_edges, *tile, 3, 3, requires_grad=True)
    read = sorted({i for j in range(2) for i in graph.parents(j)})
    unread = sorted({0, 1, 2} - set(read))
    for engine in ("auto", *cv.engines()):
        try:
            output = cv.conv2d(input, weight, bias, channels=graph, engine=engine)
        except ValueError as error:
            assert f"engine={engine!r} cannot do this" in str(error)  # noqa: PT017
            continue
        assert torch.equal(output[:, 0], bias[0].expand(2, 5, 5))
        assert (output[:, 1] != bias[1]).all() == bool(read)
        back = cv.conv_transpose2d(output.detach(), weight, channels=graph, engine=engine)
        assert back.shape == input.shape
        for gradient in (back, *torch.autograd.grad(output.sum(), input)):
            assert not gradient[:, unread].any()
            assert gradient[:, read].any() == bool(read)
        assert torch.autograd.grad(back.sum(), weight)[0].shape == weight.shape
    layer = cv.nn.ChannelConv2d(graph, 3)
    assert torch.equal(layer(input)[:, 0], layer.bias[0].expand(2, 5, 5))
