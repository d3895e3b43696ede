"""A camera's raw data in a gray file, as a picture of which each colour lacks most pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError
from bayesdip.io import Picture


def as_colours(picture: Picture, pattern: str) -> tuple[Picture, NDArray[np.bool_]]:
    """The mosaic spread over three colours, and which values no pixel has seen.

    Parameters
    ----------
    picture : Picture
        One value a pixel, upright as the sensor saw it.
    pattern : str
        As of :class:`bayesdip.operators.Mosaic`.

    Returns
    -------
    Picture
        RGB; 0 where a colour was not seen.
    bool array, shape (M, N, 3)

    Raises
    ------
    BayesDipError
        The picture has channels or is a volume, or there is no such pattern.
    """
    from bayesdip.operators import Mosaic

    if picture.has_channels or picture.volume or picture.pixels.ndim != 2:
        raise BayesDipError(
            f"--mosaic was given with a picture of shape {picture.pixels.shape}: expected one value a pixel, (M, N), as a camera's "
            "sensor gives; leave it out if the colours are there already"
        )
    seen = np.moveaxis(Mosaic(picture.grid, pattern).seen.numpy(), 0, -1)
    pixels = np.where(seen, picture.pixels[..., None], np.zeros((), picture.pixels.dtype))
    # A profile for gray does not hold for colours.
    kept: dict[str, Any] = {"colour": "rgb", "icc_profile": None, "jpeg": None}
    if picture.tiff is not None:
        kept["tiff"] = replace(picture.tiff, photometric="rgb", arrangement="contiguous", extrasamples=())
    return replace(picture, pixels=pixels, **kept), ~seen
