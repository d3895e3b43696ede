"""Layer records: each describes a layer once and gives both of its readings.

Each record is immutable and gives

- ``module``: the trainable network layer at a finite width, and
- ``covariance``: what the layer does to the covariance of its input when the width goes
  to infinity (Cheng, Gadelha, Maji, Sheldon 2019, arXiv 1904.07457, section 4).

The weights start as PyTorch's do: uniform within ``+-1/sqrt(fan_in)``, so of variance
``1 / (3 fan_in)``, the biases likewise. The rules keep these scales; a batch norm removes
them, and a kernel is divided by its value at lag zero in the end.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesdip.arch.covariance import Covariance
from bayesdip.arch.padding import PADDINGS, pad_all
from bayesdip.errors import BayesDipError

C = TypeVar("C", bound=Covariance)
CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
CONV_GAIN = 1 / 3  # weight variance times fan-in: kaiming_uniform_(a=sqrt(5)), PyTorch's default


class Layer(ABC):
    """One layer, or a tree of layers.

    A layer of your own is a frozen dataclass with the two readings ``module`` and
    ``covariance``, and ``features`` where their number changes. It needs no registration.

    Attributes
    ----------
    decorrelates : bool
        Whether the output is uncorrelated with the input, as it is after new weights that are
        symmetric about zero. The branch of a :class:`~bayesdip.arch.Residual` needs it.
    """

    decorrelates: ClassVar[bool] = False

    @abstractmethod
    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        """The trainable layer at a finite width.

        Parameters
        ----------
        features_in : int
            Features of the input.
        dims : int
            Axes of the grid: 1, 2 or 3.
        generator : torch.Generator, optional
            Draws the initial weights; PyTorch's global generator by default.

        Returns
        -------
        nn.Module
            From (B, features_in, *grid) to (B, features, *grid').

        Raises
        ------
        BayesDipError
            The layer does not fit the number of features or of axes.
        """

    def features(self, features_in: int, dims: int) -> int:
        """The number of features of the output; that of the input unless overridden.

        Parameters
        ----------
        features_in, dims : int
            As of :meth:`module`.

        Returns
        -------
        int

        Raises
        ------
        BayesDipError
            The layer does not fit the number of features.
        """
        return features_in

    @abstractmethod
    def covariance(self, K: C) -> C:
        """The covariance of the layer's output at infinite width, given that of its input.

        Parameters
        ----------
        K : Covariance
            Any of its forms (:mod:`bayesdip.arch.covariance`).

        Returns
        -------
        Covariance
            The same form.

        Raises
        ------
        BayesDipError
            The layer has no rule for this form.
        """

    def leaves(self) -> Iterator[Layer]:
        """The layers of the tree in the order in which they act.

        Yields
        ------
        Layer
        """
        yield self


@dataclass(frozen=True)
class Identity(Layer):
    """The input as it is: ``K'(t) = K(t)``."""

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return nn.Identity()

    def covariance(self, K: C) -> C:
        return K


@dataclass(frozen=True)
class Gain(Layer):
    """The features times a fixed number: ``K'(t) = factor^2 K(t)``.

    Attributes
    ----------
    factor : float
        Such as 255, for pictures that are not in 0..1.
    """

    factor: float

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Pointwise(lambda x: self.factor * x)

    def covariance(self, K: C) -> C:
        return K.scaled(self.factor**2)


class Pointwise(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class Conv(Layer):
    """Convolution with independent weights.

    The weights of different features and of different taps are independent, so each tap
    adds its own copy of K, and only a scale and the variance of the bias are left of the
    whole filter, whatever its size:

        K'(t) = K(stride t) / 3 + 1 / (3 fan_in),    fan_in = features_in size^dims.

    Attributes
    ----------
    features_out : int
        Number of filters.
    size : int
        Taps per axis, odd.
    stride : int
        Keep every ``stride``-th pixel.
    bias : bool
        Whether each filter adds a learnt number.
    padding : "reflection", "zero" or "circular"
        What stands beyond the borders. The grid keeps its size.

    Raises
    ------
    BayesDipError
        No feature, an even size, a stride below 1, or an unknown padding.
    """

    decorrelates: ClassVar[bool] = True

    features_out: int
    size: int = 3
    stride: int = 1
    bias: bool = True
    padding: str = "reflection"

    def __post_init__(self) -> None:
        if self.features_out < 1 or self.stride < 1 or self.size < 1 or self.size % 2 == 0:
            raise BayesDipError(
                f"{self} cannot be built: a convolution needs at least one feature, a stride of at "
                "least 1 and an odd filter size (so that the picture keeps its place); change these."
            )
        if self.padding not in PADDINGS:
            raise BayesDipError(
                f"Unknown padding {self.padding!r}; it is one of {', '.join(PADDINGS)}. Choose one of these."
            )

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Convolution(self, features_in, dims, generator)

    def features(self, features_in: int, dims: int) -> int:
        return self.features_out

    def covariance(self, K: C) -> C:
        fan_in = K.features * self.size**K.dims
        bias = CONV_GAIN / fan_in if self.bias else 0.0
        return K.convolved(self.size, self.stride, self.padding, CONV_GAIN, bias, self.features_out)


@dataclass(frozen=True)
class Depthwise(Layer):
    """Each feature convolved by a filter of its own.

    Followed by a ``Conv`` of size 1 it makes a depthwise-separable convolution. Features are not
    mixed, so they stay uncorrelated, with the rule of ``Conv`` for ``fan_in = size^dims``.

    Attributes
    ----------
    size, stride, padding
        As of ``Conv``.
    """

    decorrelates: ClassVar[bool] = True

    size: int = 3
    stride: int = 1
    padding: str = "reflection"

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        record = Conv(features_in, self.size, self.stride, padding=self.padding)
        return Convolution(record, 1, dims, generator)

    def covariance(self, K: C) -> C:
        bias = CONV_GAIN / self.size**K.dims
        return K.convolved(self.size, self.stride, self.padding, CONV_GAIN, bias, K.features)


class Convolution(nn.Module):
    """The module of :class:`Conv` and :class:`Depthwise`: ``weight`` (out, in, *taps) and ``bias`` (out,).

    Attributes
    ----------
    precision : torch.dtype or None
        The data type of its computation and its output; that of the weights when None.
    """

    def __init__(self, record: Conv, features_in: int, dims: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.record = record
        fan_in = features_in * record.size**dims
        self.weight = uniform((record.features_out, features_in, *(record.size,) * dims), fan_in, generator)
        self.bias = uniform((record.features_out,), fan_in, generator) if record.bias else None
        self.precision: torch.dtype | None = None
        self._convolve = CONVOLUTIONS[dims - 1]

    def forward(self, x: Tensor) -> Tensor:
        record, reach = self.record, self.record.size // 2
        weight: Tensor = self.weight
        bias: Tensor | None = self.bias
        if self.precision is not None:
            x, weight = x.to(self.precision), weight.to(self.precision)
            bias = bias.to(self.precision) if bias is not None else None
        groups = x.shape[1] // weight.shape[1]  # 1, or all features apart: Depthwise
        if record.padding == "zero":  # the one padding that convolutions do without a copy
            return self._convolve(x, weight, bias, stride=record.stride, padding=reach, groups=groups)
        x = pad_all(x, reach, record.padding)
        return self._convolve(x, weight, bias, stride=record.stride, groups=groups)

    def extra_repr(self) -> str:
        return str(self.record)


def uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator | None) -> nn.Parameter:
    """PyTorch's default start for convolutions: uniform within ``+-1/sqrt(fan_in)``."""
    bound = 1 / math.sqrt(fan_in)
    device = generator.device if generator is not None else None
    return nn.Parameter(torch.empty(shape, device=device).uniform_(-bound, bound, generator=generator))


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalisation of every feature by its own mean and variance over the *current* picture.

        K'(t) = (K(t) - K(inf)) / (K(0) - K(inf) + epsilon)

    K(inf) is the variance of a picture's mean. The picture's own statistics are used in
    training and in evaluation alike, and there are no running ones: the network is fitted
    to one picture, and averages over its past states would be the statistics of another.
    With several pictures in a batch, each is normalised by itself. Gain 1 and bias 0 at
    the start, as in PyTorch. A grid of one pixel has no variance: at least two are needed.

    Attributes
    ----------
    epsilon : float
        Added to the variance; PyTorch's default, 1e-5.
    """

    epsilon: float = 1e-5

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return PictureNorm(features_in, self.epsilon)

    def covariance(self, K: C) -> C:
        return K.normalised(self.epsilon)


class PictureNorm(nn.Module):
    """The module of :class:`BatchNorm`: ``weight`` and ``bias``, both (features,)."""

    def __init__(self, features: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] == 1:  # the same numbers, without instance_norm's copies
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.epsilon)
        return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.epsilon)
