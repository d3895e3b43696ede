"""The trainable network of an architecture, for pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bayesdip.arch.padding import crop, pad_reflecting
from bayesdip.errors import ShapeError

if TYPE_CHECKING:
    from bayesdip.arch.architecture import Architecture


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
        """The smallest workable axis that holds ``size`` input pixels."""
        return max(-(-size // self.multiple) * self.multiple, self.smallest)

    def input_axis(self, size: int) -> int:
        """The smallest workable input axis whose output holds ``size`` pixels."""
        return self.padded(-(-size // self.magnification))

    def margins(self, given: Sequence[int]) -> tuple[list[int], list[int]]:
        """What an input of that grid is padded with, before and after, on each axis."""
        extra = [self.padded(n) - n for n in given]
        before = [e // 2 for e in extra]
        return before, [e - b for e, b in zip(extra, before, strict=True)]

    def window(self, given: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """Where a picture of the grid ``wanted`` begins in what the padded input of grid ``given`` makes."""
        made = [n * self.magnification for n in given]
        if any(w > m for w, m in zip(wanted, made, strict=True)):
            raise ShapeError(
                f"An input of grid {tuple(given)} gives pictures up to {tuple(made)}, but {tuple(wanted)} "
                "was asked for: make the input with new_input(grid)."
            )
        before, _ = self.margins(given)
        return [b * self.magnification + (m - w) // 2 for b, m, w in zip(before, made, wanted, strict=True)]


class Network(nn.Module):
    """A network of finite width: an input ``z`` in, a picture out.

    Any grid goes, from a single pixel up: inputs are padded to what the scales of the
    network need, and the picture is cropped out of the middle.
    """

    def __init__(
        self,
        arch: Architecture,
        channels: int,
        dims: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.channels = channels
        self.dims = dims
        self.grid_rule = arch.grid_rule()
        # How a 2-D input lies in memory on a CPU: pixel by pixel, steps are quicker (`bench steps`).
        self.cpu_layout = torch.channels_last
        self.body = arch.network_layers(channels, dims).module(arch.input_features(dims), dims, generator)

    def new_input(
        self,
        grid: Sequence[int],
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Noise for a picture of size ``grid``: (1, input_depth, *padded), float32.

        Drawn on the generator's device, so that a seed means the same everywhere, then
        moved to ``device`` (by default the device of the weights).
        """
        if len(grid) != self.dims or min(grid) < 1:
            raise ShapeError(
                f"This network makes {self.dims}-D pictures but was given the grid {tuple(grid)}; "
                f"{self.dims} positive sizes were expected."
            )
        padded = [self.grid_rule.input_axis(n) for n in grid]
        noise = self.arch.draw_input((1, self.arch.input_features(self.dims), *padded), generator)
        return noise.to(device if device is not None else next(self.parameters()).device)

    def forward(self, z: Tensor, grid: Sequence[int] | None = None) -> Tensor:
        """The picture (B, channels, *grid) that the network makes of ``z`` (B, input_depth, *any).

        By default ``grid`` is all that ``z`` gives: its own grid times the magnification.
        """
        if z.ndim != self.dims + 2 or z.shape[1] != self.arch.input_features(self.dims):
            raise ShapeError(
                f"The network was given an input of shape {tuple(z.shape)}; (batch, "
                f"{self.arch.input_features(self.dims)}, {self.dims} grid axes) was expected: use new_input(grid)."
            )
        rule = self.grid_rule
        given = list(z.shape[2:])
        wanted = [n * rule.magnification for n in given] if grid is None else list(grid)
        start = rule.window(given, wanted)
        z = pad_reflecting(z, *rule.margins(given))
        if self.dims == 2 and z.device.type == "cpu":
            z = z.contiguous(memory_format=self.cpu_layout)
        return crop(self.body(z), start, wanted)
