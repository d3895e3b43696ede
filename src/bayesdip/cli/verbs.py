"""What each restoring verb does to a picture: its arguments are checked and its call is prepared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesdip import no_data
from bayesdip.arrays import fingerprint
from bayesdip.cli.mosaic import as_colours
from bayesdip.cli.noise_choice import Asked, NoiseChoice, Sigma, as_tensor, channel_axis
from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding
from bayesdip.io import Picture, check_mask, mask_of, read_psf

if TYPE_CHECKING:
    from bayesdip.no_data import Mark
    from bayesdip.result import Restoration


@dataclass(frozen=True)
class Work:
    """One verb, ready to run.

    Attributes
    ----------
    run : callable
        Takes the method's options, gives the restoration.
    shape : tuple of int
        Of the picture that will come out.
    request : dict
        What was asked, as plain JSON values; together with the picture and the method's options
        it decides the result.
    missing : bool array or None
        The pixels that are missing, shape (M, N) or that of the pixels.
    alpha : {"keep", "opaque"}
        What becomes of the source's transparency.
    sigma_estimated : bool
        Whether the noise level is left to the program.
    findings : tuple of Finding
        What was found in the files.
    colours : Picture or None
        The colours of a picture whose file has a camera's mosaic of them.
    """

    run: Callable[..., Restoration]
    shape: tuple[int, ...]
    request: dict[str, Any]
    missing: NDArray[np.bool_] | None = None
    alpha: Literal["keep", "opaque"] = "keep"
    sigma_estimated: bool = False
    findings: tuple[Finding, ...] = ()
    colours: Picture | None = None

    @property
    def exact(self) -> bool:
        """Whether the data were said to be free of noise."""
        sigma = self.request["sigma"]
        return (
            self.request.get("noise", "auto") in ("auto", "gaussian")
            and sigma is not None
            and not np.any(sigma)
        )


# Makes of the picture that was read what is to be done.
Prepare = Callable[[Picture], Work]


# Least side of a picture, and the side of the middle of a larger one, in which noise beside that of compression is looked for.
SEEN_ALONE = 64, 1024
# Of 255: the rounding to whole numbers is not much smaller.
LEAST_ERROR = 1.0


@dataclass(frozen=True)
class MaskChoice:
    """What was said of missing pixels: a mask, whether to invert it, and what marks them in the picture itself."""

    file: Path | None = None
    invert: bool | None = None
    missing: str = "auto"


def parse_missing(text: str, picture: Picture) -> Mark:
    """``--missing`` to what the library takes; ``auto`` goes by what the file declares, where it declares anything."""
    word = text.strip().lower()
    if word == "none":
        return None
    if word == "auto":
        declared = picture.no_data
        if declared is not None and no_data.find(picture.pixels, declared)[1]:
            return declared
    if word in ("auto", "nan"):
        return word
    try:
        return float(word)
    except ValueError:
        raise BayesDipError(
            f"missing is {text!r}: expected auto, nan, none, or the value that marks missing pixels; give one of these"
        ) from None


def found_missing(picture: Picture, text: str) -> tuple[Mark, NDArray[np.bool_] | None, tuple[Finding, ...]]:
    """What marks missing pixels, where they are (None: nowhere), and what the file's own word for it was."""
    mark = parse_missing(text, picture)
    flags, values = no_data.find(picture.pixels, mark)
    if not values:
        return mark, None, ()
    findings: tuple[Finding, ...] = ()
    if (
        text.strip().lower() == "auto" and mark != "auto" and picture.format != "RAW"
    ):  # its mosaic is said already
        shown = " or ".join(f"{value:.8g}" for value in values)
        said = f"{int(flags.sum()):,} values are {shown}, which the file declares to stand for no data, and treated as "
        facts = {"count": int(flags.sum()), "values": list(values)}
        findings = (Finding("no data", said + "missing; give --missing none to take it as data", facts),)
    return mark, flags, findings


