"""The kernel of the pilot estimate: that of a wide convolutional network whose input is the observed picture.

With noise for an input, the kernel of a network depends on the lag between two pixels. With the
picture itself for an input it depends on the patches around them, and becomes a non-local filter
(Tachella, Tang, Davies, *The Neural Tangent Link Between CNN Denoisers and Non-Local Filters*,
CVPR 2021). The network is ``conv, activation, conv, activation, ..., conv`` with independent
weights of variance ``g / fan-in`` and no biases, g being `weight_variance` in the first layer
and one after it. At pixels i and j, with P the picture's values and C its channels,

    first convolution     K(i, j) = g mean_{c, d} P_c(i + d) P_c(j + d)
    activation            K(i, j) = E[phi(u) phi(v)],  (u, v) Gaussian of the covariance K
    other convolutions    K(i, j) = mean_d K(i + d, j + d)

where d runs over the filter's taps. Every rule keeps the lag j - i, so the kernel is found lag
by lag with products and means of whole pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from bayesdip.arch.activations import Activation
from bayesdip.arch.layers import Pointwise
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.interruption import look
from bayesdip.window import box_sum

Lag = tuple[int, int]


@dataclass(frozen=True)
class Cosine(Activation):
    """``sqrt(2) cos(u + b)``, the phase b drawn uniformly for each feature.

    ``E[phi(u) phi(v)] = exp(-E[(u - v)^2] / 2)`` (Rahimi and Recht, *Random features for
    large-scale kernel machines*, 2007): after one convolution of the picture, the Gaussian
    weight of the distance between patches that defines non-local means.
    """

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        """The activation with phases of its own for each feature."""
        device = generator.device if generator else None
        phase = 2 * np.pi * torch.rand(features_in, *[1] * dims, generator=generator, device=device)
        return Pointwise(lambda u: 2**0.5 * (u + phase.to(u)).cos())

    def dual(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """``E[phi(u) phi(v)]`` for a Gaussian pair of that covariance and these variances."""
        # A distance corrected for noise can fall below zero.
        return (covariance - 0.5 * (variance_u + variance_v)).clamp_max(0.0).exp()

    def dual_of_derivative(self, covariance: Tensor, variance_u: Tensor, variance_v: Tensor) -> Tensor:
        """The same: a sine is a cosine of another phase."""
        return self.dual(covariance, variance_u, variance_v)


@dataclass(frozen=True)
class PatchKernel:
    """The network, and the largest lag of its kernel.

    Attributes
    ----------
    filter_size : int
        Taps of each convolution per axis, odd.
    depth : int
        Convolutions; 1 is a linear network.
    activation : Activation
        Between the convolutions.
    weight_variance : float
        g of the first layer. Its input is the picture in units of the noise's standard
        deviation, so g says by how many of them similar patches may differ.
    window : int or None
        Largest lag per axis. The kernel is multiplied with the tent ``prod(1 - |t| / (window + 1))``,
        which is a covariance too, so that the product is one. None: every lag, no tent.

    Raises
    ------
    BayesDipError
        A setting is out of its range.
    """

    filter_size: int = 3
    depth: int = 2
    activation: Activation = field(default_factory=Cosine)
    weight_variance: float = 8.0
    window: int | None = 10

    def __post_init__(self) -> None:
        if self.filter_size < 1 or self.filter_size % 2 == 0:
            raise BayesDipError(
                f"filter_size is {self.filter_size}: expected an odd number of taps; take 3 or 5"
            )
        if self.depth < 1:
            raise BayesDipError(f"depth is {self.depth}: expected at least one convolution; take 2")
        if not self.weight_variance > 0:
            raise BayesDipError(f"weight_variance is {self.weight_variance}: expected more than zero; take 8")
        if self.window is not None and self.window < 0:
            raise BayesDipError(
                f"window is {self.window}: expected a lag of zero or more; None for every lag"
            )

    @property
    def reach(self) -> int:
        """Pixels on each side of a pixel that its features see."""
        return self.depth * (self.filter_size // 2)

    def unrolled(self) -> PatchKernel:
        """For signals: as many taps and lags in one axis as this kernel has in two."""
        window = None if self.window is None else ((2 * self.window + 1) ** 2 - 1) // 2
        return replace(self, filter_size=self.filter_size**2, window=window)

    def on(self, picture: Tensor, noise_variance: float | Tensor = 0.0) -> KernelOnPicture:
        """The kernel between the pixels of `picture`, (C, H, W), repeated beyond its borders.

        Parameters
        ----------
        picture : Tensor, shape (C, H, W)
        noise_variance : float or Tensor of shape (H, W)
            Variance of white noise on the picture, mean over the channels. It adds to the
            variance of a pixel's features and not to their covariances, and is subtracted there;
            the kernel is then an estimate of the clean picture's, and need not be a covariance.

        Returns
        -------
        KernelOnPicture

        Raises
        ------
        ShapeError
            The picture has other axes, or no pixel.
        """
        if picture.ndim != 3 or picture.numel() == 0:
            raise ShapeError(
                f"the picture has shape {tuple(picture.shape)}: expected (C, H, W) with at least one pixel; "
                "add axes of length one"
            )
        rho = self.reach
        padded = pad(picture[None], (rho,) * 4, mode="replicate")[0]
        noise = torch.as_tensor(noise_variance).to(picture).expand(picture.shape[1:])
        noise = pad(noise[None, None], (rho,) * 4, mode="replicate")[0, 0]
        inside = (padded.square().mean(0) - noise) * self.weight_variance
        variances = [box_mean(inside, self.filter_size).clamp_min(0.0)]
        for _ in range(self.depth - 1):
            v = variances[-1]
            variances.append(box_mean(self.activation.dual(v, v, v), self.filter_size))
        return KernelOnPicture(self, padded, variances)


@dataclass(frozen=True)
class KernelOnPicture:
    """A :class:`PatchKernel` on one picture of H x W pixels."""

    kernel: PatchKernel
    padded: Tensor
    variances: list[Tensor]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the picture."""
        height, width = self.variances[-1].shape
        return height, width

    @property
    def variance(self) -> Tensor:
        """Each pixel's covariance with itself, (H, W)."""
        return self.variances[-1]

    def lags(self) -> Iterator[Lag]:
        """One of each pair ``t, -t`` of the lags other than zero."""
        reach = [n - 1 if self.kernel.window is None else min(n - 1, self.kernel.window) for n in self.grid]
        for dy in range(reach[0] + 1):
            for dx in range(-reach[1], reach[1] + 1):
                if dy > 0 or dx > 0:
                    yield dy, dx

    def at(self, lag: Lag) -> Tensor:
        """Covariance of the pixels i and i + lag, for each i where both are in the picture."""
        here, there = shifted(lag, self.padded.shape[-2:])
        products = (self.padded[:, *here] * self.padded[:, *there]).mean(0)
        covariance = box_mean(products * self.kernel.weight_variance, self.kernel.filter_size)
        for variance in self.variances[:-1]:
            here, there = shifted(lag, variance.shape)
            after = self.kernel.activation.dual(covariance, variance[here], variance[there])
            covariance = box_mean(after, self.kernel.filter_size)
        return covariance * self._tent(lag)

    def dense(self) -> Tensor:
        """The matrix of all pairs of pixels, (H W, H W): for small pictures."""
        height, width = self.grid
        index = torch.arange(height * width, device=self.padded.device).reshape(height, width)
        matrix = self.variance.flatten().diag()
        for lag in self.lags():
            here, there = shifted(lag, self.grid)
            i, j, values = index[here].flatten(), index[there].flatten(), self.at(lag).flatten()
            matrix[i, j] = values
            matrix[j, i] = values
        return matrix

    def apply(self, pictures: Tensor) -> Tensor:
        """The kernel times each of `pictures`, (..., H, W), without its matrix."""
        out = self.variance * pictures
        for lag in self.lags():
            look()
            here, there = shifted(lag, self.grid)
            values = self.at(lag)
            out[..., *here] += values * pictures[..., *there]
            out[..., *there] += values * pictures[..., *here]
        return out

    def _tent(self, lag: Lag) -> float:
        window = self.kernel.window
        if window is None:
            return 1.0
        return (1 - abs(lag[0]) / (window + 1)) * (1 - abs(lag[1]) / (window + 1))


def shifted(lag: Lag, grid: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where i runs, and where i + lag runs, so that both stay in the grid."""
    here = [slice(max(0, -t), n - max(0, t)) for t, n in zip(lag, grid, strict=True)]
    there = [slice(max(0, t), n - max(0, -t)) for t, n in zip(lag, grid, strict=True)]
    return (here[0], here[1]), (there[0], there[1])


def box_mean(x: Tensor, size: int) -> Tensor:
    """Mean over squares of `size` x `size` pixels, (H, W) to (H - size + 1, W - size + 1)."""
    return box_sum(x, (size, size)) / size**2


# What denoising starts from: non-local means with weights by patches of 3x3 and averages over patches.
PILOT = PatchKernel()
