"""HBE where few values are missing: only patches that lack one are restored, and of these only what is missing.

The model is that of :mod:`bayesdip.patches.hbe`, at a cost that goes with the damage. The known values of a channel have the
same noise everywhere, so that one matrix serves a whole group: with Q the inverse of its covariance plus the noise's
variance v on the diagonal, the missing values m of a patch with known values o have the posterior

    mean  m[m] - Q[m, m]^{-1} Q[m, o] (y[o] - m[o]),      covariance  Q[m, m]^{-1} - v

(the conditional of a Gaussian by its precision; Rue and Held, *Gaussian Markov random fields*, 2005, theorem 2.3). A group
is factorised once, and each of its patches is a system of as many unknowns as it lacks values. The compiled loop of
:mod:`bayesdip.patches.missing_values` does the same in a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil, prod

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.patches.known_pixels import KnownPixels, Sums
from bayesdip.patches.patch_grid import JOINT_CHANNELS, ReferenceGrid
from bayesdip.threads import in_order
from bayesdip.window import box_sum

# Reference patches that are compared, and whose groups are factorised, together lie in a block of this side, in pixels. It
# changes the time alone: blocks of 32 take a fifth longer.
BLOCK = 64
# Entries of the systems that are solved together bound the memory; those up to this factor larger than the smallest are
# padded.
ENTRIES, LIKE = 2**21, 1.5

Found = tuple[Tensor, Tensor, Tensor, Tensor]
"""Places of values, counted through the whole picture; weights, means and variances of them."""


@dataclass(frozen=True)
class Pass:
    """What one pass does.

    Attributes
    ----------
    grid : ReferenceGrid
        Of all reference patches; those that lack no value are left out.
    group_size, restored : int
        Patches that a Gaussian is learnt from, and how many of them, the nearest, are restored by it where they lack values.
    added : float
        Multiple of the identity that is added to each covariance.
    least_known : float
        A patch with less than this share of its values known does not count.
    weighs : bool
        Whether values are weighted by their posterior precision.
    compiled : bool
        Whether groups are restored by the compiled loop.
    """

    grid: ReferenceGrid
    group_size: int
    restored: int
    added: float
    least_known: float
    weighs: bool
    compiled: bool = False


def add_patches(
    sums: Sums, known: KnownPixels, estimate: Tensor, settings: Pass, stop: Callable[[float], bool]
) -> bool:
    """Restore the missing values of a picture from its patches.

    Parameters
    ----------
    sums : Sums
        Its missing values get what is found.
    known : KnownPixels
        (C, H, W), of the same noise everywhere in a channel.
    estimate : Tensor, shape (C, H, W)
        Groups are found, and their Gaussians learnt, in it.
    settings : Pass
    stop : callable
        ``(share done) -> bool``

    Returns
    -------
    bool
        False if `stop` ended it.
    """
    references = references_of(known.missing, settings.grid)
    blocks = blocks_of(references)
    guide = Guide.of(estimate, settings.grid)
    joint = [
        range(c, min(len(estimate), c + JOINT_CHANNELS)) for c in range(0, len(estimate), JOINT_CHANNELS)
    ]

    def restored(own: Tensor) -> list[Found]:
        places = guide.groups(own, settings.group_size)
        how = _found_compiled if settings.compiled else _found
        return [found for channels in joint for found in how(known, estimate, places, channels, settings)]

    done = 0
    for own, block in zip(blocks, in_order(partial(restored, own) for own in blocks), strict=True):
        for found in block:
            sums.add(*found)
        done += len(own)
        if stop(done / len(references)):
            return False
    return True


def lacking(missing: Tensor, patch: tuple[int, int]) -> Tensor:
    """Whether each patch lacks a value in some channel, by the place of its first pixel: (C, H, W) to (H - h + 1, W - w + 1)."""
    return box_sum(missing.any(0).float(), patch) > 0


def references_of(missing: Tensor, grid: ReferenceGrid) -> Tensor:
    """The places (top, left) of the reference patches that lack a value, (n, 2), block by block."""
    chosen = lacking(missing, grid.patch)[grid.tops[:, None], grid.lefts].nonzero()
    places = torch.stack([grid.tops[chosen[:, 0]], grid.lefts[chosen[:, 1]]], 1)
    block = places // BLOCK
    return places[torch.argsort(block[:, 0] * missing.shape[2] + block[:, 1], stable=True)]


def blocks_of(references: Tensor) -> list[Tensor]:
    """The reference patches of each block, (n, 2) each."""
    _, sizes = torch.unique_consecutive(references // BLOCK, dim=0, return_counts=True)
    return list(references.split(sizes.tolist()))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Guide:
    """A picture by which patches are compared, with a border as wide as the search reaches.

    Attributes
    ----------
    picture : Tensor, shape (C, H + 2 down, W + 2 right)
    norms : Tensor
        Squared norm of each patch; infinite beyond the border.
    patch : (int, int)
    reach : (int, int)
        Largest lags, down and right.
    """

    picture: Tensor
    norms: Tensor
    patch: tuple[int, int]
    reach: tuple[int, int]

    @classmethod
    def of(cls, picture: Tensor, grid: ReferenceGrid) -> Guide:
        """For patches of that size within that radius."""
        down, right = (min(grid.radius, n - m) for n, m in zip(picture.shape[1:], grid.patch, strict=True))
        around = (right, right, down, down)
        centred = picture - picture.mean((1, 2), keepdim=True)
        norms = pad(box_sum(centred.square().sum(0), grid.patch), around, value=float("inf"))
        return cls(pad(centred, around), norms, grid.patch, (down, right))

    def groups(self, references: Tensor, count: int) -> Tensor:
        """The groups of the most similar patches of the reference patches of a block.

        Parameters
        ----------
        references : Tensor of int, shape (n, 2)
            Top and left of each.
        count : int
            Patches of a group; fewer if the smallest search window holds fewer.

        Returns
        -------
        Tensor of int, shape (n, count)
            Their places as ``top * W + left``, the nearest first; that is the reference itself.
        """
        (down, right), (h, w) = self.reach, self.patch
        width = self.picture.shape[2] - 2 * right
        first, (bottom, end) = references.amin(0), references.amax(0).tolist()
        top, left = first.tolist()
        bottom, end = bottom + 2 * down + 1, end + 2 * right + 1
        part = self.picture[:, top : bottom + h - 1, left : end + w - 1]
        others = part.unfold(1, h, 1).unfold(2, w, 1).permute(0, 3, 4, 1, 2)
        across = others.shape[-1]
        others = others.reshape(-1, others.shape[-2] * across)
        at = references - first
        ours = others[:, (at[:, 0] + down) * across + at[:, 1] + right]
        # The reference's own norm is the same for all that it is compared with.
        table = torch.addmm(self.norms[top:bottom, left:end].reshape(1, -1), ours.T, others, alpha=-2)
        vertical = torch.arange(2 * down + 1, device=at.device)[:, None]
        horizontal = torch.arange(2 * right + 1, device=at.device)
        lags = (vertical * across + horizontal).reshape(1, -1)
        squared = table.gather(1, lags + at[:, :1] * across + at[:, 1:])
        squared[:, squared.shape[1] // 2] = -torch.inf  # the reference comes before patches equal to it
        fewest = (down + 1) * (right + 1)  # that a corner sees
        nearest = squared.topk(min(count, fewest), dim=1, largest=False).indices
        offsets = ((vertical - down) * width + horizontal - right).flatten()
        return references[:, :1] * width + references[:, 1:] + offsets[nearest]


def _found(
    known: KnownPixels, estimate: Tensor, places: Tensor, channels: range, settings: Pass
) -> Iterator[Found]:
    """What some groups, their places (G, n), say of the missing values in some channels."""
    at = places[:, :, None] + _offsets(estimate, settings.grid.patch, channels)
    groups = estimate.flatten()[at]
    at = at[:, : settings.restored]
    missing = known.missing.flatten()[at]
    lacks, values = missing.sum(2), at.shape[2]
    chosen = (lacks > 0) & (values - lacks >= settings.least_known * values)
    if not bool(chosen.any()):
        return
    noise = _noise(known, values, channels)
    centre = groups.mean(1, keepdim=True)
    groups = groups - centre
    covariance = groups.mT @ groups / max(groups.shape[1] - 1, 1)
    covariance.diagonal(dim1=1, dim2=2).add_(noise + settings.added)
    precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    pulled = -torch.where(missing, 0.0, known.values.flatten()[at] - centre) @ precision
    group, member = chosen.nonzero().T
    order = torch.argsort(lacks[group, member], stable=True)
    group, member = group[order], member[order]
    for some in like_sizes(lacks[group, member].tolist()):
        g, k = group[some], member[some]
        most = int(lacks[g[-1], k[-1]])
        place = (~missing[g, k]).to(torch.int8).argsort(dim=1, stable=True)[:, :most]
        there = missing[g, k].gather(1, place)
        mean, variance = conditioned(
            precision[g[:, None, None], place[:, :, None], place[:, None, :]],
            pulled[g, k].gather(1, place),
            there,
            with_variance=settings.weighs,
        )
        found = (mean + centre[g, 0].gather(1, place))[there]
        spread = torch.zeros_like(found)
        if variance is not None:
            spread = (variance - noise[place])[there].clamp_min(0.0)
        weights = 1 / (spread + settings.added) if settings.weighs else torch.ones_like(found)
        yield at[g, k].gather(1, place)[there], weights, found, spread


def _found_compiled(
    known: KnownPixels, estimate: Tensor, places: Tensor, channels: range, settings: Pass
) -> Iterator[Found]:
    """The same by the compiled loop."""
    from bayesdip.patches.missing_values import count_lacking, restore

    offsets, groups = _offsets(estimate, settings.grid.patch, channels).numpy(), places.numpy()
    missing, values = known.missing.flatten().numpy(), len(offsets)
    lacks = np.empty((len(groups), min(settings.restored, groups.shape[1])), np.int64)
    most = values - ceil(settings.least_known * values)
    count = count_lacking(missing, groups, offsets, lacks.shape[1], most, lacks)
    at = torch.empty(count, dtype=torch.int64)
    weights, means, variances = (torch.empty(count) for _ in range(3))
    restore(
        *(picture.flatten().numpy() for picture in (estimate, known.values)),
        missing,
        _noise(known, values, channels).numpy(),
        groups,
        offsets,
        lacks,
        np.float32(settings.added),
        settings.weighs,
        *(found.numpy() for found in (at, weights, means, variances)),
    )
    yield at, weights, means, variances


def _noise(known: KnownPixels, values: int, channels: range) -> Tensor:
    """Its variance in each value of a patch of these channels."""
    return known.noise[channels.start : channels.stop, 0, 0].repeat_interleave(values // len(channels))


def conditioned(
    precision: Tensor, pulled: Tensor, there: Tensor, *, with_variance: bool
) -> tuple[Tensor, Tensor | None]:
    """Mean and variance of missing values by their precision matrices, systems of several sizes padded to one.

    Parameters
    ----------
    precision : Tensor, shape (P, n, n)
        ``Q[m, m]`` of each.
    pulled : Tensor, shape (P, n)
        ``-Q[m, o] (y[o] - m[o])``.
    there : Tensor of bool, shape (P, n)
        False where a system is smaller.
    with_variance : bool

    Returns
    -------
    mean : Tensor, shape (P, n)
    variance : Tensor, shape (P, n), or None
    """
    system = precision * (there[:, :, None] & there[:, None, :])
    system.diagonal(dim1=1, dim2=2).add_((~there).to(system))
    factor = torch.linalg.cholesky(system)
    mean = torch.cholesky_solve((pulled * there)[..., None], factor)[..., 0]
    if not with_variance:
        return mean, None
    return mean, torch.cholesky_inverse(factor).diagonal(dim1=1, dim2=2)


def like_sizes(sizes: list[int]) -> Iterator[slice]:
    """Runs of systems, sorted by size, that are solved together."""
    first = 0
    while first < len(sizes):
        last = first + 1
        while (
            last < len(sizes)
            and sizes[last] <= LIKE * sizes[first] + 1
            and (last + 1 - first) * sizes[last] ** 2 <= ENTRIES
        ):
            last += 1
        yield slice(first, last)
        first = last


def _offsets(picture: Tensor, patch: tuple[int, int], channels: range) -> Tensor:
    """Of a patch's values in these channels from its place in the first one, counted through the whole picture."""
    device, width = picture.device, picture.shape[2]
    rows, columns = (torch.arange(n, device=device) for n in patch)
    planes = torch.tensor(list(channels), device=device) * prod(picture.shape[1:])
    return (planes[:, None, None] + rows[:, None] * width + columns).flatten()
