"""Pictures to try the page with: scikit-image's own, damaged here, so that nothing has to be at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """One example: how it is called, for which task, and how its files are made."""

    title: str
    task: str
    make: Callable[[], tuple[Levels, Levels | None]]
    options: dict[str, Any]


def _chelsea() -> Levels:
    from skimage import data

    found: Levels = data.chelsea()  # type: ignore[no-untyped-call]
    return found


def _noisy() -> tuple[Levels, None]:
    from skimage import data

    clean: Levels = data.camera()[64:320, 96:352]  # type: ignore[no-untyped-call]
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), None


def _scratched() -> tuple[Levels, Levels]:
    from skimage.draw import line_aa

    picture, mask = _chelsea()[:256, 90:346].copy(), np.zeros((256, 256), bool)
    rng = np.random.default_rng(1)
    for _ in range(9):
        ends = rng.integers(0, 256, 4)
        rows, columns, _ = line_aa(*(int(end) for end in ends))  # type: ignore[no-untyped-call]
        mask[rows, columns] = True
    picture[mask] = 255
    return picture, mask.astype(np.uint8) * 255


def _small() -> tuple[Levels, None]:
    from skimage.transform import resize

    small = resize(_chelsea()[20:276, 100:356].astype(float), (64, 64), order=3, anti_aliasing=True)  # type: ignore[no-untyped-call]
    return np.clip(np.rint(small), 0, 255).astype(np.uint8), None


def _blurred() -> tuple[Levels, Levels]:
    from scipy.ndimage import convolve
    from skimage import data

    place = np.arange(-7, 8)
    psf = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.6**2))
    clean = data.camera()[64:320, 96:352].astype(float)  # type: ignore[no-untyped-call]
    seen = convolve(clean, psf / psf.sum(), mode="reflect") + np.random.default_rng(2).normal(
        0, 2, clean.shape
    )
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8), np.rint(psf * 255).astype(np.uint8)


EXAMPLES = {
    "noise": Example("a noisy photograph", "denoise", _noisy, {}),
    "scratches": Example("a scratched photograph", "inpaint", _scratched, {}),
    "small": Example("a small picture", "upscale", _small, {"factor": 4, "kind": "area"}),
    "blur": Example("a blurred photograph", "deblur", _blurred, {}),
}


def write_example(key: str, picture: Path, second: Path) -> bool:
    """Write an example's picture, and its mask or point spread function where it has one; says whether it has."""
    from bayesdip.studio.shown import write_png

    levels, other = EXAMPLES[key].make()
    write_png(picture, levels)
    if other is not None:
        write_png(second, other)
    return other is not None
