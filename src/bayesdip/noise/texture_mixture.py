"""The noise's covariance at each frequency, from windows that hold the picture's texture, too: a Gaussian scale mixture.

A window's texture has a strength of its own, which may be none; noise is the same in all. So the modes of window `w` at frequency `k`,
one for each channel, are normal with covariance ``N_k + s_w T_k``, ``s_w`` on a grid that begins with 0 (Portilla, Strela, Wainwright,
Simoncelli, *Image denoising using scale mixtures of Gaussians in the wavelet domain*, IEEE TIP 2003). N, T and the share of each
strength are those of maximum likelihood, by expectation and maximisation. No window need be free of texture, nor be chosen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Strengths of texture, in units of the calmest windows' power, and steps: the noise of 14 simulated camera pictures changed by less than 2%
# from 20 on.
STRENGTHS = np.r_[0.0, 4.0 ** np.arange(-2, 6)]
STEPS = 20
# Share of the windows, the calmest, that the first noise is taken from, and beyond which the first texture is.
CALM, TEXTURED = 0.1, 0.33
# Modes of tapered windows are correlated with those beside them: so many of each are independent (Welch, 1967, for a sine along two axes).
INDEPENDENT = 4 / 9
# The scatter of noise alone passes for texture in part: of white noise a share of 0.6 to 0.85 was found. Where more than the first share of
# the power is noise, the estimate is moved towards all of it, which is taken from the second on.
MOSTLY_NOISE = (0.6, 0.8)
# A strength of less weight for a window is left out; windows of each strength before any is seen; least eigenvalues, of a frequency's
# mean power and of all.
LEAST_WEIGHT, BEFORE, LEAST, LEAST_OF_ALL = 1e-3, 0.5, 1e-6, 1e-9


def noise_covariances(modes: Array, counts: Array) -> Array:
    """Covariance of the noise between channels at each frequency.

    Parameters
    ----------
    modes : complex array, shape (F, C, n)
        Of n windows.
    counts : array, shape (F,)
        Of each frequency: 1, or 0.5 where another one has its conjugate.

    Returns
    -------
    complex array, shape (F, C, C)
        Hermitian.
    """
    frequencies, channels, windows = modes.shape
    unit, identity = float((np.abs(modes) ** 2).mean()), np.eye(channels)
    if not unit > 0:
        return np.zeros((frequencies, channels, channels), modes.dtype)
    modes = modes / unit**0.5
    noise, texture = _first(modes, counts)
    share = np.full(len(STRENGTHS), 1 / len(STRENGTHS))
    for _ in range(STEPS):
        least = LEAST * np.trace(noise, axis1=1, axis2=2).real / channels + LEAST_OF_ALL
        root = np.linalg.cholesky(noise + least[:, None, None] * identity)
        whitening = np.linalg.inv(root)
        # In these combinations noise is white, and texture has a power of its own in each.
        power, turn = np.linalg.eigh(whitening @ texture @ _adjoint(whitening))
        power = np.maximum(power, 0.0)[..., None]
        white = _adjoint(turn) @ whitening @ modes
        weights = _weights(np.abs(white) ** 2, power, counts, share)
        share = (weights.sum(1) + BEFORE) / (windows + BEFORE * len(STRENGTHS))
        of_noise, of_texture = _moments(white, power, weights)
        back = root @ turn
        noise = _hermitian(back @ of_noise @ _adjoint(back))
        texture = _hermitian(back @ of_texture @ _adjoint(back))
    every = np.trace(modes @ _adjoint(modes) / windows, axis1=1, axis2=2).real.sum()
    found = np.trace(noise, axis1=1, axis2=2).real.sum() / every
    start, stop = MOSTLY_NOISE
    towards_all = np.clip((found - start) / (stop - start), 0.0, 1.0)
    covariances: Array = noise * (unit / found**towards_all)
    return covariances


def _first(modes: Array, counts: Array) -> tuple[Array, Array]:
    """Noise as of the calmest windows, and texture as of the others, each window with the same power."""
    windows = modes.shape[2]
    power = (np.abs(modes) ** 2).sum(1)
    usual = np.maximum(np.median(power, axis=1), LEAST_OF_ALL)
    order = np.argsort(counts @ (power / usual[:, None]), kind="stable")
    calm = order[: max(4 * modes.shape[1], round(CALM * windows))]
    textured = order[round(TEXTURED * windows) :]
    strength = np.maximum(power[:, textured].mean(0), LEAST_OF_ALL)
    noise = modes[..., calm] @ _adjoint(modes[..., calm]) / len(calm)
    texture = (modes[..., textured] / strength) @ _adjoint(modes[..., textured])
    size = np.trace(noise, axis1=1, axis2=2).real.mean() / np.trace(texture, axis1=1, axis2=2).real.mean()
    return noise, texture * max(size, LEAST_OF_ALL)


def _weights(squares: Array, power: Array, counts: Array, share: Array) -> Array:
    """Posterior probability of each strength for each window, (strengths, n)."""
    logs = np.stack([np.log(1 + s * power) + squares / (1 + s * power) for s in STRENGTHS]).sum(2)
    found = np.log(share)[:, None] - INDEPENDENT * np.einsum("f,sfn->sn", counts, logs)
    found = np.exp(found - found.max(0))
    weights: Array = found / found.sum(0)
    return weights


def _moments(white: Array, power: Array, weights: Array) -> tuple[Array, Array]:
    """Expected second moments of the noise, and of the texture at strength one, (F, C, C) each."""
    frequencies, channels, windows = white.shape
    of_noise = np.zeros((frequencies, channels, channels), white.dtype)
    of_texture, total = of_noise.copy(), LEAST_OF_ALL
    diagonal = np.arange(channels)
    for strength, weight in zip(STRENGTHS, weights, strict=True):
        chosen = weight > LEAST_WEIGHT
        if not chosen.any():
            continue
        weight, values = weight[chosen], white[..., chosen]
        part = 1 / (1 + strength * power)  # of a mode, what is noise
        noise, texture = part * values, (1 - part) * values
        of_noise += (noise * weight) @ _adjoint(noise)
        of_noise[:, diagonal, diagonal] += weight.sum() * (1 - part[..., 0])
        if strength:
            of_texture += (texture * (weight / strength)) @ _adjoint(texture)
            of_texture[:, diagonal, diagonal] += weight.sum() * (power * part)[..., 0]
            total += weight.sum()
    return of_noise / windows, of_texture / total


def _adjoint(matrices: Array) -> Array:
    found: Array = matrices.conj().swapaxes(-1, -2)
    return found


def _hermitian(matrices: Array) -> Array:
    found: Array = (matrices + _adjoint(matrices)) / 2
    return found
