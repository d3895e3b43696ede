"""What every noise model has: a likelihood, a variance, draws, and its law in other units."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.window import window_sum

# Sides of the window over which data are averaged for a plug-in variance, by the number of axes: about nine entries,
# few enough for edges, and enough for the mean of single photons.
LOCAL = {1: 9, 2: 3, 3: 3}
# Least residual, as a share of the root mean square of all of them, at which a likelihood's slope is taken.
LEAST_RESIDUAL = 1e-3


class Noise(ABC):
    """Independent noise on every entry of the data.

    Subclass it with ``loss`` alone: everything else then follows from that, but ``sample``. ``y`` has shape
    (C, *grid); a prediction has that shape too, or more axes before it. All are tensors.

    Examples
    --------
    >>> import torch, bayesdip as bd
    >>> class Cauchy(bd.noise.Noise):
    ...     def __init__(self, scale):
    ...         self.scale = scale
    ...     def loss(self, prediction, y):
    ...         return torch.log1p(((prediction - y) / self.scale) ** 2)
    >>> y = torch.tensor([[0.0, 0.1, 50.0, 0.0]])
    >>> float(Cauchy(1.0).negative_log_likelihood(torch.zeros(1, 4), y, torch.tensor([True, True, False, True])))
    0.00995...
    """

    @property
    def is_gaussian_like(self) -> bool:
        """Whether its plug-in variance says nearly all of it, so that Gaussian methods do it justice."""
        return True

    @property
    def is_exact(self) -> bool:
        """Whether there is no noise at all."""
        return False

    def negative_log_likelihood(self, prediction: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        """-log p(y | prediction), summed over the observed entries, without terms free of `prediction`.

        Parameters
        ----------
        prediction : Tensor, shape (..., C, *grid)
        y : Tensor, shape (C, *grid)
            Anything, NaN included, where `observed` is False.
        observed : Tensor of bool, broadcastable to (C, *grid)

        Returns
        -------
        Tensor, scalar

        Raises
        ------
        ShapeError
            If the last axes of `prediction` are not those of `y`.
        """
        check_prediction(prediction, y)
        observed = observed.to(y.device)
        # Where nothing was observed, put a number that no gradient can turn into NaN.
        return torch.where(observed, self.loss(prediction, torch.where(observed, y, 0.0)), 0.0).sum()

    @abstractmethod
    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """-log p of each entry, up to terms free of `prediction`.

        Parameters
        ----------
        prediction : Tensor, shape (..., C, *grid)
        y : Tensor, shape (C, *grid)
            Finite everywhere.

        Returns
        -------
        Tensor, shape of `prediction`
            Differentiable in `prediction`.

        Raises
        ------
        BayesDipError
            The noise is zero, and exact data have no density.
        ShapeError
            The model has one level for each channel, and the data have another number of channels.
        """

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """The noise variance of each entry, from the data alone: for methods that assume Gaussian noise.

        Unless overridden ``r / loss'(m)``, m being the median around an entry and ``r = m - y`` its residual: the
        weight that iterated least squares give to it (Holland and Welsch, *Robust regression using iteratively
        reweighted least-squares*, 1977). It is sigma^2 for Gaussian noise and the rate for Poisson noise;
        with heavy tails, an outlier gets a large variance.

        Parameters
        ----------
        y : Tensor, shape (C, *grid)
        observed : Tensor of bool, broadcastable to `y`, optional
            What stands in `y` where it is False plays no part.

        Returns
        -------
        Tensor, broadcastable to `y`

        Raises
        ------
        BayesDipError
            If the likelihood has no such variance: it does not fall on both sides of the data.
        """
        seen = (
            torch.ones_like(y, dtype=torch.bool)
            if observed is None
            else observed.to(y.device).expand(y.shape)
        )
        median = local_median(y, seen)
        y = torch.where(seen, y, median)
        residual = median - y
        least = LEAST_RESIDUAL * residual.square().sum().div(seen.sum().clamp(min=1)).sqrt()
        least = least.clamp(min=1e-6 * max(1.0, float(y.abs().max())))
        residual = torch.where(residual < 0, -1.0, 1.0) * residual.abs().clamp(min=least)
        with torch.enable_grad():
            prediction = (y + residual).requires_grad_()
            (slope,) = torch.autograd.grad(self.loss(prediction, y).sum(), prediction)
        variance = residual / slope
        usable = (variance > 0) & variance.isfinite()
        if not bool(usable[seen].all()):
            raise BayesDipError(
                f"{self.describe()} has no variance at {int((~usable[seen]).sum())} of {int(seen.sum())} entries: expected "
                "-log p to rise on both sides of the data; give the variance, or check the sign of the likelihood"
            )
        return torch.where(seen, variance, 1.0)

    def mean_square(self, prediction: Tensor, variance: Tensor) -> Tensor:
        """``E (y - prediction)^2`` of each entry where the prediction is right: what a fit is compared with.

        Parameters
        ----------
        prediction : Tensor, shape (C, *grid)
        variance : Tensor, broadcastable to `prediction`
            What `Noise.variance` gave, and the answer where nothing better is known.

        Returns
        -------
        Tensor, broadcastable to `prediction`
        """
        return variance

    def consistent(self, picture: Tensor, y: Tensor) -> Tensor:
        """The picture nearest to a restored one of which the data can be: the same, where all data are possible.

        Parameters
        ----------
        picture, y : Tensor, shape (C, *grid)

        Returns
        -------
        Tensor, shape of `picture`
        """
        return picture

    def std_left(self, std: Tensor, y: Tensor) -> Tensor:
        """The standard deviation of a restored picture, from that of a method that takes the noise for white.

        Parameters
        ----------
        std, y : Tensor, shape (C, *grid)

        Returns
        -------
        Tensor, shape of `std`
        """
        return std

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Data drawn around `mean`.

        Parameters
        ----------
        mean : Tensor, shape (C, *grid)
        generator : torch.Generator, optional
            On the device of `mean`.

        Returns
        -------
        Tensor, shape of `mean`

        Raises
        ------
        BayesDipError
            If this noise model cannot draw.
        """
        raise BayesDipError(
            f"{self.describe()} has a likelihood and no draws: expected a way to draw data around a mean; override "
            "sample, or give it to from_log_likelihood"
        )

    def rescaled(self, shift: float, scale: float) -> Noise:
        """The same noise as it stands on ``(y - shift) / scale``.

        Parameters
        ----------
        shift : float
        scale : float
            More than 0.

        Returns
        -------
        Noise

        Raises
        ------
        BayesDipError
            If `scale` is not positive and finite.
        """
        return Rescaled(self, shift, scale)

    def describe(self) -> str:
        """What it is, in one phrase, for summaries and reports.

        Returns
        -------
        str
        """
        return f"{type(self).__name__} noise"


