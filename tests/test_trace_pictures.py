"""Traces as text and as figures: what is written there is what the trace says."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import convarium as cv
from convarium._look import trace_figure
from family import random_case, seeds

LAYERS = {
    "shared": (nn.Conv2d(2, 3, 3, padding=1), (2, 2, 6, 7)),
    "one direction": (cv.nn.Conv1d(1, 1, 4, stride=2, padding="full", flip=True), (1, 1, 9)),
    "tiled": (cv.nn.TiledConv2d(2, 2, 2, tile=(2, 3)), (2, 2, 5, 5)),
    "local": (cv.nn.LocalConv2d(1, 2, 3, input_size=(6, 6), stride=2), (2, 1, 6, 6)),
    "volume": (nn.Conv3d(1, 2, 2), (1, 1, 3, 4, 3)),
    "transposed": (nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1), (2, 2, 4, 3)),
    "graph": (cv.nn.ChannelConv2d(cv.ChannelGraph.interlaced(4, 4, 2), 3), (1, 4, 5, 5)),
}


def view(name):
    layer, shape = LAYERS[name]
    torch.manual_seed(0)
    input = torch.randn(shape)
    return cv.look(layer, input, torch.randn_like(layer(input)))


@pytest.mark.parametrize("name", LAYERS)
def test_the_sums_that_are_written_are_the_traces(name):
    (trace,) = view(name).traces.values()
    written = view(name).text()
    cell = tuple(map(int, re.search(r"output\[([\d, ]+)\]", written)[1].split(", ")))
    place = tuple(map(int, re.search(r"gradient of input\[([\d, ]+)\]", written)[1].split(", ")))
    edge, kernel, tap = re.search(
        r"gradient of weight\[(\d+)\].*kernel \[([\d, ]+)\] of the tile, tap \[([\d, ]+)\]", written
    ).groups()
    weight = (int(edge), *map(int, kernel.split(", ")), *map(int, tap.split(", ")))
    together = [float(number) for number in re.findall(r"together (\S+)", written)]
    expected = [trace.output[cell], trace.grad_weight[weight], trace.grad_input[place]]
    np.testing.assert_allclose(together, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", trace_figure.KINDS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_figure_of_every_layer_is_drawn(name, kind):
    figure = view(name).figure(kind)
    for form in ("svg", "pdf", "png") if name == "tiled" else ("png",):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=form)
        assert len(buffer.getvalue()) > 5_000


@pytest.mark.parametrize("seed", seeds(10, 100))
def test_all_of_the_family_is_written(seed):
    case = random_case(seed, torch.float64, least_batch=1)
    found = cv.look(case.random(case.weight_shape), case.random(case.input_shape), **case.options)
    assert found.text().count("together") in (1, 3)


def test_the_matrix_is_the_librarys():
    (trace,) = view("shared").traces.values()
    figure = view("shared").figure("matrix")
    drawn = np.nan_to_num(figure.axes[0].images[0].get_array().filled(np.nan))
    layer, _ = LAYERS["shared"]
    dense = cv.matrix.conv_matrix(layer.weight.detach()[:1, :1], (1, 6, 7), padding=1).to_dense()
    np.testing.assert_allclose(drawn, dense.numpy(), rtol=1e-6)
    assert figure.axes[0].get_title() == f"Conv2d, channel 0 to 0: 42 x 42, {np.count_nonzero(dense)} weights"
    assert trace.problem.output_size == (6, 7)


def test_nan_has_a_colour_of_its_own():
    weight = torch.ones(1, 1, 2, 2)
    weight[0, 0, 0, 0] = torch.nan
    found = cv.look(weight, torch.ones(1, 1, 3, 3), engine="definition")
    assert "together nan" in found.text()
    colours = trace_figure._map()(np.ma.masked_invalid([np.nan, 0.5]))
    assert not np.allclose(colours[0], colours[1])
    found.figure("forward").savefig(io.BytesIO())


PAIR = torch.ones(1, 1, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: view("shared").figure("backward"), ValueError, "figure: kind must be one of forward, weight_grad"),
        (lambda: view("shared").figure("matrix", "head"), KeyError, "no convolution named 'head' ran; there are Conv2d"),
        (lambda: view("shared").text(output=(0,)), TypeError, "text: output must be 4 whole numbers, got \\(0,\\)"),
        (lambda: view("shared").figure("forward", output="abcd"), TypeError, "figure: output must be 4 whole numbers, got"),
        (lambda: view("shared").text("head"), KeyError, "no convolution named 'head' ran"),
        (lambda: view("shared").text(output=(0, 0, 9, 0)), ValueError, r"text: output must be from 0 to \(1, 2, 5, 6\), got"),
        (lambda: cv.look(PAIR, torch.ones(1, 1, 3000)).figure("matrix"), ValueError, "the matrix has 2999 x 3000 entries"),
        (lambda: cv.look(PAIR + 0j, torch.ones(1, 1, 3) + 0j).figure("forward"), ValueError, "complex numbers"),
        (lambda: cv.look(PAIR, torch.ones(1, 1, 3), padding=2).figure("forward", output=(0, 0, 0)), ValueError, "reads nothing"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_without_matplotlib_it_is_said_what_to_install():
    program = """
import sys
sys.modules["matplotlib"] = None
import torch, convarium as cv
try:
    cv.look(torch.ones(1, 1, 2), torch.ones(1, 1, 3)).figure("forward")
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "matplotlib is not installed: pip install 'convarium[look]'"
