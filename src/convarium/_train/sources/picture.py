"""One image file: opened, checked, and turned into numbers in the same way for training and for prediction."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..._files.failures import InputError, extra, why

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm"})
COLOURLESS = frozenset({"1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L"})


def read(path: Path, channels: int | None = None) -> Tensor:
    """An image as ``(channels, H, W)``, float32 from 0 to 1; what is transparent is laid on white.

    Args:
        path: any file Pillow opens.
        channels: 1 (luminance) or 3; None keeps what the file has.

    Raises:
        InputError: if there is no such image, or it is damaged.
    """
    pillow = extra("PIL.Image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pillow.open(path) as image:
                image.load()
                if channels is None:
                    channels = 1 if image.mode in COLOURLESS else 3
                if image.mode.startswith("I;16") or image.mode == "I":
                    numbers = np.asarray(image).astype(np.float32) / 65535
                    return torch.from_numpy(numbers).clamp_(0, 1).expand(channels, -1, -1)
                if image.has_transparency_data:
                    white = pillow.new("RGBA", image.size, "white")
                    image = pillow.alpha_composite(white, image.convert("RGBA"))
                numbers = np.array(image.convert("L" if channels == 1 else "RGB"))
    except FileNotFoundError as error:
        raise why(path, error) from None
    except extra("PIL").UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or a damaged one") from None
    except OSError as error:
        raise (why(path, error) if error.errno else InputError(f"{path}: a damaged image ({_line(error)})")) from None
    except Exception as error:  # decoders raise whatever they like on damaged files
        raise InputError(f"{path}: a damaged image ({_line(error)})") from None
    tensor = torch.from_numpy(numbers).float().div_(255)
    return tensor.unsqueeze(0) if tensor.ndim == 2 else tensor.permute(2, 0, 1).contiguous()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
