"""Blurred and shrunken pictures by their own patches: denoising and backward projection, in turns.

Patches of blurred or shrunken data are no patches of the picture. But the picture's estimate has some, and
so the two things that are known of it take turns (Tirer and Giryes, *Image restoration by iterative denoising
and backward projections*, IEEE TIP 2019; plug-and-play priors: Venkatakrishnan, Bouman, Wohlberg, GlobalSIP
2013):

    z = the patches' posterior mean of x, as if x had noise of standard deviation s
    x = z + K A' (A K A' + S)^{-1} (y - A z)

The second line is the posterior mean of a stationary Gaussian process around z: what z gets wrong of the data is
put right, as smoothly as the kernel K says. s falls from turn to turn; what is left in x by then is less.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bayesdip.arch.networks import FIGURE6
from bayesdip.control_variate import local_sum
from bayesdip.gp.data_covariance import is_nearly_stationary
from bayesdip.gp.inference import posterior
from bayesdip.noise import Noise
from bayesdip.operators import Operator
from bayesdip.patches.nl_bayes import Whitening, learnt_pass, pilot
from bayesdip.patches.pilot import PILOT
from bayesdip.result import Posterior

# The process of the first estimate and of the projections.
STATIONARY = FIGURE6
# Standard deviation of what is taken for noise in the first turn and in the last, over the range of the data.
FIRST, LAST = 30 / 255, 6 / 255
# Of the stationary process's standard deviation, what patches leave of it: see `spread`.
LEFT_OPEN = 0.5
# Of the turns, those that a good start needs.
SHARE_WITH_START = 0.25


def turns_of(turns: int, *, good_start: bool) -> int:
    """How many of the turns are taken: all, or the last quarter from a good start."""
    return turns if not good_start else turns - round((1 - SHARE_WITH_START) * turns)


def project(
    y: Tensor,
    operator: Operator,
    noise: Noise,
    *,
    turns: int,
    start: Tensor | None = None,
    stop: Callable[[int, Tensor], bool] = lambda turn, picture: False,
) -> Posterior:
    """Restore a picture from linear measurements by its patches.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Any, on one or two grid axes.
    noise : Noise
        Its plug-in variance counts.
    turns : int
    start : Tensor, shape (C, *grid), optional
        A good estimate: the last quarter of the turns is then enough. By default the posterior mean of the
        stationary process.
    stop : callable
        Called before each turn with its number and the picture so far; True ends with that.

    Returns
    -------
    Posterior
        Its mean alone; :func:`spread` gives a standard deviation. ``info`` has ``turns``, those that were finished.
    """
    stationary = STATIONARY.kernel(dims=len(operator.input_shape))
    observed = operator.observed.to(y.device).expand(y.shape)
    picture = posterior(y, operator, stationary, noise).mean if start is None else start.to(y)
    # Data that are no averages of the picture have a range of their own.
    values = y[observed] if is_nearly_stationary(operator) else picture
    spread = float(values.max() - values.min())
    first = turns - turns_of(turns, good_start=start is not None)
    if not spread > 0:
        return Posterior(picture, info={"turns": 0})
    for turn in range(first, turns):
        if stop(turn - first, picture):
            return Posterior(picture, info={"turns": turn - first})
        strength = spread * FIRST * (LAST / FIRST) ** (turn / max(1, turns - 1))
        cleaned = _denoised(picture, strength)
        left = torch.where(observed, y - operator.forward(cleaned), 0.0)
        picture = cleaned + posterior(left, operator, stationary, noise).mean.to(y)
    return Posterior(picture, info={"turns": turns - first})


def spread(mean: Tensor, stationary_mean: Tensor, stationary_std: Tensor) -> Tensor:
    """Standard deviation of every pixel, (C, *grid): a rule of thumb, for turns have no posterior of their own.

    Two variances add up, averaged locally. What patches changed of the stationary process's mean: where they know
    more than the data, they can be as wrong as they moved the picture. And a share of the process's own
    variance, for fine texture, which neither sees. The share was set on four 128x128 parts of Set5 (x4), where 90% intervals
    then cover 82 to 96% (docs/nonlocal.md); the process's alone cover 94 to 98% and are as wide at edges as beside them.
    """
    moved = (mean - stationary_mean).square() + (LEFT_OPEN * stationary_std).square()
    seen = local_sum(torch.ones_like(moved))
    return (local_sum(moved) / seen).clamp_min(0.0).sqrt()


def _denoised(picture: Tensor, strength: float) -> Tensor:
    """The patches' posterior mean of (C, *grid), as if it had noise of that standard deviation."""
    whole = torch.zeros_like(picture, dtype=torch.bool)
    variance = torch.full_like(picture, strength**2)
    whitening = Whitening.of(picture, variance, whole)
    assert whitening is not None  # the strength is above zero
    data = whitening.apply(picture, variance, whole)
    found = learnt_pass(data, pilot(data, PILOT), lambda share: False, last=True)
    assert found is not None  # nobody stops it
    return whitening.undo(found[0], picture)
