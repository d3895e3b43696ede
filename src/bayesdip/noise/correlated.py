"""Noise that neighbouring pixels share: Gaussian, the same all over but for its level, with a known autocovariance."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bayesdip.arrays import channels_first
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise.autocovariance import SIDE, NoiseSpectrum
from bayesdip.noise.clipping import detect_clipping
from bayesdip.noise.estimated_covariance import estimated_autocovariance
from bayesdip.noise.noise import Noise, check_prediction, check_scale, check_spread, normal_like
from bayesdip.noise.torus import filtered, root_of, torus_of

Array = NDArray[Any]

# Least power at a frequency, as a share of the mean one: residuals of frequencies without noise would outweigh all others.
LEAST_POWER = 1e-2
# Entries of the two halves of an autocovariance that differ by more than this share of the variance are an error.
UNLIKE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Correlated(Noise):
    """Gaussian noise whose values at neighbouring pixels are correlated, as after demosaicing or resizing, or in streaks.

    Parameters
    ----------
    autocovariance : array, shape (*lags), (C, *lags) or (C, C, *lags)
        Covariance of the noise of two pixels by their lag, in squared units of the data. The number of lags along each axis
        is odd, the middle entry is that of no lag: the variance. Beyond these lags it is zero. One for all channels, one
        for each, or also those between channels: entry ``[a, b, ..., i]`` is of channel `a` at a pixel and channel `b` at the
        pixel that lag farther. Without the last, channels are independent.
    levels : Noise, optional
        Where the noise has another level at each pixel, as that of photons has: a model that says it. The autocovariance
        then gives the correlation alone.

    Raises
    ------
    ShapeError
        The number of lags along an axis is even.
    BayesDipError
        No covariance of any noise: not finite, no variance in the middle, or halves that do not mirror each other.

    Examples
    --------
    >>> import numpy as np, bayesdip as bd
    >>> bd.noise.Correlated.of_kernel(np.ones((1, 5)), sigma=10.0).describe()
    'Gaussian noise, sigma 10, correlated between pixels'
    """

    autocovariance: Array
    levels: Noise | None = None
    _kept: dict[Any, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        table = np.asarray(self.autocovariance, dtype=np.float64)
        object.__setattr__(self, "autocovariance", table)
        if not table.ndim or not table.size or not np.isfinite(table).all():
            raise BayesDipError(
                f"autocovariance has shape {table.shape} or entries that are not finite: expected finite covariances, one "
                "for each lag; check them"
            )

    @classmethod
    def of_kernel(cls, kernel: ArrayLike, sigma: float) -> Self:
        """White noise that went through a filter, such as the kernel of an interpolation.

        Parameters
        ----------
        kernel : array, shape (*taps)
        sigma : float
            Standard deviation of the noise after the filter.

        Returns
        -------
        Correlated
        """
        check_spread("sigma", sigma)
        taps = np.asarray(kernel, dtype=np.float64)
        shape = [2 * n - 1 for n in taps.shape]
        spectrum = np.abs(np.fft.fftn(taps, shape, tuple(range(taps.ndim)))) ** 2
        return cls._of_torus(spectrum, shape, sigma)

    @classmethod
    def of_spectrum(cls, spectrum: ArrayLike, sigma: float, reach: int = 16) -> Self:
        """Noise of a given power by frequency.

        Parameters
        ----------
        spectrum : array, shape (*frequencies)
            Power, in any unit, in the order of ``numpy.fft.fftfreq`` along each axis.
        sigma : float
            Standard deviation of the noise.
        reach : int
            Largest lag along each axis at which noise is correlated.

        Returns
        -------
        Correlated

        Raises
        ------
        BayesDipError
            A power is negative, or none is positive.
        """
        check_spread("sigma", sigma)
        power = np.asarray(spectrum, dtype=np.float64)
        if not np.isfinite(power).all() or (power < 0).any() or not power.any():
            raise BayesDipError(
                "spectrum has negative or non-finite entries, or none above 0: expected the power at each frequency, as "
                "numpy.fft.fftn gives it squared; check it"
            )
        return cls._of_torus(power, [min(2 * reach + 1, n - 1 + n % 2) for n in power.shape], sigma)

    @classmethod
    def estimated(cls, image: ArrayLike, *, channel_axis: int | None = None) -> Self:
        """What a picture itself shows of its noise: right where that is about the same all over, best where some places are calm.

        Parameters
        ----------
        image : array
            With two grid axes.
        channel_axis : int, optional

        Returns
        -------
        Correlated

        Raises
        ------
        ShapeError
            It is no picture, or too small.
        BayesDipError
            Its calmest places have no noise.
        """
        picture = channels_first(image, channel_axis).double()
        seen = picture.isfinite()
        low, high = detect_clipping(picture, seen)
        inside = seen & (picture > low) & (picture < high)  # clipping takes noise away
        found = NoiseSpectrum.of(picture, inside)
        if found is None:
            found, inside = NoiseSpectrum.of(picture, seen), seen
        if found is None:
            raise ShapeError(
                f"image has shape {np.shape(image)}: expected a picture with finite parts of about {2 * SIDE} pixels at least, "
                "that is not blank; give a larger one"
            )
        if not (found.levels > 0).all():
            raise BayesDipError(
                "image has a channel whose calmest places are blank: expected noise in all; give an autocovariance"
            )
        return cls(estimated_autocovariance(picture, inside))

    @classmethod
    def _of_torus(cls, spectrum: Array, lags: list[int], sigma: float) -> Self:
        """Of the power at all frequencies of a torus, up to so many lags."""
        table = np.fft.ifftn(spectrum).real
        middle = [n // 2 for n in lags]
        table = np.roll(table, middle, tuple(range(table.ndim)))[tuple(slice(0, n) for n in lags)]
        return cls(table * (sigma**2 / table[tuple(middle)]))

    def covariances(self, channels: int, dims: int) -> Array:
        """The autocovariance between all channels, (C, C, *lags).

        Parameters
        ----------
        channels, dims : int
            Of the data: channels and axes of the grid.

        Returns
        -------
        array

        Raises
        ------
        ShapeError
            It is for other data, or has an even number of lags.
        BayesDipError
            No covariance of any noise.
        """
        table, lead = self.autocovariance, self.autocovariance.ndim - dims
        lags = table.shape[lead:] if lead >= 0 else ()
        if lead not in (0, 1, 2) or table.shape[:lead] not in ((), (channels,), (channels, channels)):
            raise ShapeError(
                f"autocovariance has shape {table.shape}, the data have {channels} channels on a grid of {dims} axes: "
                "expected (*lags), (channels, *lags) or (channels, channels, *lags); give one of these"
            )
        if any(n % 2 == 0 for n in lags):
            raise ShapeError(
                f"autocovariance has {' x '.join(map(str, lags))} lags: expected odd numbers, with no lag in the middle; cut "
                "it so"
            )
        if lead < 2:
            each = np.broadcast_to(table, (channels, *lags))
            table = np.zeros((channels, channels, *lags))
            table[np.arange(channels), np.arange(channels)] = each
        variance = self._variances(table)
        mirrored = np.flip(table, tuple(range(2, table.ndim))).swapaxes(0, 1)
        if not (variance > 0).all() or np.abs(table - mirrored).max() > UNLIKE * variance.max():
            raise BayesDipError(
                "autocovariance is that of no noise: expected variances above 0 in the middle, and the same values at "
                "opposite lags; check it"
            )
        return table

    def correlation(self, channels: int, dims: int) -> Array:
        """Correlation between channels at each lag: the covariances at unit variance of every channel.

        Parameters
        ----------
        channels : int
            Of the picture.
        dims : int
            Axes of its grid.

        Returns
        -------
        array, shape (channels, channels, *lags)
            Lag zero stands in the middle.
        """
        table = self.covariances(channels, dims)
        scale = self._variances(table) ** 0.5
        found: Array = table / (scale[:, None] * scale).reshape(channels, channels, *[1] * dims)
        return found

    def spectrum(self, channels: int, torus: tuple[int, ...]) -> Tensor:
        """Power by frequency at unit variance.

        What a torus leaves below `LEAST_POWER` of the mean is raised to that.

        Parameters
        ----------
        channels : int
            Of the picture.
        torus : tuple of int
            Size of the periodic grid along each axis.

        Returns
        -------
        Tensor, complex, shape (channels, channels, *frequencies)
            In the order of ``rfftn``; hermitian and positive at each frequency.
        """
        table = self.correlation(channels, len(torus))
        wrapped = np.zeros((channels, channels, *torus))
        lags = table.shape[2:]
        places = [(np.arange(n) - n // 2) % size for n, size in zip(lags, torus, strict=True)]
        np.add.at(wrapped, (slice(None), slice(None), *np.ix_(*places)), table)
        # The lag is that of the second channel from the first: a convolution has it the other way.
        found = np.moveaxis(np.fft.rfftn(wrapped, axes=tuple(range(2, wrapped.ndim))), (1, 0), (-2, -1))
        power, vectors = np.linalg.eigh((found + found.conj().swapaxes(-1, -2)) / 2)
        power = np.maximum(power, LEAST_POWER)
        found = (vectors * power[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
        return torch.from_numpy(np.moveaxis(found, (-2, -1), (0, 1)).copy())

    def negative_log_likelihood(self, prediction: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        """``r' N^-1 r / 2``, r being the residual, zero where nothing was observed.

        N is taken as if noise went on mirrored at the edges of the grid: then the frequencies of the cosine transform are
        independent.
        """
        check_prediction(prediction, y)
        observed = observed.to(y.device)
        spread = self.variance(y, observed).sqrt()
        residual = torch.where(observed, (prediction - torch.where(observed, y, 0.0)) / spread, 0.0)
        dims = y.ndim - 1
        axes = tuple(range(-dims, 0))
        for axis in axes:
            residual = torch.cat((residual, residual.flip(axis)), axis)
        torus = tuple(residual.shape[-dims:])
        modes = torch.fft.rfftn(residual, dim=axes)
        several = modes.reshape(-1, *modes.shape[-dims - 1 :])
        whitened = torch.einsum("ab...,nb...->na...", self._whitening(len(y), torus).to(modes), several)
        power = whitened.real.square() + whitened.imag.square()
        # Of the last axis, modes of one half stand for those of the other, too.
        total = 2 * power.sum() - power[..., 0].sum() - power[..., -1].sum()
        found: Tensor = total / (2 * 2**dims * prod(torus))
        return found

    def _whitening(self, channels: int, torus: tuple[int, ...]) -> Tensor:
        """A matrix for each frequency, (C, C, *frequencies), that makes mirrored noise white; it is kept."""
        key = channels, torus
        if key not in self._kept:
            spectrum = self.spectrum(channels, torus)
            for axis in range(2, spectrum.ndim - 1):  # mirrored, opposite directions are one
                spectrum = (spectrum + spectrum.roll(-1, axis).flip(axis)) / 2
            factor = torch.linalg.cholesky(spectrum.real.movedim((0, 1), (-2, -1)))
            identity = torch.eye(channels, dtype=factor.dtype).expand_as(factor)
            inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
            self._kept[key] = inverse.movedim((-2, -1), (0, 1)).contiguous()
        return self._kept[key]

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``z^2 / 2`` with ``z = (y - prediction) / sigma``: of each entry by itself, without its neighbours."""
        return 0.5 * ((y - prediction) / self.variance(y).sqrt()).square()

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        if self.levels is not None:
            return self.levels.variance(y, observed)
        found = self._variances(self.covariances(len(y), y.ndim - 1))
        return torch.from_numpy(found).to(y).reshape(-1, *[1] * (y.ndim - 1))

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        spread = self.variance(mean).sqrt()
        return mean + spread * self.draw(mean, generator)

    def draw(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise of unit variance, of the shape of a picture.

        Parameters
        ----------
        like : Tensor, shape (C, *grid)
        generator : torch.Generator, optional
            On the device of `like`.

        Returns
        -------
        Tensor, shape (C, *grid)
        """
        dims = like.ndim - 1
        lags = self.correlation(len(like), dims).shape[2:]
        torus = torus_of(like.shape[1:], lags)
        white = normal_like(like.new_empty((1, len(like), *torus)), generator)
        response = root_of(self.spectrum(len(like), torus)[None]).to(white.device)
        return filtered(white, response, torus, tuple(like.shape[1:]))[0].to(like)

    def rescaled(self, shift: float, scale: float) -> Correlated:
        check_scale(scale)
        levels = None if self.levels is None else self.levels.rescaled(shift, scale)
        return Correlated(self.autocovariance / scale**2, levels)

    def describe(self) -> str:
        if self.levels is not None:
            return f"{self.levels.describe()}, correlated between pixels"
        return f"Gaussian noise, sigma {self.autocovariance.max() ** 0.5:.4g}, correlated between pixels"

    def _variances(self, table: Array) -> Array:
        """Of each channel, (C,), of a table (C, C, *lags)."""
        middle = tuple(n // 2 for n in table.shape[2:])
        found: Array = np.diagonal(table[(slice(None), slice(None), *middle)]).copy()
        return found
