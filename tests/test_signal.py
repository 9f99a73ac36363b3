"""Signals, against scipy: every mode, method, rank and kind of number; averages and integrals against closed forms."""

import itertools

import numpy as np
import pytest
import scipy.signal
import torch

import convarium as cv
from family import seeds


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_scipy_agrees(mode, method):
    for seed, kind in itertools.product(seeds(25, 300), ("float64", "complex128", "int64")):
        rnd = np.random.default_rng(seed)
        n = int(rnd.integers(1, 4))
        sizes = rnd.integers(1, 6, (2, n))
        if mode == "valid":
            sizes = np.stack([sizes.max(0), sizes.min(0)])
        x, w = (rnd.standard_normal(size) * 5 for size in sizes)
        if kind == "complex128":
            x, w = x + 1j * x[::-1], w - 2j * w
        x, w = x.astype(kind), w.astype(kind)
        for ours, theirs in ((cv.convolve, scipy.signal.convolve), (cv.correlate, scipy.signal.correlate)):
            got, expected = ours(x, w, mode, method=method), theirs(x, w, mode)
            assert isinstance(got, np.ndarray)
            assert got.dtype == expected.dtype
            np.testing.assert_allclose(got, expected, atol=1e-9, err_msg=f"{ours.__name__} seed {seed} {kind}")


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_gradients(method):
    x, w = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((5, 4), (2, 3)))
    assert torch.autograd.gradcheck(lambda x, w: cv.convolve(x, w, "same", method=method), (x, w))
    assert torch.autograd.gradcheck(lambda x, w: cv.correlate(x, w, "full", method=method), (x, w))


def test_weights_that_are_no_density_are_refused():
    with pytest.raises(ValueError, match="short"):
        cv.weighted_average(np.arange(4.0), np.array([0.5, 0.25]))
    np.testing.assert_allclose(cv.weighted_average(np.full(5, 3.0), np.array([0.5, 0.25, 0.25])), np.full(5, 3.0))


@pytest.mark.parametrize("call", [cv.convolve, cv.correlate])
def test_wrong_calls(call):
    with pytest.raises(ValueError, match="full"):
        call(np.ones(3), np.ones(2), mode="half")
    with pytest.raises(TypeError):
        call(np.ones(3), torch.ones(2))
    with pytest.raises(ValueError, match="fft"):
        call(np.ones(3), np.ones(2), method="magic")
