"""What else one would use: classical methods of well-kept libraries, behind the signature of ours.

::

    from bayesdip import baselines

    baselines.names("denoise")                  # tv, nlm, wavelet, bilateral, bm3d
    run = baselines.named("nlm").method(0.6)    # (problem, settings, progress) -> Posterior

A baseline gives a picture and no standard deviation. Each has one parameter and a small grid of
values for it; :func:`tune` picks the value with the least error by a score that needs no clean
picture, so that no baseline is judged by a poor default.
"""

from __future__ import annotations

from bayesdip.baselines import deconvolution, filters, inpainting, interpolation, total_variation
from bayesdip.baselines.baseline import TASKS, Baseline, task_of
from bayesdip.baselines.tuning import Tuning, tune
from bayesdip.settings import one_of

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for part in (total_variation, filters, inpainting, interpolation, deconvolution)
    for baseline in part.BASELINES
}


def names(task: str | None = None) -> list[str]:
    """The baselines' names; with ``task``, of those that are made for it.

    Raises
    ------
    BayesDipError
        There is no such task.
    """
    if task is not None:
        one_of("task", task, TASKS)
    return [name for name, baseline in BASELINES.items() if task is None or task in baseline.tasks]


def named(name: str) -> Baseline:
    """The baseline of that name.

    Raises
    ------
    BayesDipError
        There is none.
    """
    one_of("baseline", name, tuple(BASELINES))
    return BASELINES[name]


__all__ = ["BASELINES", "TASKS", "Baseline", "Tuning", "named", "names", "task_of", "tune"]
