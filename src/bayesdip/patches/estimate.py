"""What passes over patches give, and its average over several sizes of patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from bayesdip.interruption import Stopped
from bayesdip.resuming import kept

Stop = Callable[[int, float], bool]
"""``(pass, share of it done) -> stop?``"""


@dataclass(frozen=True)
class Estimate:
    """A picture found by passes over its patches.

    Attributes
    ----------
    mean : Tensor, shape (C, H, W)
    std : Tensor, shape (C, H, W), or None
        None if the last pass was not finished and no other one has it.
    passes : int
        Passes that were finished.
    covered : Tensor of bool, shape (C, H, W), or None
        Where some patch has enough known pixels; None is everywhere.
    without_own : Tensor, shape (C, H, W), or None
        Each pixel's mean without its own value; None where it is not known.
    """

    mean: Tensor
    std: Tensor | None
    passes: int
    covered: Tensor | None = None
    without_own: Tensor | None = None


def average_over_sizes(
    restore: Callable[[int, Stop], Estimate],
    sizes: Mapping[int, float],
    passes: int,
    stop: Stop,
    *,
    stages: int,
) -> Estimate:
    """Means and standard deviations averaged over patches of several sizes, of those that cover a pixel.

    Parameters
    ----------
    restore : callable
        ``(patch_values, stop) -> Estimate`` by patches of one size.
    sizes : mapping of int to float
        Values in a patch, and weight.
    passes : int
        That a finished estimate has.
    stop : callable
        Asked with the number of the stage, counted through all sizes; True stops with the average of the sizes that
        were finished, or with what the first one has.
    stages : int
        Calls of `stop` with a new number for each size.

    Returns
    -------
    Estimate
    """
    average: Estimate | None = None
    total: Tensor | float = 0.0
    for number, (patch_values, weight) in enumerate(sizes.items()):

        def stop_size(stage: int, share: float, before: int = number * stages) -> bool:
            return stop(before + stage, share)

        try:
            one = kept(f"patches of {patch_values}", partial(restore, patch_values, stop_size), (Estimate,))
        except Stopped:
            if average is None:
                raise
            return average
        if one.passes < passes or one.std is None:
            return average or one
        own = weight if one.covered is None else weight * one.covered.to(one.mean)
        total = total + own
        average = one if average is None else _blended(average, one, own, total)
    assert average is not None
    return average


def _blended(average: Estimate, one: Estimate, own: Tensor | float, total: Tensor | float) -> Estimate:
    """The average with one more estimate, of weight `own` in the `total` with it."""
    assert average.std is not None and one.std is not None
    if isinstance(own, float) or isinstance(total, float):
        share: Tensor | float = own / total
        return Estimate(average.mean.lerp(one.mean, share), average.std.lerp(one.std, share), one.passes)
    share = torch.where(own > 0, own / total, 0.0)
    # Where one of the two covers nothing, its standard deviation is NaN.
    std = torch.where(
        share == 0, average.std, torch.where(share == 1, one.std, average.std.lerp(one.std, share))
    )
    return Estimate(average.mean.lerp(one.mean, share), std, one.passes, total > 0)
