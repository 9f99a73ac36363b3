"""The oracle itself: against the formula in plain loops, numbers worked by hand, and judges from outside."""

import itertools
import math

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

import convarium as cv
from convarium._engines import definition
from family import random_case, reference, seeds


def by_loops(problem, input, weight):
    """z[b, j, s] = sum over (i, j) in the graph, m of v[b, i, s*u + m*d - p] * w[(i, j), s % l, m], one product at a time."""
    output = np.zeros(problem.output_shape)
    edges = list(zip(*problem.wiring.edges().tolist(), strict=True))
    seen = dict.fromkeys(range(problem.wiring.out_channels), 0)
    for e, (i, j) in enumerate(edges):
        place_in_group = seen[j]
        seen[j] += 1
        for b in range(problem.batch):
            for s in itertools.product(*map(range, problem.output_size)):
                for m in itertools.product(*map(range, problem.kernel_size)):
                    turned = [k - 1 - x if problem.flip else x for k, x in zip(problem.kernel_size, m, strict=True)]
                    h = [
                        a * ax.stride + x * ax.dilation - ax.padding
                        for a, x, ax in zip(s, turned, problem.axes, strict=True)
                    ]
                    if all(0 <= x < ax.size for x, ax in zip(h, problem.axes, strict=True)):
                        r = tuple(x % tile for x, tile in zip(s, problem.tile, strict=True))
                        kernel = weight[(e, *r)] if problem.wiring.by_edge else weight[(j, *r, place_in_group)]
                        output[(b, j, *s)] += input[(b, i, *h)] * kernel[m]
    return output


def test_definition_is_the_formula_in_plain_loops():
    done = 0
    for seed in seeds(150, 600):
        case = random_case(seed, torch.float64, least_batch=1)
        problem = case.problem()
        if problem.multiply_adds > 4000:
            continue
        input, weight, _ = case.tensors()
        got = definition.forward(problem, input, weight).numpy()
        np.testing.assert_allclose(got, by_loops(problem, input.numpy(), weight.numpy()), atol=1e-12, err_msg=str(case))
        done += 1
    assert done > 50


def test_definition_agrees_with_the_reference_of_the_transformation_tests():
    for seed in seeds(200, 1000):
        case = random_case(seed, torch.float64, least_batch=1)
        input, weight, _ = case.tensors()
        got = definition.forward(case.problem(), input, weight)
        torch.testing.assert_close(got, reference(case.problem(), input, weight), msg=str(case))


