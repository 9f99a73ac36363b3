"""Wrong calls: a clear ValueError or TypeError that names the call and the argument, before anything is computed."""

import numpy as np
import pytest
import torch

import convarium as cv
from convarium import ChannelGraph as Graph


def image(*shape):
    return torch.zeros(shape or (2, 4, 8, 8))


KERNEL = torch.zeros(6, 4, 3, 3)
LOCAL = torch.zeros(6, 6, 6, 4, 3, 3)

WRONG = {
    "input of a wrong rank": (lambda: cv.conv2d(image(8, 8), KERNEL), ValueError, "conv2d: input must be (batch, channels"),
    "weight of a wrong rank": (lambda: cv.conv2d(image(), torch.zeros(6, 4, 3)), ValueError, "conv2d: weight must be"),
    "channels": (lambda: cv.conv2d(image(2, 8, 8, 8), KERNEL), ValueError, "reads 4 channels a group with groups=1, but input"),
    "channels, with a hint": (lambda: cv.conv2d(image(2, 8, 8, 8), KERNEL), ValueError, "groups=2 would fit"),
    "no channels": (
        lambda: cv.nn.Conv1d(1, 4, 3)(image(2, 8)), ValueError,
        "input (2, 8) has 2, read as (channels, width) without a batch; input.unsqueeze(1) would fit",
    ),
    "no batch and wrong channels": (
        lambda: cv.conv2d(image(8, 9, 9), KERNEL), ValueError, "input (8, 9, 9) has 8, read as (channels, height, width) without a batch",
    ),
    "channels behind": (lambda: cv.conv2d(image(2, 7, 8, 4), KERNEL), ValueError, "has 7; input.movedim(-1, 1) would fit"),
    "channels behind, or groups": (
        lambda: cv.conv2d(image(2, 8, 8, 1), image(8, 1, 3, 3)), ValueError, "; groups=8 or input.movedim(-1, 1) would fit",
    ),
    "channels behind, without a batch": (lambda: cv.conv2d(image(7, 8, 4), KERNEL), ValueError, "; input.movedim(-1, 0) would fit"),
    "channels behind, of a graph": (
        lambda: cv.conv2d(image(2, 8, 8, 4), image(16, 3, 3), channels=Graph.dense(4, 4)), ValueError, "; input.movedim(-1, 1) would fit",
    ),
    "a convolution's weight in a transpose": (
        lambda: cv.conv_transpose2d(image(), KERNEL), ValueError,
        "conv_transpose2d: weight must be (in_channels, out_channels / groups, *kernel) with in_channels=4, got (6, 4, 3, 3)",
    ),
    "a convolution's weight in a transpose, with a hint": (
        lambda: cv.conv_transpose2d(image(), KERNEL), ValueError, "; weight.transpose(0, 1) would fit",
    ),
    "a local weight in a transpose, with a hint": (
        lambda: cv.conv_transpose2d(image(), image(6, 8, 8, 4, 3, 3)), ValueError, "; weight.transpose(0, 3) would fit",
    ),
    "a shape in an array": (
        lambda: cv.matrix.conv_matrix(image(1, 1, 3), np.array([1, 5])), TypeError, "got an array of shape (2,); tuple(input_size) would fit",
    ),
    "a tensor for its shape": (
        lambda: cv.grad.conv2d_input(image(), KERNEL, image()), TypeError, "got a tensor of shape (2, 4, 8, 8); its .shape is one",
    ),
    "complex weight": (
        lambda: cv.conv2d(image(), KERNEL + 0j), TypeError, "weight is torch.complex64 but input is torch.float32; input.to(weight.dtype) would fit",
    ),
    "complex input": (lambda: cv.conv2d(image() + 0j, KERNEL), TypeError, "; weight.to(input.dtype) would fit"),
    "half weight": (lambda: cv.conv2d(image(), KERNEL.half()), TypeError, "; input.to(weight.dtype) would fit"),
    "double bias": (lambda: cv.conv2d(image(), KERNEL, torch.zeros(6).double()), TypeError, "; bias.to(input.dtype) would fit"),
    "groups that do not divide": (lambda: cv.conv2d(image(2, 16, 8, 8), KERNEL, groups=4), ValueError, "groups=4 does not divide"),
    "kernel larger than the input": (lambda: cv.conv2d(image(2, 4, 2, 8), KERNEL), ValueError, "larger than the padded input"),
    "tile larger than the output": (lambda: cv.conv2d(image(2, 4, 5, 5), LOCAL), ValueError, "tile (6, 6) is larger than the output"),
    "zero stride": (lambda: cv.conv2d(image(), KERNEL, stride=0), ValueError, "conv2d: stride must be at least 1"),
    "stride of a wrong length": (lambda: cv.conv2d(image(), KERNEL, stride=(1, 1, 1)), ValueError, "conv2d: stride"),
    "stride that is no whole number": (lambda: cv.conv2d(image(), KERNEL, stride=1.5), TypeError, "conv2d: stride must be a whole"),
    "negative padding": (lambda: cv.conv2d(image(), KERNEL, padding=-1), ValueError, "padding must not be negative"),
    "unknown padding": (lambda: cv.conv2d(image(), KERNEL, padding="half"), ValueError, "'valid', 'same', 'full'"),
    "unknown padding mode": (lambda: cv.conv2d(image(), KERNEL, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    "reflecting too far": (
        lambda: cv.conv2d(image(), KERNEL, padding=8, padding_mode="reflect"), ValueError, "at most 7, got 8",
    ),
    "no size": (lambda: cv.conv2d(image(2, 4, 0, 8), KERNEL, padding=3), ValueError, "only a batch may be empty"),
    "mixed dtypes": (lambda: cv.conv2d(image(), KERNEL.double()), TypeError, "weight is torch.float64 but input is torch.float32"),
    "whole numbers": (lambda: cv.conv2d(image().int(), KERNEL.int()), TypeError, "floating-point or complex"),
    "mixed devices": (lambda: cv.conv2d(image(), KERNEL.to("meta")), ValueError, "weight is on meta"),
    "an array": (lambda: cv.conv2d(np.zeros((2, 4, 8, 8)), KERNEL), TypeError, "input must be a torch.Tensor, got ndarray"),
    "bias of a wrong shape": (lambda: cv.conv2d(image(), KERNEL, torch.zeros(5)), ValueError, "bias must have shape (6,)"),
    "untied bias of a shared layer": (lambda: cv.nn.Conv2d(4, 6, 3, bias="untied"), ValueError, "needs a layer whose weight has a tile"),
    "unknown engine": (lambda: cv.conv2d(image(), KERNEL, engine="magic"), ValueError, "engine must be one of 'auto', 'aten'"),
    "an engine that cannot": (lambda: cv.conv2d(image(), LOCAL, engine="aten"), ValueError, "36 kernels take turns"),
    "channels and groups": (
        lambda: cv.conv2d(image(), torch.zeros(16, 3, 3), channels=Graph.dense(4, 4), groups=2), ValueError, "groups=2 with channels=",
    ),
    "a graph of other channels": (
        lambda: cv.conv2d(image(), torch.zeros(9, 3, 3), channels=Graph.dense(3, 3)), ValueError, "the graph reads 3 channels",
    ),
    "wrong number of edges": (
        lambda: cv.conv2d(image(), torch.zeros(9, 3, 3), channels=Graph.dense(4, 4)), ValueError, "one kernel an edge",
    ),
    "edge out of range": (lambda: Graph.from_edges(2, 2, [(2, 0), (0, 1)]), ValueError, "reads input 2 of 2"),
    "edge given twice": (lambda: Graph.from_edges(2, 1, [(0, 0), (0, 0)]), ValueError, "given twice"),
    "an output that reads nothing": (lambda: Graph.from_edges(2, 2, [(0, 0)]), ValueError, "outputs 1 read no input"),
    "mask of a wrong shape": (lambda: Graph.from_mask([1, 0]), ValueError, "mask must be (out_channels, in_channels)"),
    "mask with a 2": (lambda: Graph.from_mask([[2, 0]]), ValueError, "only 0 and 1"),
    "groups of a layer": (lambda: cv.nn.Conv2d(6, 4, 3, groups=4), ValueError, "in_channels=6; 1, 2 would divide both"),
    "groups of a graph": (lambda: Graph.groups(6, 4, 4), ValueError, "groups=4 does not divide in_channels=6; 1, 2 would divide both"),
    "composition": (lambda: Graph.dense(3, 2) @ Graph.dense(2, 4), ValueError, "got 3 and 4"),
    "output padding": (
        lambda: cv.conv_transpose2d(image(), torch.zeros(4, 2, 3, 3), output_padding=1), ValueError, "less than stride or dilation",
    ),
    "output size": (
        lambda: cv.conv_transpose2d(image(), torch.zeros(4, 2, 3, 3), output_size=12), ValueError, "output_size must be (10, 10), got (12, 12)",
    ),
    "a name for a transpose": (
        lambda: cv.conv_transpose2d(image(), torch.zeros(4, 2, 3, 3), padding="same"), ValueError, "give a transposed one numbers",
    ),
    "input of a local layer": (
        lambda: cv.nn.LocalConv2d(4, 6, 3, input_size=8)(image(2, 4, 9, 9)), ValueError, "made for input_size=(8, 8)",
    ),
    "untie that does not divide": (lambda: cv.nn.TiledConv2d(4, 6, 3, tile=2).untie(3), ValueError, "not a multiple"),
    "to_dense without a graph": (lambda: cv.nn.Conv2d(4, 6, 3).to_dense(), ValueError, "no channel graph"),
    "gradient of a wrong shape": (
        lambda: cv.grad.conv2d_input((2, 4, 8, 8), KERNEL, image()), ValueError, "grad_output must have the output's shape, (2, 6, 6, 6)",
    ),
    "larger than memory": (lambda: cv.conv2d(image(), KERNEL, padding=2**62, flip=True), ValueError, "larger than memory can be"),
    "operator past the face": (
        lambda: torch.ops.convarium.forward(image(), KERNEL, [6, 6], [1, 1], [0, 0], [1, 1], [1, 1], "1", False, "auto"),
        ValueError, "weight must have 6 dimensions",
    ),
    "operator with garbage channels": (
        lambda: torch.ops.convarium.forward(image(), image(6, 1, 1, 3, 3), [6, 6], [1, 1], [0, 0], [1, 1], [1, 1], "x", False, "auto"),
        ValueError, "forward: channels: 'x' does not describe channels",
    ),
    "True in the place of a remembered 1": (
        lambda: (cv.conv2d(image(), KERNEL, stride=1), cv.conv2d(image(), KERNEL, stride=True)), TypeError, "stride must be a whole",
    ),
    "a whole number past a word": (lambda: cv.conv2d(image(), KERNEL, stride=2**64), ValueError, "stride must be less than 2**63"),
    "a sparse input": (lambda: cv.conv2d(image().to_sparse(), KERNEL), TypeError, "input must be a dense tensor"),
    "no weight": (lambda: cv.conv2d(image(), None), TypeError, "weight must be a torch.Tensor, got NoneType"),
    "pairs written flat": (lambda: cv.conv2d(image(), KERNEL, padding=(1, 1, 1, 1)), ValueError, "is written in pairs"),
    "a graph made by hand": (lambda: Graph(4, 4), TypeError, "make one with ChannelGraph.dense"),
    "half a channel": (lambda: Graph.from_edges(2, 1, [(0.5, 0)]), TypeError, "(input, output) pairs"),
    "a bias that is none": (lambda: cv.nn.Conv2d(4, 6, 3, bias="tied"), ValueError, "True, False or 'untied'"),
    "whole numbers in a layer": (lambda: cv.nn.Conv2d(4, 6, 3, dtype=torch.int32), TypeError, "Conv2d: dtype must be of floating"),
    "untie before the first input": (lambda: cv.nn.LazyLocalConv2d(6, 3).untie(2), ValueError, "call it once"),
    "both kinds of output size": (
        lambda: cv.nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, output_size=18), ValueError, "not both",
    ),
    "a matrix without numbers": (
        lambda: cv.matrix.conv_matrix(torch.zeros(1, 1, 3, 3, device="meta"), (1, 8, 8)), ValueError, "has no numbers",
    ),
    "columns": (lambda: cv.matrix.col2im(torch.zeros(1, 9, 48), (9, 9), 3), ValueError, "matrix.col2im: columns must be"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_call(name):
    call, kind, words = WRONG[name]
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert words in str(caught.value)


@pytest.mark.parametrize(("padding", "stride"), [("same", 2), ("same", 3), ("full", 2)])
def test_a_padding_that_any_kernel_fits_is_refused_of_no_traced_size(padding, stride):
    layer, side = cv.nn.Conv2d(3, 4, 3, padding=padding, stride=stride), torch.export.Dim
    sides = {2: side("height", min=4, max=64), 3: side("width", min=4, max=64)}
    program = torch.export.export(layer, (torch.randn(1, 3, 16, 18),), dynamic_shapes=(sides,)).module()
    for size in ((4, 64), (5, 7), (33, 6)):
        input = torch.randn(1, 3, *size)
        torch.testing.assert_close(program(input), layer(input))
