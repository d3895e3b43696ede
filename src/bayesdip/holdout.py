"""Observed pixels that a method does not see: its error on them, and what they tell of its intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.calibration import Calibration, Values, calibrate
from bayesdip.control_variate import quiet_squares
from bayesdip.operators import Identity, Mask
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem

# Of the observed pixels, this share is kept from the method; more of a small picture, as long as
# there are fewer than needed to tell its intervals' coverage to 1%.
HELD_OUT_SHARE = 0.02
MOST_HELD_OUT = 0.04
WANTED = 1000
FEWEST_FOR_HOLDING_OUT = 64


def choose_held_out(problem: Problem, seed: int) -> Tensor | None:
    """Pixels (bool, output grid) that the method shall not see; None when there are too few."""
    seen = problem.operator.observed.expand(problem.y.shape).all(0)
    places = seen.flatten().nonzero().squeeze(1)
    if len(places) < FEWEST_FOR_HOLDING_OUT:
        return None
    generator = torch.Generator().manual_seed(seed)
    count = max(HELD_OUT_SHARE * len(places), min(WANTED, MOST_HELD_OUT * len(places)))
    chosen = places[torch.randperm(len(places), generator=generator)[: round(count)]]
    held_out = torch.zeros(seen.numel(), dtype=torch.bool)
    held_out[chosen] = True
    return held_out.reshape(seen.shape)


def held_out_error(posterior: Posterior, problem: Problem, held_out: Tensor) -> float:
    """Root mean squared error of the posterior mean on the held-out data, in working units."""
    residual = problem.y - problem.operator.forward(posterior.mean.double().cpu())
    return float(residual[:, held_out].square().mean().sqrt())


def calibrate_on(posterior: Posterior, problem: Problem, held_out: Tensor, seed: int) -> Calibration | None:
    """Calibrate the posterior's standard deviation on the held-out pixels, in working units.

    Returns
    -------
    Calibration or None
        None where the data are no pixels of the picture (of a blurred or shrunken one, held-out
        data tell nothing of the detail that was lost), and where `calibrate` gives none.
    """
    if posterior.std is None or not isinstance(problem.operator, Identity | Mask):
        return None
    mean, std = posterior.mean.double().cpu(), posterior.std.double().cpu()
    observed = problem.operator.observed.expand(problem.y.shape)
    residual = (problem.y - mean)[:, held_out]
    variance = noise_variance(problem)
    noise = problem.noise.mean_square(mean, variance)[:, held_out]
    squares = residual.square()
    if bool(noise.any()):
        sigma = float(variance[observed].mean().sqrt())
        squares = quiet_squares(residual, problem.y, observed, held_out, mean, sigma).double()
    values = Values(
        *(part.numpy() for part in (mean[:, held_out], std[:, held_out], residual, squares, noise))
    )
    found = calibrate(values, held_out.flatten().nonzero().squeeze(1).numpy(), seed)
    if found is None:
        return None
    return replace(found, beyond=share_beyond(observed.all(0).numpy(), held_out.numpy()))


def learn_from(
    posterior: Posterior, problem: Problem, held_out: Tensor, calibration: Calibration, seed: int
) -> Posterior:
    """Give every held-out pixel its own noisy value, which the method did not see.

    By Bayes' rule for one Gaussian variable of the calibrated variance v and noise of variance n:
    the mean moves by ``v / (v + n)`` towards the value, and samples likewise, each towards the
    value with noise of its own (Matheron's rule). The standard deviation stays the method's own,
    uncalibrated: what it would be had the method seen the pixel. What the pixel would tell of its
    neighbours is left out.
    """
    assert posterior.std is not None
    mean, std = posterior.mean.double().cpu(), posterior.std.double().cpu()
    samples = posterior.samples.double().cpu()
    n = noise_variance(problem)[:, held_out]
    own = std[:, held_out].square()
    v = torch.from_numpy(calibration.std(std[:, held_out].numpy())).double().square()
    gain = torch.where(v > 0, v / (v + n), 0.0)
    y = problem.y[:, held_out]
    generator = torch.Generator().manual_seed(seed)
    drawn = y + n.sqrt() * torch.randn(len(samples), *y.shape, generator=generator, dtype=torch.float64)
    mean[:, held_out] += gain * (y - mean[:, held_out])
    samples[..., held_out] += gain * (drawn - samples[..., held_out])
    std[:, held_out] = torch.where(own > 0, own * n / (own + n), 0.0).sqrt()
    return replace(posterior, mean=mean, std=std, samples=samples)


def calibrated_std(posterior: Posterior, problem: Problem, calibration: Calibration) -> Tensor:
    """The calibrated standard deviation of every pixel, (C, *grid), all observed ones having been seen."""
    assert posterior.std is not None
    observed = problem.operator.observed.expand(problem.y.shape)
    noise = torch.where(observed, noise_variance(problem), torch.inf)
    exact = noise == 0  # known, and put back at the end
    std = torch.where(exact, 0.0, posterior.std.double().cpu())
    return torch.from_numpy(calibration.std(std.numpy(), torch.where(exact, 1.0, noise).numpy()))


def noise_variance(problem: Problem) -> Tensor:
    """Of every entry, shape of ``y``."""
    y, observed = problem.y, problem.operator.observed
    return problem.noise.variance(y, observed).double().expand(y.shape)


def share_beyond(observed: NDArray[np.bool_], held_out: NDArray[np.bool_]) -> float:
    """Share of the missing pixels that are farther from any known one than every held-out pixel was."""
    from scipy.ndimage import distance_transform_edt

    if observed.all():
        return 0.0
    farthest = distance_transform_edt(~(observed & ~held_out))[held_out].max()
    distances = distance_transform_edt(~observed)[~observed]
    return float((distances > farthest).mean())
