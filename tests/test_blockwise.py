"""Arrays in blocks: whatever the blocks, the array and its chunks, the numbers are those of the whole in memory."""

import itertools
import random

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import torch
import zarr

import convarium as cv
from convarium._blockwise.spans import span
from family import random_case, seeds

PAD = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def kept(array, rnd, folder):
    """The array as one of those that are read a window at a time, in chunks of any size where it has them."""
    kind = rnd.choice(["numpy", "memmap", "zarr", "dask", "dask"])
    if kind == "numpy" or 0 in array.shape:
        return array
    if kind == "dask":
        return da.from_array(array, chunks=tuple(_pieces(length, rnd) for length in array.shape))
    path = folder / f"{rnd.getrandbits(60)}"
    if kind == "memmap":
        mapped = np.memmap(path, array.dtype, "w+", shape=array.shape)
        mapped[:] = array
        return np.memmap(path, array.dtype, "r", shape=array.shape)
    made = zarr.create_array(
        path, shape=array.shape, dtype=array.dtype, chunks=tuple(rnd.randint(1, length) for length in array.shape)
    )
    made[:] = array
    return made


def _pieces(length, rnd):
    cuts = sorted(rnd.sample(range(1, length), rnd.randint(0, min(3, length - 1))))
    return tuple(b - a for a, b in itertools.pairwise([0, *cuts, length]))


def computed(array):
    """Its blocks, and that they are what the array says of itself."""
    result = array.compute(scheduler="synchronous")
    assert result.shape == array.shape
    assert result.dtype == array.dtype
    return result


