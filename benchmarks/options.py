"""What the command line says of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayesdip.errors import BayesDipError

EFFORTS = ("fast", "balanced", "best")
SMALLEST_CROP = 16


@dataclass(frozen=True, kw_only=True)
class Options:
    """Choices for one run; each benchmark uses those that it has a use for.

    Attributes
    ----------
    method, kernel, time_budget
        As for ``bayesdip.denoise``; `kernel` belongs to ``gp``. For ``speed``, `time_budget` is that of the
        recipe of Cheng et al. 2019.
    effort : {"fast", "balanced", "best"}
        Of the methods, or how much a benchmark of its own methods measures.
    pictures : tuple of str
        Names; empty for all.
    sides : tuple of int
        Sides in pixels, where a benchmark makes its own pictures.
    sigma : float or None
        For ``paper-denoise``: the noise level that the method is given; None leaves it to the estimate.
    crop : int or None
        For ``paper-denoise`` and ``paper-inpaint``: the side of the centre crop.
    before, after : Path or None
        For ``before-after`` and ``field``: ``src`` folders of two versions of bayesdip.
    seeds : int or None
        For ``before-after``: how many seeds for methods that depend on them; for ``random-problems``: how many
        problems; for ``scale``: how many pictures.

    Raises
    ------
    BayesDipError
        An option is out of its range.
    """

    data: Path | None = None
    method: str = "auto"
    kernel: str | None = None
    effort: str = "fast"
    time_budget: float | None = None
    seed: int = 0
    pictures: tuple[str, ...] = ()
    sides: tuple[int, ...] = ()
    sigma: float | None = None
    crop: int | None = None
    before: Path | None = None
    after: Path | None = None
    seeds: int | None = None

    def __post_init__(self) -> None:
        if self.effort not in EFFORTS:
            raise BayesDipError(
                f"effort is {self.effort!r}: expected one of {', '.join(EFFORTS)}; choose one of these"
            )
        if self.crop is not None and self.crop < SMALLEST_CROP:
            raise BayesDipError(
                f"crop is {self.crop}: expected a side of at least {SMALLEST_CROP} pixels; take a larger one"
            )

    @property
    def folder(self) -> Path:
        """The folder with the pictures.

        Raises
        ------
        BayesDipError
            It was not given.
        """
        if self.data is None:
            raise BayesDipError(
                "no folder was given: this benchmark needs pictures; name their folder with --data"
            )
        return self.data

    @property
    def restoring(self) -> dict[str, Any]:
        """Options of the restoring functions."""
        chosen = {"method": self.method, "effort": self.effort, "seed": self.seed}
        chosen |= {"kernel": self.kernel, "time_budget": self.time_budget}
        return {name: value for name, value in chosen.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """What is saved with the rows: a file continues under the same options only."""
        saved: dict[str, Any] = {"method": self.method, "kernel": self.kernel, "effort": self.effort}
        saved |= {"seed": self.seed, "sigma": self.sigma, "pictures": list(self.pictures)}
        more = {"time_budget": self.time_budget, "crop": self.crop, "sides": list(self.sides) or None}
        return saved | {name: value for name, value in more.items() if value is not None}
