"""Mixing pixels instead of convolving them: the token-mixing layer of MLP-Mixer (Tolstikhin et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesdip.arch.activations import Activation, LeakyReLU
from bayesdip.arch.exact import Exact
from bayesdip.arch.layers import CONV_GAIN, C, Layer, uniform
from bayesdip.errors import BayesDipError, ShapeError


@dataclass(frozen=True)
class TokenMixer(Layer):
    """A perceptron of two layers over all pixels of a feature, the same for every feature.

        f'(x) = sum_d V_xd phi(sum_x' W_dx' f(x') + b_d) + c_x

    Each output pixel has weights of its own, so averaged over networks its pixels are
    uncorrelated: with N pixels,

        K'(x, x') = delta(x, x') ( E[phi(h)^2] / 3 + 1 / (3 hidden) ),
        h of variance mean_x K(x, x) / 3 + 1 / (3 N).

    This is the average over networks. The features of one network share V and W, and where
    phi has a mean they have a random picture in common: unlike with convolutions, K' of a
    single network does not settle as the width grows, it scatters about this average. Where
    phi is not homogeneous, N must be large. The rule holds on a finite grid only.

    Attributes
    ----------
    grid : tuple of int
        The grid that the layer is for.
    hidden : int
        Hidden units, ``d`` above.
    activation : Activation
        phi.
    """

    decorrelates: ClassVar[bool] = True

    grid: tuple[int, ...]
    hidden: int = 256
    activation: Activation = field(default_factory=LeakyReLU)

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return TokenPerceptron(self, dims, generator)

    def covariance(self, K: C) -> C:
        if not isinstance(K, Exact):
            raise BayesDipError(
                f"A {type(K).__name__.lower()} covariance was asked of a token-mixing layer, whose weights differ from "
                "pixel to pixel and are shared by all features; the exact covariance on a finite grid was expected: "
                "use exact_covariance(grid)."
            )
        self.check_grid(K.grid)
        pre_activation = CONV_GAIN * (K.matrix.diagonal().mean() + 1 / prod(self.grid))
        second_moment = self.activation.dual(pre_activation, pre_activation, pre_activation)
        variance = CONV_GAIN * (second_moment + 1 / self.hidden)
        matrix = variance * torch.eye(len(K.matrix), dtype=K.matrix.dtype)
        return replace(K, matrix=matrix, self_normalised=None, pushforward=None)

    def check_grid(self, grid: tuple[int, ...]) -> None:
        """Compare a grid with the layer's own.

        Parameters
        ----------
        grid : tuple of int

        Raises
        ------
        ShapeError
            It is another.
        """
        if tuple(grid) != self.grid:
            raise ShapeError(
                f"A token-mixing layer for the grid {self.grid} was given the grid {tuple(grid)}; it has one "
                "weight for each pixel: describe it for that grid."
            )


class TokenPerceptron(nn.Module):
    """The module of :class:`TokenMixer`."""

    def __init__(self, record: TokenMixer, dims: int, generator: torch.Generator | None) -> None:
        super().__init__()
        pixels = prod(record.grid)
        self.record = record
        self.weight_in = uniform((record.hidden, pixels), pixels, generator)
        self.bias_in = uniform((record.hidden,), pixels, generator)
        self.activation = record.activation.module(1, dims, generator)
        self.weight_out = uniform((pixels, record.hidden), record.hidden, generator)
        self.bias_out = uniform((pixels,), record.hidden, generator)

    def forward(self, x: Tensor) -> Tensor:
        self.record.check_grid(tuple(x.shape[2:]))
        hidden = self.activation(F.linear(x.flatten(2), self.weight_in, self.bias_in))
        return F.linear(hidden, self.weight_out, self.bias_out).reshape(x.shape)
