"""What a user says of the noise, or what is found where nothing is said: of data, beside a mask, in a small picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.findings import Finding
from bayesdip.noise import Correlated, Gaussian, Inspection, Noise, detect_clipping
from bayesdip.noise.cells import Cells
from bayesdip.noise.compression import compression_level
from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.in_time import inspect_in_time
from bayesdip.noise.presence import can_be_noisy, is_clearly_noisy

Level = float | tuple[float, ...]
Sigma = Level | Literal["auto"] | None

# What is done about noise that was found unasked in a small picture.
UPSCALING = "taken away before the picture is enlarged: sigma=0 (--sigma 0) takes the picture for exact"

# Of the level that a rough small picture may have, so much is taken for noise where it is not clearly noisy, from this share of its range on. Tuning
# pictures enlarged 2 to 4 times: clean ones came to 0.15 dB less to 0.26 more than as exact ones (0.05 more in the mean of eight), those with noise of 4
# and 8 to 0.0 to 0.5 more (0.16 in the mean of thirteen).
SHARE_OF_DOUBTFUL, LEAST_DOUBTFUL = 0.5, 0.01
# The level of a compression, that of the brightness, over that of all channels (`compression_level`). What the compression took is shared by neighbouring
# pixels, and does not average away as white noise does: with it, errors on six small pictures of quality 60, enlarged twice, are
# 0.9 to 1.2 times what is said of them, without 1.4 to 2.0, and 90% intervals hold 85 to 93% in place of 72 to 80.
OF_ALL_CHANNELS = 0.84


def given_level(sigma: Sigma) -> Level | None:
    """The noise level that was given; None where it is to be estimated, which ``"auto"`` asks for as None does."""
    if isinstance(sigma, str):
        if sigma.strip().lower() != "auto":
            raise BayesDipError(
                f"sigma is {sigma!r}: expected a number, one number for each channel, or 'auto' for an estimate"
            )
        return None
    return sigma


def levels_of(noise: Noise, y: Tensor) -> tuple[float, ...] | None:
    """The standard deviation of the noise of data (C, *grid), one for all channels or one each; None for no single one."""
    if isinstance(noise, Correlated) and noise.levels is None:
        return tuple(noise.variance(y).sqrt().flatten().tolist())
    sigma = noise.sigma if isinstance(noise, Gaussian) else None
    if sigma is None or isinstance(sigma, Tensor):
        return None
    return sigma if isinstance(sigma, tuple) else (sigma,)


def noise_of(
    noise: Noise | None,
    sigma: Sigma,
    picture: Tensor,
    seen: Tensor,
    *,
    blurred: bool = False,
    denoising: bool = False,
) -> Inspection:
    """The noise that was given; else Gaussian noise of that sigma, clipped where the picture shows that; else what is found."""
    level = given_level(sigma)
    if noise is not None:
        return Inspection(_one_of_two(noise, 0.0 if level is None else level))
    if level is None:
        return _inspected(picture, seen, blurred=blurred, denoising=denoising)
    gaussian = _gaussian(level)
    if not gaussian.is_exact:
        gaussian = replace(gaussian, clipped=detect_clipping(picture, seen))
    return Inspection(gaussian)


def noise_if_clear(
    noise: Noise | None, sigma: Sigma, picture: Tensor, seen: Tensor
) -> tuple[Inspection, bool]:
    """The noise that was given or asked for; else what is found if it is clear, and no noise if not. And whether it was found unasked."""
    if noise is not None or sigma is not None:
        return noise_of(noise, sigma, picture, seen), False
    # Of a mosaic neither: texture is rougher in its cells, and was taken for noise.
    if not can_be_noisy(picture, seen):
        return Inspection(Gaussian(0.0)), False
    found = inspect_in_time(picture, seen).noise
    if found.is_exact or not is_clearly_noisy(picture, seen, _levels(found, picture, seen)):
        return Inspection(Gaussian(0.0)), False
    return Inspection(found), True


def _inspected(picture: Tensor, seen: Tensor, *, blurred: bool, denoising: bool) -> Inspection:
    """What noise there is; of channels on regular lattices, by the smaller picture of their cells."""
    cells = Cells.of(seen)
    if cells is None:
        return inspect_in_time(picture, seen, blurred=blurred, denoising=denoising)
    packed = cells.packed(picture)
    found = inspect_in_time(packed, cells.packed(seen), blurred=blurred)
    impulses = None if found.impulses is None else cells.unpacked(found.impulses.expand(packed.shape))
    return replace(found, noise=_of_cells(found.noise, packed, cells), impulses=impulses)


def _of_cells(noise: Noise, packed: Tensor, cells: Cells) -> Noise:
    """The noise of a packed picture as that of the picture itself: white at one level in each channel, unless it goes by brightness."""
    if not isinstance(noise, Gaussian | Correlated):
        return noise
    variance = noise.variance(packed).expand(packed.shape).flatten(1).mean(1)
    levels = tuple(cells.by_channel(variance.sqrt().numpy()).tolist())
    one = levels[0] if len(set(levels)) == 1 else levels
    return replace(noise, sigma=one) if isinstance(noise, Gaussian) else Gaussian(one)


def noise_to_enlarge(noise: Noise | None, sigma: Sigma, picture: Tensor, seen: Tensor) -> Inspection:
    """The noise that was given or asked for; else what is found if it is clear, or what the compression of the picture left.

    Taken for exact, the rounding of JPEG would be enlarged with the picture, and made sharper.
    """
    found, unasked = noise_if_clear(noise, sigma, picture, seen)
    if unasked:
        return replace(
            found, findings=(noise_finding(found.noise, picture, seen, UPSCALING), *found.findings)
        )
    if noise is not None or sigma is not None:
        return found
    level, kind = compression_level(picture), "compression"
    shared: Tensor | None = torch.tensor((level / OF_ALL_CHANNELS) ** 2)
    text = f"the picture was compressed as JPEG, whose rounding is noise of about {level:.2g},"
    if not level:
        level, kind = SHARE_OF_DOUBTFUL * _least_level(picture, seen), "doubtful noise"
        text = f"noise and texture cannot be told apart: noise of {level:.2g}, half of what there may be, is"
        if level <= LEAST_DOUBTFUL * float(np.ptp(picture[seen].numpy())):
            return found
        shared = None
    said = Finding(kind, f"{text} {UPSCALING}", {"sigma": level})
    return replace(found, noise=Gaussian(level), shared_variance=shared, findings=(said,))


def _least_level(picture: Tensor, seen: Tensor) -> float:
    """Of the noise that there may be, in the channel that has the least."""
    levels = estimate_sigma(picture, observed=seen, per_channel=True)
    assert isinstance(levels, tuple)
    return min(levels)


def _levels(noise: Noise, picture: Tensor, seen: Tensor) -> list[float]:
    """The noise's standard deviation, root mean square, in each channel that was seen."""
    variance = noise.variance(picture, seen).expand(picture.shape)
    return [float(v[s].mean().sqrt()) if bool(s.any()) else 0.0 for v, s in zip(variance, seen, strict=True)]


def noise_finding(noise: Noise, picture: Tensor, seen: Tensor, done: str) -> Finding:
    """What to say of noise that was found unasked, and of what is done about it."""
    level = max(_levels(noise, picture, seen))
    return Finding("noise", f"noise of about {level:.3g} was found and {done}", {"sigma": level})


def _one_of_two(noise: Noise | None, sigma: Level) -> Noise:
    if noise is None:
        return _gaussian(sigma)
    if np.any(sigma):
        raise BayesDipError(
            f"noise={noise!r} and sigma={sigma} were both given: expected one of the two; leave one out"
        )
    return noise


def _gaussian(sigma: Level) -> Gaussian:
    """NumPy's numbers become Python's, which JSON holds."""
    given = np.asarray(sigma)
    if given.ndim < 2 and given.dtype.kind in "uif":
        return Gaussian(tuple(map(float, given)) if given.ndim else float(given))
    return Gaussian(sigma)
