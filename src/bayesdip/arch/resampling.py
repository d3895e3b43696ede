"""Layers that change the grid: coarser, finer, or features traded for pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesdip.arch.covariance import Filter
from bayesdip.arch.layers import CONV_GAIN, CONVOLUTIONS, C, Layer, uniform
from bayesdip.errors import BayesDipError

DOWNSAMPLINGS = ("stride", "average", "lanczos")
UPSAMPLINGS = ("nearest", "bilinear", "transposed")
POOLINGS = ("max", "average")
TRANSPOSED_TAPS = 4  # twice the stride, so that every pixel of the fine grid sees as many taps


@dataclass(frozen=True)
class Downsample(Layer):
    """Half the pixels on every axis.

    ``"stride"`` keeps every second pixel, ``"average"`` the mean of each pair, and
    ``"lanczos"`` filters with Lanczos-2 first (as the code of Deep Image Prior does). With
    hh the autocorrelation of that filter, per axis,

        K'(t) = sum_k hh(2 t - k) K(k).

    Attributes
    ----------
    kind : "stride", "average" or "lanczos"

    Raises
    ------
    BayesDipError
        Another kind.
    """

    kind: str = "stride"

    def __post_init__(self) -> None:
        _check_kind("downsampling", self.kind, DOWNSAMPLINGS)

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return Halving(self.taps, dims)

    def covariance(self, K: C) -> C:
        return K.filtered(Filter(self.taps, down=2, start=max(0, len(self.taps) // 2 - 1)))

    @property
    def taps(self) -> tuple[float, ...]:
        """The filter, of even length 2 n: its middle lies between the pixels 0 and 1 (stride: on 0)."""
        if self.kind == "stride":
            return (1.0,)
        if self.kind == "average":
            return (0.5, 0.5)
        raw = [_lanczos2((k + 0.5) / 2) for k in range(-4, 4)]
        return tuple(w / sum(raw) for w in raw)


def _lanczos2(x: float) -> float:
    return float(torch.sinc(torch.tensor([x, x / 2], dtype=torch.float64)).prod()) if abs(x) < 2 else 0.0


class Halving(nn.Module):
    """The module of :class:`Downsample`: a fixed filter on each axis, then every second pixel."""

    def __init__(self, taps: tuple[float, ...], dims: int) -> None:
        super().__init__()
        self.taps = taps
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        if len(self.taps) == 1:
            every_second = (slice(None, None, 2),) * self.dims
            return x[(slice(None), slice(None), *every_second)]
        taps = x.new_tensor(self.taps)
        reach = len(taps) // 2 - 1
        if reach:
            x = F.pad(x, (reach,) * (2 * self.dims), mode="replicate")
        for axis in range(self.dims):
            shape = [1] * self.dims
            shape[axis] = len(taps)
            weight = taps.reshape(1, 1, *shape).expand(x.shape[1], 1, *shape)
            stride = [2 if i == axis else 1 for i in range(self.dims)]
            x = CONVOLUTIONS[self.dims - 1](x, weight, stride=stride, groups=x.shape[1])
        return x


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest of each cell of 2 pixels per axis.

    The expected product of the maxima of two cells of correlated Gaussian values has no closed
    form, so this layer has a module alone.
    """

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        return (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[dims - 1](2)

    def covariance(self, K: C) -> C:
        raise BayesDipError(
            "The kernel of a network with max pooling was asked for; it has no closed form: describe the "
            "network with average pooling, or estimate its kernel with monte_carlo_kernel(grid)."
        )


@dataclass(frozen=True)
class Upsample(Layer):
    """Twice the pixels on every axis.

    The filter h acts on the picture with zeros put between its pixels, and the result is
    cyclostationary with two phases per axis. Averaged over them, with hh the
    autocorrelation of h, per axis,

        K'(t) = (1/2) sum_k hh(t - 2 k) K(k).

    ``"nearest"`` has h = (1, 1), ``"bilinear"`` h = (1, 3, 3, 1) / 4 (linear in 1-D). The
    filter of ``"transposed"``, a transposed convolution with 4 taps per axis, is learnt:
    its weights are independent, so hh is zero but at zero, and K' is K at even lags and
    nothing but the variance of the bias at odd ones. This is the checkerboard that
    transposed convolutions are known for.

    Attributes
    ----------
    kind : "nearest", "bilinear" or "transposed"

    Raises
    ------
    BayesDipError
        Another kind.
    """

    kind: str = "bilinear"

    def __post_init__(self) -> None:
        _check_kind("upsampling", self.kind, UPSAMPLINGS)

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        if self.kind == "transposed":
            return TransposedConvolution(features_in, dims, generator)
        linear = ("linear", "bilinear", "trilinear")[dims - 1]
        if self.kind == "bilinear":
            return nn.Upsample(scale_factor=2, mode=linear, align_corners=False)
        return nn.Upsample(scale_factor=2, mode="nearest")

    def covariance(self, K: C) -> C:
        if self.kind == "nearest":
            return K.filtered(Filter((1.0, 1.0), up=2, start=1))
        if self.kind == "bilinear":
            return K.filtered(Filter((0.25, 0.75, 0.75, 0.25), up=2, start=2))
        bias = CONV_GAIN / (K.features * TRANSPOSED_TAPS**K.dims)
        return K.transposed(TRANSPOSED_TAPS, CONV_GAIN, bias, K.features)


class TransposedConvolution(nn.Module):
    """The module of ``Upsample("transposed")``: ``weight`` (in, out, *taps) and ``bias``."""

    def __init__(self, features: int, dims: int, generator: torch.Generator | None) -> None:
        super().__init__()
        fan_in = features * TRANSPOSED_TAPS**dims
        self.weight = uniform((features, features, *(TRANSPOSED_TAPS,) * dims), fan_in, generator)
        self.bias = uniform((features,), fan_in, generator)
        self.dims = dims
        self._convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1) * self.dims, mode="replicate")  # as at the border of interpolation
        return self._convolve(x, self.weight, self.bias, stride=2, padding=3)


