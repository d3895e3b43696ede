"""``bayesdip.compare``: one picture in, a ranking out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from bayesdip.baselines import Baseline
from bayesdip.comparison.candidates import candidates
from bayesdip.comparison.elimination import eliminate
from bayesdip.comparison.ranking import Comparison, conclude
from bayesdip.comparison.setup import set_up
from bayesdip.comparison.splits import ESTIMATORS, can_recorrupt
from bayesdip.errors import BayesDipError
from bayesdip.methods import EFFORTS, Method
from bayesdip.methods.method import one_of, pick_device
from bayesdip.noise import Noise
from bayesdip.noise_argument import Sigma


def compare(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    sigma: Sigma = None,
    noise: Noise | None = None,
    psf: ArrayLike | None = None,
    factor: int | None = None,
    kind: str = "lanczos",
    truth: ArrayLike | None = None,
    channel_axis: int | None = None,
    methods: Sequence[str | Method | Baseline] = (),
    effort: str = "fast",
    time_budget: float | None = None,
    rounds: int = 3,
    estimator: str | None = None,
    seed: int = 0,
    device: str = "auto",
    log: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Restore a picture by our methods and by classical ones, and rank them without a clean picture.

    Parameters
    ----------
    image : array_like, shape (M, N), or with channels
        A picture; integers or real numbers of any range.
    mask : array_like of bool, shape (M, N)
        True where a pixel is missing: inpainting is compared.
    sigma : float, tuple of float, or None
        Standard deviation of the noise in the picture's own scale, one number or one for each channel. None
        estimates it for denoising and deblurring, and stands for no noise otherwise.
    noise : Noise, optional
        Instead of ``sigma``: another noise model, in the picture's own scale.
    psf : array_like
        The point spread function: deblurring is compared.
    factor, kind : int, {"lanczos", "bicubic", "area"}
        Enlarging by that factor is compared. Without mask, psf and factor it is denoising.
    truth : array_like, optional
        The clean picture, to see how good the ranking is. It plays no part in the ranking.
    channel_axis : int or None
        The axis that holds channels, as in scikit-image.
    methods : sequence of str, Method or Baseline
        What is compared: names, ``"ours"``, ``"baselines"``, or objects such as ``bd.SGLD(chains=4)``; empty for
        all that are made for the task. Ours give what :func:`bayesdip.denoise` and its kin give: averaged with
        a simple estimate where held-out data say that it is better.
    effort : {"fast", "balanced", "best"}
        Of our methods that are named.
    time_budget : float, optional
        Seconds above zero for every single run of our methods.
    rounds : int
        At most so many splits of the data, at least 1; methods that are clearly behind drop out before.
    estimator : {"recorruption", "held-out"} or None
        How errors are estimated; None takes recorruption for denoising of Gaussian noise, else held-out pixels.
    seed : int
        Of the splits and of our methods that are named.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    log : callable
        Called with one line of text whenever something begins.

    Returns
    -------
    Comparison
        Interrupted (Ctrl-C), by what was done until then.

    Raises
    ------
    KeyboardInterrupt
        It was interrupted before any method had a score.
    BayesDipError
        An argument is out of its range, or no method applies.
    ShapeError, NonFiniteError
        As for :func:`bayesdip.denoise` and :func:`bayesdip.inpaint`.
    """
    one_of("effort", effort, EFFORTS)
    if rounds < 1:
        raise BayesDipError(f"rounds is {rounds}: expected at least 1; choose more")
    if time_budget is not None and not time_budget > 0:
        raise BayesDipError(
            f"time_budget is {time_budget}: expected seconds above zero, or None for no limit"
        )
    started = time.monotonic()
    setup = set_up(
        image,
        mask,
        sigma=sigma,
        noise=noise,
        psf=psf,
        factor=factor,
        kind=kind,
        truth=truth,
        channel_axis=channel_axis,
    )
    if estimator is None:
        estimator = "recorruption" if can_recorrupt(setup.problem) else "held-out"
    one_of("estimator", estimator, ESTIMATORS)
    options = {"effort": effort, "seed": seed, "device": pick_device(device)}
    compared = candidates(setup.problem, methods, time_budget=time_budget, **options)
    evaluations, weights, interrupted = eliminate(setup, compared, estimator, rounds, seed, log)
    return conclude(setup, evaluations, weights, estimator, time.monotonic() - started, interrupted)
