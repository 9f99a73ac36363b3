"""Programs that leave PyTorch: their operators are standard ones, and what runs them elsewhere gets the same numbers."""

import io
import logging
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import convarium as cv
from convarium._engines import definition
from convarium._maps import apply
from convarium._maps.decomposition import DECOMPOSITIONS
from family import random_case, seeds

BATCH = {0: torch.export.Dim("batch")}
MASK = cv.ChannelGraph.from_mask(np.array([[1, 0, 1, 0], [0, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]], bool))
LAYERS = {
    "shared": lambda: cv.nn.Conv2d(4, 4, 3, padding="same", stride=2),
    "grouped": lambda: cv.nn.Conv2d(4, 6, 3, padding=((1, 0), (2, 1)), groups=2, flip=True),
    "circular": lambda: cv.nn.Conv2d(4, 4, 3, padding=2, padding_mode="circular"),
    "tiled": lambda: cv.nn.TiledConv2d(4, 4, 3, tile=2, bias="untied", padding=1),
    "large tile": lambda: cv.nn.TiledConv2d(4, 4, 3, tile=(5, 4), groups=2),
    "local": lambda: cv.nn.LocalConv2d(4, 4, 3, input_size=9, stride=2, bias="untied"),
    "interlaced": lambda: cv.nn.ChannelConv2d(cv.ChannelGraph.interlaced(4, 6, 2), 3),
    "graph": lambda: cv.nn.ChannelConv2d(MASK, 3, dilation=2),
    "local graph": lambda: cv.nn.LocalConv2d(4, 4, 3, input_size=9, channels=MASK),
    "transposed": lambda: cv.nn.ConvTranspose2d(4, 4, 3, stride=2, output_padding=1),
    "transposed tiled": lambda: cv.nn.TiledConvTranspose2d(4, 4, 3, tile=2, padding=1),
    "transposed local": lambda: cv.nn.LocalConvTranspose2d(4, 4, 3, stride=2, input_size=9),
    "transposed graph": lambda: cv.nn.ChannelConvTranspose2d(MASK, 3, stride=2, padding=1),
}
ONE_CONVOLUTION = {"shared", "grouped", "circular", "tiled", "interlaced", "graph"}


class Member(nn.Module):
    """A random member of the family as a layer: forward, or the gradient by its input, which is a transposed one."""

    def __init__(self, seed):
        super().__init__()
        self.case = random_case(seed, dtype=torch.float32, least_batch=2)
        self.transposed = seed % 3 == 2
        self.weight = nn.Parameter(self.case.random(self.case.weight_shape))
        shape = self.case.problem().output_shape if self.transposed else self.case.input_shape
        self.inputs = [torch.randn(batch, *shape[1:]) for batch in (2, 5)]

    def forward(self, input):
        if not self.transposed:
            return self.case.conv(input, self.weight)
        return apply.grad_input(self.case.call, self.weight, input, "auto")


