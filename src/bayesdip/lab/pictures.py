"""Small gray pictures to measure on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from benchmarks.pictures import Array, figure6
from torch import Tensor

from bayesdip.errors import FileError
from bayesdip.io import read_picture

SHIPPED = ("camera", "astronaut", "coffee", "chelsea")
OF_FOLDER = ("house", "barbara", "cameraman", "peppers")


def names(count: int, data: Path | None) -> list[str]:
    """The first few of scikit-image's pictures, or of the folder's ``inpaint11``."""
    return list((SHIPPED if data is None else OF_FOLDER)[:count])


@lru_cache(maxsize=32)
def gray(name: str, side: int, data: Path | None = None) -> Tensor:
    """The middle of a gray picture, made smaller by a whole factor: (1, side, side), float32, 0..1.

    Parameters
    ----------
    name : str
        One of ``names``, or ``"fig6"`` for the paper's 64x64 picture where the folder holds it.
    """
    if name == "fig6":
        whole = figure6(data).clean if data is not None else _load("camera", None)
    else:
        whole = _load(name, data)
    factor = max(1, min(whole.shape) // side)
    rows, columns = (n // factor * factor for n in whole.shape)
    small = whole[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor).mean((1, 3))
    top, left = ((n - side) // 2 for n in small.shape)
    if min(top, left) < 0:
        raise FileError(
            f"{name} has {small.shape} pixels: at least {side} a side were expected; take another"
        )
    return torch.from_numpy(small[top : top + side, left : left + side].astype(np.float32))[None]


def _load(name: str, data: Path | None) -> Array:
    if data is not None:
        pixels = read_picture(data / "inpaint11" / f"{name}.png").pixels
    else:
        from skimage import data as shipped

        pixels = getattr(shipped, name)()
    floats = pixels / 255.0
    return floats if floats.ndim == 2 else floats[..., :3] @ np.array([0.299, 0.587, 0.114])
