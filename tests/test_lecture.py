"""The lecture, slide by slide: each formula as it is meant holds here, and where it is misprinted, a number shows the difference.

The lecture counts from 1, so the sums that are written out here do as well. What was printed and what is meant, slide by slide,
is in ``docs/lecture.md``, which names the test of each.
"""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

import convarium as cv
from convarium import convolve, convolve_functions, correlate, weighted_average


def numbers(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def plane(*rows):
    """One picture of one channel, or one kernel from one channel to one: ``(1, 1, rows, columns)``."""
    return numbers(*rows)[None, None]


def line(*values):
    """One signal of one channel, or one kernel: ``(1, 1, length)``."""
    return numbers(*values)[None, None]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def from_1(count):
    return range(1, count + 1)


def same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def different(actual, expected):
    assert actual.shape == expected.shape
    assert not torch.allclose(actual, expected, rtol=1e-3, atol=1e-3)


def turned(kernel):
    return kernel.flip(-2, -1)


with_every_engine = pytest.mark.parametrize("engine", cv.engines())
with_engines_of_tiles = pytest.mark.parametrize("engine", [name for name in cv.engines() if name != "spectral"])


# -- The convolution operation: the plane's track ----------------------------------------------------------------------


def test_average_needs_a_density():
    """Without it "s(t) is not a weighted average": three equal observations of 10 km would average to 15."""
    assert convolve([10.0, 10.0, 10.0], [0.5, 0.5, 0.5])[2] == 15
    with pytest.raises(ValueError, match=r"w sums to 1\.5, 0\.5 too"):
        weighted_average([10.0, 10.0, 10.0], [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="negative"):
        weighted_average([10.0, 10.0, 10.0], [1.25, -0.25])
    np.testing.assert_allclose(weighted_average([10.0, 10.0, 10.0], [0.5, 0.3, 0.2]), [10, 10, 10])


def test_average_knows_only_the_past():
    """Printed: the integral over all a. Meant: w(a) = 0 for a < 0, or what has not been seen yet would count."""
    seen, w = np.array([4.0, 2.0, 2.0, 6.0]), [0.5, 0.25, 0.25]
    later = np.array([4.0, 2.0, 2.0, 100.0])
    np.testing.assert_array_equal(weighted_average(later, w)[:3], weighted_average(seen, w)[:3])
    # a density that is centred on now, w(-1), w(0), w(1), reads tomorrow's observation
    assert convolve(seen, w, mode="same")[2] == 0.5 * 6 + 0.25 * 2 + 0.25 * 2 == 4
    assert convolve(later, w, mode="same")[2] == 0.5 * 100 + 0.25 * 2 + 0.25 * 2 == 51


def test_average_at_the_start_of_a_track_is_renormalised_or_not():
    """s(1) = (0.5 * 2 + 0.25 * 4) / 0.75: the weight that falls before the start is dropped."""
    x, w = [4.0, 2.0, 2.0], [0.5, 0.25, 0.25]
    np.testing.assert_allclose(weighted_average(x, w), [4, 8 / 3, 2.5])
    np.testing.assert_allclose(weighted_average(x, w, renormalize=False), [2, 2, 2.5])
    np.testing.assert_allclose(convolve(x, w)[:3], [2, 2, 2.5])  # which is the convolution, by the formula


def test_continuous_convolution_is_the_integral():
    """A plane at speed v from time 0 on, weights exp(-a/T)/T: s(t) = v (t - T (1 - exp(-t/T)))."""
    v, T, t = 0.2, 5.0, np.array([0.5, 3.0, 20.0, 60.0])
    track, weights = (lambda a: v * a), (lambda a: np.exp(-a / T) / T)
    s = convolve_functions(track, weights, t, x_support=(0, np.inf), w_support=(0, np.inf))
    np.testing.assert_allclose(s.values, v * (t - T * (1 - np.exp(-t / T))), rtol=1e-8)
    commuted = convolve_functions(weights, track, t, x_support=(0, np.inf), w_support=(0, np.inf))
    np.testing.assert_allclose(commuted.values, s.values, rtol=1e-8)
    # the weights are a density: of a plane that has always stood at 7, the average is 7
    still = convolve_functions(lambda a: 7 + 0 * a, weights, np.array([0.0]), w_support=(0, 300))
    np.testing.assert_allclose(still.values, [7])


def test_discrete_convolution_is_zero_where_nothing_is_stored():
    """s(t) = sum over all a of x(a) w(t - a), "zero everywhere but a finite set of points"."""
    x, w = {0: 1, 1: 2, 2: 3}, {0: 1, 1: 10}
    s = [sum(x.get(a, 0) * w.get(t - a, 0) for a in range(-50, 50)) for t in range(-2, 6)]
    assert s == [0, 0, 1, 12, 23, 30, 0, 0]
    np.testing.assert_array_equal(convolve([1, 2, 3], [1, 10]), [1, 12, 23, 30])
    same(cv.conv1d(line(1, 2, 3), line(1, 10), padding="full", flip=True), line(1, 12, 23, 30))


# -- Two dimensions ----------------------------------------------------------------------------------------------------

I = numbers([1, 2], [3, 4])  # noqa: E741 - the lecture's own letter
K = numbers([1, 10], [100, 1000])


def test_sums_run_over_all_integers():
    """Printed without lower limits. The kernel is zero outside its support, so all integers are the limits."""

    def at(array, i, j):
        return array[i, j].item() if 0 <= i < 2 and 0 <= j < 2 else 0

    places = list(itertools.product(range(-9, 9), repeat=2))
    every = [[sum(at(I, i, j) * at(K, t - i, r - j) for i, j in places) for r in range(-1, 4)] for t in range(-1, 4)]
    assert every == [[0] * 5, [0, 1, 12, 20, 0], [0, 103, 1234, 2040, 0], [0, 300, 3400, 4000, 0], [0] * 5]
    same(convolve(I, K), numbers(*every)[1:4, 1:4])
    same(cv.conv2d(I[None], K[None, None], padding="full", flip=True), numbers(*every)[None, 1:4, 1:4])
    # printed "into I": sums from 1, which see one of the kernel's four entries
    from_one = sum(at(I, i, j) * at(K, i, j) for i, j in itertools.product(range(1, 9), repeat=2))
    assert from_one == 4000
    assert correlate(I, K, mode="valid").item() == 1 + 20 + 300 + 4000 == 4321


def test_cross_correlation_is_convolution_with_the_kernel_turned():
    """Printed: "clearly the same". 4321 and 1234, unless turning leaves the kernel as it is."""
    image, kernel = I[None, None], K[None, None]
    assert cv.conv2d(image, kernel).item() == 1 * 1 + 2 * 10 + 3 * 100 + 4 * 1000 == 4321
    assert cv.conv2d(image, kernel, flip=True).item() == 4 * 1 + 3 * 10 + 2 * 100 + 1 * 1000 == 1234
    picture, kernel = normal(1, 1, 5, 6), normal(1, 1, 3, 2, seed=1)
    same(cv.conv2d(picture, turned(kernel)), cv.conv2d(picture, kernel, flip=True))
    different(cv.conv2d(picture, kernel), cv.conv2d(picture, kernel, flip=True))
    unmoved = kernel + turned(kernel)
    same(cv.conv2d(picture, unmoved), cv.conv2d(picture, unmoved, flip=True))


def test_convolution_commutes_and_correlation_does_not():
    same(convolve(I, K), convolve(K, I))
    assert correlate(I, K).tolist() == [[1000, 2100, 200], [3010, 4321, 402], [30, 43, 4]]
    assert correlate(K, I).tolist() == [[4, 43, 30], [402, 4321, 3010], [200, 2100, 1000]]  # turned around


def test_star_means_correlation_from_the_tensor_slide_on():
    """z = sum of v(s - 1 + m) k(m) goes into V with increasing m: what conv2d does, and flip=True does not."""
    V, K = numbers([1, 2, 3], [4, 5, 6], [7, 8, 9]), numbers([1, 2], [3, 4])
    z = [[sum(V[s + m, t + n] * K[m, n] for m in (0, 1) for n in (0, 1)).item() for t in (0, 1)] for s in (0, 1)]
    assert z == [[37, 47], [67, 77]]
    same(cv.conv2d(V[None, None], K[None, None]), plane(*z))
    same(cv.conv2d(V[None, None], K[None, None], flip=True), plane([23, 33], [53, 63]))


def test_two_dimensional_application():
    """The slide's lost figure: a picture of 3 x 4 and a kernel of 2 x 2 make 2 x 3 outputs, aw + bx + ey + fz and so on."""
    a, b, c, d, e, f, g, h, i, j, k, l = range(1, 13)  # noqa: E741 - the figure's own letters
    w, x, y, z = 1, 10, 100, 1000
    expected = plane(
        [a * w + b * x + e * y + f * z, b * w + c * x + f * y + g * z, c * w + d * x + g * y + h * z],
        [e * w + f * x + i * y + j * z, f * w + g * x + j * y + k * z, g * w + h * x + k * y + l * z],
    )
    same(cv.conv2d(plane([a, b, c, d], [e, f, g, h], [i, j, k, l]), plane([w, x], [y, z])), expected)
    assert expected.flatten().tolist() == [6521, 7632, 8743, 10965, 12076, 13187]


# -- Real-world tensors ------------------------------------------------------------------------------------------------


def test_full_means_padding_by_the_reach():
    """Three things are called full: unstrided (3 outputs), padded (7), shared (1 kernel). Ours: d(k - 1) zeros on both sides."""
    x, w = line(1, 2, 3, 4, 5), line(1, 10, 100)
    unstrided, padded = cv.conv1d(x, w), cv.conv1d(x, w, padding="full")
    same(unstrided, line(321, 432, 543))
    same(padded, line(100, 210, 321, 432, 543, 54, 5))
    same(padded, cv.conv1d(x, w, padding=2))
    assert cv.conv1d(x, w, dilation=2, padding="full").shape[2] == 5 + 2 * (3 - 1) == 9
    same(cv.conv1d(x, w, dilation=2, padding="full"), cv.conv1d(x, w, dilation=2, padding=4))
    assert cv.conv1d(x, w, stride=2, padding="full").shape[2] == 4  # a stride does not unmake it
    local = cv.nn.LocalConv1d(1, 1, 3, padding="full", input_size=5)  # nor do kernels that are not shared
    assert local.weight.shape == (1, 7, 1, 3)


def test_weights_join_channel_and_neuron_to_channel_and_neuron():
    """ "6D": the matrix M, unflattened. With a batch activations are 4-D, and the weights 6-D still, not 7-D as printed."""
    v, w = normal(5, 2, 4, 5), normal(3, 2, 2, 3, seed=1)
    M = cv.matrix.conv_matrix(w, (2, 4, 5), flatten=False)
    assert M.shape == (3, 3, 3, 2, 4, 5)
    assert (v.dim(), M.dim()) == (4, 6)
    same(torch.einsum("jstihq,bihq->bjst", M, v), cv.conv2d(v, w))
    # from channel 1, neuron (2, 3), to channel 3, neuron (1, 2), counted from 1: offset of m = 2, n = 2
    assert M[2, 0, 1, 0, 1, 2] == w[2, 0, 1, 1]


def test_kernel_has_the_output_channel_first():
    """Printed: k_ijmn, from channel i to channel j. Here and in the lecture's own W the output channel comes first."""
    v, k = normal(3, 4, 4), normal(3, 2, 2, 2, seed=1)  # as printed: from 3 channels to 2
    z = torch.zeros(2, 3, 3, dtype=torch.float64)
    for j, s, t, i, m, n in itertools.product(range(2), range(3), range(3), range(3), range(2), range(2)):
        z[j, s, t] += v[i, s + m, t + n] * k[i, j, m, n]
    same(cv.conv2d(v, k.transpose(0, 1)), z)
    with pytest.raises(ValueError, match="reads 2 channels"):
        cv.conv2d(v, k)
    square = normal(3, 3, 2, 2)  # where both orders fit, they are different convolutions
    different(cv.conv2d(v, square), cv.conv2d(v, square.transpose(0, 1)))


def test_window_reads_row_s_1_m_and_column_t_1_n():
    """Printed: q = t - 1 + m, and an output z_ijk. With the m, z_11 would be 5511 and not 5421."""
    V, K = numbers([1, 2, 3], [4, 5, 6], [7, 8, 9]), numbers([1, 10], [100, 1000])
    s = t = 1
    taps = list(itertools.product(from_1(2), repeat=2))
    meant = sum(V[s - 1 + m - 1, t - 1 + n - 1] * K[m - 1, n - 1] for m, n in taps).item()
    printed = sum(V[s - 1 + m - 1, t - 1 + m - 1] * K[m - 1, n - 1] for m, n in taps).item()
    assert (meant, printed) == (5421, 5511)
    z = cv.conv2d(normal(4, 3, 3), normal(2, 4, 2, 2))
    assert z.shape == (2, 2, 2)  # z_jst: an output channel, a row, a column
    assert cv.conv2d(V[None, None], K[None, None])[0, 0, 0, 0] == 5421
    place = cv.matrix.tables((3, 3), (2, 2)).windows[0]  # and so do the tables, counted from 0
    assert place.tolist() == [0, 1, 3, 4]


def test_sum_of_the_hadamard_product():
    """Printed: the product is a number. It is a matrix, and the output is the sum of its entries, ae + bf + cg + dh."""
    left, right = numbers([1, 2], [3, 4]), numbers([5, 6], [7, 8])
    assert (left * right).tolist() == [[5, 12], [21, 32]]
    assert (left.flatten() @ right.flatten()).item() == 5 + 12 + 21 + 32 == 70
    assert cv.conv2d(left[None, None], right[None, None]).item() == 70


def test_reshape_is_of_all_outputs_together():
    """ "Reshape back": one window's dot product is one number; the numbers of all windows make the matrix."""
    v, w = normal(2, 3, 5, 6), normal(4, 3, 2, 3, seed=1)
    windows = cv.matrix.im2col(v, (2, 3))
    assert windows.shape == (2, 3 * 2 * 3, 4 * 4)
    same((w.flatten(1) @ windows).reshape(2, 4, 4, 4), cv.conv2d(v, w))


def test_two_dimensional_convolutions_added_over_channels():
    """ "Summation over the 3rd axis after convolution, for every value of the 4th"."""
    v, w = normal(3, 5, 5), normal(2, 3, 2, 2, seed=1)
    by_pair = [[cv.conv2d(v[i : i + 1], w[j : j + 1, i : i + 1]) for i in range(3)] for j in range(2)]
    same(torch.cat([sum(row) for row in by_pair]), cv.conv2d(v, w))


# -- Stride ------------------------------------------------------------------------------------------------------------


def test_stride_in_two_steps_and_in_one():
    """The slide's figures: convolution and then down-sampling, or a single operation; one output in two is wasted work."""
    x, w = line(1, 2, 3, 4, 5), line(1, 10, 100)
    every = cv.conv1d(x, w)
    same(every, line(321, 432, 543))
    same(every[..., ::2], line(321, 543))
    same(cv.conv1d(x, w, stride=2), line(321, 543))


def test_strided_output_is_z_jst():
    """Printed: z_ist with a sum over i. Output channels are j's: 3 of them here, where there are 2 of i."""
    v, k = normal(2, 7, 8), normal(3, 2, 3, 2, seed=1)
    u = (2, 3)  # a stride of its own in each direction
    z = torch.zeros(3, 3, 3, dtype=torch.float64)
    for j, s, t, i, m, n in itertools.product(from_1(3), from_1(3), from_1(3), from_1(2), from_1(3), from_1(2)):
        place = v[i - 1, m + (s - 1) * u[0] - 1, n + (t - 1) * u[1] - 1]
        z[j - 1, s - 1, t - 1] += place * k[j - 1, i - 1, m - 1, n - 1]
    same(cv.conv2d(v, k, stride=u), z)
    # as printed i is on the left and so is not summed over: 2 channels, and none of them is an output
    printed = [cv.conv2d(v[i : i + 1], k[:1, i : i + 1], stride=u)[0] for i in range(2)]
    assert len(printed) == 2
    for part in printed:
        different(part, z[0])
    same(sum(printed), z[0])


def test_valid_same_and_full_have_their_sizes():
    x, w = normal(1, 9, 9), normal(1, 1, 3, 3)
    sizes = {padding: cv.conv2d(x, w, padding=padding).shape[1:] for padding in ("valid", "same", "full")}
    assert sizes == {"valid": (7, 7), "same": (9, 9), "full": (11, 11)}
    same(cv.conv2d(x, w, padding="full")[:, 1:10, 1:10], cv.conv2d(x, w, padding="same"))
    same(cv.conv2d(x, w, padding="full")[:, 2:9, 2:9], cv.conv2d(x, w, padding="valid"))


# -- Local, tiled, channel-local ---------------------------------------------------------------------------------------


def test_depth_of_a_filter_is_not_the_number_of_filters():
    """Printed: a k x k x d filter "means d different filters". d is one filter's depth; there is one an output channel."""
    shared = cv.nn.Conv2d(3, 8, 5, bias=False)
    assert shared.weight.shape == (8, 3, 5, 5)  # 8 filters of 5 x 5 x 3, not 3
    local = cv.nn.LocalConv2d(3, 8, 5, bias=False, input_size=(12, 12))
    assert local.weight.shape == (8, 8, 8, 3, 5, 5)  # in local convolution one a position too: 8 * 64
    assert local.weight[..., 0, 0, 0].numel() == 8 * 64


def test_channel_local_is_about_channels_and_local_about_positions():
    """A channel-local layer has a kernel an edge of its graph, the same at all positions; a local one a kernel a position."""
    graph = cv.ChannelGraph.interlaced(4, 4, 2)
    assert [graph.parents(j) for j in range(4)] == [(0, 2), (1, 3), (0, 2), (1, 3)]
    layer = cv.nn.ChannelConv2d(graph, 3, bias=False)
    assert layer.weight.shape == (8, 3, 3)
    v, w = normal(4, 7, 7), normal(8, 3, 3, seed=1)
    z = torch.zeros(4, 5, 5, dtype=torch.float64)
    for kernel, (i, j) in zip(w, graph.edges.T.tolist(), strict=True):
        z[j] += cv.conv2d(v[i : i + 1], kernel[None, None])[0]
    same(cv.conv2d(v, w, channels=graph), z)
    unread, read = v.clone(), cv.conv2d(v, w, channels=graph)
    unread[1] += 1
    unchanged = (cv.conv2d(unread, w, channels=graph) == read).all(2).all(1)
    assert unchanged.tolist() == [True, False, True, False]  # outputs 0 and 2 do not read input 1


def test_channel_dependencies_compose():
    """Through two layers an output depends on what its parents depend on: one path from it to an input is enough."""
    first = cv.ChannelGraph.from_edges(3, 3, [(0, 0), (1, 0), (1, 1), (2, 2)])
    second = cv.ChannelGraph.from_edges(3, 2, [(0, 0), (2, 0), (1, 1)])
    assert (second @ first).parents(0) == (0, 1, 2)
    assert (second @ first).parents(1) == (1,)
    v = normal(3, 5, 5).requires_grad_()
    hidden = cv.conv2d(v, normal(4, 2, 2), channels=first)
    cv.conv2d(hidden, normal(3, 2, 2), channels=second)[1].sum().backward()
    assert v.grad.ne(0).any(2).any(1).tolist() == [False, True, False]
    for groups in (1, 2, 4, 8):  # after 4 interlaced groups, 8 / groups channels see everything when they are 4 or more
        clc = cv.ChannelGraph.groups(8, 8, groups) @ cv.ChannelGraph.interlaced(8, 8, 4)
        assert clc.is_full == (8 / groups >= 4)


@with_engines_of_tiles
def test_first_window_takes_kernel_1(engine):
    """Printed: s % l + 1, by which window 1 takes kernel 2. Meant: (s - 1) % l + 1."""
    s, l = from_1(5), 2  # noqa: E741 - the lecture's own letter
    assert [(s - 1) % l + 1 for s in s] == [1, 2, 1, 2, 1]
    assert [s % l + 1 for s in s] == [2, 1, 2, 1, 2]
    takes_turns = torch.tensor([[[[1.0]], [[2.0]]]], dtype=torch.float64)  # kernel r is the number r
    same(cv.conv1d(line(1, 1, 1, 1, 1), takes_turns, engine=engine), line(1, 2, 1, 2, 1))
    every = numbers(1, 2, 3, 4, 5).reshape(1, 5, 1, 1)  # l = 5, the output's size: as printed 2, 3, 4, 5, 1
    same(cv.conv1d(line(1, 1, 1, 1, 1), every, engine=engine), line(1, 2, 3, 4, 5))


def by_the_local_slide(v, w, l, output, phase):  # noqa: E741
    """z_jst = sum of v_{i, m+s-1, n+t-1} w_{j, phase(s), phase(t), i, m, n}, written out."""
    z = torch.zeros(w.shape[0], *output, dtype=v.dtype)
    tables = [range(1, size + 1) for size in (w.shape[0], *output, w.shape[3], *w.shape[4:])]
    for j, s, t, i, m, n in itertools.product(*tables):
        kernel = w[j - 1, phase(s, l) - 1, phase(t, l) - 1, i - 1, m - 1, n - 1]
        z[j - 1, s - 1, t - 1] += v[i - 1, m + s - 1 - 1, n + t - 1 - 1] * kernel
    return z


@with_engines_of_tiles
@pytest.mark.parametrize("tile", [1, 2, 3, 4])
def test_local_slide_has_the_tiled_formula(tile, engine):
    """With (s - 1) % l + 1 it is tiled convolution: shared for l = 1, local when l is the output's size, 4 here."""
    v, w = normal(2, 5, 5), normal(3, tile, tile, 2, 2, 2, seed=1)
    meant = by_the_local_slide(v, w, tile, (4, 4), lambda s, l: (s - 1) % l + 1)  # noqa: E741
    printed = by_the_local_slide(v, w, tile, (4, 4), lambda s, l: s % l + 1)  # noqa: E741
    same(cv.conv2d(v, w, engine=engine), meant)
    (same if tile == 1 else different)(printed, meant)
    same(cv.conv2d(v, torch.roll(w, (-1, -1), (1, 2))), printed)  # the printed one has every kernel a place too early
    if tile == 1:
        same(cv.conv2d(v, w[:, 0, 0], engine=engine), meant)
    if tile == 4:
        own = [[(v[:, s : s + 2, t : t + 2] * w[:, s, t]).sum((1, 2, 3)) for t in range(4)] for s in range(4)]
        same(torch.stack([torch.stack(row, -1) for row in own], -2), meant)


def by_the_tiled_slide(v, w, output):
    """z_ijk = sum of v_{l, m+j-1, n+k-1} w_{i, j, k, l, m, n}, as printed: no modulo, and l an input channel."""
    z = torch.zeros(w.shape[0], *output, dtype=v.dtype)
    tables = [range(size) for size in (w.shape[0], *output, w.shape[3], *w.shape[4:])]
    for i, j, k, l, m, n in itertools.product(*tables):  # noqa: E741
        z[i, j, k] += v[l, m + j, n + k] * w[i, j, k, l, m, n]
    return z


def test_tiled_slide_has_the_local_formula():
    """The two slides' formulas are swapped. Given a tile of 2 x 2 kernels, the printed one asks for a third and finds none."""
    v, local, tiled = normal(2, 5, 5), normal(3, 4, 4, 2, 2, 2, seed=1), normal(3, 2, 2, 2, 2, 2, seed=1)
    assert local.dim() == tiled.dim() == 6  # w_{i,j,m,l,r} has five
    same(cv.conv2d(v, local), by_the_tiled_slide(v, local, (4, 4)))
    with pytest.raises(IndexError, match="index 2 is out of bounds"):
        by_the_tiled_slide(v, tiled, (4, 4))
    assert cv.conv2d(v, tiled).shape == (3, 4, 4)


def test_tiled_memory_grows_by_the_size_of_the_tile():
    """ "Only by a factor of the size of this set": l * l kernels instead of one, against one a position in the local layer."""

    def parameters(layer):
        return sum(parameter.numel() for parameter in layer.parameters())

    shared = parameters(cv.nn.Conv2d(16, 32, 3, bias=False))
    assert shared == 32 * 16 * 9 == 4608
    for tile in (1, 2, 3):
        assert parameters(cv.nn.TiledConv2d(16, 32, 3, tile=tile, bias=False)) == tile**2 * shared
    assert parameters(cv.nn.LocalConv2d(16, 32, 3, input_size=(30, 30), bias=False)) == 28**2 * shared


def test_difference_of_the_three():
    """The slide's figures with windows of 2, as matrices: local, tiled with two kernels in turn, and shared ("full")."""

    def matrix(*weights):
        weight = numbers(*weights).reshape(1, -1, 1, 2)
        return cv.matrix.conv_matrix(weight, (1, 5)).to_dense()

    local = numbers([1, 2, 0, 0, 0], [0, 3, 4, 0, 0], [0, 0, 5, 6, 0], [0, 0, 0, 7, 8])
    tiled = numbers([1, 2, 0, 0, 0], [0, 3, 4, 0, 0], [0, 0, 1, 2, 0], [0, 0, 0, 3, 4])
    shared = numbers([1, 2, 0, 0, 0], [0, 1, 2, 0, 0], [0, 0, 1, 2, 0], [0, 0, 0, 1, 2])
    same(matrix(1, 2, 3, 4, 5, 6, 7, 8), local)
    same(matrix(1, 2, 3, 4), tiled)
    same(matrix(1, 2), shared)


# -- Backpropagation: the matrix ---------------------------------------------------------------------------------------


def test_filter_3_x_3_on_9_x_9():
    """M is 49 x 81 with 441 entries that are not zero; the windows are 9 x 49, and the product with them is the shorter."""
    found = cv.matrix.tables((9, 9), (3, 3))
    assert found.output_size == (7, 7)
    assert (found.matrix_shape, found.matrix_entries, found.im2col_shape) == ((49, 81), 49 * 9, (9, 49))
    picture, kernel = normal(1, 1, 9, 9), normal(1, 1, 3, 3, seed=1)
    M = cv.matrix.conv_matrix(kernel, (1, 9, 9))
    assert M.shape == (49, 81)
    assert (M.to_dense() != 0).sum() == M.values().numel() == 441
    windows = cv.matrix.im2col(picture, 3)
    assert windows.shape == (1, 9, 49)
    z = cv.conv2d(picture, kernel)
    same(M @ picture.flatten(), z.flatten())
    same(kernel.flatten() @ windows[0], z.flatten())


def test_backward_is_the_transposed_matrix():
    """ "Traditional backpropagation is transposed matrix multiplication", and through a convolution it is transposed M."""
    picture, kernel, gradient = normal(1, 1, 9, 9), normal(1, 1, 3, 3, seed=1), normal(1, 1, 7, 7, seed=2)
    M = cv.matrix.conv_matrix(kernel, (1, 9, 9)).to_dense()
    expected = (M.T @ gradient.flatten()).reshape(1, 1, 9, 9)
    same(cv.grad.conv2d_input(picture.shape, kernel, gradient), expected)
    same(cv.conv_transpose2d(gradient, kernel), expected)  # the same map as a layer's forward pass


# -- Backpropagation by example: 3 x 3 and 2 x 2 -----------------------------------------------------------------------

X = plane([1, 2, 3], [4, 5, 6], [7, 8, 9])
F = plane([1, 2], [3, 4])
G = plane([5, 6], [7, 8])  # dL/do


# The same in symbols: x_ij, F_ij, g_ij for dL/do_ij, and the outputs by the library's own table of windows.


def symbols(letter, size):
    return sympy.Matrix(size, size, lambda i, j: sympy.Symbol(f"{letter}{i + 1}{j + 1}"))


x_, F_, g_ = symbols("x", 3), symbols("F", 2), symbols("g", 2)
WINDOWS = cv.matrix.tables((3, 3), (2, 2)).windows.tolist()
o_ = sympy.Matrix(2, 2, [sum(f * x_[place] for f, place in zip(F_, places, strict=True)) for places in WINDOWS])
LOSS = sum(g * o for g, o in zip(g_, o_, strict=True))  # any loss, to first order


def by(matrix):
    """dL / d of each of these symbols."""
    return matrix.applyfunc(lambda symbol: sympy.diff(LOSS, symbol))


def value(expressions, x, f, g):
    """The expressions at these numbers, as a plane."""
    at = dict(zip([*x_, *F_, *g_], map(int, [*x.flatten(), *f.flatten(), *g.flatten()]), strict=True))
    return torch.tensor(np.array(expressions.subs(at)).astype(float))[None, None]


def equations(*rows):
    """A matrix of expressions, as the lecture writes them."""
    return sympy.Matrix([[sympy.sympify(term) for term in row] for row in rows])


FORWARD = equations(
    ["F11*x11 + F12*x12 + F21*x21 + F22*x22", "F11*x12 + F12*x13 + F21*x22 + F22*x23"],
    ["F11*x21 + F12*x22 + F21*x31 + F22*x32", "F11*x22 + F12*x23 + F21*x32 + F22*x33"],
)
FILTER_GRADIENT = equations(
    ["g11*x11 + g12*x12 + g21*x21 + g22*x22", "g11*x12 + g12*x13 + g21*x22 + g22*x23"],
    ["g11*x21 + g12*x22 + g21*x31 + g22*x32", "g11*x22 + g12*x23 + g21*x32 + g22*x33"],
)
INPUT_GRADIENT = equations(
    ["g11*F11", "g11*F12 + g12*F11", "g12*F12"],
    ["g11*F21 + g21*F11", "g11*F22 + g12*F21 + g21*F12 + g22*F11", "g12*F22 + g22*F12"],
    ["g21*F21", "g21*F22 + g22*F21", "g22*F22"],
)


def is_zero(expression):
    return sympy.expand(expression) == 0


def int_planes(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(-9, 10, (1, 1, n, n), generator=generator).double() for n in (3, 2, 2)]


@with_every_engine
def test_example_forward(engine):
    assert o_.expand() == FORWARD.expand()
    same(cv.conv2d(X, F, engine=engine), plane([37, 47], [67, 77]))
    for seed in range(20):
        x, f, g = int_planes(seed)
        same(cv.conv2d(x, f, engine=engine), value(FORWARD, x, f, g))


@with_every_engine
def test_example_filter_gradient(engine):
    assert by(F_).expand() == FILTER_GRADIENT.expand()
    same(cv.grad.conv2d_weight(X, F.shape, G, engine=engine), plane([85, 111], [163, 189]))
    for seed in range(20):
        x, f, g = int_planes(seed)
        same(cv.grad.conv2d_weight(x, f.shape, g, engine=engine), value(FILTER_GRADIENT, x, f, g))


@pytest.mark.parametrize("place", [*itertools.product(from_1(3), from_1(3))], ids=lambda place: "x{}{}".format(*place))
def test_example_input_gradient_all_nine_terms(place):
    i, j = (index - 1 for index in place)
    assert is_zero(by(x_)[i, j] - INPUT_GRADIENT[i, j])
    by_hand = numbers([5, 16, 12], [22, 60, 40], [21, 52, 32])[i, j]
    for engine in cv.engines():
        same(cv.grad.conv2d_input(X.shape, F, G, engine=engine)[0, 0, i, j], by_hand)
    for seed in range(20):
        x, f, g = int_planes(seed)
        same(cv.grad.conv2d_input(x.shape, f, g)[0, 0, i, j], value(INPUT_GRADIENT, x, f, g)[0, 0, i, j])


def test_example_as_a_matrix_of_symbols():
    """M, filled with 1 to 4, says where each F_ij stands: M x is the forward result, its transpose times g all nine terms."""
    codes = cv.matrix.conv_matrix(F, (1, 3, 3)).to_dense().int().tolist()
    M = sympy.Matrix(codes).applyfunc(lambda code: [0, *F_][int(code)])
    assert (M * x_.reshape(9, 1)).reshape(2, 2).expand() == FORWARD.expand()
    assert (M.T * g_.reshape(4, 1)).reshape(3, 3).expand() == INPUT_GRADIENT.expand()


def test_example_autograd_has_the_same_gradients():
    x, f = X.clone().requires_grad_(), F.clone().requires_grad_()
    cv.conv2d(x, f).backward(G)
    same(x.grad, plane([5, 16, 12], [22, 60, 40], [21, 52, 32]))
    same(f.grad, plane([85, 111], [163, 189]))


def test_last_entry_of_do_by_dF_is_do22():
    """Printed: "do" without its indices. do_22/dF_ij is x_{1+i, 1+j}; without this term dL/dF_11 would be 45 and not 85."""
    for i, j in itertools.product(from_1(2), repeat=2):
        by_output = o_.applyfunc(lambda o, symbol=F_[i - 1, j - 1]: sympy.diff(o, symbol))
        assert by_output == x_[i - 1 : i + 1, j - 1 : j + 1]
        assert by_output[1, 1] == sympy.Symbol(f"x{1 + i}{1 + j}")
        hadamard = g_.multiply_elementwise(by_output)
        assert is_zero(sum(hadamard) - FILTER_GRADIENT[i - 1, j - 1])
    only_last = torch.tensor([[0.0, 0.0], [0.0, 8.0]], dtype=torch.float64)[None, None]
    last = cv.grad.conv2d_weight(X, (1, 1, 2, 2), only_last)
    same(last, 8 * plane([5, 6], [8, 9]))
    assert cv.grad.conv2d_weight(X, (1, 1, 2, 2), G - only_last)[0, 0, 0, 0] == 45


def test_filter_gradient_is_the_input_correlated_with_the_gradient_in_this_order():
    """Printed: dL/do * X. The input comes first and the gradient is the kernel; other readings give other numbers."""
    meant = plane([85, 111], [163, 189])
    same(cv.conv2d(X, G), meant)
    with pytest.raises(ValueError, match="larger than the padded input"):
        cv.conv2d(G, X)  # in the printed order
    same(correlate(G[0, 0], X[0, 0], mode="valid")[None, None], turned(meant))  # or, with operands swapped, turned
    same(cv.conv2d(X, G, flip=True), plane([71, 97], [149, 175]))  # nor is it a convolution with the kernel turned


def test_filter_gradient_with_a_stride_dilates_the_gradient_and_crops():
    """x of 6, F of 3, stride 2: two outputs, the last entry of x unread. The correlation has a fourth entry to cut off."""
    x, g = line(1, 2, 3, 4, 5, 6), line(1, 10)
    meant = line(1 + 30, 2 + 40, 3 + 50)
    same(cv.grad.conv1d_weight(x, (1, 1, 3), g, stride=2), meant)
    dilated = cv.conv1d(x, g, dilation=2)
    same(dilated, line(31, 42, 53, 64))
    same(dilated[..., :3], meant)
    same(cv.conv1d(x, g)[..., :3], line(21, 32, 43))  # without dilation


def test_gradient_comes_from_the_later_layer():
    """Printed: "from the previous layer". It is the later one, which is the previous on the way back."""
    x, f1, f2 = normal(1, 1, 4, 4), normal(1, 1, 2, 2, seed=1), normal(1, 1, 2, 2, seed=2)
    x.requires_grad_()
    o = cv.conv2d(x, f1)
    o.retain_grad()
    at_the_end = normal(1, 1, 2, 2, seed=3)
    cv.conv2d(o, f2).backward(at_the_end)
    from_later = cv.grad.conv2d_input(o.shape, f2, at_the_end)  # made with the later layer's filter
    same(o.grad, from_later)
    same(x.grad, cv.grad.conv2d_input(x.shape, f1, from_later))
    with pytest.raises(ValueError, match="grad_output"):  # what goes on to the earlier layer does not even fit
        cv.grad.conv2d_input(x.shape, f1, x.grad)


def test_example_dx12_takes_g12():
    """Printed: g11 F12 + g11 F11, which is 15 in numbers. Meant: g11 F12 + g12 F11, 16."""
    meant, printed = sympy.sympify("g11*F12 + g12*F11"), sympy.sympify("g11*F12 + g11*F11")
    assert is_zero(by(x_)[0, 1] - meant)
    assert is_zero(meant - printed - sympy.sympify("F11*(g12 - g11)"))
    assert value(sympy.Matrix([[meant, printed]]), X, F, G).flatten().tolist() == [16, 15]
    assert cv.grad.conv2d_input(X.shape, F, G)[0, 0, 0, 1] == 16


def test_example_dx22_has_four_terms():
    """Printed: g21 F12 + g22 F11, 22 in numbers. The middle is in all four windows: + g11 F22 + g12 F21, 60."""
    meant, printed = INPUT_GRADIENT[1, 1], sympy.sympify("g21*F12 + g22*F11")
    assert is_zero(by(x_)[1, 1] - meant)
    assert is_zero(meant - printed - sympy.sympify("g11*F22 + g12*F21"))
    assert value(sympy.Matrix([[meant, printed]]), X, F, G).flatten().tolist() == [60, 22]
    assert cv.grad.conv2d_input(X.shape, F, G)[0, 0, 1, 1] == 60
    in_windows = cv.matrix.col2im(cv.matrix.im2col(torch.ones_like(X), 2), (3, 3), 2)
    same(in_windows, plane([1, 2, 1], [2, 4, 2], [1, 2, 1]))


def test_example_input_gradient_is_the_padded_gradient_with_the_inverted_filter():
    """(dL/do)_p * F_inv, in symbols and in numbers."""
    F_inv = F_[::-1, ::-1]
    assert F_inv == equations(["F22", "F21"], ["F12", "F11"])
    padded = sympy.zeros(4, 4)
    padded[1:3, 1:3] = g_
    terms = sympy.Matrix(3, 3, lambda i, j: sum(padded[i : i + 2, j : j + 2].multiply_elementwise(F_inv)))
    assert terms.expand() == INPUT_GRADIENT.expand()
    same(cv.conv2d(G, turned(F), padding=1), plane([5, 16, 12], [22, 60, 40], [21, 52, 32]))
    same(cv.conv2d(G, F, padding="full", flip=True), plane([5, 16, 12], [22, 60, 40], [21, 52, 32]))
    different(cv.conv2d(G, F, padding=1), cv.grad.conv2d_input(X.shape, F, G))  # not inverted


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_padding_of_the_gradient_is_f_minus_1(size):
    """Printed: floor(F/2). For a valid, unstrided convolution it is F - 1, the same only up to F = 2."""
    x, f = normal(1, 1, 7, 7), normal(1, 1, size, size, seed=1)
    g = normal(*cv.conv2d(x, f).shape, seed=2)
    meant = cv.grad.conv2d_input(x.shape, f, g)
    same(cv.conv2d(g, turned(f), padding=size - 1), meant)
    if size <= 2:
        assert size // 2 == size - 1
        return
    padded = g.shape[2] + 2 * (size // 2)
    assert (size // 2, padded - size + 1) == {3: (1, 5), 4: (2, 5), 5: (2, 3)}[size]  # where 7 x 7 is wanted
    assert cv.conv2d(g, turned(f), padding=size // 2).shape != meant.shape


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("before, after", [(0, 0), (1, 1), (0, 2), (3, 1)])
def test_padding_of_the_gradient_with_stride_dilation_and_padding(stride, dilation, before, after):
    """u - 1 zeros between entries, d(F-1) - p before, d(F-1) - p + r after, r what the last window leaves; negative: crop."""
    H, size = 9, 3
    f = normal(1, 1, size, seed=1)
    arguments = {"stride": stride, "dilation": dilation, "padding": ((before, after),)}
    g = normal(*cv.conv1d(normal(1, 1, H), f, **arguments).shape, seed=2)
    between = torch.zeros(1, 1, (g.shape[2] - 1) * stride + 1, dtype=g.dtype)
    between[..., ::stride] = g
    reach = dilation * (size - 1)
    r = (H + before + after - reach - 1) % stride
    padded = torch.nn.functional.pad(between, (reach - before, reach - after + r))
    same(cv.conv1d(padded, f.flip(-1), dilation=dilation), cv.grad.conv1d_input((1, 1, H), f, g, **arguments))


def test_inverted_filter_is_turned_by_180_degrees():
    """Printed: by the centre in the middle cell. Flipped along rows and then columns, any size; a centre is not needed."""
    a = sympy.Matrix(3, 3, lambda i, j: sympy.Symbol(f"a{i + 1}{j + 1}"))
    assert a[:, ::-1] == equations(["a13", "a12", "a11"], ["a23", "a22", "a21"], ["a33", "a32", "a31"])
    assert a[:, ::-1][::-1, :] == equations(["a33", "a32", "a31"], ["a23", "a22", "a21"], ["a13", "a12", "a11"])
    for rows, columns in ((3, 3), (2, 2), (2, 3), (1, 4), (4, 1)):  # those with an even side have no middle cell
        x, f = normal(1, 1, 6, 6), normal(1, 1, rows, columns, seed=1)
        g = normal(*cv.conv2d(x, f).shape, seed=2)
        f_inv = torch.rot90(f, 2, (-2, -1))
        same(f_inv, f.flip(-1).flip(-2))
        meant = cv.conv2d(g, f_inv, padding=(rows - 1, columns - 1))
        same(cv.grad.conv2d_input(x.shape, f, g), meant)
    inverse = torch.linalg.inv(F[0, 0])  # inverted, not inverse
    different(turned(F)[0, 0], inverse)


def test_gradient_of_each_window_then_added_over_shared_weights():
    """ "Convert layer-wise derivative to weight-wise derivative and add over shared weights": local first, then the sum."""
    by_window = cv.grad.conv2d_weight(X, (1, 2, 2, 1, 2, 2), G)[0, :, :, 0]  # (row, column of the window, m, n)
    expected = numbers(
        [[[5, 10], [20, 25]], [[12, 18], [30, 36]]],
        [[[28, 35], [49, 56]], [[40, 48], [64, 72]]],
    )
    same(by_window, expected)
    same(by_window.sum((0, 1)), numbers([85, 111], [163, 189]))
    assert math.prod(by_window.shape) == 16


# -- The document ------------------------------------------------------------------------------------------------------


def test_document_names_the_tests_that_hold_it():
    """Every test that it names exists, and every test of this file is named."""
    here = Path(__file__).parent
    named = set(re.findall(r"`(test_\w+)`", (here.parent / "docs" / "lecture.md").read_text(encoding="utf-8")))
    ours, identities = (
        set(re.findall(r"^def (test_\w+)", (here / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("test_lecture.py", "test_identities.py")
    )
    assert named <= ours | identities
    assert ours - named == {"test_document_names_the_tests_that_hold_it"}
