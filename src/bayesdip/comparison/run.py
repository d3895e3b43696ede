"""The front door: one picture in, a ranking out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from bayesdip.comparison import result
from bayesdip.comparison.candidates import contenders
from bayesdip.comparison.elimination import race
from bayesdip.comparison.result import Comparison
from bayesdip.comparison.setup import Sigma, pose
from bayesdip.comparison.splits import ESTIMATORS, usual_estimator
from bayesdip.errors import BayesDipError
from bayesdip.settings import EFFORTS, one_of, pick_device

ROUNDS = 3


def compare(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    sigma: Sigma = None,
    psf: ArrayLike | None = None,
    factor: int | None = None,
    kind: str = "lanczos",
    truth: ArrayLike | None = None,
    channel_axis: int | None = None,
    methods: Sequence[str] = (),
    effort: str = "fast",
    time_budget: float | None = None,
    rounds: int = ROUNDS,
    estimator: str | None = None,
    seed: int = 0,
    device: str = "auto",
    tell: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Restore a picture by our methods and by classical ones, and rank them without a clean picture.

    Parameters
    ----------
    image : array_like, shape (M, N), or with channels
        A picture; integers or real numbers of any range.
    mask : array_like of bool, shape (M, N)
        True where a pixel is missing: inpainting is compared.
    psf : array_like
        The point spread function: deblurring is compared.
    factor, kind : int, {"lanczos", "bicubic", "area"}
        Enlarging by that factor is compared. Without mask, psf and factor it is denoising.
    sigma : float, tuple of float, or None
        Noise in the picture's own scale, one number or one for each channel. None estimates it for
        denoising and deblurring, and stands for none otherwise.
    truth : array_like, optional
        The clean picture, to see how good the blind ranking was. It plays no part in the ranking.
    channel_axis : int or None
        The axis that holds channels, as in scikit-image.
    methods : sequence of str
        Who takes part, by name, or ``"ours"`` and ``"baselines"``; empty for all that are made for the task.
    effort : {"fast", "balanced", "best"}
        Of our methods.
    time_budget : float
        Seconds for every single run of our methods.
    rounds : int
        At most so many trials; who is clearly behind drops out before.
    estimator : {"recorruption", "held-out"} or None
        How errors are estimated; None takes recorruption for denoising, else held-out pixels.
    seed : int
        Of the trials and of our methods.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    tell : callable
        Called with one line of text whenever something begins.

    Returns
    -------
    Comparison

    Raises
    ------
    BayesDipError
        An argument is out of its range, or no method applies.
    ShapeError, NonFiniteError
        As for :func:`bayesdip.denoise` and :func:`bayesdip.inpaint`.
    """
    one_of("effort", effort, EFFORTS)
    if rounds < 1:
        raise BayesDipError(f"rounds is {rounds}: expected at least 1")
    if time_budget is not None and not time_budget > 0:
        raise BayesDipError(f"time_budget is {time_budget}: expected seconds above zero")
    started = time.monotonic()
    setup = pose(
        image, mask, sigma=sigma, psf=psf, factor=factor, kind=kind, truth=truth, channel_axis=channel_axis
    )
    usual = usual_estimator(setup.problem)
    chosen = one_of("estimator", estimator, ESTIMATORS) if estimator else usual
    if chosen == "recorruption" != usual:
        raise BayesDipError(
            f"estimator is 'recorruption' and the task {setup.task}: it is for denoising alone"
        )
    options = {"effort": effort, "time_budget": time_budget, "seed": seed, "device": pick_device(device)}
    runners, weights = race(
        setup, contenders(setup.problem, tuple(methods), options), chosen, rounds, seed, tell
    )
    return result.conclude(setup, runners, weights, chosen, time.monotonic() - started)
