"""Comparison networks: each leaves out, or exchanges, one idea of the skip network.

The U-Net and the ResNet are those of the released code of Ulyanov, Vedaldi, Lempitsky, *Deep
Image Prior*, CVPR 2018 (arXiv 1711.10925), ``models/unet.py`` and ``models/resnet.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bayesdip.arch.activations import LeakyReLU
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.combinators import Residual, Sequential, SkipConcat
from bayesdip.arch.layers import BatchNorm, Conv, Identity, Layer
from bayesdip.arch.network import GridRule
from bayesdip.arch.resampling import Downsample, MaxPool, PixelShuffle, Upsample
from bayesdip.arch.token_mixing import TokenMixer
from bayesdip.errors import BayesDipError


@dataclass(frozen=True, kw_only=True)
class Flat(Architecture):
    """Convolutions on the picture's own grid, one after another: no change of size anywhere.

    Attributes
    ----------
    depth : int
        Convolutions, each with norm and activation.
    slope, filter_size, norm, padding
        As in ``Skip``.
    """

    depth: int = 6
    slope: float = 0.2
    filter_size: int = 3
    norm: bool = True
    padding: str = "reflection"

    name: ClassVar[str] = "flat"

    def __post_init__(self) -> None:
        super().__post_init__()
        Conv(1, self.filter_size)  # checks the size

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        norm: tuple[Layer, ...] = (BatchNorm(),) if self.norm else ()
        convolution = Conv(self.width, self.filter_size, padding=self.padding)
        return Sequential((*(convolution, *norm, LeakyReLU(self.slope)) * self.depth, Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        return GridRule(smallest=max(2, self.filter_size // 2 + 1))


@dataclass(frozen=True, kw_only=True)
class DeepDecoder(Architecture):
    """Heckel and Hand, *Deep Decoder*, ICLR 2019 (arXiv 1810.03982): no filters but upsampling's.

    Per scale a convolution of size 1 without bias, upsampling, ReLU, batch norm; then one such
    level without upsampling.

    Attributes
    ----------
    scales : int
        How many times the grid is doubled.
    upsample : "bilinear", "nearest" or "transposed"
        How.
    """

    scales: int = 5
    upsample: str = "bilinear"

    name: ClassVar[str] = "deep-decoder"
    may_be_zero: ClassVar[tuple[str, ...]] = ("scales",)

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        mix = Conv(self.width, 1, bias=False)
        rest = (LeakyReLU(0.0), BatchNorm())
        level = (mix, Upsample(self.upsample), *rest)
        return Sequential((*level * self.scales, mix, *rest, Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        return GridRule(smallest=2, magnification=2**self.scales)


@dataclass(frozen=True, kw_only=True)
class UNet(Architecture):
    """The U-Net of the original code: pooling, doubled features, whole skips; norm on the way down only.

    Two small liberties: its instance norm has a gain and a bias here, and a transposed convolution
    is a convolution of size 1 that halves the features, then a transposed one.

    Attributes
    ----------
    width : int
        Features at full resolution; they double with every scale (16 in the original).
    scales : int
        How many times the grid is halved, at least 1.
    pooling : "max" or "average"
        ``"max"`` is the original's; only ``"average"`` has a kernel in closed form.
    upsample, norm, padding
        As in ``Skip``; norm on the way down only.
    """

    width: int = 16
    scales: int = 4
    pooling: str = "max"
    upsample: str = "transposed"
    norm: bool = True
    padding: str = "zero"

    name: ClassVar[str] = "unet"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        widths = [self.width * 2**level for level in range(self.scales + 1)]
        deeper: tuple[Layer, ...] = ()
        for level in reversed(range(self.scales)):
            main = (
                self._pool(),
                *self._pair(widths[level + 1], self.norm),
                *deeper,
                *self._up(widths[level]),
            )
            deeper = (SkipConcat(Sequential(main), Identity()), *self._pair(widths[level], norm=False))
        return Sequential((*self._pair(self.width, self.norm), *deeper, Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        return GridRule(multiple=2**self.scales, smallest=2 * 2**self.scales)

    def _pool(self) -> Layer:
        return MaxPool() if self.pooling == "max" else Downsample("average")

    def _pair(self, features: int, norm: bool) -> tuple[Layer, ...]:
        unit = (Conv(features, padding=self.padding), *((BatchNorm(),) if norm else ()), LeakyReLU(0.0))
        return (*unit, *unit)

    def _up(self, features: int) -> tuple[Layer, ...]:
        if self.upsample == "transposed":
            return (Conv(features, 1), Upsample("transposed"))
        return (Upsample(self.upsample), Conv(features, padding=self.padding))


@dataclass(frozen=True, kw_only=True)
class ResNet(Architecture):
    """The ResNet of the original code: residual blocks on the picture's own grid.

    Attributes
    ----------
    width : int
        Features of every convolution but the last (32 in the original).
    blocks : int
        Blocks of two convolutions without bias, each with a norm, around a shortcut.
    slope, padding
        As in ``Skip``.
    """

    width: int = 32
    blocks: int = 8
    slope: float = 0.2
    padding: str = "reflection"

    name: ClassVar[str] = "resnet"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        inner = Conv(self.width, bias=False, padding="zero")
        activation = LeakyReLU(self.slope)
        block = Residual(Sequential((inner, BatchNorm(), activation, inner, BatchNorm())))
        first = (Conv(self.width, padding=self.padding), activation)
        last = (Conv(self.width, padding="zero"), BatchNorm(), Conv(channels, padding=self.padding))
        return Sequential((*first, *(block,) * self.blocks, *last))

    def grid_rule(self) -> GridRule:
        return GridRule(smallest=2)


@dataclass(frozen=True, kw_only=True)
class Mixer(Architecture):
    """MLP-Mixer (Tolstikhin et al. 2021, arXiv 2105.01601) as a prior: perceptrons, no convolution over pixels.

    The latent input has one pixel for each patch. A block mixes the patches, then the features,
    both around shortcuts; the features of a patch become its pixels in the end. It has weights for
    each patch, so it is for pictures up to one side only. Its kernel is known on a finite grid
    only: ``exact_covariance``.

    Attributes
    ----------
    width : int
        Features of every patch.
    side : int
        Pixels per axis of the pictures that it makes.
    patch : int
        Pixels per axis of a patch; divides ``side``.
    blocks : int
    hidden : int
        Hidden units that mix the patches.
    slope : float
        Of the leaky ReLU below zero.
    """

    width: int = 64
    side: int = 64
    patch: int = 4
    blocks: int = 4
    hidden: int = 128
    slope: float = 0.2

    name: ClassVar[str] = "mixer"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side % self.patch or self.side < 2 * self.patch:
            raise BayesDipError(
                f"mixer was given side={self.side} and patch={self.patch}; at least two whole patches per axis "
                "were expected: choose a patch that divides the side."
            )

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        activation = LeakyReLU(self.slope)
        patches = TokenMixer((self.side // self.patch,) * dims, self.hidden, activation)
        features = (Conv(2 * self.width, 1), activation, Conv(self.width, 1))
        block = (Residual(Sequential((BatchNorm(), patches))), Residual(Sequential((BatchNorm(), *features))))
        last = (BatchNorm(), Conv(channels * self.patch**dims, 1), PixelShuffle(self.patch))
        return Sequential((Conv(self.width, 1), *block * self.blocks, *last))

    def grid_rule(self) -> GridRule:
        patches = self.side // self.patch
        return GridRule(multiple=patches, smallest=patches, magnification=self.patch)
