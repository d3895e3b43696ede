"""What every architecture has: settings, a tree of layers, and the two readings of that tree."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from bayesdip.arch.activations import Sigmoid
from bayesdip.arch.combinators import Sequential
from bayesdip.arch.exact import Exact, of_picture
from bayesdip.arch.infinite_width import ArchitectureKernel
from bayesdip.arch.latent_input import INPUTS, LatentInput
from bayesdip.arch.layers import Gain, Layer
from bayesdip.arch.network import GridRule, Network
from bayesdip.arch.padding import PADDINGS, pad_reflecting
from bayesdip.arch.resampling import DOWNSAMPLINGS, POOLINGS, UPSAMPLINGS
from bayesdip.arch.tangent import at_input
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.kernels.monte_carlo import MonteCarloKernel, monte_carlo_kernel

OUTPUTS: dict[str, tuple[Layer, ...]] = {
    "sigmoid": (Sigmoid(),),
    "linear": (),
    "sigmoid255": (Sigmoid(), Gain(255.0)),
}
# What a setting of that name may be, in every architecture.
CHOICES: dict[str, tuple[str, ...]] = {
    "input": INPUTS,
    "output": tuple(OUTPUTS),
    "padding": PADDINGS,
    "upsample": UPSAMPLINGS,
    "downsample": DOWNSAMPLINGS,
    "pooling": POOLINGS,
}
# Numbers in the widest layer of all networks that are sampled at a time: 64 MB in single precision.
BATCH_NUMBERS = 2**24


@dataclass(frozen=True, kw_only=True)
class Architecture(ABC):
    """A network described once: ``build`` gives it at a finite width, ``kernel`` at infinite width.

    An architecture of your own is a subclass with ``name``, ``layers`` and ``grid_rule``; a
    module of your own comes in by :func:`bayesdip.arch.from_module`.

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
        What the input is multiplied by (0.1 in the code of Deep Image Prior).
    input_smoothness : float
        Standard deviation, in input pixels, of a Gaussian that smooths the noise; its
        variance is kept. 0 is white noise.
    output : "sigmoid", "linear" or "sigmoid255"
        The squashing of the output: to 0..1, none, or to 0..255 for data in that range. Every
        kernel is of the output before it.

    Raises
    ------
    BayesDipError
        A setting that is out of range; the message names it.
    """

    width: int = 128
    input_depth: int = 32
    input: str = "uniform"
    input_scale: float = 0.1
    input_smoothness: float = 0.0
    output: str = "sigmoid"

    name: ClassVar[str]
    may_be_zero: ClassVar[tuple[str, ...]] = ()  # the counts that may be 0; others are at least 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            choices = CHOICES.get(field.name)
            if choices and value not in choices:
                raise BayesDipError(
                    f"{self.name} was given {field.name}={value!r}; it is one of {', '.join(choices)}. "
                    "Choose one of these."
                )
            least = 0 if field.name in self.may_be_zero else 1
            if type(default) is int and (not isinstance(value, int) or value < least):
                raise BayesDipError(
                    f"{self.name} was given {field.name}={value!r}; a whole number of at least {least} was "
                    "expected: change it."
                )
        self.latent_input  # noqa: B018 - checks its settings

    @abstractmethod
    def layers(self, channels: int = 1, dims: int = 2) -> Layer:
        """The tree of layers, without the squashing of the output.

        Parameters
        ----------
        channels : int
            Of the picture.
        dims : int
            Axes of the grid: 1, 2 or 3.

        Returns
        -------
        Layer
        """

    @abstractmethod
    def grid_rule(self) -> GridRule:
        """Which input grids the tree can work on.

        Returns
        -------
        GridRule
        """

    @property
    def latent_input(self) -> LatentInput:
        """What goes in."""
        return LatentInput(self.input_depth, self.input, self.input_scale, self.input_smoothness)

    def build(
        self,
        channels: int,
        dims: int = 2,
        width: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Network:
        """A network with fresh weights.

        Parameters
        ----------
        channels : int
            Of the picture, at least 1.
        dims : int
            Axes of the grid: 1, 2 or 3.
        width : int, optional
            Instead of the description's own width.
        generator : torch.Generator, optional
            Draws the weights; with the same seed they are the same. PyTorch's global generator by
            default.

        Returns
        -------
        Network
            From an input (B, input_depth, *grid) to pictures (B, channels, *grid).

        Raises
        ------
        BayesDipError
            No channels, or a grid of another number of axes.
        """
        if channels < 1 or dims not in (1, 2, 3):
            raise BayesDipError(
                f"A network for {channels} channels on a {dims}-D grid was asked for; at least one "
                "channel and a grid of 1, 2 or 3 axes were expected: change these."
            )
        arch = self if width is None else replace(self, width=width)
        layers = (
            Sequential((arch.layers(channels, dims), *OUTPUTS[arch.output]))
            if OUTPUTS[arch.output]
            else (arch.layers(channels, dims))
        )
        body = layers.module(arch.latent_input.features(dims), dims, generator)
        return Network(arch, body, channels, dims)

    def kernel(self, lags: int = 64, dims: int = 2) -> ArchitectureKernel:
        """The covariance of one output channel at infinite width, divided by its value at lag zero.

        Parameters
        ----------
        lags : int
            Largest lag that ``.values`` shows, in pixels; ``.quadrant`` takes any.
        dims : int
            Axes that ``.values`` shows.

        Returns
        -------
        ArchitectureKernel

        Raises
        ------
        BayesDipError
            The network has no stationary kernel in closed form.
        """
        return ArchitectureKernel(self, lags, dims)

    def tangent_kernel(
        self, lags: int = 64, dims: int = 2, parametrisation: str = "ntk"
    ) -> ArchitectureKernel:
        """The neural tangent kernel of one output channel, divided by its value at lag zero (``.scale``).

        Parameters
        ----------
        lags, dims : int
            As of :meth:`kernel`.
        parametrisation : "ntk" or "standard"
            See :class:`~bayesdip.arch.Tangent`; ``"standard"`` is PyTorch's.

        Returns
        -------
        ArchitectureKernel

        Raises
        ------
        BayesDipError
            The network has no stationary tangent kernel, or the parametrisation is unknown.
        """
        return ArchitectureKernel(self, lags, dims, parametrisation)

    def monte_carlo_kernel(
        self,
        grid: Sequence[int],
        networks: int = 100,
        *,
        lags: int | None = None,
        channels: int = 16,
        generator: torch.Generator | None = None,
    ) -> MonteCarloKernel:
        """The kernel of networks of this very width, estimated from samples.

        It has no bias for the networks *on this grid*. The kernel of an infinite grid is another
        thing: a batch norm makes the mean over the whole grid zero, which takes about the variance
        of a window's mean from every lag, and near its borders a network is not stationary. The
        estimate tends to ``exact_covariance(grid).averaged()``; take a grid much larger than the
        kernel's reach to compare with :meth:`kernel`.

        Parameters
        ----------
        grid : sequence of int
            Of the pictures, in pixels.
        networks : int
            How many to sample, at least 2, each with fresh weights and a fresh input.
        lags : int, optional
            Largest lag on each axis, in pixels; by default half of each axis.
        channels : int
            Output channels of each network. They share its features, so they add less than as many
            networks would, at little cost.
        generator : torch.Generator, optional
            Draws weights and inputs.

        Returns
        -------
        MonteCarloKernel

        Raises
        ------
        BayesDipError
            Fewer than two networks, or lags that the grid does not hold.
        """
        batch = max(1, min(networks, BATCH_NUMBERS // (self.width * prod(grid))))
        return monte_carlo_kernel(
            lambda count: self.prior_samples(count, grid, channels, generator), networks, grid, lags, batch
        )

    def prior_samples(
        self,
        count: int,
        grid: Sequence[int],
        channels: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Pictures of fresh networks with fresh inputs, before the squashing of the output.

        Parameters
        ----------
        count : int
            How many networks; all run at once.
        grid : sequence of int
            Of the pictures, in pixels.
        channels : int
            Of the pictures.
        generator : torch.Generator, optional
            Draws weights and inputs.

        Returns
        -------
        Tensor, float32, shape (count, channels, *grid)
        """
        dims, rule, latent = len(grid), self.grid_rule(), self.latent_input
        padded = [rule.input_axis(n) for n in grid]
        layers = self.layers(channels, dims)
        bodies = [layers.module(latent.features(dims), dims, generator) for _ in range(count)]
        inputs = latent.draw(padded, count, generator)
        template = copy.deepcopy(bodies[0]).to("meta")
        for module in template.modules():
            if isinstance(module, nn.LeakyReLU):
                module.inplace = False  # vmap allows no writing into a tensor that the networks share

        def run(state: tuple[dict[str, Tensor], dict[str, Tensor]], z: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(template, state, (z[None],))
            return out[0]

        with torch.no_grad():
            pictures: Tensor = torch.func.vmap(run)(torch.func.stack_module_state(bodies), inputs)
        for axis, (begin, n) in enumerate(zip(rule.window(padded, grid), grid, strict=True)):
            pictures = pictures.narrow(axis + 2, begin, n)
        return pictures

    def exact_covariance(self, grid: Sequence[int], latent: Tensor | None = None) -> Exact:
        """The covariance of one output channel between all pixels of a small grid.

        At infinite width, before the squashing, not divided by anything: borders, phases and the
        normalisation of every feature by its own picture are what they are in ``build``.

        Parameters
        ----------
        grid : sequence of int
            The picture's grid. All of it and its padding is computed with: N^2 numbers.
        latent : Tensor, optional, shape (1, input_depth, *any grid)
            A given input, such as a picture (with as many channels as ``input_depth``) or
            one draw of the noise. By default the average over all noise, or the mesh.

        Returns
        -------
        Exact

        Raises
        ------
        ShapeError
            An input of another shape.
        BayesDipError
            A layer without a rule.
        """
        K, start = self._exact_input(grid, latent)
        return self.layers(1, len(grid)).covariance(K).cropped(start, grid)

    def exact_tangent(
        self, grid: Sequence[int], latent: Tensor | None = None, parametrisation: str = "ntk"
    ) -> Exact:
        """The neural tangent kernel of one output channel between all pixels of a small grid.

        Parameters
        ----------
        grid, latent
            As of :meth:`exact_covariance`.
        parametrisation : "ntk" or "standard"
            See :class:`~bayesdip.arch.Tangent`.

        Returns
        -------
        Exact

        Raises
        ------
        BayesDipError
            As :meth:`exact_covariance`, and for an unknown parametrisation.
        """
        K, start = self._exact_input(grid, latent)
        return self.layers(1, len(grid)).covariance(at_input(K, parametrisation)).theta.cropped(start, grid)

    def _exact_input(self, grid: Sequence[int], latent: Tensor | None) -> tuple[Exact, list[int]]:
        """Covariance of the input on the grid that the network pads it to, and where the picture begins."""
        rule, dims = self.grid_rule(), len(grid)
        if latent is None:
            given = [rule.input_axis(n) for n in grid]
            return self.latent_input.exact(given), rule.window(given, grid)
        features = self.latent_input.features(dims)
        if latent.ndim != dims + 2 or latent.shape[:2] != (1, features):
            raise ShapeError(
                f"An input of shape {tuple(latent.shape)} was given; (1, {features}, {dims} grid axes) was "
                "expected: use new_input(grid) of the network, or describe another input_depth."
            )
        given = list(latent.shape[2:])
        return of_picture(pad_reflecting(latent, *rule.margins(given))[0]), rule.window(given, grid)

    def describe(self) -> str:
        """The name, and every setting that is not the default.

        Returns
        -------
        str
            One line, such as ``"skip(scales=2)"``; :func:`bayesdip.arch.named` reads it back.
        """
        changed = [
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return f"{self.name}({', '.join(changed)})"

    def to_dict(self) -> dict[str, Any]:
        """All settings and the name, as plain values.

        Returns
        -------
        dict
            :func:`bayesdip.arch.from_dict` reads it back.
        """
        return {"name": self.name, **asdict(self)}

    @classmethod
    def with_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The description with these settings.

        Parameters
        ----------
        settings : mapping
            From the name of a setting to its value; the others have their defaults.

        Returns
        -------
        Architecture
            Of this class.

        Raises
        ------
        BayesDipError
            A field that it does not have; the message lists the known ones.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise BayesDipError(
                f"The architecture {cls.name!r} has no setting {', '.join(unknown)}; "
                f"its settings are {', '.join(known)}. Use these."
            )
        return cls(**settings)
