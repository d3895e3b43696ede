"""The noise of another part of the same data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.noise.correlated import Correlated
from bayesdip.noise.gaussian import Gaussian
from bayesdip.noise.noise import Noise


def with_levels(noise: Noise, shape: torch.Size, change: Callable[[Tensor], Tensor]) -> Noise:
    """The noise of data that are cut or padded: where each value has a level of its own, these are too.

    Parameters
    ----------
    noise : Noise
        Of data of that shape.
    shape : torch.Size
    change : callable
        What becomes of an array of that shape.

    Returns
    -------
    Noise
    """
    if isinstance(noise, Correlated) and noise.levels is not None:
        return replace(noise, levels=with_levels(noise.levels, shape, change))
    if isinstance(noise, Gaussian) and isinstance(noise.sigma, Tensor):
        return replace(noise, sigma=change(noise.sigma.expand(shape)))
    return noise
