"""Which observed entries are held out: pixels at random, and regions of the shapes of holes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bayesdip.held_out_regions import FEWEST, MOST, in_holes, regions, single
from bayesdip.noise import Correlated
from bayesdip.operators import Mask
from bayesdip.operators.part import smaller
from bayesdip.problem import Problem, random_entries

# Of the observed entries, this share is held out; more of a small picture, as long as there are fewer
# than the number that tells the coverage of intervals to 1%.
HELD_OUT_SHARE = 0.02
LARGEST_SHARE = 0.04
WANTED = 1000
# Where no more than this share of exact pixels is missing, each that is held out costs as much as a missing one: no more are than
# are wanted.
FEW_MISSING = 0.4
FEWEST_FOR_HOLDING_OUT = 64
# Of a picture with scattered missing pixels, and of data that mix pixels from far apart, so many are held out, but not more than this share of the known ones.
FEWEST_SINGLE, MOST_OF_A_SMALL_PICTURE = 64, 0.1


def channels_with_missing(problem: Problem) -> Tensor | None:
    """The channels that lack pixels, bool (C,), where others lack none; None where all do, none does, or data are noisy.

    Of a picture some of whose bands are whole, these help at missing pixels. Held-out ones are as hard only if they are kept there too.
    """
    if not (isinstance(problem.operator, Mask) and problem.noise.is_exact):
        return None
    lacking = ~problem.observed.flatten(1).all(1).cpu()
    return lacking if bool(lacking.any()) and not bool(lacking.all()) else None


def split(problem: Problem, seed: int, *, in_regions: bool = True, wanted: int = WANTED) -> Tensor | None:
    """The entries to hold out (bool, output grid); None when too few were observed, and where noise is correlated.

    Pixels at random and, where some are missing far from known ones, regions of the holes' shapes beside them.

    Parameters
    ----------
    problem : Problem
        With its `held_out_channels`.
    seed : int
    in_regions : bool
        Whether regions may be held out. A method that is not fitted again with what was held out loses more by
        them than it gains, where the data are noisy.
    wanted : int
        Single pixels at most, where few of exact ones are missing; and as many regions in proportion.

    Returns
    -------
    Tensor of bool, shape operator.output_shape, or None
    """
    channels = problem.held_out_channels
    seen = (problem.observed if channels is None else problem.observed[channels]).any(0)
    observed = int(seen.sum())
    # Neighbours tell the noise of a held-out pixel, too, where they share it.
    if observed < FEWEST_FOR_HOLDING_OUT or isinstance(problem.noise, Correlated):
        return None
    count = round(max(HELD_OUT_SHARE * observed, min(WANTED, LARGEST_SHARE * observed)))
    exact = isinstance(problem.operator, Mask) and problem.noise.is_exact
    few = exact and observed >= (1 - FEW_MISSING) * seen.numel()
    if few:
        count = min(count, wanted)
    together = None
    if in_regions and isinstance(problem.operator, Mask):
        together = regions(
            seen.cpu().numpy(), np.random.default_rng(seed), max(FEWEST, MOST * wanted // WANTED)
        )
        if not together.any():  # the missing pixels are scattered, and single ones alone tell of them
            together, count = None, max(count, min(FEWEST_SINGLE, round(MOST_OF_A_SMALL_PICTURE * observed)))
        elif few:
            # They tell of missing pixels that are alone: no more of them are needed than there are such.
            alone = int((~in_holes(seen.cpu().numpy())).sum()) - observed
            count = min(count, max(FEWEST_SINGLE, alone))
    elif smaller(problem.operator, problem.grid) is None:  # by them the size of errors is known
        count = max(count, min(FEWEST_SINGLE, round(MOST_OF_A_SMALL_PICTURE * observed)))
    chosen = random_entries(seen, count, torch.Generator().manual_seed(seed))
    return chosen if together is None else torch.from_numpy(together | single(chosen.numpy(), together))
