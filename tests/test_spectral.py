"""The Fourier engine where random problems seldom lead: many segments and parts, long kernels, what it promises and what not."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import convarium as cv
from convarium._engines import spectral
from convarium._spec.problem import MAPS
from family import random_case, seeds
from test_engines import can, check


@pytest.fixture
def small(monkeypatch):
    """Segments and parts as small as kernels allow."""

    def clear():
        spectral._lines.cache_clear()
        spectral._line.cache_clear()

    monkeypatch.setattr(spectral, "POINTS", 1)
    monkeypatch.setattr(spectral, "WORKSPACE", 1)
    clear()
    yield
    clear()


def test_it_agrees_in_the_smallest_parts(small):
    cut = 0
    for seed in seeds(300, 2000):
        case = random_case(seed, least_batch=1)
        if can("spectral", case.problem()):
            check("spectral", case)
            cut += any(len(line.segments) > 1 for map in MAPS for line in spectral._lines(map, case.problem()))
    assert cut > 20


def test_nothing_but_padding_is_zero(small):
    x, w = torch.ones(1, 1, 3, 900, requires_grad=True), torch.ones(1, 1, 1, 300, requires_grad=True)
    z = cv.conv2d(x, w, stride=(20, 1), padding=(5, 0), engine="spectral")
    assert not z.any()
    assert not any(gradient.any() for gradient in torch.autograd.grad(z.sum(), (x, w)))


LONG = {
    "many taps": ((2, 1, 5000), (1, 1, 801), {}),
    "more taps than signal": ((1, 2, 300), (2, 2, 700), {"padding": "full"}),
    "a stride": ((2, 2, 3000), (2, 2, 201), {"stride": 7, "padding": 100}),
    "a stride and dilation": ((1, 2, 4000), (2, 1, 101), {"stride": 3, "dilation": 5, "groups": 2, "padding": 11}),
    "one long direction of two": ((1, 2, 9, 2000), (4, 1, 3, 301), {"groups": 2, "padding": 1}),
    "turned": ((2, 3, 900), (3, 3, 64), {"flip": True, "padding": "same"}),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("points", [None, 2048])
def test_long_kernels(name, points, monkeypatch):
    if points is not None:
        monkeypatch.setattr(spectral, "POINTS", points)
        spectral._lines.cache_clear()
    input, weight, options = LONG[name]
    n = len(input) - 2
    convolve = getattr(cv, f"conv{n}d")
    x, w = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in (input, weight))
    z = convolve(x, w, engine="spectral", **options)
    expected = convolve(x, w, engine="matmul", **options)
    g = torch.randn_like(z)
    torch.testing.assert_close(z, expected)
    for got, wanted in zip(*(torch.autograd.grad(each, (x, w), g) for each in (z, expected)), strict=True):
        torch.testing.assert_close(got, wanted)
    spectral._lines.cache_clear()


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 2e-6), (torch.float64, 4e-15)])
@pytest.mark.parametrize("taps", [100, 3000, 30_000])
def test_errors_grow_with_the_logarithm_only(dtype, allowed, taps):
    """Relative to the largest output."""
    x, w = torch.randn(1, 1, 2 * taps, dtype=torch.float64), torch.randn(1, 1, taps, dtype=torch.float64)
    x, w = x.to(dtype), w.to(dtype)
    exact = np.correlate(*(t.double().numpy().ravel().astype(np.longdouble) for t in (x, w)), "valid").astype(
        np.float64
    )
    error = (cv.conv1d(x, w, engine="spectral").double().ravel() - torch.from_numpy(exact)).abs().max()
    assert error <= allowed * np.abs(exact).max()


def test_auto_takes_it_for_large_kernels_and_not_for_small_ones():
    assert set(cv.plan1d((8, 1, 160_000), (1, 1, 16_001)).engines.values()) == {"spectral"}
    assert set(cv.plan2d((4, 64, 56, 56), (64, 1, 31, 31), padding=15, groups=64).engines.values()) == {"spectral"}
    for size in (3, 5, 7):
        plan = cv.plan2d((16, 64, 56, 56), (64, 64, size, size), padding=size // 2)
        assert "spectral" not in plan.engines.values()
    assert "a NaN or infinity reaches a whole segment" in str(cv.plan1d((8, 1, 160_000), (1, 1, 16_001)))


def test_kernels_that_take_turns_are_refused_by_name():
    with pytest.raises(ValueError, match="kernels that take turns have no transform in common"):
        cv.conv1d(torch.ones(1, 1, 9), torch.ones(1, 2, 1, 3), engine="spectral")


PEAK = """
import re, torch, convarium as cv
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
torch.set_num_threads(1)
cv.conv1d(torch.ones(1, 1, 4000), torch.ones(1, 1, 500), engine="spectral")
x, w = torch.ones(1, 1, 30_000_000), torch.ones(1, 1, 5000)
z = torch.ones(1, 1, 30_000_000 - 4999)
before = peak()
z = cv.conv1d(x, w, engine="spectral")
print(peak() - before - z.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is Linux' to tell")
def test_a_long_signal_takes_bounded_memory():
    """120 MB of signal; its transform as a whole would be 240 MB more, and there would be three."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 64 * 2**20
