"""The noise as it is typed: its kind, its size, and what each kind allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bayesdip.errors import BayesDipError
from bayesdip.methods.method import one_of

if TYPE_CHECKING:
    from torch import Tensor

    from bayesdip.io import Picture
    from bayesdip.noise import Noise

Level = float | tuple[float, ...]
Sigma = Level | None
Asked = Level | Literal["auto"] | None
# The kinds of noise, and the options that each has.
NOISES = {
    "auto": ("sigma",),
    "gaussian": ("sigma",),
    "poisson": ("gain", "offset"),
    "poisson-gaussian": ("gain", "offset", "sigma"),
    "laplace": ("sigma",),
    "speckle": ("looks", "offset"),
    "correlated": (),
}


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
                own = (
                    f"expected --{' or --'.join(NOISES[kind])}"
                    if NOISES[kind]
                    else "it is estimated from the picture"
                )
                raise BayesDipError(
                    f"--{name} was given with --noise {kind}: {own}; use --noise {takers}, or leave it out"
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
        sizes = {
            "auto": "sigma",
            "gaussian": "sigma",
            "laplace": "sigma",
            "speckle": "looks",
            "correlated": "covariance",
        }
        size = sizes.get(self.kind)
        return size is not None and size not in self.facts

    def model(self, picture: Picture) -> Noise | None:
        """The noise model; None for white noise of the given sigma, and for what an inspection of the picture finds."""
        from bayesdip.noise import (
            Correlated,
            Laplace,
            Poisson,
            PoissonGaussian,
            Speckle,
            estimate_looks,
            estimate_sigma,
            white_noise,
        )

        facts = dict(self.facts)
        if self.kind == "poisson":
            return Poisson(**facts)
        if self.kind == "poisson-gaussian":
            return PoissonGaussian(**({"gain": 1.0} | facts))
        if self.kind == "laplace":
            sigma: Any = facts["sigma"] if facts else estimate_sigma(as_tensor(picture))
            return Laplace(sigma / 2**0.5)
        if self.kind == "speckle":
            if "looks" not in facts:
                facts["looks"] = estimate_looks(as_tensor(picture), facts.get("offset", 0.0))
            return Speckle(**facts)
        if self.kind == "correlated":
            return Correlated.estimated(picture.pixels, channel_axis=channel_axis(picture))
        if self.kind == "gaussian" and "sigma" not in facts:
            return white_noise(as_tensor(picture))
        return None


def parse_sigma(text: str) -> Sigma:
    """``"auto"`` to None, else as :func:`parse_level`."""
    return None if text.strip().lower() == "auto" else parse_level(text, "auto, a number")


def parse_if_clear(text: str | None) -> Asked:
    """``--sigma`` of a verb that looks for clear noise by itself: None if it was not given, ``"auto"``, or :func:`parse_level`."""
    if text is None:
        return None
    return "auto" if text.strip().lower() == "auto" else parse_level(text, "auto, a number")


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
    return -1 if picture.has_channels else None


def as_tensor(picture: Picture) -> Tensor:
    from bayesdip.layout import Layout

    return Layout.of(picture.pixels, channel_axis(picture)).to_tensor(picture.pixels)
