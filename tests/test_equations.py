"""Equations: the lecture's, and each printed one evaluated against the maps over the family."""

import json

import numpy as np
import pytest
import torch

import convarium as cv
from convarium._cli import run
from convarium._look import equations
from family import random_case, seeds

LECTURE = """\
o11 = F11 x11 + F12 x12 + F21 x21 + F22 x22
o12 = F11 x12 + F12 x13 + F21 x22 + F22 x23
o21 = F11 x21 + F12 x22 + F21 x31 + F22 x32
o22 = F11 x22 + F12 x23 + F21 x32 + F22 x33
dL/dF11 = dL/do11 x11 + dL/do12 x12 + dL/do21 x21 + dL/do22 x22
dL/dF12 = dL/do11 x12 + dL/do12 x13 + dL/do21 x22 + dL/do22 x23
dL/dF21 = dL/do11 x21 + dL/do12 x22 + dL/do21 x31 + dL/do22 x32
dL/dF22 = dL/do11 x22 + dL/do12 x23 + dL/do21 x32 + dL/do22 x33
dL/dx11 = dL/do11 F11
dL/dx12 = dL/do11 F12 + dL/do12 F11
dL/dx13 = dL/do12 F12
dL/dx21 = dL/do11 F21 + dL/do21 F11
dL/dx22 = dL/do11 F22 + dL/do12 F21 + dL/do21 F12 + dL/do22 F11
dL/dx23 = dL/do12 F22 + dL/do22 F12
dL/dx31 = dL/do21 F21
dL/dx32 = dL/do21 F22 + dL/do22 F21
dL/dx33 = dL/do22 F22
""".splitlines()  # as on the slides, the misprints of dL/dx12 and dL/dx22 corrected (DESIGN section 9)


def values(problem, x, f, o, transposed):
    """The number of every symbol, by how it is printed."""
    named = {}
    edges = problem.wiring.edges().T + 1
    one = (problem.wiring.in_channels == 1, problem.wiring.out_channels == 1)
    for letter, tensor, alone in (("x", x, one[transposed]), ("o", o, one[not transposed])):
        for (channel, *place), value in np.ndenumerate(tensor):
            where = (() if alone else (channel + 1,), (), tuple(p + 1 for p in place), max(tensor.shape[1:]) > 9)
            named[equations.plain(equations.Symbol(letter, *where))] = value
    n = problem.ndim
    for (edge, *place), value in np.ndenumerate(f):
        i, j = edges[edge].tolist()
        channels = (j,) * (not one[1]) + (i,) * (not one[0])
        kernel = () if problem.sharing == "shared" and set(problem.tile) == {1} else tuple(p + 1 for p in place[:n])
        where = (channels, kernel, tuple(p + 1 for p in place[n:]), max(f.shape[1 + n :]) > 9)
        named[equations.plain(equations.Symbol("F", *where))] = value
    assert len(named) == x.size + o.size + f.size, "two symbols are printed alike"
    return named


def evaluate(line, numbers, gradients):
    """Both sides of a printed equation."""

    def number(word):
        return gradients[word.removeprefix("dL/d")] if word.startswith("dL/d") else numbers[word]

    left, right = line.split(" = ")
    products = [] if right == "0" else [term.split(" ") for term in right.split(" + ")]
    return number(left), sum(number(a) * number(b) for a, b in products)


@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("seed", seeds(25, 250))
def test_printed_equations_hold(seed, transposed):
    case = random_case(seed, torch.float64, least_batch=1, modes=False)
    problem = case.problem()
    if problem.batch * problem.multiply_adds > 20_000:
        pytest.skip("too many products to print")
    (trace,) = cv.look(
        case.random(case.weight_shape), case.random(case.input_shape)[:1],
        torch.randn(1, *problem.output_shape[1:], dtype=torch.float64), **case.options,
    ).traces.values()  # fmt: skip
    x, o, f, dx, do, df = (
        trace.input[0], trace.output[0], trace.weight, trace.grad_input[0], trace.grad_output[0], trace.grad_weight
    )  # fmt: skip
    if transposed:  # it reads what the convolution writes, and its gradients go the other way
        x, o, dx, do = do, dx, o, x
        dx = trace.output[0]
    numbers = values(problem, x, f, o, transposed)
    gradients = values(problem, dx, df, do, transposed)
    for line in equations.text(problem, transposed=transposed).splitlines():
        if "=" in line:
            left, right = evaluate(line, numbers, gradients)
            np.testing.assert_allclose(left, right, atol=1e-9, err_msg=line)


