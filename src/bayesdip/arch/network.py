"""The trainable network of an architecture, for pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from bayesdip.arch.latent_input import LatentInput
from bayesdip.arch.padding import crop, pad_reflecting
from bayesdip.errors import ShapeError


@dataclass(frozen=True)
class GridRule:
    """Which input grids a network can work on.

    Attributes
    ----------
    multiple : int
        Each axis of the input must be a multiple of this.
    smallest : int
        Each axis of the input must have at least this many pixels.
    magnification : int
        Output pixels per input pixel and axis.
    """

    multiple: int = 1
    smallest: int = 1
    magnification: int = 1

    def padded(self, size: int) -> int:
        """The smallest workable axis.

        Parameters
        ----------
        size : int
            Input pixels that it must hold.

        Returns
        -------
        int
            Input pixels.
        """
        return max(-(-size // self.multiple) * self.multiple, self.smallest)

    def input_axis(self, size: int) -> int:
        """The smallest workable input axis for an output.

        Parameters
        ----------
        size : int
            Output pixels that it must give.

        Returns
        -------
        int
            Input pixels.
        """
        return self.padded(-(-size // self.magnification))

    def margins(self, given: Sequence[int]) -> tuple[list[int], list[int]]:
        """The padding of an input.

        Parameters
        ----------
        given : sequence of int
            The input's grid.

        Returns
        -------
        before, after : list of int
            Input pixels on each axis.
        """
        extra = [self.padded(n) - n for n in given]
        before = [e // 2 for e in extra]
        return before, [e - b for e, b in zip(extra, before, strict=True)]

    def window(self, given: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """Where a picture lies in the output.

        Parameters
        ----------
        given : sequence of int
            The input's grid, before its padding.
        wanted : sequence of int
            The picture's grid.

        Returns
        -------
        list of int
            The first pixel of the picture on each axis of the output.

        Raises
        ------
        ShapeError
            The input is too small for that picture.
        """
        made = [n * self.magnification for n in given]
        if any(w > m for w, m in zip(wanted, made, strict=True)):
            raise ShapeError(
                f"An input of grid {tuple(given)} gives pictures up to {tuple(made)}, but {tuple(wanted)} "
                "was asked for: make the input with new_input(grid)."
            )
        before, _ = self.margins(given)
        return [b * self.magnification + (m - w) // 2 for b, m, w in zip(before, made, wanted, strict=True)]


class Builder(Protocol):
    """What a network keeps of its architecture, for more networks of the same kind."""

    def build(
        self, channels: int, dims: int = 2, width: int | None = None, generator: torch.Generator | None = None
    ) -> Network:
        """Another network, with fresh weights."""


class Network(nn.Module):
    """A network of finite width: a latent input ``z`` in, a picture out.

    Any grid goes, from a single pixel up: inputs are padded to what the scales of the
    network need, and the picture is cropped out of the middle.

    Attributes
    ----------
    arch : Architecture
        The description that built it.
    body : nn.Module
        The layers, with the squashing of the output: (B, D, *grid) to (B, channels, *grid').
    latent_input : LatentInput
        What goes in.
    grid_rule : GridRule
        Which input grids ``body`` can work on.
    channels, dims : int
        Of the picture: channels, and axes of the grid.
    cpu_layout : torch.memory_format
        How a 2-D input lies in memory on a CPU. With the features innermost, steps are quicker
        (``python -m benchmarks steps``).
    """

    def __init__(
        self,
        arch: Builder,
        body: nn.Module,
        latent_input: LatentInput,
        grid_rule: GridRule,
        channels: int,
        dims: int,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.body = body
        self.latent_input = latent_input
        self.grid_rule = grid_rule
        self.channels = channels
        self.dims = dims
        self.cpu_layout = torch.channels_last

    def new_input(
        self,
        grid: Sequence[int],
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw a latent input for a picture.

        Parameters
        ----------
        grid : sequence of int
            The picture's grid, in pixels.
        generator : torch.Generator, optional
            Draws on its own device, so that a seed means the same everywhere.
        device : optional
            Where the input goes then; by default to the device of the weights.

        Returns
        -------
        Tensor, float32, shape (1, D, *padded grid)

        Raises
        ------
        ShapeError
            A grid of another number of axes, or without pixels.
        """
        if len(grid) != self.dims or min(grid) < 1:
            raise ShapeError(
                f"This network makes {self.dims}-D pictures but was given the grid {tuple(grid)}; "
                f"{self.dims} positive sizes were expected: build a network for that grid."
            )
        padded = [self.grid_rule.input_axis(n) for n in grid]
        noise = self.latent_input.draw(padded, generator=generator)
        return noise.to(device if device is not None else next(self.parameters()).device)

    def forward(self, z: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """The picture that the network makes of an input.

        Parameters
        ----------
        z : Tensor, shape (B, D, *any grid)
        grid : sequence of int, optional
            The picture's grid. By default all that ``z`` gives: its own grid times the
            magnification.

        Returns
        -------
        Tensor, shape (B, channels, *grid)

        Raises
        ------
        ShapeError
            An input of another shape, or one that is too small for that grid.
        """
        features = self.latent_input.features(self.dims)
        if z.ndim != self.dims + 2 or z.shape[1] != features:
            raise ShapeError(
                f"The network was given an input of shape {tuple(z.shape)}; (batch, {features}, {self.dims} "
                "grid axes) was expected: use new_input(grid)."
            )
        rule = self.grid_rule
        given = list(z.shape[2:])
        wanted = [n * rule.magnification for n in given] if grid is None else list(grid)
        start = rule.window(given, wanted)
        z = pad_reflecting(z, *rule.margins(given))
        if self.dims == 2 and z.device.type == "cpu":
            z = z.contiguous(memory_format=self.cpu_layout)
        return crop(self.body(z), start, wanted)
