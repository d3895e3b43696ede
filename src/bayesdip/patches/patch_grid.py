"""Patches of a picture as rows of a table: reference patches, similar ones, and aggregation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.patches.block_matching import squared_distances
from bayesdip.window import box_sum

# The most values in a patch, all channels counted: 5x5 pixels of a colour picture and 7x7 of a gray one.
# Smaller and larger ones, of a colour and of a gray picture: 3x3 and 5x5; 5x5 and 9x9; 7x7 and 11x11.
PATCH_VALUES, SMALL_PATCH, LARGE_PATCH, LARGEST_PATCH = 75, 27, 99, 147
# Channels of a patch, at most; of a picture with more channels, so many at a time are restored together.
JOINT_CHANNELS = 3
# Step in pixels of the lags beyond the usual search radius: every third patch per axis is compared.
FAR_STEP = 3


@dataclass(frozen=True)
class Stripe:
    """Some rows of reference patches, and the part of the picture in which similar ones are searched for.

    Attributes
    ----------
    share : float
        Of the reference patches, those before this stripe.
    rows : slice
        The part, in rows of the picture.
    tops : Tensor of int
        Where the reference patches begin, counted from the part's first row.
    patches : Patches
        Of the part.
    """

    share: float
    rows: slice
    tops: Tensor
    patches: Patches


@dataclass(frozen=True)
class ReferenceGrid:
    """The places of the reference patches of a picture, and how far similar ones are searched for.

    Attributes
    ----------
    patch : (int, int)
        Height and width of a patch.
    radius : int
        The largest lag to a similar patch, along each axis.
    tops, lefts : Tensor of int
        The reference patches begin at all pairs of these.
    stripe : int
        So many rows of them are worked on at a time: a picture's tables of patches would not fit in memory.
    """

    patch: tuple[int, int]
    radius: int
    tops: Tensor
    lefts: Tensor
    stripe: int

    @classmethod
    def of(
        cls, grid: tuple[int, int], side: int, radius: int, step: int, stripe: tuple[int, int]
    ) -> ReferenceGrid:
        """Patches of that side, or of the picture's where it is smaller, at most `step` apart.

        `stripe` has the least number of reference patches of a stripe, and of rows of these.
        """
        patch = (min(side, grid[0]), min(side, grid[1]))
        tops, lefts = (evenly_spaced(n - m, max(1, min(step, m))) for n, m in zip(grid, patch, strict=True))
        return cls(patch, radius, tops, lefts, max(stripe[1], stripe[0] // len(lefts)))

    @property
    def values(self) -> float:
        """Pixels of all reference patches together: the work of a pass is in proportion."""
        return float(len(self.tops) * len(self.lefts) * self.patch[0] * self.patch[1])

    def to(self, device: torch.device) -> ReferenceGrid:
        """The same on another device."""
        return replace(self, tops=self.tops.to(device), lefts=self.lefts.to(device))

    def stripes(self, height: int, width: int, far_radius: int = 0) -> Iterator[Stripe]:
        """The picture of that size, stripe by stripe from the top."""
        reach = max(self.radius, far_radius)
        for start in range(0, len(self.tops), self.stripe):
            inside = self.tops[start : start + self.stripe]
            first = max(0, int(inside[0]) - reach)
            rows = slice(first, min(height, int(inside[-1]) + reach + self.patch[0]))
            patches = Patches(rows.stop - first, width, *self.patch)
            yield Stripe(start / len(self.tops), rows, inside - first, patches)


@dataclass(frozen=True)
class Patches:
    """The h x w patches of H x W pictures, numbered row by row by their first pixel."""

    height: int
    width: int
    h: int
    w: int

    @property
    def rows(self) -> int:
        """Places of a patch from top to bottom."""
        return self.height - self.h + 1

    @property
    def columns(self) -> int:
        """Places of a patch from left to right."""
        return self.width - self.w + 1

    def of(self, picture: Tensor) -> Tensor:
        """(C, H, W) to (number of patches, C h w)."""
        views = picture.unfold(1, self.h, 1).unfold(2, self.w, 1)
        return views.permute(1, 2, 0, 3, 4).reshape(self.rows * self.columns, -1)

    def sums(self, table: Tensor) -> Tensor:
        """Aggregation: each pixel's sum over the patches that hold it, the adjoint of :meth:`of`."""
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

    def similar(
        self,
        guide: Tensor,
        tops: Tensor,
        lefts: Tensor,
        radius: tuple[int, int],
        count: int,
        far_radius: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """For the patch at each (top, left), the group of the most similar patches of `guide` around it.

        Parameters
        ----------
        guide : Tensor, shape (C, H, W)
            The picture by which patches are compared, by their Euclidean distance.
        tops, lefts : Tensor of int
            The reference patches are all pairs of these.
        radius : (int, int)
            Largest lag per axis.
        count : int
            Patches of a group; fewer if the smallest search window holds fewer.
        far_radius : (int, int)
            Up to these lags, patches are compared too whose lags are multiples of `FAR_STEP`.

        Returns
        -------
        Tensor of int, shape (references, count)
            Numbers of patches, the nearest first; that is the reference itself.
        """
        vertical, horizontal = self._lags(guide, radius, 1)
        squared = self._squared_distances(guide, tops, lefts, (vertical, horizontal))
        squared[:, squared.shape[1] // 2] = -1.0  # the reference comes before patches equal to it
        offsets = (vertical[:, None] * self.columns + horizontal).flatten()
        # A corner sees the fewest candidates.
        fewest = (int(vertical[-1]) + 1) * (int(horizontal[-1]) + 1)
        if far_radius[0] > radius[0] or far_radius[1] > radius[1]:
            vertical, horizontal = self._lags(guide, far_radius, FAR_STEP)
            beyond = self._squared_distances(guide, tops, lefts, (vertical, horizontal))
            near = (vertical.abs() <= radius[0])[:, None] & (horizontal.abs() <= radius[1])
            beyond[:, near.flatten()] = float("inf")
            squared = torch.cat((squared, beyond), 1)
            offsets = torch.cat((offsets, (vertical[:, None] * self.columns + horizontal).flatten()))
        nearest = squared.topk(min(count, fewest), dim=1, largest=False).indices
        references = (tops[:, None] * self.columns + lefts).reshape(-1, 1)
        return references + offsets[nearest]

    def _lags(self, guide: Tensor, radius: tuple[int, int], step: int) -> tuple[Tensor, Tensor]:
        """Vertical and horizontal ones: multiples of `step` up to `radius`, within the picture."""
        most = (min(r, n - 1) // step * step for r, n in zip(radius, (self.rows, self.columns), strict=True))
        vertical, horizontal = (torch.arange(-m, m + 1, step, device=guide.device) for m in most)
        return vertical, horizontal

    def _squared_distances(
        self, guide: Tensor, tops: Tensor, lefts: Tensor, lags: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Squared distances of the patches at all pairs of lags to the references, (references, V H)."""
        return squared_distances(guide, (self.h, self.w), tops, lefts, lags).flatten(2).flatten(0, 1)


def side_of(values: int, channels: int) -> int:
    """The side in pixels, odd, of the largest square patch of at most so many values, all channels counted."""
    side = math.isqrt(values // min(channels, JOINT_CHANNELS))
    return side - (side % 2 == 0)


def distinct(patches: Mapping[int, float], shape: Sequence[int]) -> dict[int, float]:
    """Sizes of patches in values and their weights, added up where two sizes are the same patch.

    Parameters
    ----------
    patches : mapping of int to float
    shape : sequence of int
        Of the data, (C, *grid). Patches of a signal are all of one size.

    Returns
    -------
    dict of int to float
    """
    weights: dict[int, float] = {}
    signal = len(shape) < 3 or 1 in shape[1:]
    for values, weight in patches.items():
        same = [v for v in weights if signal or side_of(v, shape[0]) == side_of(values, shape[0])]
        key = same[0] if same else values
        weights[key] = weights.get(key, 0.0) + weight
    return weights


def evenly_spaced(last: int, step: int) -> Tensor:
    """0, step, 2 step, ..., and `last`."""
    starts = torch.arange(0, last + 1, step)
    return starts if int(starts[-1]) == last else torch.cat((starts, starts.new_tensor([last])))
