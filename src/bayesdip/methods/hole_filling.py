"""Holes: sampled networks from coarse to fine, beside patches of the same data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.interruption import Stopped
from bayesdip.methods.patches import Patches
from bayesdip.networks.coarse_to_fine import (
    BestInHoles,
    coarsened,
    fit_coarser,
    last_schedule,
    refined,
    time_weights,
)
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import SetUp, seconds_to_load
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

# Share of a run that patches have: they take some seconds where networks take a minute; and of a time budget, at most: in
# a short one they come farther than networks do.
PATCHES_SHARE, MOST_OF_THE_TIME = 0.1, 0.7


def fill_holes(
    problem: Problem,
    progress: Progress,
    levels: Sequence[int],
    schedule: Schedule,
    patches: Patches,
    make: Callable[[Problem], SetUp],
    fit_by: Callable[..., Posterior],
) -> Posterior:
    """Samples of networks of the last level, around the picture of all levels that predicts held-out regions best.

    Parameters
    ----------
    problem, progress
        As of :meth:`Method.fit`.
    levels : sequence of int
        By how much each is coarser than the picture, from the coarsest.
    schedule : Schedule
        Of a run on one grid.
    patches : Patches
        They err in holes in another way than networks do: the average of the two, by held-out regions, is better than either.
        Until there is a network's picture theirs stands.
    make : callable
        Gives fresh networks for some data.
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
    beside = beside_networks(
        patches, problem, progress.part((0.0, PATCHES_SHARE), time_share=MOST_OF_THE_TIME)
    )
    best, weights = BestInHoles(problem, beside), time_weights(len(levels))
    share = sum(weights[:-1]) / sum(weights)
    done = PATCHES_SHARE + (1 - PATCHES_SHARE) * share
    if progress.should_stop() or not progress.ends_within(seconds_to_load()):
        return best.as_posterior(progress.stop_reason)
    before = None
    if len(levels) > 1:
        before = fit_coarser(
            best, levels, make, schedule, progress.part((PATCHES_SHARE, done), time_share=share)
        )
    if progress.should_stop():
        return best.as_posterior(progress.stop_reason)
    own = progress.part((done, 1.0), to_whole=lambda picture: refined(picture, problem))
    try:
        found = fit_by(
            coarsened(problem, levels[-1]),
            own,
            last_schedule(schedule, len(levels)),
            initial=False,
            start=before,
            judge=best.offer,
        )
    except NoResultError:
        return best.as_posterior(progress.stop_reason)
    return best.around(replace(found, info=found.info | {"levels": list(levels)}))


def beside_networks(patches: Patches, problem: Problem, progress: Progress) -> Posterior | None:
    """What patches make of the data; None where they have no answer in time."""
    try:
        found = patches.resolved(problem).fit(problem, progress)
    except (BayesDipError, Stopped):
        return None
    return replace(found, state=None, trace={}, info={})
