"""Small gray pictures to measure on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bayesdip.errors import FileError
from bayesdip.io import read_picture

SHIPPED = (
    "camera",
    "astronaut",
    "coffee",
    "chelsea",
    "coins",
    "page",
    "immunohistochemistry",
    "brick",
    "rocket",
    "moon",
    "grass",
)
OF_FOLDER = (
    "house",
    "barbara",
    "cameraman",
    "peppers",
    "montage",
    "fingerprint",
    "boat",
    "couple",
    "hill",
    "lena",
    "man",
)
LUMA = (0.299, 0.587, 0.114)  # red, green and blue in gray, ITU-R BT.601


def names(count: int, data: Path | None) -> list[str]:
    """The first few of scikit-image's pictures, or of the folder's ``inpaint11``."""
    return list((SHIPPED if data is None else OF_FOLDER)[:count])


@lru_cache(maxsize=32)
def gray(name: str, side: int, data: Path | None = None) -> Tensor:
    """The middle of a gray picture, reduced by a whole factor.

    Parameters
    ----------
    name : str
        One of ``names``.
    side : int
        Pixels per axis.
    data : Path or None
        The folder that holds ``inpaint11``; None takes scikit-image's pictures.

    Returns
    -------
    Tensor, shape (1, side, side)
        float32, 0..1.

    Raises
    ------
    FileError
        The picture is smaller than that, or not there.
    """
    if data is None:
        from skimage import data as shipped

        pixels = getattr(shipped, name)()
    else:
        pixels = read_picture(data / "inpaint11" / f"{name}.png").pixels
    floats = pixels / 255.0
    whole = floats if floats.ndim == 2 else floats[..., :3] @ np.array(LUMA)
    factor = max(1, min(whole.shape) // side)
    rows, columns = (n // factor * factor for n in whole.shape)
    small = whole[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor).mean((1, 3))
    top, left = ((n - side) // 2 for n in small.shape)
    if min(top, left) < 0:
        raise FileError(
            f"{name} has {small.shape} pixels: expected at least {side} per axis; take another picture"
        )
    return torch.from_numpy(small[top : top + side, left : left + side].astype(np.float32))[None]
