"""One run of ``benchmarks.sampled_curves``: what it would have given back at each moment of its processor time.

Run as a program, with the ``src`` folder to be measured first on ``PYTHONPATH``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bayesdip as bd
from bayesdip.errors import BayesDipError
from benchmarks.measurement import answer
from benchmarks.pictures import Array, blurred, centre, gaussian_psf, masked_pairs, noisy_pairs, psnr

SIGMA = 25.0
# Standard deviation of the blur in pixels, and of its noise.
BLUR, BLUR_SIGMA = 1.6, 2.0
# Axes of the elliptic holes over the picture's side, and their centres.
HOLES = ((0.25, 0.19, 0.3, 0.28), (0.17, 0.33, 0.62, 0.7), (0.2, 0.14, 0.75, 0.25))
# The phase in which a run shows a picture at the cost of a filter.
FIRST_PHASE = "initial estimate"
# A picture is scored when the clock has gone on by this share since the last time.
SCORE_SHARE = 0.05


@dataclass
class Scored:
    """A callback that scores pictures at even distances of the logarithm of processor time, and ends the run.

    Attributes
    ----------
    paper : bool
        Whether the run is the paper's recipe, which shows what its network makes and nothing before.
    score : callable
        From a picture to dB.
    limit : float
        Processor seconds.
    seconds, psnr : list of float
    """

    score: Callable[[Array], float]
    limit: float
    paper: bool
    seconds: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    spent: float = 0.0
    began: float = field(default_factory=time.process_time)

    @property
    def now(self) -> float:
        """Processor seconds of the run, scoring left out."""
        return time.process_time() - self.began - self.spent

    def __call__(self, snapshot: Any) -> bool:
        now, before = self.now, time.process_time()
        due = not self.seconds or now >= (1 + SCORE_SHARE) * self.seconds[-1]
        own = snapshot.phase != FIRST_PHASE or not self.paper
        if due and own and snapshot.mean is not None:
            with suppress(BayesDipError):  # it would have given nothing back yet
                self.add(now, snapshot.mean())
        self.spent += time.process_time() - before
        return now > self.limit

    def add(self, seconds: float, picture: Array) -> None:
        """Score a picture of that moment."""
        self.seconds.append(seconds)
        self.psnr.append(self.score(picture))


def measure(
    problem: str, paper: bool, side: int, seconds: float, seed: int, data: str | None
) -> Iterator[dict[str, Any]]:
    """The curve of a problem by ``SGLD()`` or the paper's recipe: ``curve``, ``psnr`` at the end and ``cpu_s``."""
    clean, where, restore = PROBLEMS[problem](side, seed, None if data is None else Path(data))
    scored = Scored(lambda picture: psnr(picture[where], clean[where]), seconds, paper)
    method = bd.SGLD.paper(seed=seed) if paper else bd.SGLD(seed=seed)
    found = restore(method=method, callback=scored)
    now = scored.now
    scored.add(now, found.mean)
    curve = {"seconds": scored.seconds, "psnr": scored.psnr}
    yield {"psnr": scored.psnr[-1], "cpu_s": round(now, 1), "stopped": found.stopped, "curve": curve}


Problem = tuple[Array, Any, Callable[..., Any]]


def noise(side: int, seed: int, data: Path | None) -> Problem:
    """Sigma 25, clipped to 8 bits."""
    if data is not None and (data / "denoise9").is_dir():
        pair = next(iter(noisy_pairs(data, ("house",), side)))
        clean, given = pair.clean, pair.given
    else:
        clean = centre(_picture("astronaut"), side)
        given = clean + np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
        given = np.clip(np.rint(given), 0, 255).astype(np.uint8)
    return clean, ..., partial(bd.denoise, given, sigma=SIGMA, channel_axis=_axis(clean))


def scattered(side: int, seed: int, data: Path | None) -> Problem:
    """Half of the pixels are missing."""
    if data is not None and (data / "inpaint11").is_dir():
        pair = next(iter(masked_pairs(data, ("montage",), side)))
        clean, missing = pair.clean, pair.given
    else:
        clean = centre(_picture("camera"), side)
        missing = np.random.default_rng(seed).random(clean.shape[:2]) < 0.5
    return _filling(clean, missing)


def holes(side: int, seed: int, data: Path | None) -> Problem:
    """Three elliptic holes, a sixth to a third of the picture across; scored in them alone."""
    clean = centre(_picture("astronaut"), side)
    row, column = np.indices(clean.shape[:2]) / side
    missing = np.zeros(clean.shape[:2], bool)
    for height, width, y, x in HOLES:
        missing |= (2 * (row - y) / height) ** 2 + (2 * (column - x) / width) ** 2 < 1
    return _filling(clean, missing, missing)


def blur(side: int, seed: int, data: Path | None) -> Problem:
    """A Gaussian blur and little noise; a border that sees what lies beyond the picture does not count."""
    clean, psf = centre(_picture("camera"), side), gaussian_psf(BLUR)
    given, inner = blurred(clean, psf, BLUR_SIGMA, seed), slice(8, -8)
    return clean, (inner, inner), partial(bd.deblur, given, psf, sigma=BLUR_SIGMA)


PROBLEMS = {"noise": noise, "scattered": scattered, "holes": holes, "blur": blur}


def _filling(clean: Array, missing: Array, where: Any = ...) -> Problem:
    axis = _axis(clean)
    given = np.where(missing if axis is None else missing[..., None], 0, clean).astype(np.uint8)
    return clean, where, partial(bd.inpaint, given, missing, sigma=0, channel_axis=axis)


def _picture(name: str) -> Array:
    from skimage import data

    found: Array = getattr(data, name)()
    return found


def _axis(picture: Array) -> int | None:
    return -1 if picture.ndim == 3 else None


if __name__ == "__main__":
    torch.set_num_threads(1)
    answer(measure)
