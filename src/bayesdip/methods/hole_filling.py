"""Holes: sampled networks on a coarser grid, beside patches of the same data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped
from bayesdip.methods.patches import Patches
from bayesdip.networks.coarse_grid import (
    LARGE_GRID,
    BestInHoles,
    coarsened,
    deepest,
    hole_schedule,
    refined,
)
from bayesdip.networks.refit import with_mean
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import seconds_to_load
from bayesdip.networks.training_loop import EVALUATE_EVERY
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Share of a time budget that patches may take: in a short one they come farther than networks do.
MOST_OF_THE_TIME = 0.7
# Share of what is left of it for the first fit, where a second one follows: that ends at the best moment of the first at the latest.
FIRST_FIT = 0.6


@dataclass(frozen=True)
class HoleFit:
    """What the second fit goes by.

    Attributes
    ----------
    schedule : Schedule
        Of the first fit.
    steps : int
        From its start to the moment that predicted the held-out regions best.
    coarser : int
    beside : Posterior or None
        Of the patches, with their state.
    """

    schedule: Schedule
    steps: int
    coarser: int
    beside: Posterior | None


def fill_holes(
    problem: Problem,
    progress: Progress,
    coarser: int,
    schedule: Schedule,
    patches: Patches,
    fit_by: Callable[..., Posterior],
) -> Posterior:
    """Samples of networks, around the picture of their fit that predicts held-out regions best.

    Parameters
    ----------
    problem, progress
        As of :meth:`Method.fit`.
    coarser : int
        By how much the networks' grid is coarser than the picture.
    schedule : Schedule
        Of a run on the whole picture.
    patches : Patches
        They err in holes in another way than networks do: the average of the two, by held-out regions, is better than either.
        Until there is a network's picture theirs stands.
    fit_by : callable
        :meth:`SGLD.fit_by`.

    Returns
    -------
    Posterior
        Of the networks; ``beside`` has the patches' one, and ``state`` what :func:`fill_again` needs, or None.

    Raises
    ------
    NoResultError
        It was stopped before there was a picture.
    """
    # Their pace says nothing of the networks', which take most of the time: what is left is told by the networks' steps.
    found = beside_networks(patches, problem, progress.part(later=math.nan, time_share=MOST_OF_THE_TIME))
    best = BestInHoles(problem, None if found is None else plain(found))
    if progress.should_stop() or not progress.ends_within(seconds_to_load()):
        return best.as_posterior(progress.stop_reason)
    coarse = coarsened(problem, coarser)
    pixels = coarse.y[0].numel()
    again = problem.held_out is not None and pixels > LARGE_GRID
    share = FIRST_FIT if again else 1.0
    own = progress.part((0.0, share), time_share=share, to_whole=lambda picture: refined(picture, problem))
    schedule = hole_schedule(schedule, deepest(problem), coarser, pixels)
    try:
        networks = fit_by(coarse, own, schedule, initial=False, judge=best)
    except NoResultError:
        return best.as_posterior(progress.stop_reason)
    state = None
    if again:
        steps = min(best.taken * EVALUATE_EVERY, round(schedule.warm_up * schedule.steps))
        state = HoleFit(schedule, steps, coarser, found)
    return replace(best.around(replace(networks, info=networks.info | {"coarser": coarser})), state=state)


def fill_again(
    problem: Problem,
    first: Posterior,
    progress: Progress,
    patches: Patches,
    fit_by: Callable[..., Posterior],
) -> Posterior | None:
    """Fresh networks fitted to all known pixels, for as many steps as were best without the held-out regions.

    Of grids of more than `LARGE_GRID` pixels alone. In trunk-like strips that miss in six whole tuning pictures two networks had 18.6, 24.5,
    20.1, 15.1, 16.8 and 16.7 dB after 240 steps without the held-out regions, and 18.6, 24.5, 21.0, 15.1, 17.2 and 16.6 with them. Networks
    that were fitted on with them instead, from their 200th step, had 20.4 on the third after 100 more. In one hole of 16 to 64
    pixels in twelve tuning parts of 128x128 it gained nothing on average, at twice the time.

    Parameters
    ----------
    problem : Problem
        With all its entries.
    first : Posterior
        What :func:`fill_holes` gave.
    progress : Progress
    patches : Patches
    fit_by : callable
        :meth:`SGLD.fit_by`.

    Returns
    -------
    Posterior or None
        With the spread and the samples of the first, around the new picture. None where it was stopped.
    """
    fitted: HoleFit = first.state
    whole = replace(problem.whole, held_out=None)
    beside = fitted.beside
    if beside is not None:
        new = patches.resolved(problem).update(problem, beside, progress.part(later=math.nan))
        beside = plain(new or beside)
    # Stopped before its end it gives what the first fit found.
    own = progress.part((FIRST_FIT, 1.0), to_whole=lambda picture: first.mean)
    schedule = replace(fitted.schedule, steps=fitted.steps, warm_up=1.0, heated=1.0, burnt_in=1.0)
    coarse = coarsened(whole, fitted.coarser)
    try:
        networks = fit_by(coarse, own, schedule, initial=False, judge=BestInHoles(whole))
    except NoResultError:
        return None
    if own.stop_reason:
        return None
    found = with_mean(replace(first, state=None, beside=beside), refined(networks.mean, whole))
    seen, std, samples = whole.observed, found.std, found.samples
    return replace(
        found,
        std=None if std is None else torch.where(seen, 0.0, std),
        samples=None if samples is None else torch.where(seen, whole.y.to(samples), samples),
        info=first.info | {"refit_steps": networks.info["steps"]},
    )


def beside_networks(patches: Patches, problem: Problem, progress: Progress) -> Posterior | None:
    """What patches make of the data; None where they have no answer in time."""
    try:
        return patches.resolved(problem).fit(problem, progress)
    except (BayesDipError, Stopped):
        return None


def plain(found: Posterior) -> Posterior:
    """Without what only the patches themselves go on from."""
    return replace(found, state=None, trace={}, info={})
