"""Patches of a picture as rows of a table: finding alike ones, and putting a picture together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.kernels.patches import box_sum


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
            Numbers of patches, the nearest (the reference itself) first.
        """
        reach = (min(reach[0], self.rows - 1), min(reach[1], self.columns - 1))
        first, last = int(tops[0]), int(tops[-1]) + self.h
        around = pad(guide, (reach[1], reach[1], reach[0], reach[0]), value=float("inf"))
        here = guide[:, first:last]
        distances, offsets = [], []
        for dy in range(-reach[0], reach[0] + 1):
            for dx in range(-reach[1], reach[1] + 1):
                start = (first + reach[0] + dy, reach[1] + dx)
                there = around[:, start[0] : start[0] + here.shape[1], start[1] : start[1] + self.width]
                squared = (here - there).square().sum(0)
                rows = sum_from(squared, tops - first, self.h, axis=0)
                distances.append(sum_from(rows, lefts, self.w, axis=1).flatten())
                offsets.append(dy * self.columns + dx)
        # A corner sees the fewest candidates.
        fewest = (reach[0] + 1) * (reach[1] + 1)
        nearest = (
            torch.stack(distances, 1).topk(min(count, fewest), dim=1, largest=False, sorted=False).indices
        )
        references = (tops[:, None] * self.columns + lefts).reshape(-1, 1)
        return references + torch.tensor(offsets, device=guide.device)[nearest]


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
