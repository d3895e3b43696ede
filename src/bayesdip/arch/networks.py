"""The named architectures.

``Skip`` is the network of Ulyanov, Vedaldi, Lempitsky, *Deep Image Prior*, CVPR 2018
(arXiv 1711.10925), layer by layer as in the authors' released code; its defaults are those
of Cheng et al. 2019 (arXiv 1904.07457).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bayesdip.arch.activations import LeakyReLU
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.combinators import Sequential, SkipConcat
from bayesdip.arch.comparison_networks import DeepDecoder, Flat, Mixer, ResNet, UNet
from bayesdip.arch.layers import BatchNorm, Conv, Layer
from bayesdip.arch.network import GridRule
from bayesdip.arch.resampling import Downsample, PixelShuffle, Upsample
from bayesdip.errors import BayesDipError


@dataclass(frozen=True, kw_only=True)
class _Convolutional(Architecture):
    """What the convolutional networks share.

    Attributes
    ----------
    scales : int
        How many times the grid is halved, or doubled.
    slope : float
        Slope of the leaky ReLU below zero.
    filter_size : int
        Taps per axis of the main path's convolutions, odd.
    norm : bool
        Batch norm (by the current picture) after every convolution.
    padding : "reflection", "zero" or "circular"
        What stands beyond the borders.
    upsample : "bilinear", "nearest" or "transposed"
        How the grid is doubled.
    mixing : bool
        A second convolution, of size 1, with norm and activation after each convolution on
        the way up (``need1x1_up`` in the original).
    """

    scales: int = 5
    slope: float = 0.2
    filter_size: int = 3
    norm: bool = True
    padding: str = "reflection"
    upsample: str = "bilinear"
    mixing: bool = True

    may_be_zero: ClassVar[tuple[str, ...]] = ("scales", "skip")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._conv(1, self.filter_size)  # checks the size

    def _conv(self, features: int, size: int, stride: int = 1) -> Layer:
        return Conv(features, size, stride, padding=self.padding)

    def _norm(self) -> tuple[Layer, ...]:
        return (BatchNorm(),) if self.norm else ()

    def _unit(self, features: int, size: int) -> tuple[Layer, ...]:
        """Convolution, norm, activation."""
        return (self._conv(features, size), *self._norm(), LeakyReLU(self.slope))

    def _up(self) -> tuple[Layer, ...]:
        """The layers after the concatenation on the way up."""
        mixing = self._unit(self.width, 1) if self.mixing else ()
        return (*self._unit(self.width, self.filter_size), *mixing)

    @property
    def _coarsest(self) -> int:
        """Pixels that the coarsest grid needs per axis: to be mirrored, and to have a variance."""
        return max(2, self.filter_size // 2 + 1)


@dataclass(frozen=True, kw_only=True)
class Skip(_Convolutional):
    """The paper's encoder-decoder with thin skip connections at every scale.

    Attributes
    ----------
    skip : int
        Features of each skip connection; 0 for none.
    downsample : "stride", "average" or "lanczos"
        How the grid is halved; the latter two after a convolution on the fine grid.
    """

    skip: int = 4
    downsample: str = "stride"

    name: ClassVar[str] = "skip"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        return Sequential((*self._core(), Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        return GridRule(multiple=2**self.scales, smallest=self._coarsest * 2**self.scales)

    def _core(self) -> tuple[Layer, ...]:
        levels: tuple[Layer, ...] = ()
        for _ in range(self.scales):  # from the coarsest to the finest
            levels = self._level(levels)
        return levels or self._up()

    def _level(self, deeper: tuple[Layer, ...]) -> tuple[Layer, ...]:
        """One scale around the coarser ones. The norm of the concatenation is in its branches."""
        activation = LeakyReLU(self.slope)
        main = (
            *self._halving(),
            *self._norm(),
            activation,
            *self._unit(self.width, self.filter_size),
            *deeper,
            Upsample(self.upsample),
            *self._norm(),
        )
        skip = Sequential((*self._unit(self.skip, 1), *self._norm())) if self.skip else None
        return (SkipConcat(Sequential(main), skip), *self._up())

    def _halving(self) -> tuple[Layer, ...]:
        if self.downsample == "stride":
            return (self._conv(self.width, self.filter_size, stride=2),)
        return (self._conv(self.width, self.filter_size), Downsample(self.downsample))


@dataclass(frozen=True, kw_only=True)
class Decoder(_Convolutional):
    """The way up alone: small noise on the coarsest grid, no encoder and no skips."""

    name: ClassVar[str] = "decoder"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        level = (Upsample(self.upsample), *self._norm(), *self._up())
        bottom = self._unit(self.width, self.filter_size)
        return Sequential((*bottom, *level * self.scales, Conv(channels, 1)))

    def grid_rule(self) -> GridRule:
        return GridRule(smallest=self._coarsest, magnification=2**self.scales)


@dataclass(frozen=True, kw_only=True)
class Shuffle(Skip):
    """A skip network at half resolution, whose features are shuffled into full-resolution pixels.

    Much cheaper than ``Skip``: all convolutions but the last work on a quarter of the
    pixels, and that one has few features.

    Attributes
    ----------
    scales, width, skip
        As in ``Skip``, with defaults of its own.
    shuffled : int
        Features at full resolution.
    """

    scales: int = 4
    width: int = 64
    skip: int = 32  # finest details come this way
    shuffled: int = 16

    name: ClassVar[str] = "shuffle"

    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        return Sequential(
            (
                *self._core(),
                Conv(self.shuffled * 2**dims, 1),
                PixelShuffle(2),
                *self._norm(),
                LeakyReLU(self.slope),
                *self._unit(self.shuffled, self.filter_size),
                Conv(channels, 1),
            )
        )

    def grid_rule(self) -> GridRule:
        core = super().grid_rule()
        return GridRule(core.multiple, core.smallest, magnification=2)


_KINDS: tuple[type[Architecture], ...] = (Skip, Decoder, Shuffle, Flat, DeepDecoder, UNet, ResNet, Mixer)
_NAMED = {cls.name: cls for cls in _KINDS}
# The network of figure 6 of Cheng et al. 2019, all but infinitely wide. Its kernel is the default stationary kernel.
FIGURE6 = Skip(scales=2, width=1024, skip=4)


def names() -> list[str]:
    """The names of the architectures.

    Returns
    -------
    list of str
    """
    return list(_NAMED)


def named(description: str) -> Architecture:
    """The architecture of that name, with settings in parentheses where they are not the default.

    Parameters
    ----------
    description : str
        ``"skip"``, or ``"skip(scales=2, width=64)"``, as :meth:`Architecture.describe` gives it.

    Returns
    -------
    Architecture

    Raises
    ------
    BayesDipError
        There is no such architecture, or it has no such setting.
    """
    name, parenthesis, settings = description.strip().partition("(")
    given: dict[str, Any] = {}
    if parenthesis:
        try:
            call = ast.parse(f"f({settings}", mode="eval").body
            if not isinstance(call, ast.Call) or call.args:
                raise ValueError("settings have names")
            given = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        except (SyntaxError, ValueError) as error:
            raise BayesDipError(
                f"Cannot read the architecture {description!r}; something like 'skip(scales=2, width=64)' was expected."
            ) from error
    return from_dict({"name": name.strip(), **given})


def from_dict(settings: Mapping[str, Any]) -> Architecture:
    """The architecture that :meth:`Architecture.to_dict` described.

    Parameters
    ----------
    settings : mapping
        ``name``, and settings; missing ones have their defaults.

    Returns
    -------
    Architecture

    Raises
    ------
    BayesDipError
        There is no architecture of that ``name``, or it has no such setting.
    """
    name = settings.get("name")
    if name not in _NAMED:
        raise BayesDipError(
            f"Unknown architecture {name!r}; it is one of {', '.join(_NAMED)}. Choose one of these."
        )
    return _NAMED[name].with_settings({k: v for k, v in settings.items() if k != "name"})


def skip(**settings: Any) -> Skip:
    """The network of Cheng et al. 2019.

    Parameters
    ----------
    **settings
        Those of :class:`Skip` and :class:`Architecture`.

    Returns
    -------
    Skip

    Raises
    ------
    BayesDipError
        It has no such setting, or the setting is out of range.
    """
    return Skip.with_settings(settings)


def decoder(**settings: Any) -> Decoder:
    """A decoder alone.

    Parameters
    ----------
    **settings
        Those of :class:`Decoder` and :class:`Architecture`; errors as of :func:`skip`.

    Returns
    -------
    Decoder
    """
    return Decoder.with_settings(settings)


def shuffle(**settings: Any) -> Shuffle:
    """The fast network.

    Parameters
    ----------
    **settings
        Those of :class:`Shuffle` and :class:`Architecture`; errors as of :func:`skip`.

    Returns
    -------
    Shuffle
    """
    return Shuffle.with_settings(settings)
