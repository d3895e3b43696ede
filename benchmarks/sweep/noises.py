"""Noise of all kinds on a truth in 0..1, and the units that suit it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.sweep.choices import Choices, arrays
from benchmarks.sweep.truths import Units, random_units

Array = NDArray[Any]

KINDS = (
    "white",
    "white",
    "white",
    "Poisson",
    "salt and pepper",
    "one for each channel",
    "correlated",
    "rows",
)
POISSON, PEAKS = "Poisson of peak ", (5.0, 30.0, 200.0)


def units_for(choices: Choices, noise: str) -> Units:
    """For that noise in words: of photons, in one of two problems, the counts themselves; else any."""
    if noise.startswith(POISSON) and choices.one_of((True, False)):
        return Units(choices.one_of(("uint16", "float32")), 0.0, float(noise.removeprefix(POISSON)))
    return random_units(choices)


def noisy(choices: Choices, clean: Array, kinds: tuple[str, ...] = KINDS) -> tuple[Array, str]:
    """Add noise of a random kind and level.

    Parameters
    ----------
    choices : Choices
    clean : array, shape (*grid, C)
        In 0..1.

    Returns
    -------
    array, str
        The same with noise, neither rounded nor clipped; and what it is in words.
    """
    rng, kind = arrays(choices), choices.one_of(kinds)
    white = rng.normal(size=clean.shape)
    if kind == "Poisson":
        peak = choices.one_of(PEAKS)
        return rng.poisson(np.maximum(clean, 0) * peak) / peak, f"{POISSON}{peak:g}"
    if kind == "salt and pepper":
        share = choices.number(0.02, 0.25)
        hit = rng.random(clean.shape[:-1])[..., None]
        # At the ends of the picture's range, or far outside, where integers stop at those of their type.
        pepper, salt = choices.one_of(((0.0, 1.0), (-1.0, 2.0)))
        spoilt = np.where(hit < share / 2, pepper, np.where(hit > 1 - share / 2, salt, clean))
        return spoilt, f"{share:.0%} salt and pepper, {pepper:g} and {salt:g}"
    sigma = choices.one_of((0.005, 0.02, 0.05, 0.1, 0.2))
    if kind == "one for each channel":
        levels = sigma * np.geomspace(0.3, 2.0, clean.shape[-1])
        return clean + levels * white, f"white {np.round(levels, 3)} by channel"
    if kind == "correlated":
        soft = gaussian_filter(white, (0.8,) * (clean.ndim - 1) + (0,))
        return clean + sigma * soft / soft.std(), f"correlated {sigma:g}"
    if kind == "rows" and clean.ndim > 2:
        stripes = rng.normal(size=(clean.shape[0],) + (1,) * (clean.ndim - 1))
        return clean + sigma * (stripes + 0.3 * white), f"rows {sigma:g}"
    return clean + sigma * white, f"white {sigma:g}"
