"""The pictures to measure on, from the folder given with ``--data`` or from scikit-image, and how they are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter
from torch import Tensor

from bayesdip.errors import FileError
from bayesdip.io import read_mask, read_picture

Array = NDArray[Any]

# Pictures to blur: their side, and the border where a blur sees what lies beyond it.
BLUR_SIDE, BORDER = 128, 8
# Names in scikit-image, and the corner of the crop.
CROPS = {"camera": (80, 200), "astronaut": (20, 150), "coins": (60, 60), "moon": (150, 150)}
# Standard deviations of the blur, in pixels, and of the noise, of 255.
BLURS = ((1.6, 2.0), (2.5, 5.0))


@dataclass(frozen=True)
class Pair:
    """A clean picture and what is given in its place: a noisy one, a small one, or (bool) which pixels are missing."""

    name: str
    clean: Array
    given: Array

    @property
    def channel_axis(self) -> int | None:
        return -1 if self.clean.ndim == 3 else None


def noisy_pairs(data: Path, only: tuple[str, ...] = (), side: int | None = None) -> Iterator[Pair]:
    """``denoise9``: published inputs with sigma 25, clipped to 8 bits; the centre crop, where a side is given."""
    for name, clean, path in _inputs(data / "denoise9", "_noisy25", only):
        yield Pair(name, centre(clean, side), centre(read_picture(path).pixels, side))


def masked_pairs(data: Path, only: tuple[str, ...] = (), side: int | None = None) -> Iterator[Pair]:
    """``inpaint11``: published masks, half of the pixels missing; the centre crop, where a side is given."""
    for name, clean, path in _inputs(data / "inpaint11", "_missing50", only):
        yield Pair(name, centre(clean, side), centre(read_mask(path, clean.shape[:2]), side))


def small_pairs(data: Path, factor: int, only: tuple[str, ...] = ()) -> Iterator[Pair]:
    """``set5``: pictures cut to whole multiples of the factor, made small by Pillow's Lanczos filter."""
    for name, clean, _ in _inputs(data / "set5", "", only):
        height, width = (n // factor * factor for n in clean.shape[:2])
        yield Pair(name, clean[:height, :width], smaller(clean[:height, :width], factor))


def smaller(picture: Array, factor: int) -> Array:
    """Made small by Pillow's Lanczos filter."""
    size = (picture.shape[1] // factor, picture.shape[0] // factor)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def larger(picture: Array, shape: tuple[int, ...]) -> Array:
    """Made as large as `shape`, (M, N, ...), by Pillow's bicubic filter."""
    return np.asarray(Image.fromarray(picture).resize(shape[1::-1], Image.Resampling.BICUBIC))


def figure6(data: Path) -> Pair:
    """The 64x64 picture of the paper's figure 6, floats in 0..1."""
    path = data / "fig6" / "inpainting64.npz"
    if not path.exists():
        raise FileError(f"{path} is not there: expected the folder that holds fig6/; give it with --data")
    with np.load(path) as stored:
        return Pair("fig6", stored["image"], stored["missing"])


def large_hole(data: Path) -> Pair:
    """``large_hole``: the library with its mask, white where a pixel is missing; channels last."""
    path = data / "large_hole" / "library_mask.png"
    if not path.exists():
        raise FileError(
            f"{path} is not there: expected the folder that holds large_hole/; give it with --data"
        )
    clean = read_picture(path.with_name("library.png")).pixels
    return Pair("library", clean, read_mask(path, clean.shape[:2]))


def _inputs(folder: Path, suffix: str, only: tuple[str, ...]) -> Iterator[tuple[str, Array, Path]]:
    """Name, clean picture, and the file of the input."""
    found = {path.stem.removesuffix(suffix): path for path in sorted(folder.glob(f"*{suffix}.png"))}
    chosen = {name: path for name, path in found.items() if not only or name in only}
    if not chosen:
        raise FileError(
            f"{folder} holds no picture *{suffix}.png{' of those names' if only else ''}: "
            "expected the data folder; give it with --data"
        )
    for name, path in chosen.items():
        yield name, read_picture(path.with_name(f"{name}.png")).pixels, path


def centre(picture: Array, side: int | None) -> Array:
    """The centre ``side`` x ``side`` pixels, or as many as there are; all of them for None."""
    if side is None:
        return picture
    rows, columns = (slice(max(n - side, 0) // 2, max(n - side, 0) // 2 + side) for n in picture.shape[:2])
    return picture[rows, columns]


def crop(name: str) -> Array:
    """Gray, (BLUR_SIDE, BLUR_SIDE), 8 bits."""
    from skimage import data

    top, left = CROPS[name]
    part: Array = getattr(data, name)()[top : top + BLUR_SIDE, left : left + BLUR_SIDE]
    return part[..., 1] if part.ndim == 3 else part


def blurred(clean: Array, psf: Array, sigma: float, seed: int) -> Array:
    """Blurred, with Gaussian noise, rounded and clipped to 8 bits."""
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    soft = convolve(clean.astype(np.float64), psf, mode="reflect") + noise
    return np.clip(soft.round(), 0, 255).astype(np.uint8)


def gaussian_psf(blur: float) -> Array:
    """A point spread function on 13 x 13 pixels, which sums to one."""
    point = np.zeros((13, 13))
    point[6, 6] = 1.0
    psf: Array = gaussian_filter(point, blur)
    return psf / psf.sum()


def camera(side: int) -> Tensor:
    """scikit-image's ``camera`` (512x512) in 0..1, cropped or mirrored to that side: (1, side, side), float32."""
    from skimage import data

    gray: Array = data.camera()
    mirrored = np.pad(gray, [(0, max(side - len(gray), 0))] * 2, mode="symmetric")[:side, :side]
    return torch.from_numpy(mirrored.astype(np.float32) / 255)[None]


def psnr(estimate: Array | Tensor, clean: Array | Tensor) -> float:
    """Peak signal-to-noise ratio in dB; the peak is 255 for 8-bit pictures, else 1, and values are clipped to it."""
    truth = np.asarray(clean)
    peak = 255.0 if truth.dtype == np.uint8 else 1.0
    clipped = np.clip(np.asarray(estimate, dtype=np.float64), 0, peak)
    error = np.mean((clipped - truth.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def psnr_of_luma(estimate: Array, clean: Array, border: int = 4) -> float:
    """PSNR of the Y channel without its border, as super-resolution is scored (and in the code of Deep Image Prior)."""
    from skimage.color import rgb2ycbcr

    inner = (slice(border, -border), slice(border, -border), 0)
    error = np.mean((rgb2ycbcr(estimate)[inner] - rgb2ycbcr(clean)[inner]) ** 2)
    return float(10 * np.log10(255.0**2 / error))