def compression_alone(picture: Picture) -> Finding | None:
    """What to say where the error of its compression as JPEG is the noise of a picture; None where there is other noise.

    Looked for in the middle of a large picture.
    """
    from bayesdip.noise import inspect

    if picture.jpeg is None or min(picture.grid) < SEEN_ALONE[0]:
        return None
    rows, columns = ((max(n - SEEN_ALONE[1], 0) // 16 * 8, SEEN_ALONE[1]) for n in picture.grid)
    middle = as_tensor(picture)[:, rows[0] : sum(rows), columns[0] : sum(columns)]
    error = float(picture.jpeg.variance(middle).mean()) ** 0.5
    found = inspect(middle, denoising=True)
    if error < LEAST_ERROR or found.findings or found.noise.variance(middle).mean().sqrt() > error:
        return None
    text = (
        f"the file was compressed as JPEG with an error of about {error:.2g}, and no other noise is clear: this error is reduced, and "
        "compressing the result again would give the same coefficients of brightness; --noise gaussian or --sigma takes white noise"
    )
    return Finding("compression", text, {"error": error})


def denoising(picture: Picture, choice: NoiseChoice, missing: str = "auto") -> Work:
    """``bayesdip denoise``."""
    from bayesdip.api import denoise

    sigma = choice.facts.get("sigma") if choice.kind in ("auto", "gaussian") else None
    model = choice.model(picture)
    compressed = compression_alone(picture) if choice.kind == "auto" and sigma is None else None
    mark, gone, findings = found_missing(picture, missing)
    return Work(
        partial(
            denoise,
            picture.pixels,
            sigma,
            noise=model if compressed is None else picture.jpeg,
            missing=mark,
            channel_axis=channel_axis(picture),
        ),
        picture.pixels.shape,
        {"noise": choice.kind, "sigma": None, **choice.facts, "missing": missing},
        missing=gone,
        findings=(*findings, *([compressed] if compressed else [])),
        sigma_estimated=choice.is_estimated,
    )


def inpainting(
    picture: Picture, choice: MaskChoice, sigma: Asked, grow_mask: bool = True, mosaic: str | None = None
) -> Work:
    """``bayesdip inpaint``: white or painted in the mask, where the picture is transparent, no-data values, colours of a mosaic."""
    from bayesdip.api import inpaint

    gone = transparent = np.zeros(picture.grid, bool) if picture.alpha is None else picture.alpha == 0
    colours = None
    if mosaic is not None:
        picture, unseen = as_colours(picture, mosaic)
        colours, gone = picture, as_channels(transparent, unseen)
    mark, flags, findings = found_missing(picture, choice.missing)
    if choice.file is not None:
        mask = mask_of(choice.file, picture, choice.invert)
        findings = (*mask.findings, *findings)
        gone = mask.missing if picture.volume else as_channels(mask.missing, gone)
        if flags is None:
            check_mask(gone, choice.file)
    elif not gone.any():
        flags = no_data.find(picture.pixels, mark, nan=True)[0]
        if not flags.any():
            raise BayesDipError(
                "nothing says which pixels are missing: give --mask FILE (white is missing), --missing VALUE (such as 0) if "
                "the picture marks them, or a picture with transparent pixels"
            )
    return Work(
        partial(
            inpaint,
            picture.pixels,
            gone if gone.any() else None,
            sigma=sigma,
            missing=mark,
            grow_mask=grow_mask,
            channel_axis=channel_axis(picture),
        ),
        picture.pixels.shape,
        {"mask": fingerprint(gone), "missing": choice.missing, "sigma": sigma, "grow_mask": grow_mask},
        missing=gone if flags is None else flags | gone if picture.volume else as_channels(flags, gone),
        alpha="opaque" if transparent.any() else "keep",
        findings=findings,
        sigma_estimated=sigma in (None, "auto"),
        colours=colours,
    )


def as_channels(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Either of two masks; of the grid where that says it all, else for each channel."""
    if one.ndim < other.ndim:
        one = one[..., None]
    elif other.ndim < one.ndim:
        other = other[..., None]
    both = one | other
    return both[..., 0] if both.ndim == 3 and (both == both[..., :1]).all() else both


def upscaling(picture: Picture, factor: int, kind: str, sigma: Asked, missing: str = "auto") -> Work:
    """``bayesdip upscale``."""
    from bayesdip.api import upscale

    grid = tuple(n * factor for n in picture.grid)
    mark, _, findings = found_missing(picture, missing)
    return Work(
        partial(
            upscale,
            picture.pixels,
            factor,
            kind=kind,
            sigma=sigma,
            missing=mark,
            channel_axis=channel_axis(picture),
        ),
        grid + picture.pixels.shape[2:],
        {"factor": factor, "kind": kind, "sigma": sigma, "missing": missing},
        findings=findings,
        sigma_estimated=sigma in (None, "auto"),
    )


def deblurring(picture: Picture, psf_file: Path, sigma: Sigma, boundary: str, missing: str = "auto") -> Work:
    """``bayesdip deblur``."""
    from bayesdip.api import deblur

    psf = read_psf(psf_file)
    mark, gone, findings = found_missing(picture, missing)
    return Work(
        partial(
            deblur,
            picture.pixels,
            psf,
            sigma=sigma,
            boundary=boundary,
            missing=mark,
            channel_axis=channel_axis(picture),
        ),
        picture.pixels.shape,
        {"psf": fingerprint(psf), "sigma": sigma, "boundary": boundary, "missing": missing},
        missing=gone,
        sigma_estimated=sigma is None,
        findings=findings,
    )
