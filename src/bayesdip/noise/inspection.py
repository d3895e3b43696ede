"""What noise a picture has, found out from the picture alone before it is restored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.findings import Finding
from bayesdip.noise.clipping import detect_clipping
from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.gaussian import Gaussian
from bayesdip.noise.impulses import Impulses, find_impulses
from bayesdip.noise.noise import Noise
from bayesdip.noise.rounding import rounding_step

# Channels whose levels differ by less than this share have one: the estimates scatter as much.
SAME_LEVEL = 0.1


@dataclass(frozen=True)
class Inspection:
    """What was found in a picture.

    Attributes
    ----------
    noise : Noise
        In the picture's own scale.
    impulses : Tensor of bool, shape (C, *grid), or None
        Entries that say nothing of the picture, such as hot pixels; None if there are none.
    findings : tuple of Finding
        What the user has to know.
    """

    noise: Noise
    impulses: Tensor | None = None
    findings: tuple[Finding, ...] = ()


def inspect(picture: Tensor, observed: Tensor | None = None) -> Inspection:
    """Find out what noise a picture has.

    Parameters
    ----------
    picture : Tensor, float64, shape (C, *grid)
        In its own scale.
    observed : Tensor of bool, broadcastable to `picture`, optional
        False where the picture means nothing.

    Returns
    -------
    Inspection
    """
    seen = torch.ones_like(picture, dtype=torch.bool) if observed is None else observed.expand(picture.shape)
    impulses = find_impulses(picture, seen)
    findings = impulse_findings(impulses, seen)
    left_out = impulses.every
    seen = seen & ~left_out
    step = rounding_step(picture[seen])
    levels = estimate_sigma(picture, observed=seen, per_channel=True)
    assert isinstance(levels, tuple)
    noise = Gaussian(_common(tuple(max(level, step / 12**0.5) for level in levels)))
    if not noise.is_exact:
        noise = Gaussian(noise.sigma, detect_clipping(picture, seen))
    return Inspection(noise, left_out if findings else None, findings)


def impulse_findings(impulses: Impulses, seen: Tensor) -> tuple[Finding, ...]:
    """What to say of impulses; nothing where there are none."""
    total = int(seen.sum())
    said = []
    for kind, many, first, second, names in (
        ("salt and pepper", "values are salt and pepper", impulses.salt, impulses.pepper, ("salt", "pepper")),
        ("hot pixels", "values are hot or dead pixels", impulses.hot, impulses.dead, ("hot", "dead")),
    ):
        counts = {name: int(part.sum()) for name, part in zip(names, (first, second), strict=True)}
        count = sum(counts.values())
        if count:
            text = (
                f"{count} of {total} {many} ({', '.join(f'{n} {name}' for name, n in counts.items())}): treated as "
                "missing and filled in; a given noise model or sigma keeps them"
            )
            said.append(Finding(kind, text, {**counts, "share": count / total}))
    return tuple(said)


def _common(levels: tuple[float, ...]) -> float | tuple[float, ...]:
    """One level for all channels where they hardly differ."""
    mean = (sum(level**2 for level in levels) / len(levels)) ** 0.5
    alike = all(abs(level - mean) <= SAME_LEVEL * mean for level in levels)
    return mean if alike else levels
