"""What every named architecture has: settings, a tree of layers, and its two readings."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bayesdip.arch.activations import Sigmoid
from bayesdip.arch.combine import Sequential
from bayesdip.arch.covariance import Covariance, autocorrelation, white
from bayesdip.arch.layers import CONVOLUTIONS, Layer
from bayesdip.arch.network import GridRule, Network
from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel

INPUTS = ("uniform", "normal")
OUTPUTS = ("sigmoid", "linear")


@dataclass(frozen=True, kw_only=True)
class Architecture(ABC):
    """A network said once: ``build`` gives it at a finite width, ``kernel`` at infinite width.

    Attributes
    ----------
    width : int
        Features of the main path.
    input_depth : int
        Features of the noise that goes in.
    input : "uniform" or "normal"
        Its distribution, per pixel and feature: uniform in 0..1, or standard normal.
    input_scale : float
        What the noise is multiplied with (0.1 in the code of Deep Image Prior).
    input_smoothness : float
        Standard deviation, in input pixels, of a Gaussian that smooths the noise; its
        variance is kept. 0 is white noise.
    output : "sigmoid" or "linear"
        What squashes the output. The kernel is of what comes before it.
    """

    width: int = 128
    input_depth: int = 32
    input: str = "uniform"
    input_scale: float = 0.1
    input_smoothness: float = 0.0
    output: str = "sigmoid"

    name: ClassVar[str]

    def __post_init__(self) -> None:
        check_choice(self, "input", INPUTS)
        check_choice(self, "output", OUTPUTS)
        check_at_least(self, 1, "width", "input_depth")
        if not (self.input_scale > 0 and self.input_smoothness >= 0):
            raise BayesDipError(
                f"{self.name} was given input_scale={self.input_scale} and input_smoothness="
                f"{self.input_smoothness}; a positive scale and a smoothness of 0 or more were expected."
            )

    @abstractmethod
    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        """The tree of layers, up to the output's squashing and without it."""

    @abstractmethod
    def grid_rule(self) -> GridRule:
        """Which input grids the tree can work on."""

    def network_layers(self, channels: int, dims: int) -> Layer:
        """The tree of layers with the output's squashing."""
        layers = self.layers(channels, dims)
        return Sequential((layers, Sigmoid())) if self.output == "sigmoid" else layers

    def build(
        self,
        channels: int,
        dims: int = 2,
        width: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Network:
        """A network with fresh weights, for pictures (channels, *grid) with ``dims`` grid axes.

        Parameters
        ----------
        width : int, optional
            Instead of the description's own width.
        generator : torch.Generator, optional
            Draws the weights; with the same seed they are the same.
        """
        if channels < 1 or dims not in (1, 2, 3):
            raise BayesDipError(
                f"A network for {channels} channels on a {dims}-D grid was asked for; at least one "
                "channel and a grid of 1, 2 or 3 axes were expected."
            )
        arch = self if width is None else replace(self, width=width)
        return Network(arch, channels, dims, generator)

    def kernel(self, lags: int = 64, dims: int = 2) -> ArchitectureKernel:
        """The covariance of one output channel at infinite width, before the squashing.

        ``lags`` and ``dims`` only set what ``.values`` shows; any extent can be asked of
        ``.quadrant``.
        """
        return ArchitectureKernel(self, lags, dims)

    def draw_input(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Noise of shape (B, D, *grid), float32, on the generator's device."""
        taps = self._smoothing_taps()
        reach = len(taps) // 2
        device = generator.device if generator is not None else None
        drawn = torch.empty((*shape[:2], *(n + 2 * reach for n in shape[2:])), device=device)
        if self.input == "normal":
            drawn.normal_(generator=generator)
        else:
            drawn.uniform_(generator=generator)
        mean, _ = self._input_moments()
        return self.input_scale * (_smoothed(drawn - mean, taps) + mean if reach else drawn)

    def input_covariance(self, dims: int) -> Covariance:
        """Covariance of the noise that ``draw_input`` makes.

        Smoothed, it is ``exp(-t^2 / (4 s^2))`` times its variance: a Gaussian's
        autocorrelation is a Gaussian of twice the variance.
        """
        mean, variance = self._input_moments()
        spread = white(dims, self.input_depth, variance=variance)
        smooth = spread.resampled(autocorrelation(self._smoothing_taps()))
        return smooth.scaled(self.input_scale**2, (self.input_scale * mean) ** 2, self.input_depth)

    def _input_moments(self) -> tuple[float, float]:
        return (0.5, 1 / 12) if self.input == "uniform" else (0.0, 1.0)

    def _smoothing_taps(self) -> list[float]:
        s = self.input_smoothness
        reach = math.ceil(6 * s)
        raw = [math.exp(-0.5 * (k / s) ** 2) if s else 1.0 for k in range(-reach, reach + 1)]
        norm = math.sqrt(sum(w * w for w in raw))
        return [w / norm for w in raw]

    def describe(self) -> str:
        """One line: the name, and every setting that is not the default."""
        changed = [
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return f"{self.name}({', '.join(changed)})"

    def to_dict(self) -> dict[str, Any]:
        """All settings and the name, as plain values; ``networks.from_dict`` reads them back."""
        return {"name": self.name, **asdict(self)}

    @classmethod
    def with_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The description with these fields; an unknown field is an error that lists the known ones."""
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise BayesDipError(
                f"The architecture {cls.name!r} has no setting {', '.join(unknown)}; "
                f"its settings are {', '.join(known)}. Use these."
            )
        return cls(**settings)


@dataclass(frozen=True)
class ArchitectureKernel(Kernel):
    """The kernel of an architecture at infinite width, with unit variance.

    Known at every lag; computed once for each number of axes.
    """

    arch: Architecture
    lags: int = 64
    dims: int = 2

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return output_covariance(self.arch, len(shape)).quadrant(shape)

    @property
    def values(self) -> Tensor:
        """The kernel at lags ``-lags .. lags`` of each axis; lag zero is in the middle."""
        return self.window(self.lags, self.dims)

    @property
    def limit(self) -> float:
        """The kernel at infinite lag: the share of the variance that a picture's mean has."""
        return output_covariance(self.arch, self.dims).limit


@lru_cache(maxsize=64)
def output_covariance(arch: Architecture, dims: int) -> Covariance:
    """Covariance of one output before its squashing, scaled to unit variance."""
    K = arch.layers(1, dims).covariance(arch.input_covariance(dims))
    return K.scaled(1 / float(K.variance), 0.0, 1)


def check_choice(record: Architecture, field: str, choices: Sequence[str]) -> None:
    """Raise where ``record.field`` is none of ``choices``."""
    value = getattr(record, field)
    if value not in choices:
        raise BayesDipError(
            f"{record.name} was given {field}={value!r}; it is one of {', '.join(choices)}. Choose one of these."
        )


def check_at_least(record: Architecture, least: int, *names: str) -> None:
    """Raise where one of these fields is smaller than ``least``, or no whole number."""
    for field in names:
        value = getattr(record, field)
        if not isinstance(value, int) or value < least:
            raise BayesDipError(
                f"{record.name} was given {field}={value!r}; a whole number of at least {least} was expected."
            )


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
