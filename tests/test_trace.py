"""Traces: each number's products add up to what the maps gave, over random members of the family, layers and models."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import convarium as cv
from family import random_case, seeds


def cells(array, rnd, most=12):
    """Some places of an array, drawn."""
    every = list(np.ndindex(array.shape))
    return [every[k] for k in rnd.permutation(len(every))[:most]]


def check_matrix(trace):
    """The matrix takes input to output, or back, and its parts are those of channels."""
    matrix = trace.matrix()
    input, output = trace.input[0].ravel(), trace.output[0]
    made = (matrix.t() if trace.transposed else matrix).to_dense().numpy() @ input
    bias = 0 if trace.bias is None else trace.bias
    np.testing.assert_allclose(made.reshape(output.shape) + bias, output, atol=1e-9)
    edge = len(trace.edges) - 1
    i, j = trace.edges[edge]
    rows, columns = (np.prod(shape[2:]) for shape in (trace.problem.output_shape, trace.problem.input_shape))
    block = matrix.to_dense()[j * rows : (j + 1) * rows, i * columns : (i + 1) * columns]
    assert torch.equal(block, trace.matrix(edge).to_dense())


def check(trace, seed=0, tolerance=1e-9):
    """Every tensor that the trace holds is the sum of the products that it names."""
    rnd = np.random.default_rng(seed)
    n = trace.problem.ndim
    for sample, channel, *position in cells(trace.output, rnd):
        terms = trace.at_output(channel, position, sample)
        assert (terms.output == position).all()
        assert (terms.out_channel == channel).all()
        read = terms.inside
        np.testing.assert_array_equal(
            terms.left[read], trace.input[(terms.sample[read], terms.in_channel[read], *terms.input[read].T)]
        )
        total = terms.total
        if trace.bias is not None:
            total += trace.bias[(channel, *position)]
        np.testing.assert_allclose(total, trace.output[(sample, channel, *position)], rtol=tolerance, atol=tolerance)
    for sample, channel, *position in cells(trace.grad_input, rnd):
        total = trace.at_input(channel, position, sample).total
        np.testing.assert_allclose(
            total, trace.grad_input[(sample, channel, *position)], rtol=tolerance, atol=tolerance
        )
    for edge, *place in cells(trace.weight, rnd):
        terms = trace.at_weight(edge, place[:n], place[n:])
        np.testing.assert_allclose(terms.total, trace.grad_weight[(edge, *place)], rtol=tolerance, atol=tolerance)
        assert all(trace.kernel_at(s) == tuple(place[:n]) for s in (terms.input if trace.transposed else terms.output))


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_products_add_up_on_the_family(seed):
    case = random_case(seed, (torch.float64, torch.complex128)[seed % 5 == 0], least_batch=1)
    input, weight = case.random(case.input_shape), case.random(case.weight_shape)
    leaves = input.clone().requires_grad_(), weight.clone().requires_grad_()
    output = case.conv(*leaves)
    gradient = torch.randn_like(output)
    (trace,) = cv.look(weight, input, gradient, **case.options).traces.values()
    check(trace, seed)
    check_matrix(trace)
    grad_input, grad_weight = torch.autograd.grad(output, leaves, gradient)
    np.testing.assert_allclose(trace.output, output.detach().numpy())
    np.testing.assert_allclose(np.sort(trace.grad_weight.ravel()), np.sort(grad_weight.numpy().ravel()), atol=1e-9)
    if trace.mode is None:
        np.testing.assert_allclose(trace.grad_input, grad_input.numpy(), atol=1e-9)


GRAPH = cv.ChannelGraph.from_edges(3, 2, [(0, 0), (2, 0), (1, 1)])
LAYERS = {
    "torch": (nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), (2, 2, 7, 6)),
    "torch same circular": (nn.Conv1d(2, 3, 4, padding="same", padding_mode="circular"), (2, 2, 9)),
    "torch transposed": (nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 2, 4, 3)),
    "unbatched": (nn.Conv2d(1, 1, 2), (1, 4, 4)),
    "shared flipped": (cv.nn.Conv2d(2, 3, (2, 3), padding="full", flip=True), (2, 2, 4, 5)),
    "tiled": (cv.nn.TiledConv2d(2, 3, 2, tile=2, bias="untied"), (2, 2, 6, 5)),
    "local": (cv.nn.LocalConv1d(2, 3, 3, input_size=8, stride=2, bias="untied"), (3, 2, 8)),
    "graph": (cv.nn.ChannelConv3d(GRAPH, 2, padding=((1, 0), (0, 1), (0, 0))), (1, 3, 3, 3, 3)),
    "tiled transposed": (cv.nn.TiledConvTranspose1d(3, 2, 3, stride=2, tile=3), (2, 3, 6)),
    "half": (cv.nn.Conv2d(2, 2, 3, dtype=torch.bfloat16), (1, 2, 5, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_traced_as_they_run(name):
    layer, shape = LAYERS[name]
    if name != "half":
        layer = layer.double()
    input = torch.randn(shape, dtype=layer.weight.dtype, requires_grad=True)
    output = layer(input)
    gradient = torch.randn_like(output)
    wanted = torch.autograd.grad(output, (input, layer.weight), gradient)
    (trace,) = cv.look(layer, input, gradient).traces.values()
    assert trace.name == type(layer).__name__
    assert layer.training
    assert layer.weight.grad is None
    check(trace, tolerance=0.05 if name == "half" else 1e-9)
    if name != "half":
        check_matrix(trace)
    batched = output if len(shape) == trace.problem.ndim + 2 else output[None]
    np.testing.assert_allclose(trace.output, batched.detach().double().numpy(), atol=1e-9)
    np.testing.assert_allclose(np.sort(trace.grad_weight.ravel()), np.sort(wanted[1].double().ravel()), atol=1e-9)
    if trace.mode is None:
        np.testing.assert_allclose(trace.grad_input.ravel(), wanted[0].double().ravel(), atol=1e-9)


def test_a_model_is_traced_through_what_lies_between_its_layers():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.5), conv, nn.ReLU(inplace=True), conv,
        nn.Flatten(), nn.Linear(3 * 16, 2),
    ).double()  # fmt: skip
    before = {name: value.clone() for name, value in model.state_dict().items()}
    view = cv.look(model, torch.randn(2, 1, 6, 6).double(), torch.randn(2, 2).double())
    assert list(view.traces) == ["0", "4", "4 (call 2)"]
    for trace in view.traces.values():
        check(trace)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in model.modules())
    model.eval()
    input = torch.randn(2, 1, 6, 6).double()
    first = model[0](input)
    (gradient,) = torch.autograd.grad(model[1:](first.clone()).sum(), first)
    np.testing.assert_allclose(cv.look(model, input)["0"].grad_output, gradient, atol=1e-12)
    with pytest.raises(KeyError, match=r"no convolution named 'head' ran; there are 0, 4, 4 \(call 2\)"):
        view["head"]


def test_what_a_cell_sees_of_the_models_input():
    local = cv.nn.LocalConv2d(2, 1, 2, input_size=(4, 3))
    model = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), local)
    input = torch.randn(1, 1, 16, 12, requires_grad=True)
    view = cv.look(model, input)
    assert view.input.shape == (1, 1, 16, 12)
    assert view.sees("0", (0, 5)) == (range(0, 2), range(9, 12))
    seen = view.sees("3", (1, 1))
    assert seen == (range(3, 12), range(3, 12))
    (gradient,) = torch.autograd.grad(model(input)[0, 0, 1, 1], input)
    outside = torch.ones(16, 12, dtype=torch.bool)
    outside[seen[0].start : seen[0].stop, seen[1].start : seen[1].stop] = False
    assert not gradient[0, 0][outside].any()
    with pytest.raises(ValueError, match=r"sees: position must be from 0 to \(2, 1\), got \(3, 0\)"):
        view.sees("3", (3, 0))
    with pytest.raises(ValueError, match="sees: it is not known what conv1d sees"):
        cv.look(torch.ones(1, 1, 2), torch.ones(1, 1, 3)).sees("conv1d", (0,))


def test_a_parametrized_layer_has_its_own_name():
    layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 1, 3))
    view = cv.look(layer, torch.randn(1, 1, 8))
    assert list(view.traces) == ["Conv1d"]
    assert view.sees("Conv1d", (2,)) == (range(2, 5),)


def test_channels_through_a_stack():
    graph = cv.ChannelGraph.from_edges(4, 3, [(0, 0), (2, 0), (1, 1), (3, 2)])
    model = nn.Sequential(cv.nn.ChannelConv1d(graph, 2), nn.ReLU(), nn.ConvTranspose1d(3, 6, 2, groups=3))
    stack = cv.look(model, torch.randn(1, 4, 6)).channels
    assert stack.widths == (4, 3, 6)
    assert stack.receptive_field(1)[0] == (0, 2)
    assert stack.receptive_field(5)[0] == (3,)


@pytest.mark.parametrize("seed", seeds(40, 400))
def test_the_input_gradient_is_a_correlation_of_the_spread_gradient_with_the_turned_kernel(seed):
    case = random_case(seed, torch.float64, least_batch=1, sharing="shared", modes=False)
    input, weight = case.random(case.input_shape), case.random(case.weight_shape)
    gradient = torch.randn(case.problem().output_shape, dtype=torch.float64)
    (trace,) = cv.look(weight, input, gradient, **case.options).traces.values()
    axes = trace.problem.axes
    made = np.zeros_like(trace.grad_input[0])
    for edge, (i, j) in enumerate(trace.edges):
        kernel = trace.turned(edge)
        spread = trace.interleaved(int(j))
        for h in np.ndindex(made.shape[1:]):
            window = tuple(slice(a, a + axis.reach, axis.dilation) for a, axis in zip(h, axes, strict=True))
            made[(i, *h)] += (spread[window] * kernel).sum()
    np.testing.assert_allclose(made, trace.grad_input[0], atol=1e-9)


def test_nan_is_shown_and_stays_where_it_is():
    weight = torch.ones(1, 1, 2, 2)
    weight[0, 0, 0, 0] = torch.nan
    (trace,) = cv.look(weight, torch.ones(1, 1, 3, 3), padding=1, engine="definition").traces.values()
    assert np.isnan(trace.at_output(0, (1, 1)).total)
    assert trace.at_output(0, (0, 0)).total == 1  # its tap lies in the padding
    for position in itertools.product(range(4), repeat=2):
        np.testing.assert_equal(trace.at_output(0, position).total, trace.output[(0, 0, *position)])


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        return self.inner(x), x


@torch.no_grad()
def test_models_that_work_in_place_or_without_gradients():
    in_place = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 3))
    input = torch.randn(1, 1, 5, 5)
    given = input.clone()
    check(cv.look(in_place, input)["1"], tolerance=1e-5)
    assert torch.equal(input, given)
    frozen = nn.Sequential(Frozen())
    trace = cv.look(frozen, input)["0.inner"]
    assert not trace.grad_input.any()
    check(trace, tolerance=1e-5)


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3)

    @torch.no_grad()
    def forward(self, x):
        return self.inner(x)


WEIGHT, INPUT = torch.randn(1, 1, 3, 3), torch.randn(1, 1, 5, 5)
TRACE = cv.look(WEIGHT, INPUT)["conv2d"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cv.look("conv", INPUT), TypeError, "look: model must be a torch.nn.Module or a weight, got 'conv'"),
        (lambda: cv.look(nn.Linear(5, 5), INPUT), ValueError, "look: no convolution ran in Linear"),
        (lambda: cv.look(nn.Conv2d(2, 1, 3), INPUT), ValueError, r"look: Conv2d: reads 2 channels, but \(1, 1, 5, 5\) has 1"),
        (lambda: cv.look(nn.Conv2d(1, 1, 3), INPUT.double()), TypeError, "look: input is torch.float64 but the model is"),
        (lambda: cv.look(nn.Conv2d(1, 1, 3), INPUT[:0]), ValueError, r"look: input of shape \(0, 1, 5, 5\) has no numbers"),
        (lambda: cv.look(WEIGHT, INPUT).page(3), TypeError, "html: title must be a string, got 3"),
        (lambda: cv.look(WEIGHT, INPUT).html("/nodir/x.html"), FileNotFoundError, r"directory: '/nodir/x.html'$"),
        (lambda: cv.look(Pair(), INPUT), TypeError, "look: the model must return one tensor, got a tuple"),
        (lambda: cv.look(cv.nn.Conv2d(2, 1, 3), INPUT), ValueError, "Conv2d: "),
        (lambda: cv.look(nn.Conv2d(1, 1, 3), INPUT.numpy()), TypeError, "look: input must be a torch.Tensor, got ndarray"),
        (lambda: cv.look(nn.Conv2d(1, 1, 3), INPUT, stride=2), TypeError, "look: stride is the layer's own"),
        (lambda: cv.look(WEIGHT, INPUT, tile=2), TypeError, "look: tile is no argument of conv2d"),
        (lambda: cv.look(WEIGHT, INPUT[0, 0]), ValueError, r"with a bare weight, input must be \(batch, channels, \*size\)"),
        (lambda: cv.look(WEIGHT, INPUT, torch.ones(1, 1, 2, 3)), ValueError, r"output's shape, \(1, 1, 3, 3\), got \(1, 1, 2, 3"),
        (lambda: cv.look(nn.LazyConv2d(1, 3), INPUT), ValueError, "look: LazyConv2d has no shape before its first input"),
        (lambda: cv.look(WEIGHT, INPUT)["a"], KeyError, "no convolution named 'a' ran; there are conv2d"),
        (lambda: TRACE.at_output(0, (3, 0)), ValueError, r"position must be from 0 to \(2, 2\), got"),
        (lambda: TRACE.at_output(1, (0, 0)), ValueError, "at_output: channel must be 0, got 1"),
        (lambda: TRACE.at_input(0, 3), TypeError, "position must be 2 whole numbers, got 3"),
        (lambda: TRACE.at_weight(0, (0, 0), (0, 1.5)), TypeError, "tap must be 2 whole numbers"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
