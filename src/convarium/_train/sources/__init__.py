"""Where images come from. ``load`` tells the formats apart; each format is a file.

============================  =====================================================================================
``digits``                    scikit-learn's handwritten digits: 1,797 images of 8 x 8, inside its package
a folder with sub-folders     one sub-folder a class, named like the class, with images inside
a folder with IDX files       MNIST's: ``train-images-idx3-ubyte`` and its labels, ``t10k-...`` as test set, ``.gz`` or not
an IDX image file             its labels beside it, or given
``.npy``                      images, however many: read as they are needed; their labels in another, beside it or given
``.npz``                      ``x`` and ``y`` (and ``names``), or ``x_train``, ``y_train``, ``x_test``, ``y_test``
============================  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ..._files.failures import InputError
from ..samples import Samples, check_classes, recolour
from . import arrays, digits, folder, idx, npy

DIGITS = "digits"


def load(
    data: str,
    labels: str | None = None,
    size: tuple[int, int] | None = None,
    colour: int | None = None,
    skipping: Callable[[str], None] | None = None,
) -> Samples:
    """Read labelled images.

    Args:
        data: ``"digits"`` or a path.
        labels: the label file, for an IDX image file or a ``.npy`` only.
        size: bring every image to this height and width; None chooses (see ``samples.default_size``).
        colour: the number of channels to bring images to, 1 or 3; None chooses.
        skipping: told of each file of a folder that cannot be read, which is left out; None: such a file is an error. For
            folders of images only.

    Raises:
        InputError: if it is none of the formats, or damaged; the message is one line.
    """
    path = Path(data).expanduser()
    if labels is not None and (data == DIGITS or path.is_dir() or path.suffix == ".npz"):
        raise InputError(f"{data}: a label file belongs to an IDX image file or a .npy only")
    if skipping is not None and (data == DIGITS or path.is_file() or (path.is_dir() and idx.is_folder(path))):
        raise InputError(f"--on-error: skip leaves out files of a folder of images; {data} is read whole or not at all")
    if data == DIGITS:
        samples = digits.read(size)
    elif path.is_dir():
        samples = idx.read_folder(path, size) if idx.is_folder(path) else folder.read(path, size, colour, skipping)
    elif not path.exists():
        raise InputError(f"{data}: no such file or folder")
    elif path.suffix == ".npz":
        samples = arrays.read(path, size)
    elif path.suffix == ".npy":
        samples = npy.read(path, None if labels is None else Path(labels).expanduser(), size, colour)
    elif idx.looks_like(path):
        samples = idx.read_pair(path, None if labels is None else Path(labels).expanduser(), size)
    else:
        raise InputError(f"{data}: not a folder of classes, an .npz, a .npy or an IDX file")
    if colour is not None and isinstance(samples.images, Tensor):
        samples = replace(samples, images=recolour(samples.images, colour))
    return check_classes(samples)
