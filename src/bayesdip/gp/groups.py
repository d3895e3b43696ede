"""Patches of a picture as rows of a table: finding alike ones, and putting a picture together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.kernels.patches import box_sum

# Squared differences held at a time while patches are compared; a few megabytes suit the cache.
BLOCK = 2**19


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

    def alike(self, guide: Tensor, tops: Tensor, lefts: Tensor, reach: tuple[int, int], count: int) -> Tensor:
        """For the patch at each (top, left), the nearest patches of `guide` (C, H, W) around it.

        Parameters
        ----------
        tops, lefts : Tensor of int
            The reference patches are all pairs of these.
        reach : (int, int)
            Largest lag per axis.
        count : int
            At most so many; fewer if the smallest window holds fewer.

        Returns
        -------
        Tensor of int, shape (references, count)
            Numbers of patches, the nearest first; that is the reference itself.
        """
        reach = (min(reach[0], self.rows - 1), min(reach[1], self.columns - 1))
        first, last = int(tops[0]), int(tops[-1]) + self.h
        here = guide[:, first:last]
        around = pad(guide, (reach[1], reach[1], reach[0], reach[0]), value=float("inf"))
        distances = []
        for top in range(first, first + 2 * reach[0] + 1):
            # (channels, rows, lags, width): the rows at every horizontal lag
            there = around[:, top : top + here.shape[1]].unfold(2, self.width, 1)
            for lags in there.split(max(1, BLOCK // here[0].numel()), dim=2):  # type: ignore[no-untyped-call]
                squared = here.new_zeros(lags.shape[1:])
                for ours, theirs in zip(here, lags, strict=True):
                    squared += (theirs - ours[:, None]).square_()
                rows = sum_from(squared, tops - first, self.h, axis=0)
                distances.append(sum_from(rows, lefts, self.w, axis=2).transpose(1, 2).flatten(0, 1))
        # A corner sees the fewest candidates.
        fewest = (reach[0] + 1) * (reach[1] + 1)
        squared = torch.cat(distances, 1)
        squared[:, squared.shape[1] // 2] = -1.0  # the reference goes before its equals
        nearest = squared.topk(min(count, fewest), dim=1, largest=False).indices
        vertical, horizontal = (torch.arange(-r, r + 1, device=guide.device) for r in reach)
        offsets = (vertical[:, None] * self.columns + horizontal).flatten()
        references = (tops[:, None] * self.columns + lefts).reshape(-1, 1)
        return references + offsets[nearest]


def sum_from(x: Tensor, starts: Tensor, length: int, axis: int) -> Tensor:
    """Sums of `length` neighbours along an axis, from each of `starts` on."""
    total = x.index_select(axis, starts)
    for k in range(1, length):
        total += x.index_select(axis, starts + k)
    return total


def spread(last: int, step: int) -> Tensor:
    """0, step, 2 step, ..., and `last`."""
    starts = torch.arange(0, last + 1, step)
    return starts if int(starts[-1]) == last else torch.cat((starts, starts.new_tensor([last])))
