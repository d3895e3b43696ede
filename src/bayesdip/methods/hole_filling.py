"""Holes: sampled networks on a coarser grid, beside patches of the same data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped
from bayesdip.methods.patches import Patches
from bayesdip.networks.coarse_grid import (
    FINE_DECAY,
    LARGE_GRID,
    BestInHoles,
    coarsened,
    deepest,
    hole_schedule,
    refined,
)
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import seconds_to_load
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.threads import one_for_each_operation

# Share of a time budget that patches may take: in a short one they come farther than networks do.
MOST_OF_THE_TIME = 0.7
# Of what is left, the share of the networks on the coarser grid where one on the picture's own follows; steps of that over theirs; and the
# pixels that the picture has at most for it: a step takes 0.5 s of one core for 315,000 of them. In strips that miss in four whole tuning
# pictures, 31 to 37 pixels deep, 24.4, 14.5, 19.7 and 15.3 dB came without it, 24.4, 14.7, 20.4 and 15.7 with as many steps as theirs. In two of
# them it was best, by held-out regions, after 300 to 340 steps of its fit.
COARSE_SHARE, FINE_STEPS, MOST_FINE_PIXELS = 0.25, 1.4, 2**19


def fill_holes(
    problem: Problem,
    progress: Progress,
    coarser: int,
    schedule: Schedule,
    patches: Patches,
    fit_by: Callable[..., Posterior],
    fit_fine_by: Callable[..., Posterior],
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
    fit_by, fit_fine_by : callable
        :meth:`SGLD.fit_by` of the networks on the coarser grid, and of one on the picture's own, which large pictures have besides.

    Returns
    -------
    Posterior
        Of the networks; ``beside`` has the patches' one.

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
    finer = problem.held_out is not None and pixels > LARGE_GRID and problem.y[0].numel() <= MOST_FINE_PIXELS
    share = COARSE_SHARE if finer else 1.0
    own = progress.part((0.0, share), time_share=share, to_whole=lambda picture: refined(picture, problem))
    of_holes = hole_schedule(schedule, deepest(problem), coarser, pixels)
    try:
        networks = fit_by(coarse, own, of_holes, initial=False, judge=best)
    except NoResultError:
        return best.as_posterior(progress.stop_reason)
    around = best.around(replace(networks, info=networks.info | {"coarser": coarser}))
    if not finer or progress.should_stop():
        return around
    left = progress.part((COARSE_SHARE, 1.0))
    longer = replace(schedule, steps=round(FINE_STEPS * schedule.steps))
    of_fine = hole_schedule(longer, deepest(problem), 1, problem.y[0].numel())
    return with_fine_network(problem, around, best.error, left, of_fine, fit_fine_by)


def with_fine_network(
    problem: Problem,
    coarse: Posterior,
    error: float,
    progress: Progress,
    schedule: Schedule,
    fit_by: Callable[..., Posterior],
) -> Posterior:
    """A network on the picture's own grid, beside those on a coarser one: it carries on what that grid cannot show, such as lines.

    Parameters
    ----------
    problem : Problem
    coarse : Posterior
    error : float
        Its mean squared error on the held-out regions.
    progress : Progress
        Of what is left of the run.
    schedule : Schedule
    fit_by : callable
        :meth:`SGLD.fit_by` of that network.

    Returns
    -------
    Posterior
        Of the one that predicts held-out regions better; the other stands beside it, and the patches beside that.
    """
    best = BestInHoles(problem, coarse, FINE_DECAY)
    own = progress.part(to_whole=lambda picture: picture if best.error < error else coarse.mean)
    try:
        network = fit_by(problem, own, schedule, initial=False, judge=best)
    except NoResultError:
        return coarse
    fine = best.around(replace(network, info=network.info | {"coarser": 1}))
    if best.error < error:
        return fine
    return replace(coarse, stopped=fine.stopped, beside=replace(fine, beside=coarse.beside))


def beside_networks(patches: Patches, problem: Problem, progress: Progress) -> Posterior | None:
    """What patches make of the data; None where they have no answer in time."""
    try:
        with one_for_each_operation():
            return patches.resolved(problem).fit(problem, progress)
    except (BayesDipError, Stopped):
        return None


def plain(found: Posterior) -> Posterior:
    """Without what only the patches themselves go on from."""
    return replace(found, state=None, trace={}, info={})
