"""The likeliest stationary process beside a method against white noise, where the picture has no edges.

A picture without edges, as of temperatures or heights, is a draw of such a process, and patches are the worse the smoother it is. Of 60
pictures of 48 to 128 pixels in noise of 2 to 20% of their range, smooth random fields gained 2.9 dB in the mean, waves 4.0, fields of blurred spots
0.1 (0.1 less at worst), and parts of tuning photographs nothing.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from bayesdip.gp.likeliest import PART, Process, likeliest_process, looks_edgeless
from bayesdip.gp.own_weights import own_weights
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.simple_process import LARGEST_AT_ONCE, Likeliest

# The probability of kernels without edges from which a picture is taken for one without.
SURE = 0.95
MOST_AXES = 2


def edgeless_process(problem: Problem) -> Process | None:
    """The likeliest process of a picture without edges in white noise, learnt from its middle.

    Parameters
    ----------
    problem : Problem
        Of the pixels.

    Returns
    -------
    Process or None
        None where the picture has edges, or is large.
    """
    whole = problem.whole
    variance = whole.noise_variance
    if not (isinstance(whole.noise, Gaussian) and bool((variance == variance.flatten()[0]).all())):
        return None
    if len(problem.grid) > MOST_AXES or whole.y.numel() > LARGEST_AT_ONCE or not bool(whole.observed.all()):
        return None
    side = round(PART ** (1 / len(problem.grid)))
    here = (slice(None), *(slice(max(0, (n - side) // 2), (n + side) // 2) for n in problem.grid))
    y, noise = whole.y[here].double().cpu(), Gaussian(float(variance.flatten()[0]) ** 0.5)
    middle = Identity(tuple(y.shape[1:]))
    varies = bool((y.flatten(1).amax(1) > y.flatten(1).amin(1)).all())
    if not (varies and looks_edgeless(y, middle, noise)):
        return None
    found = likeliest_process(y, middle, noise)
    return found if found is not None and found.edgeless > SURE else None


class EdgelessProcess(Likeliest):
    """Its estimates, all from one posterior of all data.

    Parameters
    ----------
    problem : Problem
    process : Process
        See :func:`edgeless_process`.
    """

    def __init__(self, problem: Problem, process: Process) -> None:
        super().__init__(problem)
        self.process = self._known = process

    @cached_property
    def _mean(self) -> Tensor:
        """From all data."""
        whole = self.whole
        return self._known.posterior(whole.y, whole.operator, whole.noise).mean.double().cpu()

    @cached_property
    def _own_weights(self) -> Tensor:
        """The weight of each pixel's own value in its mean, (C, *grid)."""
        return own_weights(self._known.kernel, self._known.colour, self.whole.grid, self._noise)

    @property
    def _noise(self) -> float:
        return float(self.whole.noise_variance.flatten()[0])

    def estimate(self, problem: Problem) -> Tensor:
        """The posterior mean, float64 (C, *grid); at held-out pixels without their own values, each left out alone.

        With the weight s of its own value, a mean m and a value y, that is ``(m - s y) / (1 - s)`` (Allen, Technometrics 1974).
        """
        own = self._own_weights
        left_out = (self._mean - own * self.whole.y.double().cpu()) / (1 - own)
        return torch.where(problem.observed.cpu(), self._mean, left_out)

    def std(self, problem: Problem) -> Tensor | None:
        """The posterior's, (C, *grid), as large on the whole as the data say too."""
        if self._expected is None:
            return None
        shape = (-1, *[1] * len(problem.grid))
        larger = self._expected / self._expected_square()
        return (self._noise * self._own_weights * larger.reshape(shape)).sqrt()

    def _expected_square(self) -> Tensor:
        return self._noise * self._own_weights.flatten(1).mean(1)
