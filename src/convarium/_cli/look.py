"""``convarium look``: a page that shows what happens inside, of a run's networks or of a kernel on a photo."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options
from .refusals import refuse, told
from .sizes import each

KERNELS = {
    "sobel": [[[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]],
    "gaussian": [[[1, 4, 6, 4, 1], [4, 16, 24, 16, 4], [6, 24, 36, 24, 6], [4, 16, 24, 16, 4], [1, 4, 6, 4, 1]]],
    "laplace": [[[0, 1, 0], [1, -4, 1], [0, 1, 0]]],
    "sharpen": [[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]],
}


def _option(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text, show_default=False)


def look(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]", help="The folder of a run; without one, --image and --kernel.", show_default=False
        ),
    ] = None,
    image: Annotated[
        list[str] | None, _option("N|FILE", "A test image of the run by its number, or a file; may be given again.")
    ] = None,
    layer: Annotated[str | None, _option("NAME", "This layer alone: stem or middle.")] = None,
    kernel: Annotated[
        str | None,
        _option("NAME|FILE", f"Without a run: {', '.join(KERNELS)}, or rows of numbers in a text file or .npy."),
    ] = None,
    stride: Annotated[str | None, _option("N", "Without a run: one number, or one a direction. \\[default: 1]")] = None,
    size: Annotated[
        int | None, _option("N", "Without a run: the photo's longer side becomes N. \\[default: 64]")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page.")] = Path("look.html"),
    task: options.Task = None,
    kind: options.Kind = None,
    seed: options.Seed = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a page that shows what happens inside: windows, kernels, products, sums and gradients, number by number.

    It is one file that opens in any browser, without a network.
    """
    from .._files import atomic
    from .._files.failures import InputError

    if run is None:
        if not image or kernel is None:
            raise InputError("look: give a RUN, or --image FILE and --kernel NAME")
        refuse("only a run has it", layer=layer, task=task, kind=kind, seed=seed)
        view, title = _photo(image, kernel, each("--stride", stride or "1", 2), 64 if size is None else size)
    else:
        refuse("a run has its own", kernel=kernel, stride=stride, size=size)
        view, title = _networks(run, image or [], layer, task, kind, seed)
    page = told(view.page, title).encode()
    atomic.write(out, page)
    if as_json:
        print(json.dumps({"page": str(out), "bytes": len(page), "layers": list(view.traces)}, indent=2))
    else:
        print(f"{out}: {', '.join(view.traces)} ({len(page) / 2**20:.1f} MiB)")


def _networks(
    path: Path, image: list[str], layer: str | None, task: str | None, kind: str | None, seed: int | None
) -> Any:
    from .._files.failures import InputError
    from .._train import inside
    from .._train.run_folder import RunFolder
    from ..looking import View

    run = RunFolder.open(path)
    results = inside.best(run, task, kind, seed)
    view = inside.view(run, results, *inside.images(run, results[0].task, image))
    if layer is not None:
        kept = [trace for name, trace in view.traces.items() if layer in (name, name.rpartition(" ")[2])]
        if not kept:
            raise InputError(f"--layer: no layer is called {layer!r}; there are {', '.join(view.traces)}")
        view = View(kept, view.input, view.fields)
    return view, f"{run.card.origin}, {results[0].task}"


def _photo(image: list[str], kernel: str, stride: tuple[int, ...], size: int) -> Any:
    import torch

    from .._files.failures import InputError
    from .._train.samples import resize
    from .._train.sources import picture
    from ..looking import look

    if len(image) != 1:
        raise InputError("--image: one file, where there is no run")
    if not 1 <= size <= 512:
        raise InputError(f"--size: expected a whole number from 1 to 512, got {size}")
    photo = picture.read(Path(image[0]), 1)[None]
    longest = max(photo.shape[2:])
    if longest > size:
        high, wide = (max(1, round(side * size / longest)) for side in photo.shape[2:])
        photo = resize(photo, (high, wide))
    weight = _kernel(kernel)
    if weight.shape[2] > photo.shape[2] or weight.shape[3] > photo.shape[3]:
        raise InputError(f"--kernel: {kernel} is larger than the photo, {photo.shape[2]} x {photo.shape[3]}")
    return told(look, torch.as_tensor(weight), photo, stride=stride), f"{kernel} on {Path(image[0]).name}"


def _kernel(name: str) -> Any:
    """``(outputs, 1, rows, columns)``."""
    import numpy as np
    import torch

    from .._files.failures import InputError, why

    if name in KERNELS:
        found = torch.tensor(KERNELS[name], dtype=torch.float32)
        return (found / found.sum() if name == "gaussian" else found)[:, None]
    path = Path(name)
    try:
        with warnings.catch_warnings(action="ignore"):  # an empty file is refused below
            text = path.suffix != ".npy"
            read = np.loadtxt(path, ndmin=2, delimiter=_delimiter(path)) if text else np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        if path.suffix or path.parent != Path("."):
            raise why(path, error) from None
        raise InputError(f"--kernel: {name!r} is none of {', '.join(KERNELS)}, and no file") from None
    except OSError as error:
        raise why(path, error) from None
    except ValueError as error:
        raise InputError(f"{path}: no rows of numbers ({' '.join(str(error).split())})") from None
    if read.ndim != 2 or 0 in read.shape or read.dtype.kind not in "fiu":
        raise InputError(f"{path}: a kernel must be rows of real numbers, got {read.dtype} of shape {read.shape}")
    return torch.tensor(read, dtype=torch.float32)[None, None]


def _delimiter(path: Path) -> str | None:
    """A comma where there are commas; else blanks."""
    with path.open("rb") as file:
        return "," if b"," in file.read(4096) else None