def to_onnx(layer, input, dynamic=BATCH):
    """The bytes of a model, and how many of each operator it has."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = torch.onnx.export(layer.eval(), (input,), dynamo=True, dynamic_shapes=(dynamic,), verbose=False)
    file = io.BytesIO()
    program.save(file)
    return file.getvalue(), Counter(node.op_type for node in program.model.graph)


def session(model, **options):
    chosen = onnxruntime.SessionOptions()
    chosen.log_severity_level = 3
    chosen.intra_op_num_threads = 1
    for name, value in options.items():
        setattr(chosen, name, value)
    return onnxruntime.InferenceSession(model, chosen, providers=["CPUExecutionProvider"])


def same(got, expected, name):
    rounding = {"rtol": 1e-4, "atol": 1e-4} if got.dtype == torch.float32 else {}
    torch.testing.assert_close(got, expected, **rounding, msg=lambda text: f"{name}: {text}")


def run(session, input):
    (output,) = session.run(None, {session.get_inputs()[0].name: input.detach().numpy()})
    return torch.from_numpy(output)


@pytest.mark.parametrize("seed", seeds(60, 600))
def test_what_a_map_is_made_of_is_the_map(seed):
    case = random_case(seed, dtype=torch.float64, modes=False)
    problem = case.problem()
    input, weight, gradient = case.tensors()
    given = {
        "forward": (input, weight, problem.output_size),
        "grad_input": (gradient, weight, problem.input_size),
        "grad_weight": (input, gradient, problem.kernel_size),
    }
    for map, (a, b, sizes) in given.items():
        got = DECOMPOSITIONS[map](a, b, sizes, *apply.settings(case.call, "auto"))
        same(got, getattr(definition, map)(problem, a, b), f"{case} {map}")


@pytest.mark.parametrize("seed", seeds(16, 240))
def test_random_layers_run_elsewhere(seed):
    layer = Member(seed)
    model, _ = to_onnx(layer, layer.inputs[0])
    elsewhere = session(model)
    for input in layer.inputs:
        same(run(elsewhere, input), layer(input), f"Member({seed})")


@pytest.mark.parametrize("kind", LAYERS)
def test_every_kind_of_layer_runs_elsewhere(kind, tmp_path):
    layer, inputs = LAYERS[kind](), [torch.randn(batch, 4, 9, 9) for batch in (2, 5)]
    model, _ = to_onnx(layer, inputs[0])
    elsewhere = session(model, optimized_model_filepath=str(tmp_path / "optimized.onnx"))
    for input in inputs:
        same(run(elsewhere, input), layer(input), kind)
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert (operators["Conv"] + operators["FusedConv"] == 1) == (kind in ONE_CONVOLUTION), operators
    assert (operators["MatMul"] >= 1) == (kind in ("local", "large tile", "local graph", "transposed local")), operators


@pytest.mark.parametrize("kind", LAYERS)
def test_programs_of_aten_alone(kind):
    layer, input = LAYERS[kind](), torch.randn(3, 4, 9, 9)
    with cv.export.aten():
        program = torch.export.export(layer, (input,), dynamic_shapes=(BATCH,))
    called = {node.target.namespace for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}
    assert called == {"aten"}
    other = torch.randn(2, 4, 9, 9)
    same(program.module()(other), layer(other), kind)
    whole = torch.export.export(layer, (input,), dynamic_shapes=(BATCH,))  # as ever outside
    assert any("convarium" in str(node.target) for node in whole.graph.nodes)


@pytest.mark.parametrize("kind", ["shared", "graph", "circular", "transposed"])
def test_shared_kernels_leave_with_any_size(kind):
    layer = LAYERS[kind]()
    if kind == "circular":  # whose indices are a table of the size
        layer = cv.nn.Conv2d(4, 4, 3, padding="full", stride=2)
    sizes = BATCH | {2: torch.export.Dim("rows", min=7), 3: torch.export.Dim("columns", min=7)}
    model, _ = to_onnx(layer, torch.randn(2, 4, 9, 11), sizes)
    input = torch.randn(3, 4, 12, 8)
    same(run(session(model), input), layer(input), kind)


def test_what_was_untied_and_has_learned_nothing_is_one_convolution():
    layer = cv.nn.Conv2d(4, 6, 3).untie(input_size=(9, 9))
    _, operators = to_onnx(layer.tie(), torch.randn(2, 4, 9, 9))
    assert operators["Conv"] == 1
    assert not operators["MatMul"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own compiler loads what it deprecated
def test_a_package_without_python(tmp_path):
    layer, input = (
        nn.Sequential(LAYERS["local"](), nn.ReLU(), cv.nn.TiledConv2d(4, 2, 2, tile=2)).eval(),
        torch.randn(2, 4, 9, 9),
    )
    with torch.no_grad():
        with cv.export.aten():
            program = torch.export.export(layer, (input,))
        path = torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "layer.pt2"))
        torch.testing.assert_close(torch._inductor.aoti_load_package(path)(input), layer(input), rtol=1e-4, atol=1e-4)


def test_what_cannot_leave_says_why():
    rows = {2: torch.export.Dim("rows", min=9)}
    with cv.export.aten():
        with pytest.raises(Exception, match="complex numbers do not leave PyTorch; convolve their real parts apart"):
            torch.export.export(cv.nn.Conv2d(2, 2, 3, dtype=torch.complex64), (torch.randn(1, 2, 5, 5) + 0j,))
        with pytest.raises(Exception, match=r"tiled or local convolution.* must be known where it leaves PyTorch"):
            torch.export.export(LAYERS["large tile"](), (torch.randn(2, 4, 9, 9),), dynamic_shapes=(rows,))
    whole = torch.export.export(LAYERS["local"](), (torch.randn(2, 4, 9, 9),))  # nothing of it is left behind
    assert any("convarium" in str(node.target) for node in whole.graph.nodes)


class TestTie:
    @pytest.mark.parametrize(
        "layer",
        [
            cv.nn.Conv2d(4, 4, 3, flip=True).untie(input_size=9),
            cv.nn.Conv2d(4, 4, 3, groups=2, bias=False).untie((2, 3)),
            cv.nn.TiledConv2d(4, 4, 3, tile=(2, 1), bias="untied", padding=1).untie(input_size=(9, 9)),
            cv.nn.ChannelConv2d(MASK, 3, padding_mode="reflect", padding=1).untie(2),
            cv.nn.ConvTranspose2d(4, 4, 3, stride=2).untie(input_size=9),
        ],
    )
    def test_the_same_function_of_fewer_kernels(self, layer):
        tied, input = layer.tie(), torch.randn(2, 4, 9, 9)
        assert tied.weight.numel() < layer.weight.numel()
        torch.testing.assert_close(tied(input), layer(input))
        with pytest.raises(ValueError, match=r"\.tie: the layer"):
            tied.tie()

    def test_an_untied_bias_is_part_of_a_kernel(self):
        layer = cv.nn.TiledConv2d(3, 4, 3, tile=2, bias="untied")
        with torch.no_grad():
            layer.weight.copy_(layer.weight[:, :1, :1].expand_as(layer.weight))
            layer.bias.copy_(layer.bias[:, :1].expand_as(layer.bias))
        tied, input = layer.tie(), torch.randn(2, 3, 8, 8)
        assert tied.tile == (1, 2)
        torch.testing.assert_close(tied(input), layer(input))
        with torch.no_grad():
            layer.bias.copy_(layer.bias[:, :1, :1].expand_as(layer.bias))
        assert type(layer.tie()) is cv.nn.Conv2d
        torch.testing.assert_close(layer.tie()(input), layer(input))

    def test_other_kernels_are_refused(self):
        with pytest.raises(
            ValueError, match=r"^LocalConv1d\.tie: the layer's kernels differ, none of tile \(6,\) can be left out$"
        ):
            cv.nn.LocalConv1d(2, 2, 3, input_size=8).tie()
        with pytest.raises(ValueError, match=r"^Conv1d\.tie: the layer has one kernel for all positions already$"):
            cv.nn.Conv1d(2, 2, 3).tie()
