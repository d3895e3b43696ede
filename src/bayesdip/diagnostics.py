"""Whether a chain of samples has mixed: split R-hat and effective sample size, by ArviZ.

Vehtari, Gelman, Simpson, Carpenter and Bürkner, *Rank-normalization, folding, and localization*,
Bayesian Analysis 2021; the classic split R-hat of it, since a pixel has too few kept samples for ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import BayesDipError

Array = NDArray[np.float64]

# Above it the chains, or the halves of one, disagree (Gelman and Rubin, Statistical Science 1992).
MIXED_BELOW = 1.1
FEWEST_SAMPLES = 8
# Pixels that are looked at, at most: a lattice of them, averaged over channels.
MOST_PIXELS = 4096
# What a run notes by step that a chain at rest would keep level.
TRACES = ("fit", "energy")


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """How well a chain has mixed.

    Attributes
    ----------
    rhat, ess : ndarray
        Split R-hat and effective number of the kept samples at every ``stride``-th pixel along
        each axis, of the mean over channels.
    stride : int
    samples, chains : int
        Kept samples in all, and chains that they come from.
    summaries : dict
        R-hat of ``"brightness"`` and ``"contrast"`` (mean and standard deviation of a sample), and of
        the traces ``"fit"`` and ``"energy"`` while sampling, where the run noted them.
    """

    rhat: Array
    ess: Array
    stride: int
    samples: int
    chains: int
    summaries: dict[str, float]

    @property
    def pixels(self) -> float:
        """Median R-hat of the pixels."""
        return float(np.median(self.rhat))

    @property
    def mixed(self) -> bool:
        return max(self.pixels, *self.summaries.values()) <= MIXED_BELOW

    @property
    def word(self) -> str:
        """One line: whether it has mixed, and what says so."""
        named = {"pixels": self.pixels, **self.summaries}
        said = ", ".join(f"{value:.2f} ({name})" for name, value in named.items())
        worth = min(float(np.median(self.ess)), self.samples)
        worth_said = f"{self.samples} kept samples are worth {worth:.0f} independent ones"
        if self.mixed:
            return f"mixed: R-hat {said}; {worth_said}"
        return f"not mixed: R-hat {said}, at most {MIXED_BELOW} is expected; {worth_said}: run longer"

    def summary(self) -> dict[str, Any]:
        """Plain JSON values, without the maps."""
        return {
            "mixed": self.mixed,
            "rhat_pixels": self.pixels,
            "rhat_pixels_90": float(np.quantile(self.rhat, 0.9)),
            "ess_pixels": float(np.median(self.ess)),
            **{f"rhat_{name}": value for name, value in self.summaries.items()},
            "samples": self.samples,
            "chains": self.chains,
        }


def diagnose(
    samples: NDArray[Any], chain: NDArray[Any], trace: Mapping[str, list[float]], channel_axis: int | None
) -> Diagnostics | None:
    """Diagnose kept samples, shape (S, ...), each from the chain that ``chain``, shape (S,), names.

    Returns
    -------
    Diagnostics or None
        None where a chain has fewer than 8 kept samples, or 4 when there are several.

    Raises
    ------
    BayesDipError
        ArviZ is not installed.
    """
    pictures = by_chain(samples, chain)
    chains, draws = pictures.shape[:2]
    if draws < (FEWEST_SAMPLES if chains == 1 else FEWEST_SAMPLES // 2):
        return None
    gray = pictures.astype(np.float64)
    if channel_axis is not None:
        gray = gray.mean(axis=channel_axis % (gray.ndim - 2) + 2)
    grid = gray.shape[2:]
    stride = 1
    while np.prod([-(-n // stride) for n in grid]) > MOST_PIXELS:
        stride += 1
    lattice = gray[(slice(None), slice(None), *[slice(None, None, stride)] * len(grid))]
    flat = lattice.reshape(chains, draws, -1)
    rhat, ess = split_rhat(flat), effective_size(flat)
    whole = gray.reshape(chains, draws, -1)
    told = np.stack([whole.mean(-1), whole.std(-1)], axis=-1)
    summaries = dict(zip(("brightness", "contrast"), map(float, split_rhat(told)), strict=True))
    summaries |= {name: value for name in TRACES if (value := trace_rhat(trace, name)) is not None}
    shape = lattice.shape[2:]
    return Diagnostics(rhat.reshape(shape), ess.reshape(shape), stride, chains * draws, chains, summaries)


def by_chain(samples: NDArray[Any], chain: NDArray[Any]) -> NDArray[Any]:
    """Samples (S, ...) as (chains, draws, ...); of chains of unequal length the latest draws."""
    parts = [samples[chain == number] for number in np.unique(chain)]
    draws = min((len(part) for part in parts), default=0)
    if not draws:
        return samples[None]
    return np.stack([part[len(part) - draws :] for part in parts])


def split_rhat(values: Array) -> Array:
    """R-hat of each of K quantities, (chains, draws, K), every chain split in two; 1 where nothing varies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.asarray(_arviz().rhat(_dataset(values), method="split")["x"])
    return np.where(np.isfinite(found), found, 1.0)


def effective_size(values: Array) -> Array:
    """Number of independent samples that tell as much of the mean of each of K quantities."""
    found: Array = np.asarray(_arviz().ess(_dataset(values), method="mean")["x"])
    return np.where(np.isfinite(found), found, float(values.shape[0] * values.shape[1]))


def trace_rhat(trace: Mapping[str, list[float]], name: str) -> float | None:
    """Split R-hat of what a run noted by step while it sampled; None where it did not."""
    if name not in trace or "sampling" not in trace:
        return None
    values = np.asarray(trace[name], dtype=np.float64)[np.asarray(trace["sampling"]) > 0]
    if len(values) < FEWEST_SAMPLES or not np.isfinite(values).all():
        return None
    return float(split_rhat(values[None, :, None])[0])


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """A single chain, (1, draws, ...), as its two halves; several chains, or fewer than two draws, as they are."""
    half = values.shape[1] // 2
    if len(values) > 1 or half == 0:
        return values
    return np.concatenate([values[:, -2 * half : -half], values[:, -half:]])


def _dataset(values: Array) -> Any:
    """For ArviZ, which wants two chains at least (it splits the halves of a single one again)."""
    return _arviz().convert_to_dataset({"x": halved(values)})


def _arviz() -> Any:
    try:
        import arviz
    except ImportError as error:
        raise BayesDipError("ArviZ is not installed: pip install 'bayesdip[arviz]'") from error
    return arviz
