"""The two readings of a description: a network of finite width, and the kernel at infinite width."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from bayesdip.arch.combinators import Sequential
from bayesdip.arch.description import OUTPUTS, Description
from bayesdip.arch.exact import Exact, of_picture
from bayesdip.arch.infinite_width import ArchitectureKernel
from bayesdip.arch.network import Network
from bayesdip.arch.padding import pad_reflecting
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.kernels.monte_carlo import MonteCarloKernel, monte_carlo_kernel

# Numbers in the widest layer of all networks that are sampled at a time: 64 MB in single precision.
BATCH_NUMBERS = 2**24


@dataclass(frozen=True, kw_only=True)
class Architecture(Description):
    """A network described once: ``build`` gives it at a finite width, ``kernel`` at infinite width.

    Its settings are those of :class:`~bayesdip.arch.description.Description`. An architecture of
    your own is a subclass with ``name``, ``layers`` and ``grid_rule``; a module of your own comes
    in by :func:`bayesdip.arch.from_module`.
    """

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
        squashing = OUTPUTS[arch.output]
        layers = arch.layers(channels, dims)
        layers = Sequential((layers, *squashing)) if squashing else layers
        body = layers.module(arch.latent_input.features(dims), dims, generator)
        return Network(arch, body, arch.latent_input, arch.grid_rule(), channels, dims)

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
            if getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]  # vmap allows no writing into a shared tensor

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
        latent : Tensor or array, optional, shape (1, input_depth, *any grid)
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
        rule, dims = self.grid_rule(), len(grid)
        layers = self.layers(1, dims)
        if latent is None:
            given = [rule.input_axis(n) for n in grid]
            return layers.covariance(self.latent_input.exact(given)).cropped(rule.window(given, grid), grid)
        latent, features = torch.as_tensor(latent), self.latent_input.features(dims)
        if latent.ndim != dims + 2 or latent.shape[:2] != (1, features):
            raise ShapeError(
                f"An input of shape {tuple(latent.shape)} was given; (1, {features}, {dims} grid axes) was "
                "expected: use new_input(grid) of the network, or describe another input_depth."
            )
        given = list(latent.shape[2:])
        start = rule.window(given, grid)
        K = of_picture(pad_reflecting(latent, *rule.margins(given))[0])
        return layers.covariance(K).cropped(start, grid)
