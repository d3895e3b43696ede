"""Patches of a picture as rows of a table: finding alike ones, and putting a picture together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.patches.block_matching import squared_distances
from bayesdip.window import box_sum

# The most values in a patch, all channels counted: 5 x 5 pixels of a colour picture and 7 x 7 of a gray one.
# And of smaller and larger ones, beside it (of a colour picture, 99 are 5 x 5 again, and 147 are 7 x 7).
PATCH_VALUES, SMALL_PATCH, LARGE_PATCH, LARGEST_PATCH = 75, 27, 99, 147
# Channels that a patch holds; more are taken apart.
JOINT_CHANNELS = 3
# Of the patches that are far, every third per axis is looked at.
FAR_STEP = 3


@dataclass(frozen=True)
class Patches:
    """The h x w patches of H x W pictures, numbered row by row by their first pixel."""

    height: int
    width: int
    h: int
    w: int

    @property
    def rows(self) -> int:
        return self.height - self.h + 1

    @property
    def columns(self) -> int:
        return self.width - self.w + 1

    def of(self, picture: Tensor) -> Tensor:
        """(C, H, W) to (number of patches, C h w)."""
        views = picture.unfold(1, self.h, 1).unfold(2, self.w, 1)
        return views.permute(1, 2, 0, 3, 4).reshape(self.rows * self.columns, -1)

    def sums(self, table: Tensor) -> Tensor:
        """Each pixel's sum over the patches that hold it: the adjoint of :meth:`of`."""
        values = table.reshape(self.rows, self.columns, -1, self.h, self.w)
        out = table.new_zeros(values.shape[2], self.height, self.width)
        for u in range(self.h):
            for v in range(self.w):
                out[:, u : u + self.rows, v : v + self.columns] += values[..., u, v].permute(2, 0, 1)
        return out

    def coverage(self, counts: Tensor) -> Tensor:
        """Each pixel's sum of the patches' `counts`: (number of patches,) to (H, W)."""
        grid = pad(counts.reshape(self.rows, self.columns), (self.w - 1, self.w - 1, self.h - 1, self.h - 1))
        return box_sum(grid, (self.h, self.w))

    def alike(
        self,
        guide: Tensor,
        tops: Tensor,
        lefts: Tensor,
        reach: tuple[int, int],
        count: int,
        far: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """For the patch at each (top, left), the nearest patches of `guide` (C, H, W) around it.

        Parameters
        ----------
        tops, lefts : Tensor of int
            The reference patches are all pairs of these.
        reach : (int, int)
            Largest lag per axis.
        count : int
            At most so many; fewer if the smallest window holds fewer.
        far : (int, int)
            Up to these lags, patches are looked at whose lags are multiples of `FAR_STEP`.

        Returns
        -------
        Tensor of int, shape (references, count)
            Numbers of patches, the nearest first; that is the reference itself.
        """
        vertical, horizontal = self._lags(guide, reach, 1)
        squared = self._squared_distances(guide, tops, lefts, (vertical, horizontal))
        squared[:, squared.shape[1] // 2] = -1.0  # the reference goes before its equals
        offsets = (vertical[:, None] * self.columns + horizontal).flatten()
        # A corner sees the fewest candidates.
        fewest = (int(vertical[-1]) + 1) * (int(horizontal[-1]) + 1)
        if far[0] > reach[0] or far[1] > reach[1]:
            vertical, horizontal = self._lags(guide, far, FAR_STEP)
            beyond = self._squared_distances(guide, tops, lefts, (vertical, horizontal))
            near = (vertical.abs() <= reach[0])[:, None] & (horizontal.abs() <= reach[1])
            beyond[:, near.flatten()] = float("inf")
            squared = torch.cat((squared, beyond), 1)
            offsets = torch.cat((offsets, (vertical[:, None] * self.columns + horizontal).flatten()))
        nearest = squared.topk(min(count, fewest), dim=1, largest=False).indices
        references = (tops[:, None] * self.columns + lefts).reshape(-1, 1)
        return references + offsets[nearest]

    def _lags(self, guide: Tensor, reach: tuple[int, int], step: int) -> tuple[Tensor, Tensor]:
        """Vertical and horizontal ones: multiples of `step` up to `reach`, within the picture."""
        most = (min(r, n - 1) // step * step for r, n in zip(reach, (self.rows, self.columns), strict=True))
        vertical, horizontal = (torch.arange(-m, m + 1, step, device=guide.device) for m in most)
        return vertical, horizontal

    def _squared_distances(
        self, guide: Tensor, tops: Tensor, lefts: Tensor, lags: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Of the patches at all pairs of lags to the references, (references, V H)."""
        return squared_distances(guide, (self.h, self.w), tops, lefts, lags).flatten(2).flatten(0, 1)


def side_of(values: int, channels: int) -> int:
    """The side of a patch that holds at most so many values, odd."""
    side = math.isqrt(values // min(channels, JOINT_CHANNELS))
    return side - (side % 2 == 0)


def distinct(patches: Mapping[int, float], shape: Sequence[int]) -> dict[int, float]:
    """Sizes of patches in values and their weights, those added up that are one and the same size.

    Parameters
    ----------
    patches : mapping of int to float
    shape : sequence of int
        Of the data, (C, *grid). Patches of a signal are all of one size.
    """
    weights: dict[int, float] = {}
    signal = len(shape) < 3 or 1 in shape[1:]
    for values, weight in patches.items():
        same = [v for v in weights if signal or side_of(v, shape[0]) == side_of(values, shape[0])]
        key = same[0] if same else values
        weights[key] = weights.get(key, 0.0) + weight
    return weights


def spread(last: int, step: int) -> Tensor:
    """0, step, 2 step, ..., and `last`."""
    starts = torch.arange(0, last + 1, step)
    return starts if int(starts[-1]) == last else torch.cat((starts, starts.new_tensor([last])))
