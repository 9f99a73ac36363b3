"""``convarium deblur``: a blurred image of any size made sharp, block by block."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from .._files.failures import InputError
from . import options
from .refusals import told
from .sizes import each
from .stopping import Stopped


def deblur(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="An image: .tif, .png, .jpg, .npy or a .zarr folder.", show_default=False),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to make: .tif, .png, .npy or .zarr.", show_default=False)
    ],
    psf: Annotated[
        str,
        typer.Option(
            metavar="FILE|gaussian:S",
            help="What a point of light looks like: an image of it; a .npy or .zarr grid of kernels, (*grid, *kernel), where it "
            "varies over the field; or a Gaussian of S pixels, or of SxSxS.",
            show_default=False,
        ),
    ],
    iterations: Annotated[
        int, typer.Option(metavar="N", min=1, help="More sharpen more, and in time the noise too.")
    ] = 10,
    axes: Annotated[
        str | None,
        typer.Option(
            metavar="0x1", help="The axes of the field. \\[default: Y and X, or the last ones]", show_default=False
        ),
    ] = None,
    as_float: Annotated[
        bool, typer.Option("--float", help="Keep fractions, where whole numbers came. Not for .png.")
    ] = False,
    chunks: Annotated[
        str | None,
        typer.Option(metavar="N|NxN", help="The size of a block. \\[default: by memory]", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Blocks at a time. \\[default: one a core]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT, and what was begun of it.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Undo the blur of a microscope or a telescope, by Richardson and Lucy's method.

    OUT may be larger than memory. After Ctrl-C or a kill, the same command goes on where it was.
    """
    from .. import blockwise
    from .._blockwise import images
    from .._blockwise.deblurring import working_dtype

    image = images.read(source)
    kernel = _kernel(psf)
    if kernel.ndim not in (1, 2, 3, 4, 6):
        raise InputError(f"--psf: a kernel of 1 to 3 directions, or a grid of them, got shape {kernel.shape}")
    directions = kernel.ndim if kernel.ndim <= 3 else kernel.ndim // 2
    along = _axes(source, image, directions, axes)
    dtype = np.dtype(image.array.dtype).newbyteorder("=")
    in_zarr = target.suffix.lower() == ".zarr"
    whole = dtype.kind in "iu" and not as_float
    images.check_target(target, image.array.shape, dtype if whole else working_dtype(dtype))
    if target.exists() and not overwrite and not in_zarr:
        raise InputError(f"{target}: is there already; --overwrite would replace it")

    asked: Any = "auto" if chunks is None else each("--chunks", chunks, directions)
    result = told(blockwise.richardson_lucy, image.array, kernel, iterations, axes=along, chunks=asked)
    facts = {
        "image": f"{source}, {' x '.join(map(str, image.array.shape))}, {dtype}",
        "kernel": _described(psf, kernel, directions),
        "work": f"{iterations} iterations, {math.prod(result.numblocks):,} blocks of {' x '.join(map(str, result.chunksize))}",
    }
    if whole:
        result = result.map_blocks(_rounded, to=dtype, dtype=dtype)
    if not as_json:
        for name, text in facts.items():
            print(f"{name:7} {text}")
        sys.stdout.flush()
    blocks = target if in_zarr else target.with_name(f"{target.name}.blocks.zarr")
    began = time.monotonic()
    try:
        kept = blockwise.store(result, blocks, overwrite=overwrite, workers=workers)
        if blocks != target:
            images.write(kept, target, image.axes)
            shutil.rmtree(blocks)
    except InputError as error:
        raise InputError(str(error).replace("overwrite=True", "--overwrite")) from None
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT, "the same command goes on where this one was") from None
    seconds = time.monotonic() - began
    if as_json:
        value = {
            "source": str(source),
            "target": str(target),
            "shape": result.shape,
            "dtype": str(result.dtype),
            "iterations": iterations,
            "blocks": math.prod(result.numblocks),
            "seconds": round(seconds, 3),
        }
        print(json.dumps(value, indent=2))
        return
    print(f"{'image':7} {target}, {result.dtype}, in {seconds:.1f} s")


def _rounded(block: Any, to: Any) -> Any:
    """Whole numbers, cut to those there are; the largest of wide ones are not numbers of a float."""
    limits, whole = np.iinfo(to), np.rint(block.astype(np.float64))
    low, high = whole <= limits.min, whole >= float(limits.max)
    cut = np.where(low | high, 0, whole).astype(to)
    cut[low], cut[high] = limits.min, limits.max
    return cut


def _kernel(text: str) -> Any:
    from .._blockwise import images

    name, colon, numbers = text.partition(":")
    if name != "gaussian" or not colon:
        return np.asarray(images.read(Path(text)).array[...])
    try:
        widths = [float(number) for number in numbers.split("x")]
    except ValueError:
        widths = []
    widths *= 2 if len(widths) == 1 else 1
    if not 2 <= len(widths) <= 3 or not all(0 < width < 100 for width in widths):
        raise InputError(
            f"--psf: gaussian:S with S a width in pixels, below 100, or 2 or 3 of them with x between, got {text!r}"
        )
    kernel = np.ones(())
    for width in widths:
        at = np.arange(-math.ceil(4 * width), math.ceil(4 * width) + 1)
        kernel = kernel[..., None] * np.exp(-((at / width) ** 2) / 2)
    return kernel


def _described(text: str, kernel: Any, n: int) -> str:
    taps = " x ".join(map(str, kernel.shape[-n:]))
    grid = f", a grid of {' x '.join(map(str, kernel.shape[:-n]))}" if kernel.ndim > n else ""
    return f"{text}, {taps}{grid}"


def _axes(path: Path, image: Any, n: int, asked: str | None) -> tuple[int, ...]:
    """Which axes the kernel's are: what was asked for, Y and X and before them Z, or the last ones."""
    rank = len(image.array.shape)
    if asked is not None:
        found = each("--axes", asked, n)
        if len(set(found)) < n or not all(0 <= axis < rank for axis in found):
            raise InputError(f"--axes: {n} different axes from 0 to {rank - 1}, got {asked!r}")
        return found
    names = "ZYX"[-n:]
    if image.axes is not None and all(name in image.axes for name in names):
        return tuple(image.axes.index(name) for name in names)
    if n > rank or (image.axes is not None and n == 3):
        raise InputError(
            f"{path}: has {rank} axes{f' ({image.axes})' if image.axes else ''}, and the kernel {n} directions; --axes says which"
        )
    return tuple(range(rank - n, rank))
