"""What every named architecture has: settings, a tree of layers, and its two readings."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from bayesdip.arch.activations import Sigmoid
from bayesdip.arch.combinators import Sequential
from bayesdip.arch.covariance import Filter
from bayesdip.arch.exact import Exact
from bayesdip.arch.gain import Gain
from bayesdip.arch.infinite_width import ArchitectureKernel, TangentKernel, exact_covariance, exact_tangent
from bayesdip.arch.layers import CONVOLUTIONS, Layer
from bayesdip.arch.network import GridRule, Network
from bayesdip.arch.stationary import Stationary, white
from bayesdip.errors import BayesDipError

INPUTS = ("uniform", "normal", "mesh")
OUTPUTS = ("sigmoid", "linear", "sigmoid255")


@dataclass(frozen=True, kw_only=True)
class Architecture(ABC):
    """A network said once: ``build`` gives it at a finite width, ``kernel`` at infinite width.

    Attributes
    ----------
    width : int
        Features of the main path.
    input_depth : int
        Features of the noise that goes in.
    input : "uniform", "normal" or "mesh"
        Its distribution, per pixel and feature: uniform in 0..1, or standard normal. A mesh
        is no noise but the pixel's coordinates, 0 to 1 along each axis, one feature an axis.
    input_scale : float
        What the noise is multiplied with (0.1 in the code of Deep Image Prior).
    input_smoothness : float
        Standard deviation, in input pixels, of a Gaussian that smooths the noise; its
        variance is kept. 0 is white noise.
    output : "sigmoid", "linear" or "sigmoid255"
        What squashes the output: to 0..1, not at all, or to 0..255 for data in that range. The
        kernel is of what comes before it.
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
        if self.input == "mesh" and self.input_smoothness:
            raise BayesDipError(
                f"{self.name} was given a mesh and input_smoothness={self.input_smoothness}; only noise can be "
                "smoothed: leave input_smoothness at 0."
            )
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
        squashing = {"linear": (), "sigmoid": (Sigmoid(),), "sigmoid255": (Sigmoid(), Gain(255.0))}
        return Sequential((layers, *squashing[self.output])) if squashing[self.output] else layers

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

    def tangent_kernel(self, lags: int = 64, dims: int = 2, parametrisation: str = "ntk") -> TangentKernel:
        """The neural tangent kernel of one output channel, before the squashing.

        Divided by its value at lag zero, which ``.scale`` gives. ``parametrisation`` is
        "ntk", or "standard" for PyTorch's; see :class:`~bayesdip.arch.tangent.Tangent`.
        """
        return TangentKernel(self, lags, dims, parametrisation)

    def exact_covariance(self, grid: Sequence[int], code: Tensor | None = None) -> Exact:
        """The covariance of one output channel between all pixels of a small grid.

        At infinite width, before the squashing, not scaled: borders, phases and the
        normalisation of every feature by its own picture are what they are in ``build``.

        Parameters
        ----------
        grid : sequence of int
            The picture's grid. All of it and its padding is computed with: N^2 numbers.
        code : Tensor, optional, shape (1, input_depth, *any grid)
            A given input, such as a picture (with as many channels as ``input_depth``) or
            one draw of the noise. By default the average over all noise that ``draw_input``
            may draw, or the mesh.
        """
        return exact_covariance(self, grid, code)

    def exact_tangent(
        self, grid: Sequence[int], code: Tensor | None = None, parametrisation: str = "ntk"
    ) -> Exact:
        """The neural tangent kernel between all pixels of a small grid, not scaled."""
        return exact_tangent(self, grid, code, parametrisation)

    def input_features(self, dims: int) -> int:
        """Features of the input: ``input_depth`` of noise, or one a grid axis."""
        return dims if self.input == "mesh" else self.input_depth

    def draw_input(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """An input of shape (B, D, *grid), float32, on the generator's device."""
        if self.input == "mesh":
            axes = [torch.linspace(0, 1, n) for n in shape[2:]]
            mesh = torch.stack(torch.meshgrid(*axes, indexing="ij"))
            return (
                (self.input_scale * mesh)
                .expand(shape[0], *mesh.shape)
                .to(getattr(generator, "device", "cpu"))
            )
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

    def input_covariance(self, dims: int) -> Stationary:
        """Covariance of the noise that ``draw_input`` makes.

        Smoothed, it is ``exp(-t^2 / (4 s^2))`` times its variance: a Gaussian's
        autocorrelation is a Gaussian of twice the variance.
        """
        if self.input == "mesh":
            raise BayesDipError(
                f"The stationary covariance of {self.name!r} with a mesh as its input was asked for; it depends on "
                "the place, not on the lag only: use exact_covariance(grid)."
            )
        mean, variance = self._input_moments()
        spread = white(dims, self.input_depth, variance=variance)
        smooth = spread.filtered(Filter(tuple(self._smoothing_taps())))
        return smooth.added(white(dims, self.input_depth, 0.0, mean)).scaled(self.input_scale**2)

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