@dataclass(frozen=True)
class PixelShuffle(Layer):
    """Groups of ``factor^dims`` features become one feature on a grid ``factor`` times as fine.

    After a convolution the features of a group have independent weights, and so are the
    pixels that they become, on each axis:

        K'(factor t) = K(t),    K' = 0 at all other lags.

    A convolution must come before. One that comes after lets training bind the pixels of a
    group; in the prior it cannot, for at infinite width a convolution leaves K as it is.

    Attributes
    ----------
    factor : int
        Pixels per axis of a cell.

    Raises
    ------
    BayesDipError
        The number of features is no multiple of ``factor^dims``.
    """

    factor: int = 2

    def module(self, features_in: int, dims: int, generator: torch.Generator | None = None) -> nn.Module:
        self.features(features_in, dims)
        return Shuffling(self.factor, dims)

    def features(self, features_in: int, dims: int) -> int:
        group = int(self.factor**dims)
        if features_in % group:
            raise BayesDipError(
                f"A pixel shuffle by {self.factor} in {dims}-D was given {features_in} features; a multiple "
                f"of {group} was expected: change the convolution before it."
            )
        return features_in // group

    def covariance(self, K: C) -> C:
        return K.shuffled(self.factor, self.features(K.features, K.dims))


class Shuffling(nn.Module):
    """The module of :class:`PixelShuffle`.

    With C groups, pixel n of group c comes from feature ``n C + c``. In memory the features are
    innermost, where the result has them too, so that whole runs of C numbers are copied;
    ``torch.pixel_shuffle`` has the pixels of a group side by side and copies single numbers.
    """

    def __init__(self, factor: int, dims: int) -> None:
        super().__init__()
        self.factor = factor
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        batch, features, *grid = x.shape
        factors, dims = (self.factor,) * self.dims, self.dims
        x = x.movedim(1, -1).reshape(batch, *grid, *factors, features // self.factor**dims)
        order = [a for i in range(dims) for a in (1 + i, 1 + dims + i)]
        x = x.permute(0, *order, 2 * dims + 1).reshape(batch, *(n * self.factor for n in grid), -1)
        return x.movedim(-1, 1)


def _check_kind(noun: str, kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise BayesDipError(f"Unknown {noun} {kind!r}; it is one of {', '.join(kinds)}. Choose one of these.")
