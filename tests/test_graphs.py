"""Graphs that are made, joined, stacked, kept and designed: against plain masks, NetworkX, SciPy and exhaustive search."""

from __future__ import annotations

import itertools
import math
import random
from functools import reduce

import networkx
import numpy as np
import pytest
import scipy.sparse
import torch

import convarium as cv
from convarium import ChannelGraph, ChannelStack
from family import random_graph, seeds


def some_stack(seed: int) -> ChannelStack:
    rnd = random.Random(seed)
    widths = [rnd.choice([2, 4, 6]) for _ in range(rnd.randint(2, 5))]
    return ChannelStack(*(random_graph(rnd, a, b) for a, b in itertools.pairwise(widths)))


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_a_stack_reaches_what_networkx_says(seed: int) -> None:
    stack = some_stack(seed)
    judge, last = stack.to_networkx(), len(stack)
    for output in range(stack.widths[-1]):
        seen = networkx.ancestors(judge, (last, output)) | {(last, output)}
        expected = tuple(
            tuple(sorted(c for layer, c in seen if layer == n)) for n in range(len(stack.widths))
        )  # fmt: skip
        assert stack.receptive_field(output) == expected
        assert stack.reach.parents(output) == expected[0]
    for input in range(stack.widths[0]):
        seen = networkx.descendants(judge, (0, input)) | {(0, input)}
        assert stack.influence(input) == tuple(
            tuple(sorted(c for layer, c in seen if layer == n)) for n in range(len(stack.widths))
        )
    assert np.array_equal(stack.reach.mask(), reduce(lambda a, b: (b.mask().astype(int) @ a) > 0, list(stack)[1:],
                                                     stack[0].mask()))  # fmt: skip
    assert stack.is_full == (not stack.missing.size)
    assert {tuple(pair) for pair in stack.missing.T.tolist()} == {
        (i, j) for j, i in zip(*np.nonzero(~stack.reach.mask()), strict=True)
    }
    assert ("every output sees every input" in repr(stack)) == stack.is_full


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_joining_and_cutting_graphs_is_so_of_their_masks(seed: int) -> None:
    rnd = random.Random(seed)
    inputs, outputs = rnd.choice([2, 4, 6]), rnd.choice([2, 4, 6])
    a, b = random_graph(rnd, inputs, outputs), random_graph(rnd, inputs, outputs)
    assert np.array_equal((a | b).mask(), a.mask() | b.mask())
    assert np.array_equal((a & b).mask(), a.mask() & b.mask())
    rows, columns = (
        rnd.sample(range(outputs), rnd.randint(1, outputs)),
        rnd.sample(range(inputs), rnd.randint(1, inputs)),
    )
    assert np.array_equal(a.restrict(columns, rows).mask(), a.mask()[np.ix_(rows, columns)])
    assert np.array_equal(a.restrict(outputs=rows).mask(), a.mask()[rows])
    assert a.restrict() == a
    assert np.array_equal(a.missing, np.stack(np.nonzero(~a.mask()))[::-1])


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_there_and_back(seed: int, tmp_path) -> None:
    rnd = random.Random(seed)
    graph = random_graph(rnd, rnd.choice([2, 4, 6]), rnd.choice([2, 4, 6]))
    assert ChannelGraph.from_scipy(graph.to_scipy(), allow_empty=True) == graph
    assert ChannelGraph.from_networkx(graph.to_networkx(), allow_empty=True) == graph
    assert ChannelGraph.from_networkx(graph.to_networkx().to_undirected(), allow_empty=True) == graph
    graph.save(tmp_path / "graph.json")
    assert ChannelGraph.load(tmp_path / "graph.json") == graph
    assert [path.name for path in tmp_path.iterdir()] == ["graph.json"]