def test_the_lectures_example_worked_by_hand():
    """X of 3 x 3, F of 2 x 2, no padding: every number below was multiplied out on paper."""
    X = torch.tensor([[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]])
    kernel = torch.tensor([[[[1.0, 2], [3, 4]]]])
    gradient = torch.tensor([[[1.0, 10], [100, 1000]]])
    output = cv.conv2d(X, kernel, engine="definition")
    assert output.tolist() == [[[37, 47], [67, 77]]]  # 1*1 + 2*2 + 3*4 + 4*5 = 37, ...
    by_filter = cv.grad.conv2d_weight(X, kernel.shape, gradient, engine="definition")
    assert by_filter.tolist() == [[[[5421, 6532], [8754, 9865]]]]  # 1*1 + 10*2 + 100*4 + 1000*5 = 5421, ...
    by_input = cv.grad.conv2d_input(X.shape, kernel, gradient, engine="definition")
    assert by_input.tolist() == [[[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]]  # the middle: 4 + 30 + 200 + 1000


def random_shared(seed, groups):
    case = random_case(seed, torch.float64, least_batch=1)
    return (
        case if not case.options["channels"] and case.call.shared and (case.options["groups"] == 1 or groups) else None
    )


def test_torch_agrees_on_shared_convolutions():
    done = 0
    for seed in seeds(400, 3000):
        case = random_shared(seed, groups=True)
        if case is None or case.options["flip"]:
            continue
        call, options = case.call, case.options
        input, weight = case.random(case.input_shape), case.random(case.weight_shape)
        pads = [side for before, after in reversed(call.pads) for side in (before, after)]
        mode = "constant" if call.mode is None else call.mode
        padded = F.pad(input, pads, mode=mode)
        expected = getattr(F, f"conv{case.n}d")(
            padded, weight, None, options["stride"], 0, options["dilation"], options["groups"]
        )
        torch.testing.assert_close(case.conv(input, weight, engine="definition"), expected, msg=str(case))
        done += 1
    assert done > 40


def test_torch_agrees_on_transposed_convolutions():
    for n, seed in itertools.product((1, 2, 3), seeds(20, 200)):
        rnd = np.random.default_rng(seed)
        groups = int(rnd.integers(1, 4))
        ins, outs = groups * int(rnd.integers(1, 3)), int(rnd.integers(1, 3))
        stride, dilation = int(rnd.integers(1, 4)), int(rnd.integers(1, 3))
        kernel, padding = int(rnd.integers(1, 4)), int(rnd.integers(0, 2))
        extra = int(rnd.integers(0, max(stride, dilation)))
        size = [int(rnd.integers(2, 5)) for _ in range(n)]
        if min((s - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + extra for s in size) < 1:
            continue
        input = torch.from_numpy(rnd.standard_normal((2, ins, *size)))
        weight = torch.from_numpy(rnd.standard_normal((ins, outs, *[kernel] * n)))
        bias = torch.from_numpy(rnd.standard_normal(outs * groups))
        arguments = (input, weight, bias, stride, padding, extra, groups, dilation)
        expected = getattr(F, f"conv_transpose{n}d")(*arguments)
        for engine in ("definition", "matmul", "aten"):
            got = getattr(cv, f"conv_transpose{n}d")(*arguments, engine=engine)
            torch.testing.assert_close(got, expected, msg=f"{engine} {n}-D seed {seed}")


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_scipy_agrees(mode):
    """scipy's `same` is centred, which for an even kernel is one before the middle; ours is ONNX's, one after."""
    for n, seed in itertools.product((1, 2, 3), seeds(15, 150)):
        rnd = np.random.default_rng(seed)
        signal = rnd.standard_normal(rnd.integers(4, 8, n))
        kernel = rnd.standard_normal(2 * rnd.integers(0, 2, n) + 1 if mode == "same" else rnd.integers(1, 5, n))
        for flip, judge in ((True, scipy.signal.convolve), (False, scipy.signal.correlate)):
            got = getattr(cv, f"conv{n}d")(
                torch.from_numpy(signal)[None],
                torch.from_numpy(kernel)[None, None],
                padding=mode,
                flip=flip,
                engine="definition",
            )
            np.testing.assert_allclose(got[0].numpy(), judge(signal, kernel, mode), atol=1e-12)


def test_jax_agrees_on_local_convolutions():
    jax = pytest.importorskip("jax", reason="jax is not installed: its local convolution does not judge ours")
    jax.config.update("jax_enable_x64", True)
    for n, seed in itertools.product((1, 2), seeds(12, 100)):
        rnd = np.random.default_rng(seed)
        ins, outs = (int(rnd.integers(1, 4)) for _ in range(2))
        kernel = rnd.integers(1, 4, n).tolist()
        stride, dilation = rnd.integers(1, 3, n).tolist(), rnd.integers(1, 3, n).tolist()
        size = [d * (k - 1) + 1 + int(rnd.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True)]
        pads = [tuple(map(int, rnd.integers(0, 3, 2))) for _ in range(n)]
        output = [
            (h + sum(p) - d * (k - 1) - 1) // u + 1
            for h, p, d, k, u in zip(size, pads, dilation, kernel, stride, strict=True)
        ]
        input = rnd.standard_normal((2, ins, *size))
        weight = rnd.standard_normal((outs, *output, ins, *kernel))
        order = (0, n + 1, *range(n + 2, 2 * n + 2), *range(1, n + 1))  # to (outs, ins, *kernel, *output)
        flat = weight.transpose(order).reshape(outs, ins * math.prod(kernel), *output)
        directions = "HW"[:n]
        expected = jax.lax.conv_general_dilated_local(
            input, flat, stride, pads, kernel, rhs_dilation=dilation,
            dimension_numbers=("NC" + directions, "OI" + directions, "NC" + directions), precision="highest",
        )  # fmt: skip
        for engine in ("definition", "auto"):
            got = getattr(cv, f"conv{n}d")(
                torch.from_numpy(input), torch.from_numpy(weight), None, stride, tuple(pads), dilation, engine=engine
            )
            np.testing.assert_allclose(got.numpy(), np.asarray(expected), atol=1e-10, err_msg=f"seed {seed}")
