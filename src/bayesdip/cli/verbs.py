"""What each restoring verb does to a picture: its arguments are checked and its call is prepared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesdip.cli.resume import fingerprint
from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding
from bayesdip.io import Picture, check_mask, read_mask, read_psf
from bayesdip.methods.method import one_of

if TYPE_CHECKING:
    from torch import Tensor

    from bayesdip.noise import Noise
    from bayesdip.result import Restoration

Level = float | tuple[float, ...]
Sigma = Level | None
# The kinds of noise, and the options that each has.
NOISES = {
    "gaussian": ("sigma",),
    "poisson": ("gain", "offset"),
    "poisson-gaussian": ("gain", "offset", "sigma"),
    "laplace": ("sigma",),
    "speckle": ("looks", "offset"),
}


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
    """

    run: Callable[..., Restoration]
    shape: tuple[int, ...]
    request: dict[str, Any]
    missing: NDArray[np.bool_] | None = None
    alpha: Literal["keep", "opaque"] = "keep"
    sigma_estimated: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the data are taken to be free of noise."""
        sigma = self.request["sigma"]
        return self.request.get("noise", "gaussian") == "gaussian" and sigma is not None and not np.any(sigma)


@dataclass(frozen=True)
class NoiseChoice:
    """The noise that was named to ``denoise``.

    Attributes
    ----------
    kind : str
        One of `NOISES`.
    facts : dict
        Its options that were given, by name.
    """

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, kind: str, sigma: str, **facts: float | None) -> NoiseChoice:
        """Options as typed to a choice; ``facts`` are ``gain``, ``offset`` and ``looks``, None if not given.

        Raises
        ------
        BayesDipError
            There is no such kind, it does not have an option, or `sigma` is not what it should be.
        """
        one_of("noise", kind, tuple(NOISES))
        given: dict[str, Any] = {name: value for name, value in facts.items() if value is not None}
        level = parse_sigma(sigma)
        if level is not None:
            given["sigma"] = level
        for name in given:
            if name not in NOISES[kind]:
                takers = " or ".join(other for other, names in NOISES.items() if name in names)
                raise BayesDipError(
                    f"--{name} was given with --noise {kind}: expected --{' or --'.join(NOISES[kind])}; use "
                    f"--noise {takers}, or leave it out"
                )
        if kind == "poisson-gaussian" and not isinstance(level, float):
            raise BayesDipError(
                f"--sigma is {sigma!r}: --noise poisson-gaussian expects one number, the read-out noise; give it"
            )
        if kind == "laplace" and isinstance(level, tuple):
            raise BayesDipError(
                f"--sigma is {sigma!r}: --noise laplace expects one number, or auto; give it one"
            )
        return cls(kind, given)

    @property
    def is_estimated(self) -> bool:
        """Whether the size of the noise is left to the program."""
        size = {"gaussian": "sigma", "laplace": "sigma", "speckle": "looks"}.get(self.kind)
        return size is not None and size not in self.facts

    def model(self, picture: Picture) -> Noise | None:
        """The noise model; None for white Gaussian noise of the given (or estimated) sigma."""
        from bayesdip.noise import Laplace, Poisson, PoissonGaussian, Speckle, estimate_looks, estimate_sigma

        facts = dict(self.facts)
        if self.kind == "poisson":
            return Poisson(**facts)
        if self.kind == "poisson-gaussian":
            return PoissonGaussian(**({"gain": 1.0} | facts))
        if self.kind == "laplace":
            sigma: Any = facts["sigma"] if facts else estimate_sigma(_tensor(picture))
            return Laplace(sigma / 2**0.5)
        if self.kind == "speckle":
            if "looks" not in facts:
                facts["looks"] = estimate_looks(_tensor(picture), facts.get("offset", 0.0))
            return Speckle(**facts)
        return None


def parse_sigma(text: str) -> Sigma:
    """``"auto"`` to None, else as :func:`parse_level`."""
    return None if text.strip().lower() == "auto" else parse_level(text, "auto, a number")


def parse_level(text: str, expected: str = "a number") -> Level:
    """``"25"`` to 25.0, ``"25,20,30"`` to one for each channel."""
    from bayesdip.noise import Gaussian

    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BayesDipError(
            f"sigma is {text!r}: expected {expected}, or numbers with commas, one for each channel"
        ) from None
    level: Level = values if len(values) > 1 else values[0]
    Gaussian(level)  # refuses what is negative or not finite
    return level


def channel_axis(picture: Picture) -> int | None:
    return -1 if picture.pixels.ndim == 3 else None


def _tensor(picture: Picture) -> Tensor:
    from bayesdip.layout import Layout

    return Layout.of(picture.pixels, channel_axis(picture)).to_tensor(picture.pixels)


def denoising(picture: Picture, choice: NoiseChoice) -> Work:
    """``bayesdip denoise``."""
    from bayesdip.api import denoise

    sigma = choice.facts.get("sigma") if choice.kind == "gaussian" else None
    model = choice.model(picture)
    return Work(
        partial(denoise, picture.pixels, sigma, noise=model, channel_axis=channel_axis(picture)),
        picture.pixels.shape,
        {"noise": choice.kind, "sigma": None, **choice.facts},
        sigma_estimated=choice.is_estimated,
    )


def inpainting(picture: Picture, mask_file: Path | None, missing: str | None, sigma: Level) -> Work:
    """``bayesdip inpaint``: white in the mask, and where the picture is transparent."""
    from bayesdip.api import inpaint

    transparent = np.zeros(picture.grid, bool) if picture.alpha is None else picture.alpha == 0
    gone = transparent
    if mask_file is not None:
        gone = read_mask(mask_file, picture.pixels.shape, picture.orientation) | transparent
        if missing is None:
            check_mask(gone, mask_file)
    elif missing is None and not transparent.any():
        raise BayesDipError(
            "nothing says which pixels are missing: give --mask FILE (white is missing), --missing nan, "
            "or a picture with transparent pixels"
        )
    shown = gone
    if missing == "nan":
        holes = ~np.isfinite(picture.pixels)
        shown = gone | (holes.any(axis=-1) if holes.ndim == 3 else holes)
    return Work(
        partial(
            inpaint, picture.pixels, gone, sigma=sigma, missing=missing, channel_axis=channel_axis(picture)
        ),
        picture.pixels.shape,
        {"mask": fingerprint(gone), "missing": missing, "sigma": sigma},
        missing=shown,
        alpha="opaque" if transparent.any() else "keep",
    )


def upscaling(picture: Picture, factor: int, kind: str, sigma: Level) -> Work:
    """``bayesdip upscale``."""
    from bayesdip.api import upscale

    grid = tuple(n * factor for n in picture.grid)
    return Work(
        partial(upscale, picture.pixels, factor, kind=kind, sigma=sigma, channel_axis=channel_axis(picture)),
        grid + picture.pixels.shape[2:],
        {"factor": factor, "kind": kind, "sigma": sigma},
    )


def deblurring(picture: Picture, psf_file: Path, sigma: Sigma, boundary: str) -> Work:
    """``bayesdip deblur``."""
    from bayesdip.api import deblur

    psf = read_psf(psf_file)
    return Work(
        partial(
            deblur, picture.pixels, psf, sigma=sigma, boundary=boundary, channel_axis=channel_axis(picture)
        ),
        picture.pixels.shape,
        {"psf": fingerprint(psf), "sigma": sigma, "boundary": boundary},
        sigma_estimated=sigma is None,
    )
