"""scikit-learn's handwritten digits: real, small, and inside the package, so that no network is needed."""

from __future__ import annotations

import torch

from ..._files.failures import extra
from ..samples import Samples, resize


def read(size: tuple[int, int] | None) -> Samples:
    found = extra("sklearn.datasets").load_digits()
    images = torch.from_numpy(found.images).float().div_(16).unsqueeze(1)
    origin = f"scikit-learn's handwritten digits, {len(images):,} images of 8 x 8"
    if size is not None and size != (8, 8):
        images = resize(images, size)
        origin += f", resized to {size[0]} x {size[1]}"
    return Samples(images, torch.from_numpy(found.target).long(), tuple(map(str, found.target_names)), origin)
