"""Convolutions of arrays larger than memory: NumPy memory maps, Zarr, HDF5 and Dask arrays, in blocks, on Dask.

Each function returns a Dask array at once; its blocks are computed where they are asked for, on this machine's cores or on a
cluster. A block reads the window that its numbers depend on and nothing else is kept, so a kernel may be larger than a chunk, and
the result is that of the whole array in memory, at every edge. :func:`store` keeps it in a Zarr array, goes on after a kill where
it was, and shows how far it is. Blocks are computed by one thread each, as many at a time as Dask has workers.

``pip install 'convarium[blockwise]'``
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ._spec.arguments import flag, whole

if TYPE_CHECKING:
    import dask.array
    import zarr

__all__ = ["blur", "convolve", "correlate", "local", "richardson_lucy", "store"]


def convolve(
    x: Any,
    w: Any,
    mode: str = "full",
    axes: Any = None,
    method: str = "auto",
    *,
    padding_mode: str = "zeros",
    chunks: Any = "auto",
) -> dask.array.Array:
    r"""Convolves a large array with one that fits into memory, as :func:`convarium.convolve` does: the same formula, modes,
    shapes and dtypes.

    Args:
        x: an array :math:`(n_1, \dots, n_d)`: NumPy's, a memory map, or a Zarr, HDF5 or Dask array.
        w: an array :math:`(k_1, \dots, k_d)`, read whole.
        mode: ``'full'``, ``'same'`` or ``'valid'``; in ``'valid'``, `x` is at least as large as `w`.
        axes: an axis, or several, to convolve along; all by default. Over the others `x` and `w` broadcast.
        method: as in memory, but chosen for each block; a NaN that ``'fft'`` spreads stays in its block.
        padding_mode: how `x` goes on past its ends: ``'zeros'``, ``'reflect'``, ``'replicate'`` or ``'circular'``, as
            :func:`numpy.pad` has them (``'constant'``, ``'reflect'``, ``'edge'``, ``'wrap'``).
        chunks: the size of a block of the result along the convolved axes, a number or one an axis. ``'auto'``: blocks that
            read and make about 64 MiB, of which a worker holds a few times as much while it computes.

    Returns:
        A Dask array.

    Raises:
        TypeError, ValueError: as in memory; a padding mode that an axis is too short for; blocks larger than memory.

    Example:
        >>> import numpy as np, convarium as cv
        >>> x = np.arange(6)
        >>> cv.blockwise.convolve(x, [1, 10], chunks=4)
        dask.array<convolve, shape=(7,), dtype=int64, chunksize=(4,), chunktype=numpy.ndarray>
        >>> cv.blockwise.convolve(x, [1, 10], chunks=4).compute()
        array([ 0,  1, 12, 23, 34, 45, 50])
        >>> cv.blockwise.convolve(x, [1, 10], mode="same", padding_mode="circular").compute()
        array([50,  1, 12, 23, 34, 45])
    """
    from ._blockwise.signals import signal_in_blocks

    return signal_in_blocks("convolve", x, w, mode, axes, method, padding_mode, chunks)


def correlate(
    x: Any,
    w: Any,
    mode: str = "full",
    axes: Any = None,
    method: str = "auto",
    *,
    padding_mode: str = "zeros",
    chunks: Any = "auto",
) -> dask.array.Array:
    """Correlates a large array with one that fits into memory, as :func:`convarium.correlate` does.

    Args:
        x: as in :func:`convolve`.
        w: as in :func:`convolve`; not turned, and its conjugate.
        mode: as in :func:`convolve`.
        axes: as in :func:`convolve`.
        method: as in :func:`convolve`.
        padding_mode: as in :func:`convolve`.
        chunks: as in :func:`convolve`.

    Returns:
        A Dask array.

    Raises:
        TypeError, ValueError: as :func:`convolve`.

    Example:
        >>> import convarium as cv
        >>> cv.blockwise.correlate([1, 2, 3], [10, 1, 0]).compute()
        array([ 0,  1, 12, 23, 30])
    """
    from ._blockwise.signals import signal_in_blocks

    return signal_in_blocks("correlate", x, w, mode, axes, method, padding_mode, chunks)


def local(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    channels: Any = None,
    flip: bool = False,
    engine: str = "auto",
    chunks: Any = "auto",
) -> dask.array.Array:
    """A locally connected or tiled convolution of a large array, as :func:`convarium.conv2d` and its kin do it.

    A block reads its window of `x` and the kernels of its own places, so the weight may be as large as `x`, and may be a Dask
    array that makes its kernels when they are asked for.

    Args:
        x: an array ``(batch, in_channels, *size)``, or without the batch.
        weight: an array ``(out_channels, *tile, in_channels / groups, *kernel)``, in 1 to 3 directions: local where the tile is
            the size of the result, tiled below that, shared where it is 1s. With ``channels``, ``(edges, *tile, *kernel)``.
        bias: an array ``(out_channels,)``, or ``(out_channels, *tile)``.
        stride: as in :func:`convarium.conv2d`, and so are the next ones.
        padding: a number, one a direction, pairs, ``'valid'``, ``'same'`` or ``'full'``.
        dilation: a number, or one a direction.
        groups: blocks of channels side by side.
        padding_mode: ``'zeros'``, ``'reflect'``, ``'replicate'`` or ``'circular'``.
        channels: which inputs each output reads.
        flip: with kernels turned by 180 degrees.
        engine: a name from :func:`convarium.engines`.
        chunks: the size of a block of the result, a number or one a direction; ``'auto'``: in multiples of the tile.

    Returns:
        A Dask array ``(batch, out_channels, *out_size)``, or without the batch.

    Raises:
        TypeError, ValueError: as :func:`convarium.conv2d`; dtypes that differ; blocks larger than memory.

    Example:
        >>> import numpy as np, convarium as cv
        >>> x = np.arange(12.0).reshape(1, 12)
        >>> weight = np.ones((1, 10, 1, 3)) * np.arange(10.0).reshape(1, 10, 1, 1)  # each place counts its window more often
        >>> cv.blockwise.local(x, weight, chunks=4).compute()
        array([[  0.,   6.,  18.,  36.,  60.,  90., 126., 168., 216., 270.]])
    """
    from ._blockwise.local import local_in_blocks

    geometry = (stride, padding, dilation, groups, padding_mode, channels, flip)
    return local_in_blocks("local", x, weight, bias, geometry, engine, chunks)


def blur(image: Any, psf: Any, *, axes: Any = None, chunks: Any = "auto") -> dask.array.Array:
    r"""What is seen of an image through a point spread that may vary over the field.

    .. math::
        y[t] = \sum_s u[s]\, p_s[t - s + c], \qquad c = \lfloor (k - 1) / 2 \rfloor

    with zeros outside the image, where :math:`p_s` is the kernel of the place `s` that the light comes from: one for all, or
    interpolated linearly between those of a grid, each given for the centre of its part of the field.

    Args:
        image: an array of real numbers, NumPy's, a memory map, or a Zarr, HDF5 or Dask array.
        psf: a kernel, with as many dimensions as `axes`; or a grid of them, ``(*grid, *kernel)``. Each is scaled to sum 1.
        axes: the 1 to 3 axes of the field; all by default. Along others (channels, time) images are taken one by one.
        chunks: the size of a block along `axes`, a number or one an axis; ``'auto'``: about 64 MiB of work.

    Returns:
        A Dask array of the image's shape, float32 where that holds the image's numbers, else float64. A NaN reaches what sees
        it, and where kernels are large, and transformed, its block.

    Raises:
        TypeError, ValueError: images that are not real numbers; kernels that do not fit, are negative, not finite or zero.

    Example:
        >>> import numpy as np, convarium as cv
        >>> stars = np.array([0.0, 4, 0, 0, 0, 0, 4, 0])
        >>> cv.blockwise.blur(stars, [[0.0, 1, 0], [1, 2, 1]]).compute()  # sharp at the left, wider to the right
        array([0., 4., 0., 0., 0., 1., 2., 1.])

    Source: Nagy and O'Leary, *Restoring images degraded by spatially variant blur*, SIAM J. Sci. Comput. 19 (1998).
    """
    from ._blockwise.deblurring import blur_in_blocks

    return blur_in_blocks("blur", image, psf, axes, chunks)


def richardson_lucy(
    image: Any, psf: Any, iterations: int = 10, *, axes: Any = None, chunks: Any = "auto"
) -> dask.array.Array:
    r"""Undoes a blur: the light that makes the image most likely if its noise is that of counted photons.

    .. math::
        u_{i+1} = \frac{u_i}{A^T 1} \; A^T \frac{y}{A u_i}

    `A` is the blur of :func:`blur`, and its transpose the input gradient of that convolution. The light of a rim as wide as
    the kernel is estimated with the image, where a hundredth of it falls inside, so that edges do not ring. A block is computed
    with the margin on which it depends, ``(2 * iterations - 1) * (k - 1)`` along each axis, so its numbers are those of the
    whole.

    Args:
        image: as in :func:`blur`. Negative values count as 0: subtract the camera's background before.
        psf: as in :func:`blur`.
        iterations: more of them sharpen more, and in time the noise too.
        axes: as in :func:`blur`.
        chunks: as in :func:`blur`.

    Returns:
        A Dask array of the image's shape, of the dtype that :func:`blur` has, and not negative. Its sum is about the image's.

    Raises:
        TypeError, ValueError: as :func:`blur`; iterations below 1.

    Example:
        >>> import numpy as np, convarium as cv
        >>> stars = np.array([0.0, 0, 4, 0, 0, 0, 0, 8, 0, 0])
        >>> seen = cv.blockwise.blur(stars, [1.0, 2, 1])
        >>> cv.blockwise.richardson_lucy(seen, [1.0, 2, 1], 200).compute().round(1)
        array([0., 0., 4., 0., 0., 0., 0., 8., 0., 0.])

    Source: Richardson, J. Opt. Soc. Am. 62 (1972); Lucy, Astron. J. 79 (1974); for the rim, Bertero and Boccacci, *A simple
    method for the reduction of boundary effects in the Richardson-Lucy approach*, Astron. Astrophys. 437 (2005).
    """
    from ._blockwise.deblurring import richardson_lucy_in_blocks

    return richardson_lucy_in_blocks("richardson_lucy", image, psf, iterations, axes, chunks)


def store(
    array: dask.array.Array,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: bool | None = None,
) -> zarr.Array[Any]:
    """Computes a Dask array into a Zarr array on disk, block by block; after a kill, the same call goes on where it was.

    Until all of it is there it grows beside `path`, with ``.unfinished`` after its name, so what is at `path` is always whole.
    The same computation makes the same bytes, killed or not. It is known by Dask's name for it: arrays in memory by their
    values, memory maps and stores by their files.

    Args:
        array: from a function of this module, or any other whose blocks have one size.
        path: the folder to make; its parent is there.
        overwrite: replace a Zarr array that is there, and begin anew.
        workers: how many blocks at a time; Dask's own choice by default, which is one a core.
        progress: show a bar; by default where standard error is a terminal.

    Returns:
        The Zarr array, to be read.

    Raises:
        InputError: something else is at `path`, or begun there; with `overwrite`, something that is no Zarr array; the file
            system refuses.
        TypeError, ValueError: no Dask array of numbers; blocks of different or unknown sizes.

    Example:
        >>> import os, tempfile, numpy as np, convarium as cv
        >>> folder = tempfile.TemporaryDirectory()
        >>> mean = cv.blockwise.convolve(np.ones((40, 30), np.float32), np.full((3, 3), 1 / 9, np.float32), "valid", chunks=16)
        >>> cv.blockwise.store(mean, os.path.join(folder.name, "mean.zarr"))
        <Array file://.../mean.zarr shape=(38, 28) dtype=float32>
        >>> folder.cleanup()
    """
    from ._blockwise.store import keep

    workers = None if workers is None else whole("store", "workers", workers, least=1)
    shows = sys.stderr.isatty() if progress is None else flag("store", "progress", progress)
    return keep("store", array, path, overwrite=flag("store", "overwrite", overwrite), workers=workers, progress=shows)
