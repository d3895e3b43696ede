"""Missing pixels of a picture by HBE, from a first estimate, and beside noisy ones after NL-Bayes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from bayesdip.arch.networks import FIGURE6
from bayesdip.gp.inference import posterior
from bayesdip.interruption import Stopped
from bayesdip.membrane import filled_by, harmonic
from bayesdip.noise import Noise
from bayesdip.operators import Operator
from bayesdip.patches.estimate import Stop, average_over_sizes
from bayesdip.patches.hbe import FEW, LEAST_NOISE, fill
from bayesdip.patches.known_pixels import KnownPixels
from bayesdip.patches.nl_bayes import column
from bayesdip.patches.patch_grid import PATCH_VALUES
from bayesdip.patches.thin_damage import biharmonic, is_thin
from bayesdip.result import Posterior
from bayesdip.window import window_sum

# A picture whose standard deviation is at most so many rounding errors of its mean is flat.
ROUNDING = 16
# Patches of one size alone: values in a patch, and weight.
ONE_SIZE = MappingProxyType({PATCH_VALUES: 1.0})
# How often HBE learns its covariances after NL-Bayes, where few pixels are missing. On 15 crops of scikit-image's pictures with noise of 5 to 20 of 255
# and scratches or a hole of 20x20 pixels, 1, 2, 4 and 6 passes changed the error there by 0.2, -0.4, -0.6 and -0.7 dB from that
# of one pass with noisy pixels; among half of the pixels, scattered, all did the same.
HOLE_PASSES = 4
# Up to this share of missing pixels the chain of group filters denoises the known ones. On 96x96 parts of tuning pictures with noise
# of 15, beside scratches or a quarter of the pixels, that brought 0.7 dB in colour and 0.0 to 0.1 in gray over NL-Bayes; beside
# half of the pixels it cost 0.6 and 0.2.
FEW_BESIDE_NOISE = 0.25
# Filling in begins with the posterior mean of the stationary process of this network near known pixels; draws of it give the standard
# deviation where no patch has enough known pixels.
STATIONARY, DRAWS = FIGURE6, 16
# With no known pixel of its channel so near, along the axes, a value begins with so much of harmonic functions: the process goes back to
# the picture's mean there, and patches take that for the picture. Holes of 24x24 pixels in 24 tuning pictures came to 22.5 dB without it, and with harmonic
# functions alone to 23.1, 23.5, 23.8, 24.0 and 24.0 from 6, 3, 2, 1 and 0 pixels on; 50, 70 and 90% scattered ones in twelve of them to 32.35, 28.82
# and 23.93 without, 32.35, 28.82 and 23.97 from 1 on, 32.27, 28.87 and 24.00 from 0 on. Repeated texture likes the mean: holes in scikit-image's bricks, grass and gravel came
# to 20.5, 17.0 and 16.6 dB with the process, 19.9, 16.8 and 16.4 with harmonic functions, 20.2, 16.9 and 16.5 with three quarters of them, which
# leave 23.8 dB of the 24.0.
NEAR, HARMONIC = 1, 0.75


def passes_in_holes(missing: Tensor) -> int:
    """How often HBE fills in after NL-Bayes; 0 where nothing is missing."""
    share = float(missing.double().mean())
    return 0 if share == 0 else HOLE_PASSES if share <= FEW else 1


def few_beside_noise(missing: Tensor) -> bool:
    """Whether so few pixels are missing that the chain of group filters denoises the known ones."""
    return float(missing.double().mean()) <= FEW_BESIDE_NOISE


def with_holes_filled(
    restored: Posterior,
    missing: Tensor,
    operator: Operator,
    noise: Noise,
    passes: int,
    patches: Mapping[int, float],
    stop: Stop,
    compiled: bool,
) -> Posterior:
    """With the missing pixels by HBE from the denoised picture, whose known pixels it takes for exact.

    NL-Bayes has filled in less well.
    """
    mean, std, info = restored.mean, restored.std, restored.info
    denoised_ones = torch.where(missing, 0.0, mean)
    data = KnownPixels(denoised_ones, missing, torch.zeros_like(mean))
    filled = filled_in(
        data,
        operator,
        noise,
        passes,
        patches,
        _begun_in_holes(mean, missing),
        stop,
        missing_only=True,
        compiled=compiled,
    )
    if filled.std is None or std is None:
        return restored
    info = {**info, "left_to_harmonic_filling": filled.info["left_to_harmonic_filling"]}
    # NL-Bayes says what the denoised pixels leave open at least.
    mean = torch.where(missing, filled.mean, mean)
    std = torch.where(missing, torch.maximum(filled.std, std), std)
    return replace(restored, mean=mean, std=std, info=info)


def _begun_in_holes(mean: Tensor, missing: Tensor) -> Tensor:
    """`mean` with harmonic functions where no known pixel of the channel is within `NEAR`."""
    return _with_harmonic(mean, window_sum((~missing).float(), [2 * NEAR + 1] * (missing.ndim - 1)) < 0.5)


def _with_harmonic(mean: Tensor, where: Tensor) -> Tensor:
    """`mean` with harmonic functions there, which go on from the rest; `mean` itself if the work shall end."""
    if not bool(where.any()):
        return mean
    try:
        return filled_by(harmonic, mean, where)
    except Stopped:
        return mean


def without_samples(mean: Tensor, std: Tensor | None, passes: int, left: float = 0.0) -> Posterior:
    """Without samples, which patches do not have."""
    return Posterior(mean, std, info={"passes": passes, "left_to_harmonic_filling": left})


def filled_in(
    data: KnownPixels,
    operator: Operator,
    noise: Noise,
    passes: int,
    patches: Mapping[int, float],
    start: Tensor | None,
    stop: Stop,
    *,
    missing_only: bool = False,
    compiled: bool = False,
) -> Posterior:
    """By HBE, from `start`; else of thin damage from biharmonic functions, and of the rest from the stationary process and harmonic ones."""
    y, missing = data.values, data.missing
    kernel, good_start = STATIONARY.kernel(dims=y.ndim - 1), start is not None
    thin = start is None and noise.is_exact and is_thin(missing, max(patches))
    if thin:
        start = biharmonic(y, missing)
    if start is None:
        process = posterior(y, operator, kernel, noise).mean
        start = process.lerp(_begun_in_holes(process, missing), HARMONIC)
    observed = torch.where(missing, torch.nan, y).flatten(1)
    centre = observed.nanmean(1).nan_to_num(0.0)
    scale = (observed - centre[:, None]).square().nanmean(1).nan_to_num(0.0).sqrt()
    rounding = ROUNDING * torch.finfo(y.dtype).eps * centre.abs()
    if not bool((scale > rounding).any()):  # a flat picture
        return without_samples(start, torch.zeros_like(y), 0)
    centre, scale = column(centre, y), column(torch.where(scale > 0, scale, scale.amax()), y)
    shape = (*y.shape, 1) if y.ndim == 2 else y.shape

    def unit(x: Tensor) -> Tensor:
        return ((x - centre) / scale).reshape(shape).float()

    unit_noise = (data.noise / scale.square()).reshape(shape).float().clamp_min(LEAST_NOISE)
    known = KnownPixels(unit(torch.where(missing, centre, y)), missing.reshape(shape), unit_noise)
    estimate = unit(start)
    found = average_over_sizes(
        lambda values, stop: fill(
            known,
            estimate,
            passes,
            stop,
            patch_values=values,
            good_start=good_start,
            thin=thin,
            missing_only=missing_only,
            compiled=compiled,
        ),
        patches,
        passes,
        stop,
        stages=passes,
    )
    mean = found.mean.reshape(y.shape).to(y) * scale + centre
    assert found.covered is not None
    left = ~found.covered.reshape(y.shape)
    mean = _with_harmonic(torch.where(left, start.to(y), mean), left)
    if found.std is None:
        return without_samples(mean, None, found.passes)
    std = found.std.reshape(y.shape).to(y) * scale
    if bool(left.any()):
        generator = torch.Generator(y.device).manual_seed(0)
        try:
            stationary = posterior(y, operator, kernel, noise, samples=DRAWS, generator=generator).std
        except Stopped:
            return without_samples(mean, None, found.passes, float(left.double().mean()))
        std = std if stationary is None else torch.where(left, stationary, std)
    return without_samples(mean, std, found.passes, float(left.double().mean()))
