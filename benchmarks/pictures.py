"""The pictures to measure on, from the folder given with ``--data``, and how they are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bayesdip.errors import FileError
from bayesdip.io import read_mask, read_picture

Array = NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """A clean picture and what is given in its place: a noisy one, or which pixels are missing."""

    name: str
    clean: Array
    noisy: Array | None = None
    missing: NDArray[np.bool_] | None = None

    @property
    def channel_axis(self) -> int | None:
        return -1 if self.clean.ndim == 3 else None


@dataclass(frozen=True)
class Small:
    """A clean colour picture and the small version of it that is given in its place."""

    name: str
    clean: Array
    small: Array


def noisy_pairs(data: Path, only: tuple[str, ...] = (), side: int | None = None) -> Iterator[Pair]:
    """``denoise9``: published inputs with sigma 25, clipped to 8 bits; the middle, where a side is given."""
    for path in _inputs(data / "denoise9", "_noisy25.png", only):
        name = path.name.removesuffix("_noisy25.png")
        clean, noisy = read_picture(path.with_name(f"{name}.png")).pixels, read_picture(path).pixels
        yield Pair(name, middle(clean, side), noisy=middle(noisy, side))


def masked_pairs(data: Path, only: tuple[str, ...] = (), side: int | None = None) -> Iterator[Pair]:
    """``inpaint11``: published masks, half of the pixels missing; the middle, where a side is given."""
    for path in _inputs(data / "inpaint11", "_missing50.png", only):
        name = path.name.removesuffix("_missing50.png")
        clean = read_picture(path.with_name(f"{name}.png")).pixels
        missing = read_mask(path, clean.shape[:2])
        yield Pair(name, middle(clean, side), missing=middle(missing, side))


def middle(picture: Array, side: int | None) -> Array:
    """The middle ``side`` x ``side`` pixels, or as many as there are; all of them for None."""
    if side is None:
        return picture
    rows, columns = (slice(max(n - side, 0) // 2, max(n - side, 0) // 2 + side) for n in picture.shape[:2])
    return picture[rows, columns]


def small_pairs(data: Path, factor: int, only: tuple[str, ...] = ()) -> Iterator[Small]:
    """``set5``: pictures cut to whole multiples of the factor, made small by Pillow's Lanczos filter."""
    for path in _inputs(data / "set5", ".png", only):
        clean = read_picture(path).pixels
        height, width = (n // factor * factor for n in clean.shape[:2])
        clean = clean[:height, :width]
        small = Image.fromarray(clean).resize((width // factor, height // factor), Image.Resampling.LANCZOS)
        yield Small(path.stem, clean, np.asarray(small))


def figure6(data: Path) -> Pair:
    """The 64x64 picture of the paper's figure 6, floats in 0..1."""
    path = data / "fig6" / "inpainting64.npz"
    if not path.exists():
        raise FileError(f"{path} is not there: give the folder that holds fig6/ with --data")
    with np.load(path) as stored:
        return Pair("fig6", stored["image"], missing=stored["missing"])


def psnr(estimate: Array, clean: Array) -> float:
    """Peak signal-to-noise ratio in dB; the peak is 255 for 8-bit pictures, else 1, and values are clipped to it."""
    peak = 255.0 if clean.dtype == np.uint8 else 1.0
    error = np.mean((np.clip(estimate.astype(np.float64), 0, peak) - clean.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def psnr_of_luma(estimate: Array, clean: Array, border: int = 4) -> float:
    """PSNR of the Y channel without its border, as super-resolution is scored (and in the code of Deep Image Prior)."""
    from skimage.color import rgb2ycbcr

    inside = (slice(border, -border), slice(border, -border), 0)
    error = np.mean((rgb2ycbcr(estimate)[inside] - rgb2ycbcr(clean)[inside]) ** 2)
    return float(10 * np.log10(255.0**2 / error))


def _inputs(folder: Path, suffix: str, only: tuple[str, ...]) -> list[Path]:
    found = sorted(folder.glob(f"*{suffix}"))
    if only:
        found = [path for path in found if path.name.removesuffix(suffix) in only]
    if not found:
        raise FileError(
            f"{folder} holds no picture *{suffix}{' of those names' if only else ''}: give the data folder with --data"
        )
    return found
