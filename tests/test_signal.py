"""Signals, against scipy: every mode, method, rank and kind of number; averages and integrals against closed forms."""

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import convarium as cv
from convarium._signal.choice import direct_cost, fft_cost
from convarium._signal.shifts import by_shifts
from convarium._signal.window import Window, window
from convarium._spec.lengths import fast_length
from family import seeds

MODES = ("full", "same", "valid")
CALLS: dict[Callable[..., Any], Callable[..., Any]] = {
    cv.convolve: scipy.signal.convolve,
    cv.correlate: scipy.signal.correlate,
}


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


# --- what compares, and proof that it can say no


def agree(actual: Any, expected: Any, x: Any, w: Any, told: str = "") -> None:
    """Same kind, shape and dtype; floating values to a few roundings of the sum of the products' sizes."""
    assert type(actual) is type(expected), f"{type(actual)} is not {type(expected)} {told}"
    assert actual.shape == expected.shape, f"{actual.shape} is not {expected.shape} {told}"
    assert actual.dtype == expected.dtype, f"{actual.dtype} is not {expected.dtype} {told}"
    if expected.dtype.kind in "biu":
        assert np.array_equal(actual, expected), f"not the same whole numbers {told}"
        return
    roundings = [np.finfo(part.dtype).eps for part in map(np.asarray, (x, w, expected)) if part.dtype.kind in "fc"]
    size = np.linalg.norm(np.ravel(x).astype(complex)) * np.linalg.norm(np.ravel(w).astype(complex))
    off = np.abs(actual - expected).max(initial=0)
    assert off <= 16 * max(roundings) * size, f"off by {off} {told}"


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.3
    if kind.kind in "iu":
        return rng.integers(0 if kind.kind == "u" else -100, 100, shape).astype(kind)
    real = rng.normal(size=shape)
    return (real + 1j * rng.normal(size=shape) if kind.kind == "c" else real).astype(kind)


