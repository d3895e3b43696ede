"""What goes into a network: random noise or a mesh of coordinates, fixed while the network is fitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.arch.covariance import Filter
from bayesdip.arch.exact import Exact, of_picture, of_stationary
from bayesdip.arch.layers import CONVOLUTIONS
from bayesdip.arch.stationary import Stationary, white
from bayesdip.errors import BayesDipError

INPUTS = ("uniform", "normal", "mesh")
# Standard deviations after which a Gaussian filter is cut off: exp(-18) of its peak is left out.
FILTER_REACH = 6


@dataclass(frozen=True)
class LatentInput:
    """The latent input of a network; the settings are those of :class:`~bayesdip.arch.Architecture`.

    Attributes
    ----------
    depth : int
        Features of the noise.
    kind : "uniform", "normal" or "mesh"
    scale : float
        What the input is multiplied by.
    smoothness : float
        Standard deviation of the Gaussian that smooths the noise, in input pixels.

    Raises
    ------
    BayesDipError
        A scale that is not positive, a negative smoothness, or a smoothed mesh.
    """

    depth: int
    kind: str
    scale: float
    smoothness: float

    def __post_init__(self) -> None:
        if self.kind == "mesh" and self.smoothness:
            raise BayesDipError(
                f"input='mesh' was given with input_smoothness={self.smoothness}; only noise can be smoothed: leave "
                "input_smoothness at 0."
            )
        if not (self.scale > 0 and self.smoothness >= 0):
            raise BayesDipError(
                f"input_scale={self.scale} and input_smoothness={self.smoothness} were given; a positive scale and a "
                "smoothness of 0 or more were expected: change these."
            )

    def features(self, dims: int) -> int:
        """How many features it has: a mesh has one for each axis.

        Parameters
        ----------
        dims : int
            Axes of the grid.

        Returns
        -------
        int
        """
        return dims if self.kind == "mesh" else self.depth

    def draw(self, grid: Sequence[int], batch: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Draw inputs.

        Parameters
        ----------
        grid : sequence of int
            Of the input, in pixels.
        batch : int
            How many.
        generator : torch.Generator, optional
            PyTorch's global generator by default.

        Returns
        -------
        Tensor, float32, shape (batch, features, *grid)
            On the generator's device.
        """
        device = generator.device if generator is not None else None
        if self.kind == "mesh":
            axes = [torch.linspace(0, 1, n, device=device) for n in grid]
            mesh = self.scale * torch.stack(torch.meshgrid(*axes, indexing="ij"))
            return mesh.expand(batch, *mesh.shape)
        taps = self._taps()
        reach = len(taps) // 2
        noise = torch.empty((batch, self.depth, *(n + 2 * reach for n in grid)), device=device)
        noise = (
            noise.normal_(generator=generator)
            if self.kind == "normal"
            else noise.uniform_(generator=generator)
        )
        mean, _ = self._moments()
        return self.scale * (_smoothed(noise - mean, taps) + mean if reach else noise)

    def covariance(self, dims: int) -> Stationary:
        """Covariance of the noise by lag.

        Smoothed, it is ``exp(-t^2 / (4 s^2))`` times its variance: the autocorrelation of a
        Gaussian of standard deviation s is a Gaussian of ``sqrt(2) s``.

        Parameters
        ----------
        dims : int
            Axes of the grid.

        Returns
        -------
        Stationary

        Raises
        ------
        BayesDipError
            A mesh is not stationary.
        """
        if self.kind == "mesh":
            raise BayesDipError(
                "The stationary covariance of a network with a mesh as its input was asked for; it depends on the "
                "place, not on the lag only: use exact_covariance(grid)."
            )
        mean, variance = self._moments()
        fluctuation = white(dims, self.depth, variance=variance).filtered(Filter(tuple(self._taps())))
        return fluctuation.added(white(dims, self.depth, 0.0, mean)).scaled(self.scale**2)

    def exact(self, grid: Sequence[int]) -> Exact:
        """Covariance between all pixels; of a mesh, the products of its coordinates.

        Parameters
        ----------
        grid : sequence of int
            Of the input, in pixels.

        Returns
        -------
        Exact
        """
        if self.kind == "mesh":
            return of_picture(self.draw(grid)[0])
        return of_stationary(self.covariance(len(grid)), grid)

    def _moments(self) -> tuple[float, float]:
        """Mean and variance of the noise: uniform in 0..1, or standard normal."""
        return (0.5, 1 / 12) if self.kind == "uniform" else (0.0, 1.0)

    def _taps(self) -> list[float]:
        """The smoothing filter, of unit norm so that the variance is kept."""
        s = self.smoothness
        reach = math.ceil(FILTER_REACH * s)
        raw = [math.exp(-0.5 * (k / s) ** 2) if s else 1.0 for k in range(-reach, reach + 1)]
        norm = math.sqrt(sum(w * w for w in raw))
        return [w / norm for w in raw]


def _smoothed(x: Tensor, taps: Sequence[float]) -> Tensor:
    """Filter every grid axis of (B, D, *grid), keeping only what no border touches."""
    dims = x.ndim - 2
    batch, depth = x.shape[:2]
    x = x.reshape(batch * depth, 1, *x.shape[2:])
    for axis in range(dims):
        shape = [1] * dims
        shape[axis] = len(taps)
        x = CONVOLUTIONS[dims - 1](x, x.new_tensor(taps).reshape(1, 1, *shape))
    return x.reshape(batch, depth, *x.shape[2:])
