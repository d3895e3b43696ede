"""Where the cases have their pictures and random numbers from: scikit-image, or photographs of another folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError

Array = NDArray[Any]

# Pictures of scikit-image that stand for any photograph, and whether they are gray. The others are of a kind of their own.
PHOTOGRAPHS = {"camera": True, "coins": True, "astronaut": False}
# How far, in pixels, the parts of the others are moved.
SHIFT = 20
SUFFIXES = (".png", ".jpg", ".tif")


@dataclass(frozen=True)
class Variant:
    """The same cases once more: other photographs, other parts and other random numbers.

    Attributes
    ----------
    folder : Path
        Photographs in colour.
    number : int
        From 1; the photographs follow each other by name.
    """

    folder: Path
    number: int

    def photograph(self, gray: bool) -> Array:
        """8 bits, gray or with channels last.

        Raises
        ------
        BayesDipError
            The folder holds no pictures.
        """
        from PIL import Image

        found = sorted(path for path in self.folder.glob("*") if path.suffix.lower() in SUFFIXES)
        if not found:
            raise BayesDipError(
                f"{self.folder} holds no pictures: expected {', '.join(SUFFIXES)}; give another --data"
            )
        # Neighbours by name may be alike: 7 is prime to the sizes of the sets.
        with Image.open(found[7 * self.number % len(found)]) as picture:
            return np.asarray(picture.convert("L" if gray else "RGB"))


_variant: Variant | None = None


def take(variant: Variant | None) -> None:
    """Have every case that is made from here on from a variant, or as it is kept, for None."""
    global _variant
    _variant = variant


def generator(seed: int) -> np.random.Generator:
    """Of a case's random numbers."""
    return np.random.default_rng(seed if _variant is None else (seed, _variant.number))


def crop(name: str, top: int, left: int, side: int) -> Array:
    """A square part of a picture of scikit-image, 8 bits; of a variant's photograph in its place, anywhere in it."""
    from skimage import data

    if _variant is None:
        part: Array = getattr(data, name)()[top : top + side, left : left + side]
        return part
    place = np.random.default_rng((top, left, side, _variant.number))
    if name in PHOTOGRAPHS:
        picture = _variant.photograph(PHOTOGRAPHS[name])
        corner = [int(place.integers(0, max(n - side, 0) + 1)) for n in picture.shape[:2]]
    else:
        picture = getattr(data, name)()
        moved = place.integers(-SHIFT, SHIFT + 1, 2)
        corner = [
            int(np.clip(at + by, 0, max(n - side, 0)))
            for at, by, n in zip((top, left), moved, picture.shape[:2], strict=True)
        ]
    return picture[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