@dataclass(frozen=True)
class Rescaled(Noise):
    """`noise` on data in other units: everything is computed in its own, ``y = shift + scale u``.

    Parameters
    ----------
    noise : Noise
        In the units of y.
    shift, scale : float
        The data that come in are u.

    Raises
    ------
    BayesDipError
        If `scale` is not positive and finite.
    """

    noise: Noise
    shift: float
    scale: float

    def __post_init__(self) -> None:
        check_scale(self.scale)

    @property
    def is_gaussian_like(self) -> bool:
        return self.noise.is_gaussian_like

    @property
    def is_exact(self) -> bool:
        return self.noise.is_exact

    def negative_log_likelihood(self, prediction: Tensor, y: Tensor, observed: Tensor) -> Tensor:
        return self.noise.negative_log_likelihood(self._own(prediction), self._own(y), observed)

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return self.noise.loss(self._own(prediction), self._own(y))

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        return self.noise.variance(self._own(y), observed) / self.scale**2

    def mean_square(self, prediction: Tensor, variance: Tensor) -> Tensor:
        return self.noise.mean_square(self._own(prediction), variance * self.scale**2) / self.scale**2

    def consistent(self, picture: Tensor, y: Tensor) -> Tensor:
        return (self.noise.consistent(self._own(picture), self._own(y)) - self.shift) / self.scale

    def std_left(self, std: Tensor, y: Tensor) -> Tensor:
        return self.noise.std_left(std * self.scale, self._own(y)) / self.scale

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return (self.noise.sample(self._own(mean), generator) - self.shift) / self.scale

    def rescaled(self, shift: float, scale: float) -> Noise:
        return Rescaled(self.noise, self.shift + self.scale * shift, self.scale * scale)

    def describe(self) -> str:
        return self.noise.describe()

    def _own(self, u: Tensor) -> Tensor:
        return self.shift + self.scale * u


def local_sum(x: Tensor) -> Tensor:
    """Sum over the window around each entry of (C, *grid), zero beyond the border."""
    dims = x.ndim - 1
    return window_sum(x, (LOCAL[dims],) * dims)


def local_median(x: Tensor, observed: Tensor | None) -> Tensor:
    """Median over the window around each entry, of the observed ones within the borders; 0 where there is none."""
    dims = x.ndim - 1
    width = LOCAL[dims]
    if observed is not None:
        x = torch.where(observed.to(x.device), x, torch.nan)
    windows = pad(x, (width // 2,) * (2 * dims), value=torch.nan)
    for axis in range(1, x.ndim):
        windows = windows.unfold(axis, width, 1)
    return windows.flatten(x.ndim).nanmedian(-1).values.nan_to_num(0.0)


def normal_like(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers of the shape, device and dtype of `x`."""
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def check_prediction(prediction: Tensor, y: Tensor) -> None:
    """Raise unless the last axes of the prediction are those of the data."""
    if prediction.shape[-y.ndim :] != y.shape:
        raise ShapeError(
            f"the prediction has shape {tuple(prediction.shape)} and the data {tuple(y.shape)}: expected the same "
            "last axes; apply the operator to the picture first"
        )


def check_spread(name: str, value: float) -> None:
    """Raise unless `value` is a standard deviation."""
    if not (math.isfinite(value) and value >= 0):
        raise BayesDipError(
            f"{name} is {value}: expected a standard deviation of at least 0; give it in data units"
        )


def check_gain(gain: float, offset: float) -> None:
    """Raise unless photons could be counted in these units."""
    if not (math.isfinite(gain) and gain > 0):
        raise BayesDipError(f"gain is {gain}: expected more than 0; give what one count adds to the data")
    if not math.isfinite(offset):
        raise BayesDipError(
            f"offset is {offset}: expected a finite number; give the data's value at no count"
        )


def check_scale(scale: float) -> None:
    """Raise unless `scale` is positive and finite."""
    if not (math.isfinite(scale) and scale > 0):
        raise BayesDipError(f"scale is {scale}: expected more than 0; give the width of the data's range")
