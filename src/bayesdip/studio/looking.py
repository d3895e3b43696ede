"""Looking at the files that a visitor sends, in a process of its own: a decoder that crashes harms nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bayesdip import io
from bayesdip.errors import FileError
from bayesdip.io.encoding import FORMATS, choose_encoding, suffix_of
from bayesdip.io.picture import upright
from bayesdip.report.pictures import View
from bayesdip.studio.limits import Refused, check_pixels
from bayesdip.studio.shown import write_png

# A mask that leaves less than this known is asked about: most people paint what is missing.
MOSTLY_MISSING = 0.5
MASK_COLOUR = np.array((230, 40, 60, 160), dtype=np.uint8)


def loaded() -> None:
    """Called once when the process starts, so that the first visitor does not wait for libraries."""
    import bayesdip.noise.estimate  # noqa: F401


def look(path: Path, shown: Path) -> dict[str, Any]:
    """Read a picture, and write it as the browser shows it.

    Parameters
    ----------
    path, shown : Path
        The picture's file, and the PNG to write.

    Returns
    -------
    dict
        Plain JSON values: ``width``, ``height`` (as shown), ``type``, ``channels``, ``sigma`` (the estimate, one for each
        channel), ``missing`` (the share that is transparent or has no data), ``ending`` (of a file of what is restored),
        ``notes``.

    Raises
    ------
    BayesDipError
        It is no picture, or too large.
    """
    from bayesdip.noise import estimate_sigma

    picture = io.read_picture(path)
    if picture.pixels.ndim == 1:
        raise Refused(
            "this is a signal: the page shows pictures; restore it on the command line or in Python"
        )
    if picture.volume:
        raise Refused(
            "this is a volume: the page shows pictures; restore it on the command line or in Python, or take one slice"
        )
    check_pixels(picture.grid)
    channels = picture.pixels.shape[2] if picture.pixels.ndim == 3 else 1
    view = View.of(picture.pixels, picture.pixels.ndim == 3, picture)
    levels = view.levels(picture.pixels)
    write_png(shown, levels)
    gone = ~np.isfinite(picture.pixels.reshape(*picture.grid, -1)).all(-1)
    if picture.alpha is not None:
        gone |= picture.alpha == 0
    by_channel = picture.pixels.reshape(*picture.grid, channels).astype(float)
    estimates = [] if gone.any() else [estimate_sigma(by_channel[..., i]) for i in range(min(channels, 4))]
    return {
        "width": levels.shape[1],
        "height": levels.shape[0],
        "type": str(picture.pixels.dtype),
        "channels": channels,
        "sigma": [round(float(np.max(value)), 3) for value in estimates],
        "missing": float(gone.mean()),
        "ending": _ending(path, picture),
        "notes": list(picture.notes),
    }


def _ending(path: Path, picture: io.Picture) -> str:
    """The picture's own where its format is written without loss; else that of one that holds its samples."""
    own = suffix_of(path)
    keeps = own in FORMATS and FORMATS[own] != "JPEG"
    for ending in (own if keeps else ".tif" if picture.format == "RAW" else ".png", ".png"):
        try:
            choose_encoding(f"x{ending}", picture.pixels.shape, picture.pixels.dtype, picture)
        except FileError:
            continue
        return ending
    return ".tif"


def look_at_mask(path: Path, picture_path: Path, invert: bool, shown: Path) -> dict[str, Any]:
    """Read a mask as the run will, and write what is missing as the browser lays it over the picture.

    Parameters
    ----------
    path, picture_path : Path
    invert : bool
        Exchange missing and known.
    shown : Path
        The PNG to write.

    Returns
    -------
    dict
        ``share`` that is missing, ``doubtful`` (whether to ask if missing and known are to be exchanged), ``said``.
    """
    picture = io.read_picture(picture_path)
    mask = io.mask_of(path, picture, invert)
    io.check_mask(mask.missing, path.name)
    by_channel = mask.missing.reshape(*picture.grid, -1)
    flat = upright(by_channel.max(axis=-1), picture.orientation)
    write_png(shown, np.where(flat[..., None], MASK_COLOUR, np.uint8(0)))
    share = float(mask.missing.mean())
    said = [finding.text for finding in mask.findings]
    return {"share": share, "doubtful": share > MOSTLY_MISSING, "said": said}


def look_at_psf(path: Path, shown: Path) -> dict[str, Any]:
    """Read a point spread function, and write it as the browser shows it."""
    psf = io.read_psf(path)
    plane = np.atleast_2d(psf)
    span = float(np.ptp(plane)) or 1.0
    write_png(shown, np.rint((plane - plane.min()) / span * 255).astype(np.uint8))
    return {"width": plane.shape[1], "height": plane.shape[0]}
