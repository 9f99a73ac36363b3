"""A microscope's field of a gigapixel, made block by block, blurred, and made sharp again, with less than a gigabyte of memory.

    python examples/gigapixel.py                       # 2048 x 2048, a few seconds
    python examples/gigapixel.py --size 32768          # a gigapixel: some minutes, 7 GB on disk

Point-like light on a dim ground is made where it is asked for; the microscope's point spread widens from the middle of the
field to its corners; photons are counted. What is seen is kept in a Zarr array, and so is what Richardson and Lucy's method makes
of it. Stop it whenever you like: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from PIL import Image

import convarium as cv

TAPS, CHUNK = 15, 1024


def field(block_info=None) -> np.ndarray:
    """Light as it leaves the sample, in photons; each chunk has a seed of its own."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    numbers = np.random.default_rng((top, left))
    light = np.full((bottom - top, right - left), 4, np.float32)
    points = light.size // 200
    light[numbers.integers(0, bottom - top, points), numbers.integers(0, right - left, points)] += numbers.exponential(
        2000, points
    )
    return light


def point_spread() -> np.ndarray:
    """``(3, 3, 15, 15)``: sharp in the middle, twice as wide in the corners."""
    at = np.arange(TAPS) - TAPS // 2
    squares = at[:, None] ** 2 + at**2
    distance = np.hypot(*np.meshgrid([-1, 0, 1], [-1, 0, 1])) / np.sqrt(2)
    return np.exp(-squares / (2 * (1.2 + 1.2 * distance[..., None, None]) ** 2))


def photons(light: np.ndarray, block_info=None) -> np.ndarray:
    numbers = np.random.default_rng((1, *(place[0] for place in block_info[0]["array-location"])))
    return numbers.poisson(light).clip(0, 65535).astype(np.uint16)


def peak_memory() -> float:
    """In GiB. Linux' ``getrusage`` would count what the process was that started this one."""
    if sys.platform == "linux":
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def rate_in_memory(seen: np.ndarray, psf: np.ndarray, iterations: int, workers: int) -> float:
    """Pixels a second where nothing is read, cut or kept: a crop for each core, as one block."""
    crops = [cv.blockwise.richardson_lucy(seen, psf, iterations, chunks=max(seen.shape)) for _ in range(workers)]
    dask.compute(*[crop[:8, :8] for crop in crops], num_workers=workers)  # plans are made, memory is there
    began = time.perf_counter()
    dask.compute(*crops, num_workers=workers)
    return workers * seen.size / (time.perf_counter() - began)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", type=int, default=2048, metavar="N")
    parser.add_argument("--iterations", type=int, default=10, metavar="N")
    parser.add_argument("--folder", type=Path, default=Path("gigapixel"), metavar="DIR")
    parser.add_argument("--workers", type=int, default=dask.system.CPU_COUNT, metavar="N")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    size, psf = options.size, point_spread()

    chunks = (tuple(min(CHUNK, size - start) for start in range(0, size, CHUNK)),) * 2
    light = da.map_blocks(field, chunks=chunks, dtype=np.float32, name=f"field-{size}")
    seen = cv.blockwise.blur(light, psf, chunks=CHUNK).map_blocks(photons, dtype=np.uint16)
    began = time.perf_counter()
    seen = cv.blockwise.store(seen, options.folder / "seen.zarr", workers=options.workers)
    facts = {"seen": time.perf_counter() - began}
    if not options.json:
        print(f"seen     {size} x {size}, {seen.nbytes / 1e9:.2f} GB, in {facts['seen']:.1f} s", flush=True)

    began = time.perf_counter()
    result = cv.blockwise.richardson_lucy(seen, psf, options.iterations)
    sharp = cv.blockwise.store(result, options.folder / "sharp.zarr", workers=options.workers)
    seconds = time.perf_counter() - began
    peak = peak_memory()

    crop = slice(0, min(size, 2048))
    alone = rate_in_memory(seen[crop, crop], psf, options.iterations, options.workers)
    rate = size * size / seconds
    corner = slice(max(size - 256, 0), size)
    parts = [np.asarray(part[corner, corner], np.float32) for part in (light, seen, sharp)]
    picture = np.concatenate([np.sqrt(part / 400).clip(0, 1) for part in parts], axis=1)
    Image.fromarray((255 * picture).astype(np.uint8)).save(options.folder / "corner.png")
    facts |= {"sharp": seconds, "peak": peak, "rate": rate, "rate in memory": alone}
    if options.json:
        print(json.dumps(facts))
        return
    print(
        f"sharp    {options.iterations} iterations, {result.npartitions} blocks, in {seconds:.1f} s; peak memory {peak:.2f} GiB"
    )
    print(
        f"rate     {rate / 1e6:.2f} million pixels a second; a crop in memory {alone / 1e6:.2f}, {100 * rate / alone:.0f} %"
    )
    print(f"picture  {options.folder / 'corner.png'}: a corner of the field as it is, as it is seen, and made sharp")


if __name__ == "__main__":
    main(sys.argv[1:])