def command(*arguments, capsys):
    code = run(arguments)
    return code, capsys.readouterr()


def test_without_options_it_is_the_lecture(capsys):
    code, shown = command("explain", capsys=capsys)
    assert code == 0
    assert [line for line in shown.out.splitlines() if "=" in line] == LECTURE
    code, shown = command("explain", "--json", "--only", "input", capsys=capsys)
    assert json.loads(shown.out)["grad_input"][1] == {
        "is": "dL/dx12", "sum_of": [["dL/do11", "F12"], ["dL/do12", "F11"]],
    }  # fmt: skip


def test_forms(capsys):
    _, latex = command("explain", "--format", "latex", "--only", "filter", capsys=capsys)
    assert latex.out.splitlines()[:3] == [
        "% Filter gradient", r"\begin{align*}",
        r"\frac{\partial L}{\partial F_{11}} &= \frac{\partial L}{\partial o_{11}}\,x_{11}"
        r" + \frac{\partial L}{\partial o_{12}}\,x_{12} + \frac{\partial L}{\partial o_{21}}\,x_{21}"
        r" + \frac{\partial L}{\partial o_{22}}\,x_{22} \\",
    ]  # fmt: skip
    _, markdown = command("explain", "--format", "markdown", "--input", "3", "--kernel", "2", capsys=capsys)
    assert markdown.out.startswith(
        "## Forward\n\n```math\n\\begin{aligned}\no_{1} &= F_{1}\\,x_{1} + F_{2}\\,x_{2} \\\\\n"
    )
    _, tiled = command("explain", "--input", "11", "--kernel", "2", "--tile", "2", "--channels", "1x2", capsys=capsys)
    assert "o[2]_10 = F[2](2)1 x_10 + F[2](2)2 x_11" in tiled.out
    _, turned = command("explain", "--input", "3", "--kernel", "2", "--transposed", "--only", "forward", capsys=capsys)
    assert turned.out.split("\n\n")[1] == "o1 = F1 x1\no2 = F2 x1 + F1 x2\no3 = F2 x2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "3,3"), "--input: whole numbers with x between, such as 3x3, got '3,3'"),
        (("--input", "3x3x3x3"), "--input: one to three directions, got '3x3x3x3'"),
        (("--kernel", "2"), "--kernel: 2 numbers, as --input has, got '2'"),
        (("--kernel", "4x4"), "a kernel of 4 is larger than the padded input"),
        (("--channels", "3"), "--channels: two numbers, such as 2x3, got '3'"),
        (("--stride", "0"), "explain: stride must be at least 1"),
        (("--stride", "1x2x3"), "--stride: one number or 2, got '1x2x3'"),
        (("--groups", "2"), "ChannelGraph.groups"),
        (("--tile", "3"), "tile"),
        (("--tile", "0"), "--tile: at least 1, got '0'"),
        (("--groups", "2", "--interlaced", "2", "--channels", "4x4"), "--groups: interlaced groups are groups already"),
        (("--json", "--format", "latex"), "--format: with --json there is one form"),
        (("--only", "backward"), "--only: 'backward' is none of forward, filter, input"),
        (("--format", "word"), "--format: 'word' is none of text, latex, markdown"),
        (("--input", "60x60", "--kernel", "9x9"), "explain: these are 219,024 products in each map"),
    ],
)
def test_wrong_words_are_refused_in_a_line(arguments, message, capsys):
    code, shown = command("explain", *arguments, capsys=capsys)
    assert code == 2
    assert message in shown.err
    assert shown.err.count("\n") == 1
