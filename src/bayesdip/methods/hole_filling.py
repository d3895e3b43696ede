"""Holes: sampled networks on a coarser grid, beside patches of the same data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped
from bayesdip.methods.patches import Patches
from bayesdip.networks.coarse_grid import BestInHoles, coarsened, deepest, hole_schedule, refined
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import seconds_to_load
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Share of a time budget that patches may take: in a short one they come farther than networks do.
MOST_OF_THE_TIME = 0.7


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
        Of the networks; ``beside`` has the patches' one.

    Raises
    ------
    NoResultError
        It was stopped before there was a picture.
    """
    # Their pace says nothing of the networks', which take most of the time: what is left is told by the networks' steps.
    beside = beside_networks(patches, problem, progress.part(later=math.nan, time_share=MOST_OF_THE_TIME))
    best = BestInHoles(problem, beside)
    if progress.should_stop() or not progress.ends_within(seconds_to_load()):
        return best.as_posterior(progress.stop_reason)
    own = progress.part((0.0, 1.0), to_whole=lambda picture: refined(picture, problem))
    try:
        found = fit_by(
            coarsened(problem, coarser),
            own,
            hole_schedule(schedule, deepest(problem), coarser),
            initial=False,
            judge=best.offer,
        )
    except NoResultError:
        return best.as_posterior(progress.stop_reason)
    return best.around(replace(found, info=found.info | {"coarser": coarser}))


def beside_networks(patches: Patches, problem: Problem, progress: Progress) -> Posterior | None:
    """What patches make of the data; None where they have no answer in time."""
    try:
        found = patches.resolved(problem).fit(problem, progress)
    except (BayesDipError, Stopped):
        return None
    return replace(found, state=None, trace={}, info={})