@pytest.mark.parametrize("call", ["convolve", "correlate"])
def test_signals_are_those_in_memory(call, tmp_path):
    for seed in seeds(60, 600):
        rnd, numbers = random.Random(seed), np.random.default_rng(seed)
        n = rnd.randint(1, 3)
        sizes = [rnd.randint(1, {1: 40, 2: 14, 3: 7}[n]) for _ in range(n)]
        mode, fill = rnd.choice(["full", "same", "valid"]), rnd.choice(["zeros", "zeros", *PAD])
        kernel = [rnd.randint(1, size if mode == "valid" or rnd.random() < 0.7 else 2 * size) for size in sizes]
        axes = tuple(sorted(rnd.sample(range(n), rnd.randint(1, n)))) if rnd.random() < 0.5 else None
        for axis in set(range(n)) - set(range(n) if axes is None else axes):
            kernel[axis] = rnd.choice([1, sizes[axis]])
            sizes[axis] = rnd.choice([1, sizes[axis]]) if kernel[axis] > 1 else sizes[axis]
        kind = rnd.choice(["float64", "float32", "int16", "bool", "complex128"])
        x, w = ((numbers.standard_normal(size) * 3).astype(kind) for size in (sizes, kernel))
        if kind == "complex128":
            x, w = x + 1j * x[::-1], w - 2j * w
        along = range(n) if axes is None else axes
        before = [(0, 0)] * n
        for axis in along:
            k = kernel[axis]
            first = {"full": 0, "same": (k - 1) // 2, "valid": k - 1}[mode]
            size = {"full": sizes[axis] + k - 1, "same": sizes[axis], "valid": sizes[axis] - k + 1}[mode]
            before[axis] = (k - 1 - first, max(first + size - sizes[axis], 0))
        most = {"reflect": -1, "circular": 0}.get(fill)
        if most is not None and any(max(pair) > size + most for pair, size in zip(before, sizes, strict=True)):
            fill = "replicate"
        if fill == "zeros":
            expected = getattr(cv, call)(x, w, mode, axes, "direct")
        else:
            expected = getattr(cv, call)(np.pad(x, before, PAD[fill]), w, "valid", axes, "direct")
        chunks = [rnd.randint(1, expected.shape[axis]) for axis in along]
        method = rnd.choice(["auto", "direct", "fft"])
        got = computed(getattr(cv.blockwise, call)(
            kept(x, rnd, tmp_path), w, mode, axes, method, padding_mode=fill, chunks=rnd.choice(["auto", chunks, chunks])
        ))  # fmt: skip
        assert got.dtype == expected.dtype
        tolerance = {"float32": 1e-4}.get(kind, 1e-9)
        np.testing.assert_allclose(got, expected, atol=tolerance, rtol=tolerance, err_msg=f"seed {seed}")


def test_local_is_that_in_memory(tmp_path):
    made = 0
    for seed in seeds(150, 1500):
        case = random_case(seed, sharing=random.Random(seed).choice(["tiled", "local"]))
        if case.dtype is torch.bfloat16:  # NumPy has none
            continue
        rnd = random.Random(seed)
        input, weight = case.random(case.input_shape), case.random(case.weight_shape)
        n, unbatched = case.n, case.input_shape[0] == 1 and rnd.random() < 0.5
        input = input[0] if unbatched else input
        outputs, tile = case.problem().output_shape[1], case.weight_shape[1 : 1 + n]
        bias = rnd.choice([None, case.random((outputs,)), case.random((outputs, *tile))])
        expected = case.conv(input, weight, bias=bias)
        chunks = rnd.choice(["auto", [rnd.randint(1, length) for length in expected.shape[-n:]]])
        arrays = [None if one is None else kept(one.numpy(), rnd, tmp_path) for one in (input, weight, bias)]
        got = computed(cv.blockwise.local(*arrays, **case.options, chunks=chunks))
        assert got.dtype == expected.numpy().dtype
        torch.testing.assert_close(
            torch.from_numpy(got), expected, msg=lambda text, case=case: f"{case}: {text}",
            **({"rtol": 1e-2, "atol": 1e-2} if case.dtype is torch.float16 else {"rtol": 1e-4, "atol": 1e-4}),
        )  # fmt: skip
        made += 1
    assert made > 100


def test_windows_are_where_padding_says():
    for size, mode in itertools.product((1, 2, 5, 9), PAD):
        most = {"reflect": size - 1, "circular": size}.get(mode, 12)
        entries = np.pad(np.arange(1, size + 1), most, PAD[mode])
        for low in range(-most, size + most):
            for high in range(low + 1, size + most + 1):
                one = span(low, high, size, mode)
                read = np.concatenate([np.zeros(0, int), *(np.arange(a, b) + 1 for a, b in one.parts)])
                got = read if one.places is None else read[list(one.places)]
                expected = entries[low + most : high + most]
                assert got.tolist() == expected[expected > 0].tolist(), (size, mode, low, high)
                assert one.length == len(got)
                assert sum(b - a for a, b in one.parts) <= 2 * (high - low)  # no more than it shows and a corner


def test_a_varying_blur_is_the_sum_over_its_places():
    for seed in seeds(15, 60):
        rnd, numbers = random.Random(seed), np.random.default_rng(seed)
        n = rnd.randint(1, 2)
        size, taps, grid = ([rnd.randint(1, most) for _ in range(n)] for most in (13, 5, 4))
        image, psf = numbers.random(size), numbers.random((*grid, *taps)) + 0.01
        psf /= psf.sum(tuple(range(n, 2 * n)), keepdims=True)
        expected = np.zeros(size)
        for place in np.ndindex(*size):
            kernel = psf
            for t, g, s in zip(place, grid, size, strict=True):  # interpolated along one direction after the other
                at = min(max((t + 0.5) * g / s - 0.5, 0), g - 1)
                left = int(at)
                kernel = kernel[left] * (1 - at + left) + kernel[min(left + 1, g - 1)] * (at - left)
            for tap in np.ndindex(*taps):
                target = tuple(t + a - (k - 1) // 2 for t, a, k in zip(place, tap, taps, strict=True))
                if all(0 <= t < s for t, s in zip(target, size, strict=True)):
                    expected[target] += image[place] * kernel[tap]
        got = computed(cv.blockwise.blur(image, psf, chunks=[rnd.randint(1, length) for length in size]))
        np.testing.assert_allclose(got, expected, atol=1e-12, err_msg=f"seed {seed}")


def test_a_blocks_margin_is_what_its_light_depends_on(tmp_path):
    for seed in seeds(25, 200):
        rnd, numbers = random.Random(seed), np.random.default_rng(seed)
        n = rnd.randint(1, 3)
        size, taps, grid = ([rnd.randint(1, most) for _ in range(n)] for most in ({1: 60, 2: 16, 3: 8}[n], 5, 3))
        image, psf = numbers.random(size) * 9, numbers.random((*grid, *taps)) + 0.01
        iterations = rnd.randint(1, 4)
        whole = computed(cv.blockwise.richardson_lucy(image, psf, iterations, chunks=size))
        chunks = [rnd.randint(1, length) for length in size]
        got = computed(cv.blockwise.richardson_lucy(kept(image, rnd, tmp_path), psf, iterations, chunks=chunks))
        np.testing.assert_allclose(got, whole, rtol=1e-9, atol=1e-12, err_msg=f"seed {seed}")


def test_deblurring_brings_back_what_was_blurred():
    numbers = np.random.default_rng(0)
    stars = np.zeros((40, 48))
    stars[tuple(numbers.integers(8, 32, (2, 12)))] = numbers.random(12) * 50 + 50
    wide, narrow = (np.exp(-((np.arange(9) - 4) ** 2)[:, None] / s - ((np.arange(9) - 4) ** 2) / s) for s in (6.0, 2.0))
    psf = np.stack([np.stack([narrow, wide])])
    seen = cv.blockwise.blur(stars, psf).compute()
    light = cv.blockwise.richardson_lucy(seen, psf, 200).compute()
    one = cv.blockwise.richardson_lucy(seen, wide, 200).compute()  # as if it were the same everywhere
    assert np.abs(light - stars).sum() < 0.1 * np.abs(seen - stars).sum()
    assert np.abs(light - stars).sum() < 0.2 * np.abs(one - stars).sum()
    np.testing.assert_allclose(light.sum(), seen.sum(), rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_kernels_with_thin_tails_keep_the_light(dtype):
    """They are transformed, which leaves noise where there is nothing: it must not be divided by."""
    squares = np.arange(-16, 17)[:, None] ** 2 + np.arange(-16, 17) ** 2
    for kernel in (np.exp(-squares / 32), squares <= 256, np.exp(-squares / 8)):
        flat = cv.blockwise.richardson_lucy(np.full((96, 96), 100, dtype), kernel.astype(float), 20).compute()
        assert 98 < flat.min() <= flat.max() < 103
        image = np.random.default_rng(0).random((150, 150)).astype(dtype) * 100
        whole = cv.blockwise.richardson_lucy(image, kernel.astype(float), 3, chunks=150).compute()
        blocks = cv.blockwise.richardson_lucy(image, kernel.astype(float), 3, chunks=40).compute()
        np.testing.assert_allclose(blocks, whole, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-3)


def test_a_kernels_axes_are_in_the_order_of_axes():
    image = np.arange(24.0).reshape(4, 6)
    for chunks in (2, "auto"):
        turned = cv.blockwise.blur(image, [[1.0, 2, 3]], axes=(1, 0), chunks=chunks).compute()
        np.testing.assert_allclose(turned, cv.blockwise.blur(image, [[1.0], [2], [3]], chunks=chunks).compute())


def test_byte_orders_and_strides_of_any_kind():
    image, psf = np.random.default_rng(0).random((9, 8)), np.ones((3, 3))
    expected = cv.blockwise.blur(image, psf).compute()
    swapped = cv.blockwise.blur(image.astype(">f8"), psf)
    assert swapped.dtype == np.float64
    np.testing.assert_array_equal(swapped.compute(), expected)
    assert cv.blockwise.blur(image.astype(">f4"), psf).dtype == np.float32
    assert cv.blockwise.blur(image.astype(np.int32), psf).dtype == np.float64
    x, weight = np.arange(10.0)[None, ::-1], np.random.default_rng(1).random((1, 8, 1, 3))[..., ::-1]
    forwards = cv.blockwise.local(x.copy(), weight.copy()).compute()
    for array in (x, da.from_array(x.copy()[:, ::-1], chunks=4)[:, ::-1]):
        np.testing.assert_array_equal(cv.blockwise.local(array, weight, chunks=3).compute(), forwards)
    np.testing.assert_array_equal(cv.blockwise.local(x.astype(">f8"), weight.astype(">f8")).compute(), forwards)


def test_channels_are_deblurred_one_by_one():
    numbers = np.random.default_rng(0)
    image, psf = numbers.integers(0, 255, (20, 30, 3)).astype(np.uint8), numbers.random((3, 5))
    got = cv.blockwise.richardson_lucy(image, psf, 3, axes=(0, 1), chunks=7).compute()
    assert got.dtype == np.float32
    for channel in range(3):
        alone = cv.blockwise.richardson_lucy(image[..., channel], psf, 3).compute()
        np.testing.assert_allclose(got[..., channel], alone, rtol=1e-5)


def test_a_kernel_may_be_larger_than_a_chunk():
    x = da.from_array(np.random.default_rng(0).standard_normal((50, 40)), chunks=(3, 2))
    w = np.random.default_rng(1).standard_normal((21, 17))
    expected = scipy.ndimage.convolve(x.compute(), w, mode="mirror")
    np.testing.assert_allclose(
        cv.blockwise.convolve(x, w, "same", padding_mode="reflect", chunks=(4, 5)).compute(), expected, atol=1e-9
    )


def test_a_weight_may_be_made_when_it_is_asked_for():
    asked = []

    def kernels(block_info=None):
        place = block_info[None]["array-location"]
        asked.append(place[1])
        rows, columns = np.ogrid[slice(*place[1]), slice(*place[2])]
        return np.broadcast_to((rows + columns)[None, :, :, None, None, None], (1, 8, 9, 1, 3, 3)).astype(float)

    weight = da.map_blocks(kernels, chunks=((1,), (8, 8), (9, 9), (1,), (3,), (3,)), dtype=float)
    x = np.random.default_rng(0).standard_normal((1, 18, 20))
    result = cv.blockwise.local(x, weight, chunks=(8, 9))
    np.testing.assert_allclose(
        result[:, :3, :4].compute(), cv.conv2d(*map(torch.from_numpy, (x, weight.compute()))).numpy()[:, :3, :4]
    )
    asked.clear()
    result[:, :3, :4].compute()
    assert asked == [(0, 8)]  # the block that was asked for, and no other


HUGE = da.ones((10**6, 10**6), chunks=10**4, dtype=np.float32)
ONES = np.ones((6, 6))
WRONG = [  # a row a call and the words of its refusal
    (lambda: cv.blockwise.convolve(torch.ones(3), [1.0]), TypeError, "x is a torch.Tensor, which is in memory; x.numpy() would fit"),
    (lambda: cv.blockwise.convolve(["a"], [1.0]), TypeError, "x has dtype <U1; expected bool, integer, floating or complex numbers"),
    (lambda: cv.blockwise.convolve(ONES, np.ones(3)), ValueError, "w.reshape((1, 3)) would fit"),
    (lambda: cv.blockwise.convolve(ONES, ONES, mode="half"), ValueError, "mode must be one of"),
    (lambda: cv.blockwise.convolve(ONES, np.ones((7, 7)), "valid"), ValueError, "convarium.convolve, in memory, would fit"),
    (lambda: cv.blockwise.convolve(ONES, ONES, padding_mode="reflect"), ValueError, None),
    (lambda: cv.blockwise.convolve(ONES, np.ones((9, 1)), padding_mode="reflect"), ValueError, "can pad a size of 6 by at most 5, got 8"),
    (lambda: cv.blockwise.convolve(ONES, ONES, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    (lambda: cv.blockwise.convolve(ONES, ONES, chunks=0), ValueError, "chunks must be at least 1, got 0"),
    (lambda: cv.blockwise.convolve(ONES, ONES, chunks=(2, 2, 2)), ValueError, "chunks must be a number or 2 of them"),
    (lambda: cv.blockwise.convolve(ONES, ONES, chunks="1 GiB"), ValueError, "chunks must be 'auto', a number or one a direction"),
    (lambda: cv.blockwise.convolve(HUGE, np.ones((3, 3), np.float32), chunks=10**6), ValueError, "GiB of memory; chunks=("),
    (lambda: cv.blockwise.correlate(ONES, ONES, method="magic"), ValueError, "correlate: method must be one of"),
    (lambda: cv.blockwise.local(np.ones((1, 9)), np.ones((1, 3))), ValueError, "weight must be (out_channels, *tile, in_channels"),
    (lambda: cv.blockwise.local(np.ones((1, 9)), np.ones((1, 8, 1, 3))), ValueError, "tile"),
    (lambda: cv.blockwise.local(np.ones((1, 9)), np.ones((1, 7, 2, 3))), ValueError, "channels"),
    (lambda: cv.blockwise.local(np.ones((1, 9)), np.ones((1, 7, 1, 3), "f4")), TypeError, "weight.astype('float64') would fit"),
    (lambda: cv.blockwise.local(np.ones((1, 9), int), np.ones((1, 7, 1, 3), int)), TypeError, "floating-point or complex"),
    (lambda: cv.blockwise.local(np.ones((1, 9)), np.ones((1, 7, 1, 3)), engine="magic"), ValueError, "engine"),
    (lambda: cv.blockwise.blur(ONES * 1j, ONES), TypeError, "image must be of real numbers, got complex128"),
    (lambda: cv.blockwise.blur(ONES, np.ones(3)), ValueError, "psf must be a kernel of 2 dimensions, or 4, a grid of kernels"),
    (lambda: cv.blockwise.blur(ONES, -np.ones((3, 3))), ValueError, "psf must be of real numbers, finite and not negative"),
    (lambda: cv.blockwise.blur(ONES, np.zeros((3, 3))), ValueError, "psf has a kernel that is zero everywhere"),
    (lambda: cv.blockwise.blur(np.ones((2, 2, 2, 2)), ONES), ValueError, "has 4 directions (axes=None); expected 1 to 3"),
    (lambda: cv.blockwise.richardson_lucy(ONES, ONES, 0), ValueError, "iterations must be at least 1, got 0"),
    (lambda: cv.blockwise.richardson_lucy(np.ones((0, 6)), ONES), ValueError, "is empty"),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(WRONG)))
def test_wrong_calls_are_refused_before_anything_is_computed(row):
    call, kind, words = WRONG[row]
    if words is None:  # a case beside a wrong one that is right
        call()
        return
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gigapixel_is_cut_into_blocks_at_once():
    result = cv.blockwise.richardson_lucy(da.ones((32768, 32768), chunks=4096, dtype="u2"), np.ones((3, 3, 15, 15)), 10)
    assert result.shape == (32768, 32768)
    assert set(result.chunks[0]) == {2048}
    image = da.ones((2**20, 2**18, 3), chunks=(8192, 8192, 3), dtype="f4")
    assert cv.blockwise.blur(image, np.ones((5, 5)), axes=(0, 1)).shape == image.shape
    tiled = cv.blockwise.local(da.ones((1, 40000, 40000), chunks=9999, dtype="f4"), np.ones((1, 3, 3, 1, 5, 5), "f4"))
    assert all(size % 3 == 0 for sizes in tiled.chunks[1:] for size in sizes[:-1])  # whole tiles