def test_shuffled_groups_are_groups_after_a_shuffle() -> None:
    for inputs, outputs, groups in [(6, 6, 2), (12, 8, 4), (8, 16, 8), (4, 4, 1)]:
        shuffled = torch.arange(inputs).reshape(groups, -1).T.flatten().tolist()  # as ShuffleNet's code does it
        for block in range(groups):
            reads = shuffled[block * inputs // groups : (block + 1) * inputs // groups]
            for output in range(block * outputs // groups, (block + 1) * outputs // groups):
                assert ChannelGraph.shuffled(inputs, outputs, groups).parents(output) == tuple(sorted(reads))
    x, weight = torch.randn(2, 8, 5, 5), torch.randn(8, 4, 3, 3)
    there = torch.nn.functional.channel_shuffle(x, 2)
    graph = ChannelGraph.shuffled(8, 8, 2)
    order = torch.arange(8).reshape(2, 4).T.flatten().reshape(2, 4)  # what each group reads, in its order
    edges = weight.flatten(0, 1)[torch.cat([4 * j + order[j // 4].argsort() for j in range(8)])]
    torch.testing.assert_close(cv.conv2d(x, edges, channels=graph), torch.conv2d(there, weight, groups=2))


def test_bands() -> None:
    for inputs, outputs, width in itertools.product((1, 4, 7), (1, 4, 9), (1, 3, 4)):
        if width > inputs:
            continue
        for circular in (False, True):
            graph = ChannelGraph.banded(inputs, outputs, width, circular=circular)
            for output in range(outputs):
                parents = graph.parents(output)
                assert len(parents) == width
                assert (output * 2 + 1) * inputs // (2 * outputs) in parents
                if not circular:
                    assert parents == tuple(range(parents[0], parents[0] + width))
    assert ChannelGraph.banded(4, 4, 3, circular=True).parents(0) == (0, 1, 3)


@pytest.mark.parametrize(("branching", "levels"), [(2, 4), (3, 3), (5, 2), (7, 1)])
def test_a_hierarchy_sees_everything_after_its_last_level(branching: int, levels: int) -> None:
    channels = branching**levels
    stack = ChannelStack(*(ChannelGraph.hierarchical(channels, branching, level) for level in range(levels)))
    assert stack.is_full
    assert stack.n_edges == channels * branching * levels
    assert levels == 1 or not ChannelStack(*list(stack)[:-1]).is_full
    assert stack[0] == ChannelGraph.groups(channels, channels, channels // branching)
    assert stack[levels - 1] == ChannelGraph.interlaced(channels, channels, channels // branching)


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_random_regular_graphs_are_regular_on_both_sides(seed: int) -> None:
    rnd = random.Random(seed)
    inputs, outputs = rnd.randint(1, 20), rnd.randint(1, 20)
    parents = rnd.randint(1, inputs)
    graph = ChannelGraph.random_regular(inputs, outputs, parents, seed=seed)
    assert graph == ChannelGraph.random_regular(inputs, outputs, parents, seed=seed)
    assert set(graph.mask().sum(axis=1).tolist()) == {parents}
    read = graph.mask().sum(axis=0)
    assert read.max() - read.min() <= 1


def test_seeds_of_random_graphs_differ() -> None:
    assert len({ChannelGraph.random_regular(16, 16, 4, seed=seed) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    "shape", [(6, 5, 3), (6, 5, 3, 3), (6, 5, 2, 2, 2), (6, 2, 2, 5, 3, 3), (4, 2, 1, 2, 3, 2, 2, 2)]
)
def test_from_weight_keeps_the_largest_kernels(shape) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    tile = {6: 2, 8: 3}.get(len(shape), 0)
    norms = weight.movedim(1 + tile, 1).flatten(2).norm(dim=2)
    for keep in (0.01, 0.25, np.float32(0.5), 1):
        graph = ChannelGraph.from_weight(weight, keep)
        mask = torch.from_numpy(graph.mask())
        assert graph.n_edges == max(round(keep * norms.numel()), shape[0])
        assert mask.any(1).all()
        spare = mask & (norms != norms.amax(1, keepdim=True))  # kept for their size, not as an output's only one
        assert mask.all() or not spare.any() or norms[spare].min() >= norms[~mask].max()


EDGES = ChannelGraph.from_edges(6, 4, [(0, 0), (5, 0), (2, 1), (1, 1), (3, 3), (4, 3), (5, 3)], allow_empty=True)


@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize(
    "make",
    [
        lambda form, ends: getattr(cv.nn, f"Conv{form}2d")(*ends, 3, groups=2),
        lambda form, ends: getattr(torch.nn, f"Conv{form}2d")(*ends, 3, groups=2),
        lambda form, ends: getattr(torch.nn, f"Conv{form}1d")(*ends, 3),
        lambda form, ends: getattr(torch.nn, f"Conv{form}3d")(*ends, 2, dtype=torch.complex64),
        lambda form, ends: getattr(cv.nn, f"TiledConv{form}1d")(*ends, 3, tile=4),
        lambda form, ends: getattr(cv.nn, f"TiledConv{form}2d")(*ends, 3, tile=(2, 3), groups=2),
        lambda form, ends: getattr(cv.nn, f"LocalConv{form}3d")(*ends, 2, input_size=(3, 4, 2)),
        lambda form, ends: getattr(cv.nn, f"ChannelConv{form}1d")(EDGES, 3),
        lambda form, ends: getattr(cv.nn, f"ChannelConv{form}2d")(EDGES, 3),
        lambda form, ends: getattr(cv.nn, f"TiledConv{form}2d")(None, None, 3, tile=2, channels=EDGES),
    ],
    ids=["groups", "torch groups", "torch 1d", "torch 3d", "tiled 1d", "tiled groups", "local", "edges 1d", "edges 2d", "tiled edges"],
)  # fmt: skip
def test_from_weight_of_a_layer_keeps_its_largest_kernels(make, transposed: bool) -> None:
    torch.manual_seed(0)
    layer = make(*(("Transpose", (4, 6)) if transposed else ("", (6, 4))))
    own, groups = getattr(layer, "channels", None), layer.groups
    kernels = {}  # by (input, output) of the convolution
    if own is not None:
        kernels = dict(zip(map(tuple, own.edges.T.tolist()), layer.weight, strict=True))
    else:
        inner = 1 + len(getattr(layer, "tile", None) or ())
        for j, i in itertools.product(range(4), range(6 // groups)):
            kernels[j // (4 // groups) * (6 // groups) + i, j] = layer.weight[j].select(inner - 1, i)
    norms = {edge: float(kernel.detach().norm()) for edge, kernel in kernels.items()}
    for keep in (0.01, 0.4, 0.7, 1.0):
        graph = ChannelGraph.from_weight(layer, keep=keep)
        kept = set(map(tuple, graph.edges.T.tolist()))
        assert (graph.in_channels, graph.out_channels) == (6, 4)
        ends = 0 if transposed else 1  # the side of the layer's outputs
        best = {max((e for e in norms if e[ends] == c), key=norms.get) for c in {edge[ends] for edge in norms}}
        expected = set(best)
        for edge in sorted(set(norms) - best, key=norms.get, reverse=True):
            if len(expected) < round(keep * len(norms)):
                expected.add(edge)
        assert kept == expected
        if isinstance(layer, cv.nn.Layer):
            assert layer.to_graph(graph).weight.shape[0] == graph.n_edges


def test_designs_are_the_cheapest_that_see_everything() -> None:
    for m, between, n, kernel in [
        (8, 8, 16, 3),
        (12, 12, 12, 3),
        (6, 12, 18, 5),
        (64, 64, 128, 3),
        (9, 9, 9, 1),
        (7, 7, 5, 3),
    ]:
        found = cv.design_block(m, n, kernel, between=between)
        assert found.is_full
        assert found.stack.is_full
        assert found.cost == kernel**2 * m * between // found.interlaced + between * n // found.grouped
        assert found.cost >= 2 * math.sqrt(kernel**2 * m * between * n) - 1e-9
        for g1, g2 in itertools.product(range(1, between + 1), repeat=2):
            if m % g1 or between % g1 or between % g2 or n % g2:
                continue
            other = cv.BlockDesign(m, between, n, (kernel, kernel), g1, g2)
            assert other.is_full == other.stack.is_full
            assert not other.is_full or other.cost >= found.cost


def test_clcnet_blocks_are_designs() -> None:
    for inputs, outputs, g1 in [(32, 64, 16), (64, 128, 32), (128, 256, 64), (256, 512, 128), (512, 1024, 256)]:
        block = cv.design_block(inputs, outputs, 3, grouped=2)
        assert (block.interlaced, block.grouped) == (g1, 2)


DENSE = ChannelGraph.dense(4, 4)
DUPLICATE = networkx.MultiDiGraph()
DUPLICATE.add_nodes_from(["a"], bipartite=0)
DUPLICATE.add_nodes_from(["b"], bipartite=1)
DUPLICATE.add_edges_from([("a", "b"), ("a", "b")])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ChannelGraph.shuffled(6, 6, 4), ValueError, "ChannelGraph.shuffled: groups=4 does not divide in_channels=6"),
        (lambda: ChannelGraph.banded(2**20, 2**20, 5), ValueError, "1048576 -> 1048576 channels has more than 1073741824 pairs"),
        (lambda: ChannelGraph.hierarchical(2**20, 2, 0), ValueError, "more than 1073741824 pairs"),
        (lambda: ChannelGraph.interlaced(2**30, 2**30, 2).edges, ValueError, "1073741824 channels has more than 1073741824 pairs"),
        (lambda: ChannelGraph.groups(2**20, 2**20, 4).parents(0), ValueError, "more than 1073741824 pairs"),
        (lambda: ChannelGraph.from_mask([[1, 0], [0, 0]], allow_empty="no"), TypeError, "allow_empty must be True or False, got 'no'"),
        (lambda: ChannelGraph.banded(4, 4, 5), ValueError, "width must be at most in_channels=4, got 5"),
        (lambda: ChannelGraph.banded(4, 4, 0), ValueError, "width must be at least 1"),
        (lambda: ChannelGraph.hierarchical(12, 2, 2), ValueError, "level must be from 0 to 1, got level=2 of 12 channels"),
        (lambda: ChannelGraph.hierarchical(9, 2, 0), ValueError, "channels must be a multiple of 2"),
        (lambda: ChannelGraph.hierarchical(8, 1, 0), ValueError, "branching must be at least 2"),
        (lambda: ChannelGraph.hierarchical(8, 2, -1), ValueError, "level must be from 0 to 2"),
        (lambda: ChannelGraph.random_regular(4, 4, 5, seed=0), ValueError, "parents must be at most in_channels=4, got 5"),
        (lambda: ChannelGraph.random_regular(4, 4, 2, seed=-1), ValueError, "seed must be a whole number from 0 on"),
        (lambda: ChannelGraph.from_weight(torch.randn(4, 4)), ValueError, r"weight must be \(out_channels, in_channels, \*kernel"),
        (lambda: ChannelGraph.from_weight([1.0]), TypeError, "weight must be a tensor, or a layer of convarium.nn or a convolution"),
        (lambda: ChannelGraph.from_weight(torch.nn.Linear(4, 4)), TypeError, "weight must be a layer .* of torch.nn, got a Linear"),
        (lambda: ChannelGraph.from_weight(torch.nn.LazyConv2d(4, 3)), ValueError, "no shape before its first input; call it once"),
        (lambda: ChannelGraph.from_weight(cv.nn.LazyLocalConv2d(4, 3)), ValueError, "no shape before its first input"),
        (lambda: ChannelGraph.from_weight(torch.nn.Conv2d(4, 4, 3, device="meta")), TypeError, "must be a dense tensor with numbers"),
        (lambda: ChannelGraph.from_weight(torch.nn.Conv2d), TypeError, "got <class 'torch.nn.modules.conv.Conv2d'>"),
        (lambda: ChannelGraph.from_weight(torch.randn(4, 4, 3), 0), ValueError, "keep must be more than 0 and at most 1, got 0"),
        (lambda: ChannelGraph.from_weight(torch.randn(4, 4, 3), "0.5"), TypeError, "keep must be a number, .* got '0.5'"),
        (lambda: ChannelGraph.from_weight(torch.randn(4, 4, 3), True), TypeError, "keep must be a number, .* got True"),
        (lambda: ChannelGraph.from_mask([[1, 0], [1]]), TypeError, r"mask must be .*, its rows equally long, got \[\[1, 0\], \[1\]\]"),
        (lambda: ChannelGraph.from_mask(torch.eye(3).to_sparse()), TypeError, "mask must be .*, dense and with numbers, got"),
        (lambda: ChannelGraph.from_mask(torch.eye(3, device="meta")), TypeError, "mask must be .*, dense and with numbers, got"),
        (lambda: ChannelGraph.from_weight(torch.full((4, 4, 3), math.nan)), ValueError, "not finite"),
        (lambda: ChannelGraph.from_scipy(np.eye(3)), TypeError, "must be a SciPy sparse matrix.*from_mask takes arrays"),
        (lambda: ChannelGraph.from_scipy(scipy.sparse.csr_array(2 * np.eye(3))), ValueError, "must hold only 0 and 1, got 2"),
        (lambda: ChannelGraph.from_scipy(scipy.sparse.coo_array(([1, 1], ([0, 0], [0, 0])), (1, 1))), ValueError, "entry twice"),
        (lambda: ChannelGraph.from_scipy(scipy.sparse.csr_array((2, 2))), ValueError, "outputs 0, 1 read no input"),
        (lambda: ChannelGraph.from_networkx(3), TypeError, "must be a NetworkX graph"),
        (lambda: ChannelGraph.from_networkx(networkx.path_graph(3)), ValueError, "node 0 must have bipartite=0"),
        (lambda: ChannelGraph.from_networkx(networkx.Graph()), ValueError, "0 inputs and 0 outputs"),
        (lambda: ChannelGraph.from_networkx(DUPLICATE), ValueError, "is given twice"),
        (lambda: ChannelGraph.from_networkx(DENSE.to_networkx().reverse()), ValueError, "does not lead from an input to an output"),
        (lambda: DENSE.save(3), TypeError, "ChannelGraph.save: path must be a str or a Path, got 3"),
        (lambda: ChannelGraph.depthwise(2**30, 4), ValueError, r"ChannelGraph.depthwise: channels \* multiplier must be at least 1"),
        (lambda: DENSE.restrict(inputs=[4]), ValueError, "inputs must be channels from 0 to 3, got 4"),
        (lambda: DENSE.restrict(outputs=[1, 2, 1]), ValueError, "outputs has channel 1 twice"),
        (lambda: DENSE.restrict(outputs=[]), ValueError, "outputs must be at least one channel"),
        (lambda: DENSE.restrict(outputs=[True]), TypeError, "outputs must be channel numbers"),
        (lambda: DENSE.restrict(outputs=3), TypeError, "outputs must be channel numbers, got 3"),
        (lambda: DENSE | ChannelGraph.dense(4, 2), ValueError, r"a \| b needs equal channels, got 4 -> 4 and 4 -> 2"),
        (lambda: DENSE & 3, TypeError, "unsupported operand"),
        (lambda: ChannelStack(), TypeError, "give at least one"),
        (lambda: ChannelStack([DENSE, DENSE]), TypeError, r"got \[ChannelGraph.*; ChannelStack\(\*layers\) would fit"),
        (lambda: ChannelStack(ChannelStack(DENSE)), TypeError, r"got ChannelStack.*; ChannelStack\(\*layers\) would fit"),
        (lambda: ChannelStack([]), TypeError, r"layers must be ChannelGraphs, got \[\]$"),
        (lambda: ChannelGraph.dense(4, 3) @ ChannelStack(DENSE) @ ChannelGraph.dense(4, 5), ValueError, "layer 2 reads 4 .* layer 1 has 5"),
        (lambda: ChannelStack(DENSE) @ 3, TypeError, "unsupported operand"),
        (lambda: 3 @ ChannelStack(DENSE), TypeError, "unsupported operand"),
        (lambda: ChannelGraph.from_mask(scipy.sparse.eye_array(3)), TypeError, "got .*; ChannelGraph.from_scipy takes sparse matrices"),
        (lambda: ChannelGraph.from_edges(4, 4, DENSE.edges.tolist()), ValueError, r"pairs, got \[\[.*; zip\(\*edges\) would fit"),
        (lambda: ChannelGraph.from_edges(4, 4, tuple(DENSE.edges)), ValueError, r"pairs, got .*; zip\(\*edges\) would fit"),
        (lambda: ChannelGraph.from_edges(2, 4, [(0, 0), (3, 1)]), ValueError, r"\(3, 1\) reads input 3 of 2; edges are \(input, output\)"),
        (lambda: ChannelGraph.from_edges(4, 2, [(0, 2), (1, 3)]), ValueError, "ends at output 2 of 2; .* with their ends exchanged"),
        (lambda: ChannelGraph.from_edges(4, 2, [(0, 2), (3, 1)]), ValueError, "ends at output 2 of 2$"),
        (lambda: cv.nn.ChannelConv2d(4, 8, 3), TypeError, r"got 4; ChannelGraph.dense\(4, 8\) is one of in_channels=4 and"),
        (lambda: cv.nn.ChannelConvTranspose2d(4, 8, 3), TypeError, r"; ChannelGraph.dense\(8, 4\) is one of in_channels=4 and"),
        (lambda: cv.nn.ChannelConv2d(None, 3), TypeError, "channels must be a ChannelGraph, got None$"),
        (lambda: ChannelStack(DENSE, 3), TypeError, "layers must be ChannelGraphs, got 3"),
        (lambda: ChannelStack(DENSE, ChannelGraph.dense(3, 3)), ValueError, "layer 2 reads 3 channels, but layer 1 has 4"),
        (lambda: ChannelStack(DENSE).receptive_field(4), ValueError, "output must be a channel from 0 to 3, got 4"),
        (lambda: ChannelStack(DENSE).influence(-1), ValueError, "input must be a channel from 0 to 3, got -1"),
        (lambda: ChannelStack(DENSE).parameters([9, 1]), ValueError, "taps must be one number a layer, 1, got 2"),
        (lambda: ChannelStack(DENSE).parameters([-3]), ValueError, "ChannelStack.parameters: taps must be at least 1, got -3"),
        (lambda: ChannelStack(DENSE).parameters(9), TypeError, r"one number a layer, 1, got 9; \[9\] \* 1 gives each the same"),
        (lambda: ChannelStack(DENSE).parameters(["9"]), TypeError, "taps must be a whole number, got '9'"),
        (lambda: ChannelStack(DENSE).parameters([True]), TypeError, "taps must be a whole number, got True"),
        (lambda: ChannelStack(DENSE).multiply_adds([9], [0]), ValueError, "ChannelStack.multiply_adds: positions must be at least 1"),
        (lambda: ChannelStack(DENSE).multiply_adds([9], [(4, 4)]), TypeError, r"got \(4, 4\); math.prod\(\(4, 4\)\) of them are meant"),
        (lambda: cv.BlockDesign(8, 8, 8, (3, 3), 3, 2), ValueError, "BlockDesign: interlaced=3 must divide 8 and 8; 1, 2, 4, 8 do"),
        (lambda: cv.BlockDesign(8, 8, 6, (3, 3), 4, 4), ValueError, "BlockDesign: grouped=4 must divide 8 and 6; 1, 2 do"),
        (lambda: cv.BlockDesign(8, 8.0, 8, (3, 3), 4, 2), TypeError, "between must be a whole number, got 8.0"),
        (lambda: cv.BlockDesign(8, 8, 8, "3", 4, 2), TypeError, "BlockDesign: kernel_size must be a whole number, got '3'"),
        (lambda: cv.BlockDesign(8, 8, 8, (3, 0), 4, 2), ValueError, "kernel_size must be at least 1"),
        (lambda: cv.design_block(6, 8, 3, interlaced=4), ValueError, "interlaced=4 must divide 6 and 6; 1, 2, 3, 6 do"),
        (lambda: cv.design_block(8, 8, 3, interlaced=8, grouped=2), ValueError, "8 / 2, must be at least interlaced"),
        (lambda: cv.design_block(8, 8, (3, 3, 3, 3)), ValueError, "kernel_size must be a number, or one for each of 1 to 3"),
        (lambda: cv.design_block(8, 0, 3), ValueError, "out_channels must be at least 1"),
        (lambda: cv.design_block(8, 8, "3"), TypeError, "kernel_size must be a whole number, got '3'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


def test_graphs_and_stacks_are_joined_in_the_order_of_graphs() -> None:
    a, b, c = ChannelGraph.dense(3, 4), ChannelGraph.depthwise(4), ChannelGraph.dense(4, 2)
    for joined in (c @ ChannelStack(a, b), ChannelStack(b, c) @ a, ChannelStack(c) @ ChannelStack(a, b)):
        assert joined == ChannelStack(a, b, c)
        assert joined.reach == c @ b @ a


def test_a_stack_and_its_texts_count_layers_from_1() -> None:
    with pytest.raises(ValueError, match="layer 2 reads 3 channels, but layer 1 has 4"):
        ChannelStack(ChannelGraph.dense(2, 4), ChannelGraph.dense(3, 5))
    stack = ChannelStack(ChannelGraph.dense(2, 4), ChannelGraph.dense(4, 5))
    assert "layer 1: dense, 8 edges" in stack.diagram()
    assert "layer 2: dense, 20 edges" in stack.diagram()
    assert sum(data["layer"] == 1 for _, data in stack.to_networkx().nodes(data=True)) == 4  # the input is layer 0


def test_a_design_is_the_same_however_its_kernel_is_written() -> None:
    design = cv.BlockDesign(8, 8, 16, (3, 3), 4, 2)
    for size in (3, [3, 3], (np.int64(3), 3)):
        again = cv.BlockDesign(8, 8, 16, size, 4, 2)
        assert again == design == cv.design_block(8, 16, 3, interlaced=4, grouped=2)
        assert hash(again) == hash(design)
        assert repr(again) == repr(design)


def test_costs_count_numbers_of_any_kind_of_integer() -> None:
    stack = ChannelStack(DENSE, ChannelGraph.depthwise(4))
    assert stack.parameters(np.array([9, 1])) == stack.parameters(n for n in (9, 1)) == 9 * 16 + 4
    assert stack.multiply_adds([9, 1], (2**33, 2**33)) == 2**33 * (9 * 16 + 4)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", "[" * 100_000, "1" * 5_000, '{"format": "convarium channel graph 1"}', b"\xff\xfe\x00",
     '{"format": "convarium channel graph 1", "in_channels": 4, "out_channels": 4, "edges": "g:3"}',
     '{"format": "convarium channel graph 1", "in_channels": "4", "out_channels": 4, "edges": "g:2"}',
     '{"format": "convarium channel graph 1", "in_channels": 4, "out_channels": 4, "edges": 7}',
     '{"format": "convarium channel graph 1", "in_channels": 4, "out_channels": 4, "edges": "g:2", "more": 1}'],
)  # fmt: skip
def test_a_file_that_is_no_graph_is_refused(content, tmp_path) -> None:
    path = tmp_path / "graph.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=r"ChannelGraph.load: .*graph.json is no channel graph: "):
        ChannelGraph.load(path)


def test_masks_are_taken_in_any_dtype() -> None:
    graph = ChannelGraph.interlaced(4, 6, 2)
    for dtype in (torch.bool, torch.uint8, torch.bfloat16, torch.float16, torch.float64):
        assert ChannelGraph.from_mask(torch.from_numpy(graph.mask()).to(dtype)) == graph


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path, monkeypatch) -> None:
    path = tmp_path / "graph.json"
    DENSE.save(path)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        ChannelGraph.depthwise(3).save(path)
    monkeypatch.undo()
    assert ChannelGraph.load(path) == DENSE
    assert [each.name for each in tmp_path.iterdir()] == ["graph.json"]
