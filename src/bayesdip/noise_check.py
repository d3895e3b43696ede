"""Whether the noise was what it was taken for: the error on held-out data over what noise and posterior say of it."""

from __future__ import annotations

from bayesdip.findings import Finding
from bayesdip.noise import Gaussian, Poisson, PoissonGaussian
from bayesdip.operators import Identity, Mask
from bayesdip.operators.part import blur_of
from bayesdip.problem import Problem
from bayesdip.result import Posterior

# The ratio is 1 for white noise of the right level. On pictures of scikit-image it was 0.4 to 0.7 where correlated noise was
# removed by a higher level, and 2 to 6 where it was taken for white noise of its weakest frequencies.
TOO_SMALL, TOO_LARGE = 0.75, 2.0
# How far a deblurred picture may go beyond the data at both ends, in units of their range.
BEYOND = 1.0


def error_ratio(posterior: Posterior, problem: Problem) -> float | None:
    """Root mean square error on the held-out data over what explains it: at least the noise, at most the posterior too.

    Parameters
    ----------
    posterior : Posterior
        That has not seen the held-out entries.
    problem : Problem
        With held-out entries.

    Returns
    -------
    float or None
        1 in between. None where there is no noise, or none of a known variance, and where data are no pixels.
    """
    pixels = isinstance(problem.operator, Identity | Mask)
    known = isinstance(problem.noise, Gaussian | Poisson | PoissonGaussian) and not problem.noise.is_exact
    if posterior.std is None or not pixels or not known:
        return None
    here = problem.held_out_entries
    mean, std = (part.cpu()[here].double() for part in (posterior.mean, posterior.std))
    noise = problem.noise.variance(problem.y, problem.operator.observed).expand(problem.y.shape)[here]
    noise = problem.noise.mean_square(mean, noise.double())
    square = float((problem.y[here] - mean).square().mean())
    least, most = (float(part.mean()) for part in (noise, noise + std.square()))
    if not 0 < least <= most < float("inf"):
        return None
    # The posterior may be wide; nothing but the noise keeps an error from being small.
    return float((square / min(max(square, least), most)) ** 0.5)


def doubts(ratio: float | None) -> tuple[Finding, ...]:
    """What to say of that ratio; nothing where noise and posterior explain the error."""
    if ratio is None or TOO_SMALL <= ratio <= TOO_LARGE:
        return ()
    if ratio < TOO_SMALL:
        text = (
            f"the error on held-out values is only {ratio:.2g} times what the noise model says: sigma is too large, or "
            "neighbouring pixels share their noise, so that coverage cannot be tested and 90% intervals may be too narrow; "
            "give sigma= if you know it"
        )
    else:
        text = (
            f"the error on held-out values is {ratio:.2g} times what noise model and posterior say: sigma is too small, the "
            "noise is correlated, or the picture is hard to predict; where noise is correlated, the coverage does not hold; "
            "give a larger sigma= if noise is left"
        )
    return (Finding("noise check", text, {"ratio": ratio}),)


def far_beyond_data(posterior: Posterior, problem: Problem) -> tuple[Finding, ...]:
    """What to say of a deblurred picture that swings far beyond what was seen, as by a wrong point spread function.

    Blurring takes contrast away, at most so much that a heavy blur leaves a half of the picture's range. In working units the
    data go from 0 to 1.
    """
    low, high = float(posterior.mean.min()), float(posterior.mean.max())
    if blur_of(problem.whole.operator) is None or low > -BEYOND or high < 1 + BEYOND:
        return ()
    text = (
        f"the restored picture has {high - low:.3g} times the range of the data and goes far below and above them: the point "
        "spread function is hardly that of this blur, and the picture should not be relied on; check psf, or give a larger sigma="
    )
    return (Finding("beyond the data", text, {"range": high - low}),)


def coverage_is_testable(ratio: float | None) -> bool:
    """Whether held-out data can calibrate: not where they are nearer to their prediction than noise lets them be."""
    return ratio is None or ratio >= TOO_SMALL
