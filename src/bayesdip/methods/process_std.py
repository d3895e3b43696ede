"""What a stationary process says of data that are no pixels: it stands beside a picture that patches made of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bayesdip.gp.inference import posterior as gp_posterior
from bayesdip.gp.likeliest import Process, likeliest_process
from bayesdip.interruption import Stopped
from bayesdip.noise import Gaussian, Noise, Poisson, PoissonGaussian
from bayesdip.patches.back_projection import STATIONARY, local_mean
from bayesdip.problem import Problem
from bayesdip.result import Posterior


def process_posterior(
    problem: Problem, y: Tensor, left: Noise, learnt: list[Process | None], draws: int, seed: int
) -> Posterior | None:
    """The posterior of the likeliest stationary process, or of the network's where none is learnt from such data.

    Parameters
    ----------
    problem : Problem
    y : Tensor
        Its data, on the device to work on.
    left : Noise
        What patches left of the noise, for the network's process.
    learnt : list of Process or None
        Empty, or the one that was learnt; it is put there.
    draws : int
        For the standard deviation.
    seed : int

    Returns
    -------
    Posterior or None
        With ``info["edgeless"]`` where a process was learnt from data with Gaussian noise: see :class:`bayesdip.gp.likeliest.Process`. None where it was stopped.
    """
    operator, generator = problem.operator, torch.Generator(y.device).manual_seed(seed)
    try:
        if not learnt:
            learnt.append(likeliest_process(y, operator, problem.noise))
        model = learnt[0]
        if model is None:
            kernel = STATIONARY.kernel(dims=len(operator.input_shape))
            found = gp_posterior(y, operator, kernel, left, draws=draws, generator=generator)
        else:
            found = model.posterior(y, operator, problem.noise, draws=draws, generator=generator)
            if isinstance(
                problem.noise, Gaussian
            ):  # of counts the picture is corrected by steps that know what they are
                found = replace(found, info={**found.info, "edgeless": model.edgeless})
    except Stopped:
        return None  # the picture alone
    if isinstance(problem.noise, Poisson | PoissonGaussian):  # no rate is negative
        found = replace(found, mean=found.mean.clamp_min(problem.noise.offset))
    if found.std is None:
        return found
    return replace(found, std=local_mean(found.std.square(), problem.seen_pixels).sqrt())
