"""What must hold whatever the numbers: the identities that tie the members of the family and their three maps together.

Each test runs over seeded random problems, 60 of them, or 600 with ``CONVARIUM_TESTS=all``. The number in brackets is the
seed: ``pytest "tests/test_identities.py::test_tile_1_is_shared[17]"`` runs the 18th problem alone.
"""

import itertools
import math
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import convarium as cv
from family import random_case, seeds

over_problems = pytest.mark.parametrize("seed", seeds(60, 600))

CONV = {1: cv.conv1d, 2: cv.conv2d, 3: cv.conv3d}
TRANSPOSE = {1: cv.conv_transpose1d, 2: cv.conv_transpose2d, 3: cv.conv_transpose3d}
GRAD_INPUT = {1: cv.grad.conv1d_input, 2: cv.grad.conv2d_input, 3: cv.grad.conv3d_input}
GRAD_WEIGHT = {1: cv.grad.conv1d_weight, 2: cv.grad.conv2d_weight, 3: cv.grad.conv3d_weight}


# -- random problems ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A convolution without its numbers. ``graph`` always says which channels are joined; ``form`` says how the call does."""

    batch: int
    size: tuple
    kernel: tuple
    stride: tuple
    padding: tuple  # ((before, after), ...)
    dilation: tuple
    tile: tuple | None  # None: shared
    graph: cv.ChannelGraph
    form: str  # "groups": by a number; "edges": by the graph
    groups: int
    padding_mode: str = "zeros"
    flip: bool = False

    @property
    def n(self):
        return len(self.size)

    @property
    def output(self):
        axes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((h + a + b - d * (k - 1) - 1) // u + 1 for h, k, u, (a, b), d in axes)

    @property
    def input_shape(self):
        return (self.batch, self.graph.in_channels, *self.size)

    @property
    def output_shape(self):
        return (self.batch, self.graph.out_channels, *self.output)

    @property
    def weight_shape(self):
        tile = self.tile or ()
        if self.form == "edges":
            return (self.graph.n_edges, *tile, *self.kernel)
        return (self.graph.out_channels, *tile, self.graph.in_channels // self.groups, *self.kernel)

    @property
    def geometry(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    @property
    def arguments(self):
        joined = {"channels": self.graph} if self.form == "edges" else {"groups": self.groups}
        return self.geometry | joined | {"padding_mode": self.padding_mode, "flip": self.flip}

    def numbers(self):
        """``(input, weight, gradient by the output)``; the generator was seeded with the problem."""
        return normal(self.input_shape), normal(self.weight_shape), normal(self.output_shape)

    def conv(self, input, weight):
        return CONV[self.n](input, weight, **self.arguments)

    def grad_input(self, gradient, weight):
        return GRAD_INPUT[self.n](self.input_shape, weight, gradient, **self.arguments)

    def grad_weight(self, input, gradient):
        return GRAD_WEIGHT[self.n](input, self.weight_shape, gradient, **self.arguments)

    def local(self):
        """The same problem with a kernel for each position."""
        return replace(self, tile=self.output)


def problem(seed, *, sharing=None, modes=False, form=None):
    """A random problem; also seeds torch, so that the numbers that follow are the seed's own."""
    torch.manual_seed(seed)
    by_edge = None if form is None else form == "edges"
    case = random_case(seed, torch.float64, (1 + seed % 3,), 1, sharing=sharing, by_edge=by_edge, modes=modes)
    call, options = case.call, case.options
    return Problem(
        case.input_shape[0],
        case.input_shape[2:],
        call.kernel_size,
        call.stride,
        call.pads,
        call.dilation,
        None if call.shared else call.tile,
        options["channels"] or cv.ChannelGraph.groups(call.in_channels, call.out_channels, options["groups"]),
        "edges" if call.by_edge else "groups",
        options["groups"],
        options["padding_mode"],
        call.flip,
    )


def normal(shape):
    return torch.randn(shape, dtype=torch.float64)


def same(actual, expected, about):
    """Equal in shape, dtype and, to rounding, in numbers."""
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11, msg=lambda text: f"{about}\n{text}")


def differs(actual, expected, about):
    assert actual.shape == expected.shape, about
    assert not torch.allclose(actual, expected, rtol=1e-3, atol=1e-3), about


# -- what weights become in another form -------------------------------------------------------------------------------


def all_tiles(p, weight):
    """The weight with the dimensions of a tile, ``(rows, *tile, ...)``, shared ones with a tile of 1."""
    return weight if p.tile else weight.unflatten(0, (-1, *(1,) * p.n))


def repeated(weight, n, tile, wanted):
    """``(rows, *tile, ...)`` to ``(rows, *wanted, ...)``: place s holds kernel s % tile."""
    for direction in range(n):
        weight = weight.index_select(1 + direction, torch.arange(wanted[direction]) % tile[direction])
    return weight


def dense(p, weight):
    """``(out, *tile, in, *kernel)``, with zeros where channels are not joined, written entry by entry."""
    weight, tile, anywhere = all_tiles(p, weight), p.tile or (1,) * p.n, (slice(None),) * p.n
    full = torch.zeros(p.graph.out_channels, *tile, p.graph.in_channels, *p.kernel, dtype=weight.dtype)
    for edge, (i, j) in enumerate(p.graph.edges.T.tolist()):
        row = (edge,) if p.form == "edges" else (j, *anywhere, i % (p.graph.in_channels // p.groups))
        full[(j, *anywhere, i)] = weight[row]
    return full


def phases(p):
    """Each place of the tile, with the outputs that use its kernel, as slices."""
    tile = p.tile or (1,) * p.n
    for place in itertools.product(*map(range, tile)):
        yield place, (..., *(slice(r, None, count) for r, count in zip(place, tile, strict=True)))


def spatial(n):
    return tuple(range(-n, 0))


# -- shared, tiled, local ----------------------------------------------------------------------------------------------


@over_problems
def test_full_convolution_commutes(seed):
    """z[b, j] = sum over i of v[b, i] * w[j, i] is as well the convolution of w by v; correlation comes out turned around."""
    p, draw = problem(seed, sharing="shared"), random.Random(seed)
    n, channels = p.n, draw.randint(1, 3)
    v, w = normal((p.batch, channels, *p.size)), normal((draw.randint(1, 3), channels, *p.kernel))
    convolve = CONV[n]
    convolved = convolve(v, w, padding="full", flip=True)
    same(convolve(w, v, padding="full", flip=True), convolved.transpose(0, 1), p)
    correlated = convolve(v, w, padding="full")
    same(convolve(w, v, padding="full"), correlated.transpose(0, 1).flip(spatial(n)), p)
    assert convolved.shape[2:] == tuple(h + k - 1 for h, k in zip(p.size, p.kernel, strict=True))


@over_problems
def test_correlation_does_not_commute(seed):
    p = problem(seed, sharing="shared")
    v, w = normal((1, 1, *p.size)), normal((1, 1, *p.kernel))
    if math.prod(p.size) == 1 or math.prod(p.kernel) == 1:
        p = replace(p, size=(4,) * p.n, kernel=(2,) * p.n)
        v, w = normal((1, 1, *p.size)), normal((1, 1, *p.kernel))
    differs(CONV[p.n](w, v, padding="full"), CONV[p.n](v, w, padding="full"), p)


@over_problems
def test_stride_is_downsampling_of_the_unstrided(seed):
    """For shared weights as it stands; with a tile of l, the unstrided one has kernel r at place r * u of a tile of l * u."""
    p = problem(seed, modes=True)
    v, w, _ = p.numbers()
    unstrided = replace(p, stride=(1,) * p.n)
    if p.tile:
        wide = tuple(min(count * u, s) for count, u, s in zip(p.tile, p.stride, unstrided.output, strict=True))
        unstrided = replace(unstrided, tile=wide)
        spread = normal(unstrided.weight_shape)  # what stands between is never used
        spread[(slice(None), *(slice(None, None, u) for u in p.stride))] = w
        w_unstrided = spread
    else:
        w_unstrided = w
    steps = (..., *(slice(None, None, u) for u in p.stride))
    same(p.conv(v, w), unstrided.conv(v, w_unstrided)[steps], p)


@over_problems
def test_tile_1_is_shared(seed):
    p = problem(seed, sharing="shared", modes=True)
    v, w, g = p.numbers()
    one = replace(p, tile=(1,) * p.n)
    w1 = w.unflatten(0, (-1, *one.tile))
    same(one.conv(v, w1), p.conv(v, w), p)
    same(one.grad_input(g, w1), p.grad_input(g, w), p)
    same(one.grad_weight(v, g).flatten(0, p.n), p.grad_weight(v, g), p)


@over_problems
def test_tile_of_output_size_is_local_each_position_its_own_shared_convolution(seed):
    """The output at s is there what a shared convolution with the kernel of s gives."""
    p = problem(seed, sharing="local", modes=True)
    v, w, _ = p.numbers()
    z, shared = p.conv(v, w), replace(p, tile=None)
    for s in itertools.islice(itertools.product(*map(range, p.output)), 40):
        same(z[(..., *s)], shared.conv(v, w[(slice(None), *s)])[(..., *s)], (p, s))


@over_problems
def test_tile_of_output_size_is_local_a_kernel_changes_its_own_position_alone(seed):
    p, draw = problem(seed, sharing="local"), random.Random(seed)
    p = replace(
        p,
        padding=((0, 0),) * p.n,
        size=tuple(h + d * (k - 1) for h, d, k in zip(p.size, p.dilation, p.kernel, strict=True)),
    )
    p = p.local()
    v, w, _ = p.numbers()
    place = tuple(draw.randrange(s) for s in p.output)
    changed = w.clone()
    changed[(slice(None), *place)] += 1
    moved = (p.conv(v, changed) != p.conv(v, w)).flatten(0, 1)
    assert moved[(slice(None), *place)].all(), p
    moved[(slice(None), *place)] = False
    assert not moved.any(), p


@over_problems
def test_tiled_weights_repeated_over_the_positions_are_local(seed):
    p = problem(seed, sharing="tiled", modes=True)
    v, w, g = p.numbers()
    local, everywhere = p.local(), repeated(w, p.n, p.tile, p.output)
    same(local.conv(v, everywhere), p.conv(v, w), p)
    same(local.grad_input(g, everywhere), p.grad_input(g, w), p)


@over_problems
def test_weight_gradient_is_the_local_one_added_over_positions(seed):
    """Over all positions for shared weights, over the positions of one phase for tiled ones."""
    p = problem(seed, modes=True)
    v, _, g = p.numbers()
    unshared = p.local().grad_weight(v, g).movedim(tuple(range(1, 1 + p.n)), spatial(p.n))  # (rows, ..., *positions)
    expected = torch.zeros(p.weight_shape, dtype=v.dtype)
    for place, positions in phases(p):
        at = (slice(None), *place) if p.tile else slice(None)
        expected[at] = unshared[positions].sum(spatial(p.n))
    same(p.grad_weight(v, g), expected, p)


# -- the gradients as convolutions -------------------------------------------------------------------------------------


def interleaved(gradient, stride):
    """``stride - 1`` zeros between entries."""
    n = len(stride)
    spread = [(s - 1) * u + 1 for s, u in zip(gradient.shape[-n:], stride, strict=True)]
    result = gradient.new_zeros(*gradient.shape[:-n], *spread)
    result[(..., *(slice(None, None, u) for u in stride))] = gradient
    return result


@over_problems
def test_input_gradient_is_the_padded_gradient_correlated_with_the_inverted_filter(seed):
    """Interleaved with zeros, padded by d(k-1) - p before and d(k-1) - p + r after (cropped where negative), stride 1.

    With a tile, each phase is such a correlation of its own part of the gradient, and they add.
    """
    p = problem(seed)
    v, w, g = p.numbers()
    pads = []
    for h, k, u, (before, after), d in zip(p.size, p.kernel, p.stride, p.padding, p.dilation, strict=True):
        r = (h + before + after - d * (k - 1) - 1) % u
        pads = [d * (k - 1) - before, d * (k - 1) - after + r, *pads]  # F.pad begins with the last direction
    expected, kernels = torch.zeros(p.input_shape, dtype=v.dtype), dense(p, w)
    for place, positions in phases(p):
        part = torch.zeros_like(g)
        part[positions] = g[positions]
        padded = F.pad(interleaved(part, p.stride), [max(side, 0) for side in pads])
        padded = F.pad(padded, [min(side, 0) for side in pads])
        kernel = kernels[(slice(None), *place)].transpose(0, 1)  # channels swapped
        inverted = kernel if p.flip else kernel.flip(spatial(p.n))
        expected += CONV[p.n](padded, inverted, dilation=p.dilation)
    same(p.grad_input(g, w), expected, p)


@over_problems
def test_weight_gradient_is_the_input_correlated_with_the_dilated_gradient(seed):
    """The gradient is the kernel, dilated by the stride; sampled every d, cropped to the kernel; the batch is summed over."""
    p = problem(seed)
    v, _, g = p.numbers()
    crop = (..., *(slice(k) for k in p.kernel))
    expected = torch.zeros(p.weight_shape, dtype=v.dtype)
    for place, positions in phases(p):
        part = torch.zeros_like(g)
        part[positions] = g[positions]
        pairs = CONV[p.n](
            v.transpose(0, 1), part.transpose(0, 1), padding=p.padding, stride=p.dilation, dilation=p.stride
        )[crop]  # (in, out, *kernel)
        pairs = pairs.flip(spatial(p.n)) if p.flip else pairs
        at = place if p.tile else ()
        for edge, (i, j) in enumerate(p.graph.edges.T.tolist()):
            row = (edge, *at) if p.form == "edges" else (j, *at, i % (p.graph.in_channels // p.groups))
            expected[row] = pairs[i, j]
    same(p.grad_weight(v, g), expected, p)


@over_problems
def test_gradients_are_those_that_autograd_finds(seed):
    p = problem(seed, modes=True)
    v, w, g = p.numbers()
    v.requires_grad_(), w.requires_grad_()
    by_input, by_weight = torch.autograd.grad(p.conv(v, w), (v, w), g)
    same(p.grad_input(g, w.detach()), by_input, p)
    same(p.grad_weight(v.detach(), g), by_weight, p)


# -- the matrix --------------------------------------------------------------------------------------------------------


@over_problems
def test_matrix_and_its_transpose_are_the_maps(seed):
    """flatten(output) = M flatten(input), and the gradient by the input is its transpose times the gradient."""
    p = problem(seed, modes=True)
    v, w, g = p.numbers()
    M = cv.matrix.conv_matrix(w, p.input_shape[1:], **p.arguments)
    assert M.layout == torch.sparse_csr
    assert M.shape == (math.prod(p.output_shape[1:]), math.prod(p.input_shape[1:]))
    same((M @ v.flatten(1).T).T, p.conv(v, w).flatten(1), p)
    same(g.flatten(1) @ M.to_dense(), p.grad_input(g, w).flatten(1), p)
    unflattened = cv.matrix.conv_matrix(w, p.input_shape[1:], flatten=False, **p.arguments)
    assert unflattened.shape == (*p.output_shape[1:], *p.input_shape[1:])
    same(unflattened.reshape(M.shape), M.to_dense(), p)


@over_problems
def test_matrix_of_padding_is_that_of_the_padded_input_times_the_padding(seed):
    """M of a padding mode is M' P: P shows each place of the padded input, M' has no padding."""
    p = problem(seed, modes=True)
    v, w, _ = p.numbers()
    pads = [side for pair in reversed(p.padding) for side in pair]
    mode = {"zeros": "constant"}.get(p.padding_mode, p.padding_mode)
    padded = tuple(h + a + b for h, (a, b) in zip(p.size, p.padding, strict=True))
    unit = torch.eye(math.prod(p.size), dtype=v.dtype).reshape(-1, 1, *p.size)
    P = F.pad(unit, pads, mode=mode).reshape(math.prod(p.size), -1).T
    P = torch.block_diag(*[P] * p.graph.in_channels)
    inner = replace(p, size=padded, padding=((0, 0),) * p.n, padding_mode="zeros")
    M_inner = cv.matrix.conv_matrix(w, inner.input_shape[1:], **inner.arguments).to_dense()
    same(cv.matrix.conv_matrix(w, p.input_shape[1:], **p.arguments).to_dense(), M_inner @ P, p)


@over_problems
def test_im2col_and_col2im_are_adjoint_and_convolve(seed):
    """<im2col(x), y> = <x, col2im(y)>, and a shared convolution is the flattened kernels times the windows."""
    p = problem(seed, sharing="shared")
    v, _, _ = p.numbers()
    windows = cv.matrix.im2col(v, p.kernel, **p.geometry, flip=p.flip)
    columns = normal(windows.shape)
    back = cv.matrix.col2im(columns, p.size, p.kernel, **p.geometry, flip=p.flip)
    same((windows * columns).sum(), (v * back).sum(), p)
    w = normal((2, p.graph.in_channels, *p.kernel))
    same((w.flatten(1) @ windows).unflatten(2, p.output), CONV[p.n](v, w, **p.geometry, flip=p.flip), p)
    found = cv.matrix.tables(p.size, p.kernel, **p.geometry, flip=p.flip)
    assert found.im2col_shape == (math.prod(p.kernel), math.prod(p.output))
    flat = torch.nn.functional.pad(v.flatten(2), (0, 1))  # place -1, the padding, is the zero at the end
    same(flat[:, :, torch.from_numpy(found.windows).T].flatten(1, 2), windows, p)


@over_problems
def test_im2col_and_col2im_are_unfold_and_fold(seed):
    p = problem(3 * seed + 1, sharing="shared")
    assert p.n == 2
    p = replace(p, padding=tuple((max(pair), max(pair)) for pair in p.padding))
    v = normal(p.input_shape)
    theirs = {"padding": [before for before, _ in p.padding], "stride": p.stride, "dilation": p.dilation}
    windows = cv.matrix.im2col(v, p.kernel, **p.geometry)
    same(windows, F.unfold(v, p.kernel, **theirs), p)
    columns = normal(windows.shape)
    same(cv.matrix.col2im(columns, p.size, p.kernel, **p.geometry), F.fold(columns, p.size, p.kernel, **theirs), p)


# -- transposes, linearity, shifts -------------------------------------------------------------------------------------


@over_problems
def test_transposed_convolution_is_the_adjoint(seed):
    """<conv(x), y> = <x, conv_transpose(y)> with the same weight."""
    p = problem(seed)
    v, w, g = p.numbers()
    arguments = {name: value for name, value in p.arguments.items() if name != "padding_mode"}
    back = TRANSPOSE[p.n](g, w, output_size=p.size, **arguments)
    assert back.shape == v.shape, p
    same((p.conv(v, w) * g).sum(), (v * back).sum(), p)
    same(back, p.grad_input(g, w), p)


def layer_of(p, transposed, bias=False, **more):
    """The layer of a problem, or of its transpose."""
    kind = {None: "Channel" if p.form == "edges" else "", p.output: "Local"}.get(p.tile, "Tiled")
    arguments = p.arguments | {"kernel_size": p.kernel, "bias": bias, "dtype": torch.float64} | more
    if kind == "Local":
        arguments["input_size"] = p.output if transposed else p.size
    elif kind == "Tiled":
        arguments["tile"] = p.tile
    if kind != "Channel":
        c, o = (p.graph.in_channels, p.graph.out_channels) if p.form == "groups" else (None, None)
        arguments |= {"in_channels": o, "out_channels": c} if transposed else {"in_channels": c, "out_channels": o}
    if transposed:
        arguments["output_size"] = p.size
    return getattr(cv.nn, f"{kind}Conv{'Transpose' if transposed else ''}{p.n}d")(**arguments)


@over_problems
def test_transposed_layers_are_adjoints_of_their_convolutions(seed):
    """Shared, tiled, local and channel layers; the weights of one load into the other."""
    p = problem(seed)
    v, _, g = p.numbers()
    layer, transpose = layer_of(p, transposed=False), layer_of(p, transposed=True)
    transpose.load_state_dict(layer.state_dict())
    same((layer(v) * g).sum(), (v * transpose(g)).sum(), p)


@over_problems
def test_each_map_is_linear_in_each_operand(seed):
    p = problem(seed, modes=True)
    (v, w, g), (v2, w2, g2) = p.numbers(), p.numbers()
    for name, map_, x, x2, y, y2 in (
        ("conv", p.conv, v, v2, w, w2),
        ("grad_input", p.grad_input, g, g2, w, w2),
        ("grad_weight", p.grad_weight, v, v2, g, g2),
    ):
        same(map_(2 * x - 3 * x2, y), 2 * map_(x, y) - 3 * map_(x2, y), (name, p))
        same(map_(x, 2 * y - 3 * y2), 2 * map_(x, y) - 3 * map_(x, y2), (name, p))


def _round(seed, sharing):
    """A problem on a ring (circular padding), where shifts have no edge; and a shift of its outputs."""
    draw = random.Random(seed)
    p = problem(seed, sharing="shared")
    tile = tuple(draw.randint(2, 3) if sharing == "tiled" else 1 for _ in p.size)
    steps = tuple(count * draw.randint(2, 3) for count in tile)  # outputs
    size = tuple(s * u for s, u in zip(steps, p.stride, strict=True))
    once = zip(size, p.kernel, p.dilation, strict=True)
    p = replace(p, dilation=tuple(d if d * (k - 1) < h else 1 for h, k, d in once))  # a side is padded once around
    reach = [d * (k - 1) for d, k in zip(p.dilation, p.kernel, strict=True)]
    over = [max(0, r + 1 - u) for r, u in zip(reach, p.stride, strict=True)]
    before = [draw.randint(max(0, o - h), min(o, h)) for o, h in zip(over, size, strict=True)]
    padding = tuple((b, o - b) for b, o in zip(before, over, strict=True))
    p = replace(p, size=size, padding=padding, padding_mode="circular", tile=tile if sharing == "tiled" else None)
    assert p.output == steps, p
    return p, tuple(draw.randint(1, s - 1) for s in steps)


def shifted(tensor, shift):
    return torch.roll(tensor, shift, spatial(len(shift)))


@over_problems
def test_shared_convolution_goes_with_shifts(seed):
    """Shift the input by u * a, and the output shifts by a."""
    p, shift = _round(seed, "shared")
    v, w, _ = p.numbers()
    moved = shifted(v, tuple(a * u for a, u in zip(shift, p.stride, strict=True)))
    same(p.conv(moved, w), shifted(p.conv(v, w), shift), p)


@over_problems
def test_tiled_convolution_goes_with_shifts_by_whole_tiles_alone(seed):
    p, _ = _round(seed, "tiled")
    v, w, _ = p.numbers()
    for shift, holds in ((p.tile, True), ((1,) * p.n, False)):
        moved = shifted(v, tuple(a * u for a, u in zip(shift, p.stride, strict=True)))
        (same if holds else differs)(p.conv(moved, w), shifted(p.conv(v, w), shift), (p, shift))


@over_problems
def test_local_convolution_does_not_go_with_shifts(seed):
    p, shift = _round(seed, "shared")
    p = p.local()
    v, w, _ = p.numbers()
    moved = shifted(v, tuple(a * u for a, u in zip(shift, p.stride, strict=True)))
    differs(p.conv(moved, w), shifted(p.conv(v, w), shift), p)
    rolled = torch.roll(w, shift, tuple(range(1, 1 + p.n)))  # it does when its kernels shift as well
    same(p.conv(moved, rolled), shifted(p.conv(v, w), shift), p)


# -- other forms of a layer --------------------------------------------------------------------------------------------


@over_problems
@pytest.mark.parametrize("transposed", [False, True])
def test_graph_layer_is_its_dense_equivalent(seed, transposed):
    p = problem(seed, form="edges", modes=not transposed)
    draw = random.Random(seed)
    bias = draw.choice([False, True, "untied"] if p.tile or transposed else [False, True])
    layer = layer_of(p, transposed, bias)
    equivalent = layer.to_dense()
    assert equivalent.channels is None
    input = normal(p.output_shape if transposed else p.input_shape)
    same(equivalent(input), layer(input), p)
    by_output = equivalent.weight.detach().movedim(1 + len(p.tile or ()), 1)
    assert torch.equal(by_output.flatten(2).ne(0).any(2), torch.from_numpy(p.graph.mask())), p
    again = equivalent.to_graph(p.graph)
    assert type(again) is type(layer)
    assert again.state_dict().keys() == layer.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], numbers) for name, numbers in layer.state_dict().items())


@over_problems
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("form", ["edges", "groups"])
def test_a_pruned_layer_is_the_layer_without_those_kernels(seed, transposed, form):
    p = problem(seed, form=form, modes=not transposed)
    layer = layer_of(p, transposed, True)
    ends = (layer.out_channels, layer.in_channels) if transposed else (layer.in_channels, layer.out_channels)
    has = layer.channels or cv.ChannelGraph.groups(*ends, layer.groups)
    keep = np.random.default_rng(seed).random(has.mask().shape) < 0.5
    graph = cv.ChannelGraph.from_mask(has.mask() & keep, allow_empty=True)
    pruned = layer.to_graph(graph)
    input = normal(p.output_shape if transposed else p.input_shape)
    every = (layer if layer.channels is not None else layer.to_graph(has)).to_dense()
    with torch.no_grad():
        every.weight.movedim(1 + len(p.tile or ()), 1)[torch.from_numpy(~graph.mask())] = 0
    same(pruned(input), every(input), p)
    more = ~has
    if more.n_edges:
        with pytest.raises(ValueError, match=r"to_graph: graph has \d+ edges that the layer has not, the first \("):
            layer.to_graph(graph | more)


@over_problems
@pytest.mark.parametrize("transposed", [False, True])
def test_untie_keeps_the_function(seed, transposed):
    """Shared to tiled to a larger tile to local, with bias, stride, padding modes, graphs and transposes."""
    p = problem(seed, sharing="shared", modes=not transposed)
    draw = random.Random(seed)
    bias = draw.choice([False, True, "untied"] if transposed else [False, True])
    layer = layer_of(p, transposed, bias)
    input = normal(p.output_shape if transposed else p.input_shape)
    expected = layer(input)
    tile = tuple(draw.randint(1, length) for length in p.output)
    larger = tuple(draw.choice(range(count, length + 1, count)) for count, length in zip(tile, p.output, strict=True))
    tiled = layer.untie(tile)
    assert "Tiled" in type(tiled).__name__
    assert tiled.tile == tile
    same(tiled(input), expected, p)
    more = tiled.untie(larger)
    same(more(input), expected, p)
    local = more.untie(input_size=p.output if transposed else p.size)
    assert "Local" in type(local).__name__
    assert local.tile == p.output
    same(local(input), expected, p)
    with torch.no_grad():  # copies of its own: what it learns does not change the first
        local.weight += 1
    same(layer(input), expected, p)


@over_problems
def test_untie_keeps_a_bias_of_the_tile(seed):
    p = problem(seed, sharing="tiled", modes=True)
    layer = layer_of(p, transposed=False, bias="untied") if p.tile != p.output else None
    if layer is None:  # this tile is the output: a tiled layer all the same
        own = {"in_channels": p.graph.in_channels, "out_channels": p.graph.out_channels} if p.form == "groups" else {}
        own = own or {"in_channels": None, "out_channels": None}
        layer = getattr(cv.nn, f"TiledConv{p.n}d")(
            **own, kernel_size=p.kernel, tile=p.tile, bias="untied", dtype=torch.float64, **p.arguments
        )
    v = normal(p.input_shape)
    local = layer.untie(input_size=p.size)
    assert local.bias.shape == (p.graph.out_channels, *p.output)
    same(local(v), layer(v), p)


def test_untie_refuses_a_tile_in_which_the_old_one_does_not_repeat():
    """Of 3 kernels in the place of 2 that take turns, the position after them would find the wrong one."""
    layer = cv.nn.TiledConv1d(1, 1, 2, tile=2, bias=False, dtype=torch.float64)
    with pytest.raises(ValueError, match="not a multiple"):
        layer.untie(3)
    v = torch.ones(1, 6, dtype=torch.float64)
    differs(cv.conv1d(v, repeated(layer.weight, 1, (2,), (3,))), layer(v), "tile of 3")
    same(cv.conv1d(v, repeated(layer.weight, 1, (2,), (4,))), layer(v), "tile of 4")