def shapes(rng: np.random.Generator, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of that rank, even and odd; two times in three one is inside the other, so that 'valid' exists."""
    most = {1: 30, 2: 9, 3: 6, 4: 4}[rank]
    n, k = (tuple(int(size) for size in rng.integers(1, most + 1, rank)) for _ in range(2))
    turn = rng.integers(3)
    if turn == 0:
        return tuple(map(max, n, k)), tuple(map(min, n, k))
    if turn == 1:
        return tuple(map(min, n, k)), tuple(map(max, n, k))
    return n, k


@pytest.mark.parametrize(
    "wrong",
    [np.ones(3), np.ones((4, 1)), np.ones(4, np.float32), np.array([1.0, 1, 1, 1 + 1e-12]), torch.ones(4).double()],
    ids=["shape", "rank", "dtype", "value", "kind"],
)
def test_the_comparison_can_fail(wrong: Any) -> None:
    agree(np.ones(4), np.ones(4), np.ones(2), np.ones(2))
    with pytest.raises(AssertionError):
        agree(wrong, np.ones(4), np.ones(2), np.ones(2))


# --- convolve and correlate against SciPy

DTYPES = [
    ("float64", "float64"),
    ("float32", "float32"),
    ("complex128", "complex128"),
    ("complex64", "complex64"),
    ("int64", "int64"),
    ("int32", "int32"),
    ("uint8", "uint8"),
    ("int16", "int8"),
    ("uint16", "uint16"),
    ("uint32", "int32"),
    ("uint64", "uint64"),
    ("float32", "float64"),
    ("int32", "float32"),
    ("complex64", "int16"),
    ("float64", "complex64"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
@pytest.mark.parametrize("dtypes", DTYPES, ids="-".join)
def test_scipy(call: Callable[..., Any], method: str, dtypes: tuple[str, str]) -> None:
    rng = np.random.default_rng(1)
    for number in seeds(12, 1000):
        n, k = shapes(rng, 1 + number % 4)
        x, w = numbers(rng, n, dtypes[0]), numbers(rng, k, dtypes[1])
        for mode in MODES:
            told = f"case {number}: {call.__name__} of {n} and {k}, {dtypes}, {mode}, {method}"
            try:
                with np.errstate(invalid="ignore"):  # SciPy casts memory that it has not set
                    expected = CALLS[call](x, w, mode=mode, method="direct")
            except ValueError:
                with pytest.raises(ValueError, match="mode='valid' needs"):
                    call(x, w, mode, method=method)
                continue
            agree(call(x, w, mode, method=method), expected, x, w, told)


@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_scipy_axes(method: str) -> None:
    rng = np.random.default_rng(2)
    for number in seeds(200, 4000):
        rank = 1 + number % 4
        n, k = (list(shape) for shape in shapes(rng, rank))
        axes = tuple(int(axis) for axis in rng.permutation(rank)[: rng.integers(1, rank + 1)])
        for axis in set(range(rank)) - set(axes):
            n[axis], k[axis] = [(n[axis], n[axis]), (n[axis], 1), (1, k[axis])][rng.integers(3)]
        x, w = numbers(rng, tuple(n), "float64"), numbers(rng, tuple(k), "float64")
        named = axes if rng.integers(2) else tuple(axis - rank for axis in axes)
        # SciPy's 'same' and 'valid' also crop the axes that broadcast; for its numbers they are broadcast before.
        batch = np.broadcast_shapes(*([1 if a in axes else size for a, size in enumerate(s)] for s in (n, k)))
        wide = np.broadcast_to(x, [n[a] if a in axes else batch[a] for a in range(rank)])
        for mode in MODES:
            told = f"case {number}: {tuple(n)} and {tuple(k)}, {mode}, axes {named}"
            if mode == "valid" and any(n[a] < k[a] for a in axes) and any(n[a] > k[a] for a in axes):
                with pytest.raises(ValueError, match="mode='valid' needs"):
                    cv.convolve(x, w, mode, named, method)
                continue
            kernel = np.broadcast_to(w, [k[a] if a in axes else batch[a] for a in range(rank)])
            expected = scipy.signal.fftconvolve(wide, kernel, mode=mode, axes=axes)
            agree(cv.convolve(x, w, mode, named, method), expected, wide, kernel, told)
            agree(cv.correlate(x, np.flip(w, axes), mode, named, method), expected, wide, kernel, told)
        if len(axes) == 1:
            agree(cv.convolve(x, w, axes=named[0], method=method), cv.convolve(x, w, axes=named, method=method), x, w)


def test_booleans_say_whether_any_product_is_true() -> None:
    rng = np.random.default_rng(3)
    for number in seeds(50, 1000):
        n, k = shapes(rng, 1 + number % 3)
        x, w = numbers(rng, n, "bool"), numbers(rng, k, "bool")
        expected = scipy.signal.convolve(x.astype(int), w.astype(int)) > 0
        for method in ("direct", "fft", "auto"):
            agree(cv.convolve(x, w, method=method), expected, x, w)
    assert cv.convolve(np.ones(300, bool), np.ones(300, bool)).all()  # where 256 are true, it is not none


def test_half_precision_is_computed_in_single_precision() -> None:
    rng = np.random.default_rng(4)
    x, w = rng.normal(size=(50, 50)).astype(np.float16), rng.normal(size=(9, 9)).astype(np.float16)
    exact = scipy.signal.convolve(x.astype(float), w.astype(float))
    brains = [torch.from_numpy(part).bfloat16() for part in (x, w)]
    rounded = scipy.signal.convolve(*(part.double().numpy() for part in brains))
    for method in ("direct", "fft"):
        z = cv.convolve(x, w, method=method)
        assert z.dtype == np.float16
        np.testing.assert_allclose(z, exact, rtol=2**-10, atol=1e-4)
        brain = cv.convolve(*brains, method=method)
        assert brain.dtype == torch.bfloat16
        np.testing.assert_allclose(brain.double(), rounded, rtol=2**-8, atol=1e-4)
    assert cv.convolve(torch.ones(3).half(), torch.ones(2).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("method", ["auto", "direct", "fft"])
def test_single_numbers(method: str) -> None:
    z = cv.convolve(3, 4, method=method)
    assert z == 12
    assert z.dtype == np.dtype(int)
    assert cv.correlate(1 + 2j, 3j, method=method) == (1 + 2j) * -3j
    assert cv.convolve(torch.tensor(3.0), torch.tensor(4.0), method=method).item() == 12


@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_empty_batch(method: str) -> None:
    assert cv.convolve(np.ones((0, 5)), np.ones((1, 3)), axes=1, method=method).shape == (0, 7)
    assert cv.convolve(np.ones((1, 5)), np.ones((0, 3)), "valid", axes=1, method=method).shape == (0, 3)
    assert cv.correlate(torch.ones(4, 0, 5), torch.ones(4, 0, 2), "same", (0, 2), method).shape == (4, 0, 5)


# --- integers, and what is not finite


def test_integers_are_exact_and_wrap() -> None:
    big = np.array([2**53 + 1, -(2**60), 3])
    assert cv.convolve(big, [1, 2]).tolist() == [2**53 + 1, 2**54 + 2 - 2**60, 3 - 2**61, 6]
    assert cv.convolve(np.array([200], np.uint8), np.array([200], np.uint8)).tolist() == [40000 % 256]
    top = np.array([2**64 - 1, 1], np.uint64)
    for method in ("direct", "fft"):
        assert cv.convolve(top, np.array([3], np.uint64), method=method).tolist() == [2**64 - 3, 3]


def test_the_fft_is_not_chosen_where_rounding_would_not_be_exact() -> None:
    rng = np.random.default_rng(5)
    small, large = rng.integers(-9, 9, (2, 300, 300)), rng.integers(-(2**28), 2**28, (2, 300, 300))
    assert cv.signal.choose_method(*small) == "fft"
    assert cv.signal.choose_method(*large) == "direct"
    x, w = small[:, :90, :90]
    assert np.array_equal(cv.convolve(x, w, method="fft"), cv.convolve(x, w, method="direct"))
    unseen = torch.ones(300, 300, dtype=torch.int64, device="meta")
    assert cv.signal.choose_method(unseen, unseen) == "direct"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("which", ["x", "w"])
def test_what_is_not_finite_reaches_its_own_outputs_only(value: float, mode: str, which: str) -> None:
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(40, 40)), rng.normal(size=(21, 20))
    clean = cv.convolve(x, w, mode, method="direct")
    spoiled = x if which == "x" else w
    spoiled[7, 8] = value
    mark = np.zeros_like(spoiled)
    mark[7, 8] = 1
    pair = (mark, np.ones_like(w)) if which == "x" else (np.ones_like(x), mark)
    reached = cv.convolve(*pair, mode, method="direct") > 0
    z = cv.convolve(x, w, mode)  # 'auto' sees that the FFT would spread it
    assert cv.signal.choose_method(x, w, mode) == "direct"
    assert np.array_equal(~np.isfinite(z), reached)
    assert np.array_equal(z[~reached], clean[~reached])
    assert np.isnan(cv.convolve(x, w, mode, method="fft")).all()


# --- the method


def test_auto_is_the_method_that_choose_method_names() -> None:
    rng = np.random.default_rng(7)
    seen = set()
    for size, taps, mode in itertools.product((16, 300), (3, 40), MODES):
        x, w = rng.normal(size=(size, size)), rng.normal(size=(taps, taps))
        name = cv.signal.choose_method(x, w, mode)
        seen.add(name)
        for call in CALLS:
            assert np.array_equal(call(x, w, mode), call(x, w, mode, method=name))
    assert seen == {"direct", "fft"}
    assert cv.signal.choose_method(np.ones((300, 300)), np.ones((1, 300)), axes=1) == "fft"
    assert cv.signal.choose_method(np.ones((300, 300)), np.ones((1, 3)), axes=1) == "direct"


def test_the_cost_model_counts_the_products_of_the_definition() -> None:
    rng = np.random.default_rng(8)
    for number, mode in itertools.product(seeds(50, 1000), MODES):
        n, k = shapes(rng, 1 + number % 3)
        if mode == "valid":
            n, k = tuple(map(max, n, k)), tuple(map(min, n, k))
        products = scipy.signal.convolve(np.ones(n, int), np.ones(k, int), mode, "direct").sum()
        assert window("test", n, k, mode, None).multiply_adds == products, f"{n} {k} {mode}"
    small, large = (window("test", (500, 500), (side, side), "full", None) for side in (3, 50))
    assert direct_cost(small, False) < fft_cost(small, False)
    assert direct_cost(large, True) > fft_cost(large, True)


def test_fast_lengths() -> None:
    def rest(n: int) -> int:
        for prime in (2, 3, 5, 7):
            while n % prime == 0:
                n //= prime
        return n

    smooth = [n for n in range(1, 3000) if rest(n) == 1]
    for least in range(1, 2500):
        assert fast_length(least) == next(n for n in smooth if n >= least)


def test_windows_past_the_full_convolution_are_zero_there() -> None:
    rng = np.random.default_rng(9)
    for number in seeds(50, 1000):
        n, k = shapes(rng, 1 + number % 3)
        x, w = (torch.from_numpy(numbers(rng, shape, "float64")) for shape in (n, k))
        full = cv.convolve(x, w, method="direct").numpy()
        start = tuple(int(first) for first in rng.integers(-5, 9, len(n)))
        size = tuple(int(length) for length in rng.integers(1, 9, len(n)))
        expected = np.zeros(size)
        for index in np.ndindex(size):
            at = tuple(map(operator.add, index, start))
            if all(0 <= place < length for place, length in zip(at, full.shape, strict=True)):
                expected[index] = full[at]
        z = by_shifts(x, w, Window(n, k, tuple(range(len(n))), start, size))
        np.testing.assert_allclose(z, expected, atol=1e-12)


def test_large_outputs_are_summed_in_blocks_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(10)
    x, w = rng.normal(size=(3, 40, 50)), rng.normal(size=(1, 5, 4))
    whole = cv.convolve(x, w, axes=(2, 1), method="direct")
    monkeypatch.setattr("convarium._signal.shifts._BLOCK", 700)
    assert np.array_equal(cv.convolve(x, w, axes=(2, 1), method="direct"), whole)


# --- arrays as people have them


def arrays() -> dict[str, Any]:
    base = np.arange(12.0)
    frozen = base.copy()
    frozen.flags.writeable = False
    return {
        "reversed": base[::-1],
        "strided": base[::3],
        "big-endian": base.astype(">f8"),
        "broadcast": np.broadcast_to(np.float64(2), (5,)),
        "read-only": frozen,
        "field of a record": np.zeros(4, [("a", "i1"), ("b", "f8")])["b"],
        "Fortran": np.asfortranarray(base.reshape(3, 4)),
        "list": base.tolist(),
        "row": base.reshape(2, 6)[1],
    }


@pytest.mark.parametrize("name", arrays())
@pytest.mark.parametrize("method", ["direct", "fft"])
def test_layouts(name: str, method: str) -> None:
    x = arrays()[name]
    before = np.array(x, dtype=float)
    w = np.arange(1.0, 3.0).reshape((1,) * (before.ndim - 1) + (2,))
    z = cv.convolve(x, w, method=method)
    agree(z, scipy.signal.convolve(before, w), before, w)
    z[...] = -1
    assert np.array_equal(x, before)


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_the_result_is_a_contiguous_array_of_its_own(method: str) -> None:
    x, w = np.ones(5), np.ones(1)
    z = cv.convolve(x, w, method=method)
    z += 1
    assert x.tolist() == [1] * 5
    for mode, call in itertools.product(MODES, CALLS):
        assert call(torch.ones(5, 6), torch.ones(2, 3), mode, method=method).is_contiguous()


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_twice_the_same_bits(method: str) -> None:
    rng = np.random.default_rng(11)
    x, w = rng.normal(size=(200, 200)).astype(np.float32), rng.normal(size=(7, 8)).astype(np.float32)
    assert np.array_equal(cv.convolve(x, w, method=method), cv.convolve(x, w, method=method))


# --- identities


def test_convolution_commutes() -> None:
    rng = np.random.default_rng(12)
    for number in seeds(50, 1000):
        n, k = shapes(rng, 1 + number % 4)
        x, w = numbers(rng, n, "complex128"), numbers(rng, k, "complex128")
        for method in ("direct", "fft"):
            agree(cv.convolve(x, w, method=method), cv.convolve(w, x, method=method), x, w)


def test_correlation_is_convolution_with_the_turned_kernel_and_does_not_commute() -> None:
    rng = np.random.default_rng(13)
    for number in seeds(50, 1000):
        n, k = shapes(rng, 1 + number % 4)
        x, w = numbers(rng, n, "complex128"), numbers(rng, k, "complex128")
        for method in ("direct", "fft"):
            one = cv.correlate(x, w, method=method)
            agree(one, cv.convolve(x, np.flip(w).conj(), method=method), x, w)
            agree(np.flip(cv.correlate(w, x, method=method)).conj(), one, x, w)
    # The lecture has it that the two are "clearly the same". A picture and a kernel that say they are not:
    picture, kernel = np.array([[1, 2], [3, 4]]), np.array([[0, 1], [0, 0]])
    assert cv.convolve(picture, kernel).tolist() == [[0, 1, 2], [0, 3, 4], [0, 0, 0]]
    assert cv.correlate(picture, kernel).tolist() == [[0, 0, 0], [1, 2, 0], [3, 4, 0]]
    assert cv.correlate(kernel, picture).tolist() == [[0, 4, 3], [0, 2, 1], [0, 0, 0]]
    unturned = np.array([[1, 2], [2, 1]])  # the same numbers only for a kernel that turning leaves alone
    assert np.array_equal(cv.convolve(picture, unturned), cv.correlate(picture, unturned))


def test_convolution_is_linear_and_equivariant() -> None:
    rng = np.random.default_rng(14)
    for number in seeds(50, 1000):
        n, k = shapes(rng, 1 + number % 3)
        x, y, w = (numbers(rng, shape, "float64") for shape in (n, n, k))
        sizes = np.abs(x) + np.abs(y)
        agree(cv.convolve(2 * x - y, w), 2 * cv.convolve(x, w) - cv.convolve(y, w), sizes, 3 * w)
        moved = np.concatenate([np.zeros((2, *n[1:])), x])
        agree(cv.convolve(moved, w)[2:], cv.convolve(x, w), x, w)


@pytest.mark.parametrize("length", [3, 4])
def test_same_is_one_step_away_from_a_layer_where_the_kernel_is_even(length: int) -> None:
    x, w = torch.randn(9), torch.randn(length)
    layers = cv.conv1d(x[None], w[None, None], padding="same", flip=True)[0]
    full = cv.convolve(x, w)
    torch.testing.assert_close(cv.convolve(x, w, "same"), full[(length - 1) // 2 :][:9])
    torch.testing.assert_close(layers, full[length // 2 :][:9])


# --- torch


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_torch_gives_what_numpy_gives(call: Callable[..., Any], method: str) -> None:
    rng = np.random.default_rng(15)
    for number, dtype in itertools.product(seeds(10, 200), ["float64", "complex64", "int32", "uint16", "bool"]):
        n, k = shapes(rng, 1 + number % 4)
        x, w = numbers(rng, n, dtype), numbers(rng, k, dtype)
        z = call(torch.from_numpy(x), torch.from_numpy(w), method=method)
        assert isinstance(z, torch.Tensor)
        agree(z.numpy(), call(x, w, method=method), x, w)


def test_dtypes_promote_as_the_library_of_the_operands_does() -> None:
    x, w = np.ones(3, np.int64), np.ones(2, np.float32)
    assert cv.convolve(x, w).dtype == np.float64
    assert cv.convolve(torch.from_numpy(x), torch.from_numpy(w)).dtype == torch.float32


GRADIENTS: list[tuple[tuple[int, ...], tuple[int, ...], Any]] = [
    ((9,), (4,), None),
    ((3,), (8,), None),
    ((4, 5), (3, 2), None),
    ((2, 3, 3), (2, 2, 3), None),
    ((2, 1, 5), (1, 3, 4), 2),
    ((3, 2, 4), (3, 3, 2), (2, 1)),
    ((), (), None),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_derivatives(call: Callable[..., Any], method: str, mode: str, dtype: torch.dtype) -> None:
    for n, k, axes in GRADIENTS if dtype.is_complex else GRADIENTS[::2]:
        x, w = (torch.randn(shape, dtype=dtype, requires_grad=True) for shape in (n, k))
        if mode == "valid" and axes == (2, 1):  # neither is inside the other
            continue

        def run(x: torch.Tensor, w: torch.Tensor, axes: Any = axes) -> Any:
            return call(x, w, mode, axes, method)

        assert torch.autograd.gradcheck(run, (x, w), check_forward_ad=True, fast_mode=True)
        assert torch.autograd.gradgradcheck(run, (x, w), fast_mode=True)


def test_gradients_of_both_methods_agree_at_size() -> None:
    x, w, g = torch.randn(60, 70).double(), torch.randn(9, 8).double(), torch.randn(60, 70).double()
    both = []
    for method in ("direct", "fft"):
        leaves = [part.clone().requires_grad_() for part in (x, w)]
        cv.convolve(*leaves, "same", method=method).backward(g)
        both.append([leaf.grad for leaf in leaves])
    torch.testing.assert_close(*both)


def test_a_frozen_operand_gets_no_gradient() -> None:
    x, w = torch.randn(9, requires_grad=True), torch.randn(3)
    cv.convolve(x, w, method="direct").sum().backward()
    assert x.grad is not None
    assert w.grad is None
    assert not cv.convolve(torch.randn(9), w).requires_grad


@pytest.mark.parametrize("method", ["direct", "fft", "auto"])
def test_transformations(method: str) -> None:
    x, w = torch.randn(6, 7).double(), torch.randn(3, 2).double()

    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return cv.convolve(x, w, "same", method=method)

    def loss(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return (run(x, w) ** 3).sum()

    xs, ws = torch.randn(4, 6, 7).double(), torch.randn(3, 2, 4).double()
    for dims, args in [((0, None), (xs, w)), ((None, 2), (x, ws)), ((0, 2), (xs, ws))]:
        looped = [
            run(*(arg if dim is None else arg.select(dim, i) for arg, dim in zip(args, dims, strict=True)))
            for i in range(4)
        ]
        torch.testing.assert_close(torch.func.vmap(run, dims)(*args), torch.stack(looped))
    for argument in (0, 1):
        forward, reverse = (kind(run, argument)(x, w) for kind in (torch.func.jacfwd, torch.func.jacrev))
        torch.testing.assert_close(forward, reverse)
    ones = (torch.ones_like(x), torch.ones_like(w))
    z, tangent = torch.func.jvp(run, (x, w), ones)
    torch.testing.assert_close(z, run(x, w))
    torch.testing.assert_close(tangent, run(ones[0], w) + run(x, ones[1]))
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(w, xs)
    torch.testing.assert_close(each, torch.stack([torch.func.grad(loss)(w, one) for one in xs]))
    hessian = torch.func.hessian(loss)(w, x)
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(lambda w: loss(w, x), w))


@pytest.mark.parametrize(
    ("call", "method", "n", "k"),
    [
        (cv.convolve, "direct", (2, 7), (1, 3)),
        (cv.convolve, "direct", (1, 3), (2, 7)),  # over the entries of x
        (cv.correlate, "direct", (2, 3), (2, 5)),  # over the outputs
        (cv.correlate, "fft", (2, 20), (1, 6)),
        (cv.convolve, "auto", (2, 20), (1, 6)),
    ],
)
def test_compiled(call: Callable[..., Any], method: str, n: tuple[int, ...], k: tuple[int, ...]) -> None:
    def run(x: torch.Tensor, w: torch.Tensor) -> Any:
        return call(x, w, "same" if n[1] > k[1] else "valid", 1, method)

    torch._dynamo.reset()
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    x, w = torch.randn(n).double(), torch.randn(k).double()
    found = []
    for function in (run, compiled):
        leaves = [part.clone().requires_grad_() for part in (x, w)]
        z = function(*leaves)
        (z**2).sum().backward()
        found.append([z.detach(), *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(*found)


def test_compiled_transformations_are_right() -> None:
    x, ws = torch.randn(3, 8).double(), torch.randn(3, 4).double()

    def each(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.vmap(lambda x, w: cv.convolve(x, w, method="direct"))(x, w)

    torch.testing.assert_close(torch.compile(each, fullgraph=True, backend="aot_eager")(x, ws), each(x, ws))


def test_tensors_without_values() -> None:
    z = cv.convolve(torch.ones(500, 500, device="meta"), torch.ones(31, 31, device="meta"))
    assert z.shape == (530, 530)
    assert z.is_meta
    with FakeTensorMode():
        assert cv.convolve(torch.ones(500, 500), torch.ones(31, 31), "valid").shape == (470, 470)
        assert cv.convolve(torch.ones(500, 500), torch.ones(3, 3), "same").shape == (500, 500)


# --- the weighted average


def density(rng: np.random.Generator, *shape: int) -> np.ndarray:
    weights = rng.random(shape) * (rng.random(shape) < 0.8)
    weights[..., 0] += 0.1
    return weights / weights.sum(-1, keepdims=True)


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_weighted_average_is_what_it_says(method: str) -> None:
    rng = np.random.default_rng(16)
    for _ in seeds(50, 1000):
        n, k = (int(size) for size in rng.integers(1, 12, 2))
        x, w = rng.normal(size=n), density(rng, k)
        for renormalize in (True, False):
            expected = []
            for t in range(n):
                past = [(w[a], x[t - a]) for a in range(k) if t - a >= 0]
                total = sum(weight for weight, _ in past) if renormalize else 1
                expected.append(sum(weight * value for weight, value in past) / total)
            s = cv.weighted_average(x, w, renormalize=renormalize, method=method)
            np.testing.assert_allclose(s, expected, atol=1e-13)


def test_weighted_average_is_an_average_and_causal() -> None:
    rng = np.random.default_rng(17)
    for _ in seeds(50, 1000):
        n, k = (int(size) for size in rng.integers(2, 12, 2))
        x, w = rng.normal(size=(3, n)), density(rng, k)
        s = cv.weighted_average(x, w, method="direct")
        assert s.shape == x.shape
        assert (np.minimum.accumulate(x, 1) - 1e-12 <= s).all()
        assert (np.maximum.accumulate(x, 1) + 1e-12 >= s).all()
        np.testing.assert_allclose(cv.weighted_average(np.full((3, n), 5.0), w), 5)
        later = x.copy()
        later[:, n // 2 :] = rng.normal(size=(3, n - n // 2))
        assert np.array_equal(cv.weighted_average(later, w, method="direct")[:, : n // 2], s[:, : n // 2])


def test_weighted_average_along_an_axis_with_a_density_for_each() -> None:
    rng = np.random.default_rng(18)
    x, w = rng.normal(size=(8, 2, 3)), np.moveaxis(density(rng, 2, 1, 4), -1, 0)
    s = cv.weighted_average(x, w, axis=0)
    for i, j in itertools.product(range(2), range(3)):
        np.testing.assert_allclose(s[:, i, j], cv.weighted_average(x[:, i, j], w[:, i, 0]), atol=1e-13)
    np.testing.assert_allclose(cv.weighted_average(x, w[:, 0, 0], axis=-3)[:, 0], s[:, 0], atol=1e-13)


def test_weighted_average_before_any_weight_is_nan() -> None:
    s = cv.weighted_average([1, 2, 3, 4], [0, 0, 0.5, 0.5])
    assert np.array_equal(s, [np.nan, np.nan, 1, 1.5], equal_nan=True)
    assert cv.weighted_average([1, 2, 3, 4], [0, 0, 0.5, 0.5], renormalize=False).tolist() == [0, 0, 0.5, 1.5]
    x, w = torch.ones(3, requires_grad=True), torch.tensor([0, 1.0], requires_grad=True)
    cv.weighted_average(x, w)[1:].sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.tolist() == [1, 1, 0]
    assert torch.isfinite(w.grad).all()


def test_weighted_average_of_kinds() -> None:
    assert cv.weighted_average([1, 2], [1]).dtype == np.float64
    assert cv.weighted_average(torch.tensor([1, 2]), torch.tensor([0.5, 0.5])).dtype == torch.float32
    assert cv.weighted_average(torch.tensor([1, 2]), torch.tensor([1])).dtype == torch.float32
    assert cv.weighted_average(np.ones(3, np.float32), np.ones(1, np.float32)).dtype == np.float32
    np.testing.assert_allclose(cv.weighted_average([1j, 3j], [0.5, 0.5]), [1j, 2j])
    third = np.full(3, 1 / 3)
    for rounded in (third.astype(np.float32), third.astype(np.float16)):  # what a dtype can say is near enough to 1
        np.testing.assert_allclose(cv.weighted_average(np.ones(5), rounded), 1)
    np.testing.assert_allclose(cv.weighted_average(np.ones(5), [0.333] * 3, tolerance=0.01), 1)


def test_weighted_average_learns_its_weights() -> None:
    x, logits = torch.randn(2, 9).double().requires_grad_(), torch.randn(4).double().requires_grad_()

    def run(x: torch.Tensor, logits: torch.Tensor) -> Any:
        return cv.weighted_average(x, torch.softmax(logits, 0))

    assert torch.autograd.gradcheck(run, (x, logits), check_forward_ad=True)
    assert torch.func.vmap(run, (0, None))(x, logits).shape == (2, 9)
    with pytest.raises(ValueError, match="short"):
        torch.func.grad(lambda w: cv.weighted_average(x.detach(), w).sum())(torch.tensor([0.5, 0.4]).double())


# --- the integral

INF = math.inf


def within(result: Any, exact: Any) -> None:
    """The values are as near to what is exact as the error estimate says (and a rounding of what is exact)."""
    off = np.abs(result.values - exact)
    assert (off <= result.error + 4e-16 * np.abs(exact)).all(), f"off by {off.max()}, estimated {result.error.max()}"


def box(a: Any) -> Any:
    return ((a >= 0) & (a <= 1)) * 1.0


def test_the_check_of_the_estimate_can_fail() -> None:
    t = np.linspace(0, 3, 9)
    r = cv.convolve_functions(box, box, t, x_support=(0, 1), w_support=(0, 1))
    triangle = np.clip(np.minimum(t, 2 - t), 0, None)
    within(r, triangle)
    with pytest.raises(AssertionError):
        within(r, triangle + 1e-9)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9, 1e-13])
def test_closed_forms(tolerance: float) -> None:
    t = np.linspace(-1, 12, 131)
    a, b, positive = 1.3, 0.4, np.clip(t, 0, None)
    decays = (lambda u: np.exp(-a * u)), (lambda u: np.exp(-b * u))
    r = cv.convolve_functions(*decays, t, x_support=(0, INF), w_support=(0, INF), tolerance=tolerance)
    within(r, (np.exp(-b * positive) - np.exp(-a * positive)) / (a - b))
    assert r.converged

    r = cv.convolve_functions(box, box, t, x_support=(0, 1), w_support=(0, 1), tolerance=tolerance)
    within(r, np.clip(np.minimum(t, 2 - t), 0, None))
    assert r.converged

    near = t[t < 5]
    for spread in (1.0, 0.3, 0.1):
        bells = (lambda u: np.exp(-(u**2) / 2)), (lambda u, spread=spread: np.exp(-((u / spread) ** 2) / 2))
        r = cv.convolve_functions(*bells, near, x_support=(-14, 14), tolerance=tolerance)
        total = 1 + spread**2
        within(r, math.sqrt(2 * math.pi / total) * spread * np.exp(-(near**2) / 2 / total))
        assert r.converged


def test_closed_forms_of_samples() -> None:
    t = np.linspace(-0.5, 4.5, 101)
    # Two triangles, from their samples: their convolution is the cubic spline on the knots 0, 1, 2, 3, 4.
    triangle = (np.array([0.0, 1, 2]), np.array([0.0, 1, 0]))
    spline = sum(c * np.clip(t - i, 0, None) ** 3 for i, c in enumerate((1, -4, 6, -4, 1))) / 6
    r = cv.convolve_functions(triangle, triangle, t)
    assert (np.abs(r.values - spline) <= r.error + 1e-14).all()  # the spline's own terms are of size 60
    # A sampled line, 2a up to a = 2, and a decay.
    line = (np.linspace(0, 2, 7), np.linspace(0, 4, 7))
    r = cv.convolve_functions(line, lambda u: np.exp(-u), t, w_support=(0, INF))
    late = 2 * np.exp(-(t - 2)) + 2 * np.exp(-t)
    exact = np.where(t <= 0, 0, np.where(t <= 2, 2 * (t - 1 + np.exp(-t.clip(0))), late))
    assert (np.abs(r.values - exact) <= r.error + 1e-15).all()  # its terms are of size 2
    assert r.converged


def test_convolution_of_functions_commutes() -> None:
    t = np.linspace(0, 5, 21)
    track = (np.arange(5.0), np.array([1.0, 3, 2, 5, 4]))
    one = cv.convolve_functions(track, np.cos, t, w_support=(0, 1.5))
    other = cv.convolve_functions(np.cos, track, t, x_support=(0, 1.5))
    assert (np.abs(one.values - other.values) <= one.error + other.error).all()


def test_an_undeclared_jump_is_estimated_and_a_declared_one_is_not_felt() -> None:
    rng = np.random.default_rng(19)
    missed = 0
    for _ in seeds(25, 500):
        jump, t = rng.uniform(0.2, 2.8), rng.uniform(0.1, 4, 40)
        exact = np.where(t < jump, 1 - np.exp(-t), np.exp(-(t - jump)) - np.exp(-t))
        functions = (lambda a, jump=jump: (a < jump) * 1.0), (lambda a: np.exp(-a))
        told = cv.convolve_functions(*functions, t, x_support=(0, jump, 3), w_support=(0, INF))
        within(told, exact)
        assert told.converged
        untold = cv.convolve_functions(*functions, t, x_support=(0, 3), w_support=(0, INF), max_halvings=4)
        missed += int((np.abs(untold.values - exact) > untold.error).sum())
        assert np.median(untold.error) < 0.01
    assert missed <= 0.03 * 40 * len(seeds(25, 500))


def test_a_singular_end_is_estimated() -> None:
    t = np.linspace(0.1, 1, 20)
    r = cv.convolve_functions(lambda a: a**-0.5, lambda a: 1.0, t, x_support=(0, 1), w_support=(0, 1))
    within(r, 2 * np.sqrt(t))
    assert not r.converged
    assert r.error.max() < 0.1


def test_a_spike_is_estimated_and_a_step_or_its_place_in_the_support_resolves_it() -> None:
    def spike(a: np.ndarray) -> np.ndarray:
        return np.exp(-(((a - 0.7774) / 1e-5) ** 2))

    area = 1e-5 * math.sqrt(math.pi)
    blurred = cv.convolve_functions(spike, box, 1.0, x_support=(0, 1), w_support=(0, 1))
    within(blurred, area)
    assert not blurred.converged
    within(cv.convolve_functions(spike, box, 1.0, x_support=(0, 1), w_support=(0, 1), step=1e-4), area)
    within(cv.convolve_functions(spike, box, 1.0, x_support=(0, 0.7773, 0.7775, 1), w_support=(0, 1)), area)


def test_the_step_that_is_reported() -> None:
    supports = {"x_support": (0, 2), "w_support": (0, 2)}
    coarse, fine = (cv.convolve_functions(np.cos, np.cos, 3.0, step=step, **supports) for step in (1.0, 1e-3))
    assert fine.step <= 1e-3 < coarse.step <= 1.0


def test_shapes_and_kinds_of_results() -> None:
    w: dict[str, Any] = {"w_support": (0, 1)}
    track = (np.arange(4.0), np.arange(4))
    for t in (1.5, [1.0, 2.0], np.ones((2, 3)), np.ones((0,)), np.ones((2, 0))):
        r = cv.convolve_functions(track, np.cos, t, **w)
        for part in (r.values, r.error, r.step):
            assert isinstance(part, np.ndarray)
            assert part.shape == np.shape(t)
            assert part.dtype == np.float64
    outside = cv.convolve_functions(track, np.cos, [-1.0, 9.0], **w)
    assert outside.values.tolist() == outside.error.tolist() == [0, 0]
    turning = cv.convolve_functions(lambda a: np.exp(1j * a), box, 1.0, x_support=(0, 1), **w)
    assert turning.values.dtype == complex
    within(turning, (np.exp(1j) - 1) / 1j)
    gap = cv.convolve_functions((np.arange(4.0), np.array([1, np.nan, 1, 1])), np.cos, [0.5, 3.9], **w)
    assert np.isnan(gap.values[0])
    assert np.isnan(gap.error[0])
    assert np.isfinite(gap.values[1])
    assert not gap.converged
    with pytest.raises(AttributeError):
        gap.values = 0


def test_memory_is_bounded_by_chunks_of_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    t, track = np.linspace(0, 5, 40), (np.arange(6.0), np.arange(6.0) ** 2)
    cases: list[tuple[Any, dict[str, Any]]] = [(np.cos, {"w_support": (0, 2)}), (track, {})]
    for w, support in cases:
        whole = cv.convolve_functions(track, w, t, **support)
        with monkeypatch.context() as patch:
            patch.setattr("convarium._signal.integral._CHUNK", 50)
            parts = cv.convolve_functions(track, w, t, **support)
        np.testing.assert_allclose(parts.values, whole.values, rtol=1e-13)


def test_integrals_in_torch() -> None:
    times = torch.arange(6.0, dtype=torch.float64)
    values = torch.tensor([1.0, 3, 2, 5, 4, 4], dtype=torch.float64, requires_grad=True)
    decay = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.7, 2.4, 5.3, 7.2], dtype=torch.float64, requires_grad=True)

    def run(values: torch.Tensor, decay: torch.Tensor, t: torch.Tensor) -> Any:
        track = (times, values)
        return cv.convolve_functions(track, lambda a: torch.exp(-a / decay) / decay, t, w_support=(0, INF)).values

    assert torch.autograd.gradcheck(run, (values, decay, t))
    track = (times.numpy(), values.detach().numpy())
    r = cv.convolve_functions(track, lambda a: np.exp(-a / 1.5) / 1.5, t.detach().numpy(), w_support=(0, INF))
    np.testing.assert_allclose(run(values, decay, t).detach(), r.values, rtol=1e-13)
    with torch.no_grad():
        assert not run(values, decay, t).requires_grad

    def squared(values: torch.Tensor) -> Any:
        return cv.convolve_functions((times, values), (times, values), t.detach()).values

    assert torch.autograd.gradcheck(squared, (values,))


# --- bad input

ONE, TWO = np.ones(3), np.ones((2, 3))


def integral(x: Any, w: Any = np.cos, t: Any = 1.0, **options: Any) -> Any:
    return cv.convolve_functions(x, w, t, **options)


def average(x: Any, w: Any, **options: Any) -> Any:
    return cv.weighted_average(x, w, **options)


UNIT = {"x_support": (0, 1)}
BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: cv.convolve(ONE, ONE, "middle"),
        ValueError,
        "mode must be one of 'full', 'same', 'valid', got 'middle'",
    ),
    (lambda: cv.convolve(ONE, ONE, ["full"]), TypeError, r"mode must be one of .*, got \['full'\]"),
    (lambda: cv.convolve(ONE, ONE, None), TypeError, "mode must be one of .*, got None"),
    (
        lambda: cv.convolve(ONE, ONE, method="no"),
        ValueError,
        "method must be one of 'auto', 'direct', 'fft', got 'no'",
    ),
    (lambda: cv.correlate(ONE, ONE, method=3), TypeError, "correlate: method must be one of .*, got 3"),
    (lambda: cv.convolve(TWO, ONE), ValueError, r"x \(2, 3\) has 2 dimensions and w \(3,\) has 1"),
    (lambda: cv.convolve(TWO, ONE), ValueError, r"w\.reshape\(\(1, 3\)\) would fit"),
    (lambda: cv.convolve(1.0, ONE), ValueError, r"x\.reshape\(\(1,\)\) would fit"),
    (lambda: cv.correlate(TWO, ONE, axes=1), ValueError, "must have the same number"),
    (lambda: cv.convolve([], ONE), ValueError, r"x \(0,\) is empty along axis 0"),
    (lambda: cv.convolve(TWO, np.ones((2, 0))), ValueError, r"w \(2, 0\) is empty along axis 1"),
    (lambda: cv.convolve(TWO, TWO, axes=[]), ValueError, "axes is empty"),
    (lambda: cv.convolve(TWO, TWO, axes=2), ValueError, r"axes must be in -2\.\.1 for 2 dimensions, got 2"),
    (lambda: cv.convolve(1.0, 1.0, axes=0), ValueError, "axes must be left out"),
    (lambda: cv.convolve(TWO, TWO, axes=(0, -2)), ValueError, r"axes \(0, -2\) name an axis more than once"),
    (lambda: cv.convolve(TWO, TWO, axes=[[0]]), TypeError, r"axes must be a whole number, got \[0\]"),
    (lambda: cv.convolve(TWO, TWO, axes=1.5), TypeError, "axes must be a whole number, got 1.5"),
    (lambda: cv.convolve(TWO, TWO, axes="01"), TypeError, "axes must be a whole number, got '01'"),
    (lambda: cv.convolve(TWO, TWO, axes=True), TypeError, "axes must be a whole number, got True"),
    (lambda: cv.convolve(np.ones((4, 2)), np.ones((3, 5)), axes=0), ValueError, "do not broadcast along axis 1"),
    (lambda: cv.convolve(np.ones((3, 3)), np.ones((2, 4)), "valid"), ValueError, "'valid' needs x at least as large"),
    (lambda: cv.convolve(torch.ones(3), ONE), TypeError, r"x is a torch tensor and w is a NumPy array.*as_tensor\(w\)"),
    (lambda: cv.convolve([1, 2], torch.ones(3)), TypeError, "w is a torch tensor and x is a list"),
    (lambda: cv.convolve(torch.ones(3), 2), TypeError, "w is an int"),
    (lambda: cv.convolve(torch.ones(3), torch.ones(3, device="meta")), ValueError, "x is on cpu and w on meta"),
    (lambda: cv.convolve(["a"], ONE), TypeError, "x has dtype <U1; expected bool, integer"),
    (lambda: cv.convolve(ONE, None), TypeError, "w has dtype object"),
    (lambda: cv.convolve(ONE, [2**70]), TypeError, "w has dtype object"),
    (lambda: cv.convolve([[1], [1, 2]], ONE), ValueError, "x is no array of numbers"),
    (
        lambda: cv.convolve(np.ma.masked_array(ONE, [0, 1, 0]), ONE),
        TypeError,
        r"masked array.*x\.filled\(0\) would fit",
    ),
    (lambda: cv.convolve(torch.ones(3).to_sparse(), torch.ones(3)), TypeError, "layout torch.sparse_coo"),
    (lambda: cv.convolve(torch.ones(3).to(torch.float8_e4m3fn), torch.ones(3)), TypeError, "dtype torch.float8"),
    (lambda: cv.convolve(torch.ones(3).to(torch.uint16), torch.ones(3).to(torch.int8)), TypeError, "no common dtype"),
    (lambda: cv.signal.choose_method(ONE, ONE, "middle"), ValueError, "choose_method: mode must be one of"),
    (lambda: average(ONE, [0.5, 0.47]), ValueError, r"w sums to 0\.97, 0\.03 short; w / w\.sum\(\) would fit"),
    (lambda: average(ONE, [0.5, 0.75]), ValueError, r"w sums to 1\.25, 0\.25 too much; w / w\.sum\(\)"),
    (lambda: average(ONE, [0.0, 0.0]), ValueError, r"w sums to 0, 1 short$"),
    (lambda: average(ONE, [0.5, -0.1, 0.6]), ValueError, r"w\[1\] = -0\.1 is negative"),
    (lambda: average(ONE, [0.5, np.nan]), ValueError, r"w\[1\] = nan is not finite"),
    (lambda: average(ONE, [np.inf]), ValueError, r"w\[0\] = inf is not finite"),
    (lambda: average(TWO, [[0.5, 0.5], [0.5, 0.6]]), ValueError, r"w\[1, :\] sums to 1\.1.*w\.sum\(1, keepdims=True\)"),
    (lambda: average(TWO, [[0.5, 0.5], [1.0, -0.0001]]), ValueError, r"w\[1, 1\] = -0\.0001 is negative"),
    (lambda: average(TWO, np.ones((3, 1))), ValueError, "do not broadcast along axis 0"),
    (lambda: average(ONE, [1j]), TypeError, "w must be real"),
    (lambda: average(torch.ones(3), torch.ones(1) + 0j), TypeError, "w must be real"),
    (lambda: average(ONE, [0.9995, 0], tolerance=1e-4), ValueError, "0.0005 short"),
    (lambda: average(ONE, [1.0], tolerance="no"), TypeError, "tolerance must be a number, got 'no'"),
    (lambda: average(ONE, [1.0], tolerance=-1), ValueError, "tolerance must be finite, 0 or more"),
    (lambda: average(ONE, [1.0], renormalize=1), TypeError, "renormalize must be True or False"),
    (lambda: average(ONE, [1.0], axis=1), ValueError, r"axis must be in -1\.\.0 for 1 dimension, got 1"),
    (lambda: average(ONE, [1.0], axis=None), TypeError, "axis must be a whole number, got None"),
    (lambda: average(ONE, [1.0], method="slow"), ValueError, "method must be one of"),
    (lambda: average(2.0, [1.0]), ValueError, "x must have an axis of time"),
    (lambda: average(ONE, 1.0), ValueError, "must have the same number"),
    (lambda: average([], [1.0]), ValueError, "x .* is empty along axis 0"),
    (lambda: average(ONE, torch.ones(1)), TypeError, "w is a torch tensor and x is a NumPy array"),
    (lambda: integral(np.cos), ValueError, "the range of the integral is infinite.*x_support"),
    (lambda: integral(np.cos, x_support=(0, INF), w_support=(-INF, 1)), ValueError, r"\(0, inf\) and w on \(-inf, 1\)"),
    (lambda: integral(3), TypeError, "x must be a callable or a pair .*, got int"),
    (lambda: integral(np.cos, (ONE,)), TypeError, "w must be a callable or a pair"),
    (lambda: integral((ONE, np.ones(4))), ValueError, r"vectors of one length.*\(3,\) and \(4,\)"),
    (lambda: integral((TWO, TWO)), ValueError, "two vectors of one length"),
    (lambda: integral(([1.0], [1.0])), ValueError, "two samples or more"),
    (lambda: integral(([0, 2, 2], ONE)), ValueError, r"times\[1\] = 2 and times\[2\] = 2"),
    (lambda: integral(([0, np.nan, 2], ONE)), ValueError, r"must be finite, got times\[1\] = nan"),
    (lambda: integral(([0, 1j, 2], ONE)), TypeError, "times must be real"),
    (lambda: integral((["a", "b"], [1, 2])), TypeError, "x's times has dtype <U1"),
    (lambda: integral(([[1], [1, 2]], [1, 2])), ValueError, "x's times is no array"),
    (lambda: integral((ONE, ONE), **UNIT), ValueError, "x is sampled.*leave it out"),
    (lambda: integral(np.cos, x_support=3), TypeError, r"x_support must be .*got 3"),
    (lambda: integral(np.cos, x_support=(1,)), ValueError, "got 1 number"),
    (lambda: integral(np.cos, w_support=(1, 0)), ValueError, r"w_support must be .*\(1\.0, 0\.0\)"),
    (lambda: integral(np.cos, w_support=(np.nan, 0)), ValueError, "w_support must be an increasing"),
    (lambda: integral(np.cos, t=np.nan, **UNIT), ValueError, "t must be finite"),
    (lambda: integral(np.cos, t=1j, **UNIT), TypeError, "t must be real"),
    (lambda: integral(np.cos, t="now", **UNIT), TypeError, "t has dtype <U3"),
    (lambda: integral((ONE, ONE), t=torch.ones(2)), TypeError, "x's times is not a torch tensor and t is"),
    (lambda: integral((torch.ones(2), [1, 2])), TypeError, "x's times is a torch tensor and t is not"),
    (lambda: integral(np.cos, tolerance=0, **UNIT), ValueError, "tolerance must be positive"),
    (lambda: integral(np.cos, step="x", **UNIT), TypeError, "step must be a number"),
    (lambda: integral(np.cos, max_halvings=2, **UNIT), ValueError, "max_halvings must be at least 3, got 2"),
    (lambda: integral(np.cos, max_halvings=2.5, **UNIT), TypeError, "max_halvings must be a whole number, got 2.5"),
    (lambda: integral(lambda a: a[:2], **UNIT), ValueError, "x must return a number for every"),
    (lambda: integral(lambda a: None, **UNIT), TypeError, "^convolve_functions: x must return a number .*, got None"),
    (
        lambda: integral(np.cos, lambda a: "w", **UNIT),
        TypeError,
        "^convolve_functions: w must return a number .*, got 'w'",
    ),
    (lambda: integral(lambda a: None, t=torch.ones(2), **UNIT), TypeError, "x must return a number .*, got None"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[f"{number}" for number in range(len(BAD))])
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        call()
    assert type(raised.value) is error


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 on this platform")
def test_what_is_wider_than_float64_is_refused() -> None:
    with pytest.raises(TypeError, match=r"wider than float64; w\.astype\(np\.float64\) would fit"):
        cv.convolve(ONE, ONE.astype(np.longdouble))


def test_what_a_callable_raises_is_passed_on_with_a_note() -> None:
    with pytest.raises(TypeError) as raised:
        cv.convolve_functions(math.exp, box, [0.5, 0.6], x_support=(0, 1), w_support=(0, 1))
    assert "convolve_functions called x with a NumPy array of" in raised.value.__notes__[0]
