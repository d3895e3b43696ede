"""Passes of the compiled group filters over a picture: stripes of reference patches, a thread for each, and aggregation.

Threads share nothing and never wait for each other: each takes the next stripe. The stripes do not depend on their number,
and are added in their order, so that any number of threads gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from bayesdip.interruption import look
from bayesdip.patches import stack_passes
from bayesdip.patches.correlation import of_components, of_differences, patch_covariances
from bayesdip.patches.patch_grid import evenly_spaced
from bayesdip.threads import in_order
from bayesdip.window import box_sum

Array = NDArray[Any]

# Rows of reference patches in a stripe. A stripe of fewer copies more of the picture around it; more of them are longer to
# wait for when a run is stopped.
STRIPE = 8
WHITE = np.zeros((0, 0, 0), np.float32)


@dataclass(frozen=True)
class Groups:
    """Which groups of patches a pass works on.

    Attributes
    ----------
    side : int
        Of a patch, in pixels.
    count : int
        Patches of a group.
    step : int
        Pixels from one reference patch to the next.
    radius : int
        Largest lag of a similar patch along each axis.
    apart : bool
        Whether each of the picture's :func:`components` has groups of its own, at the same places.
    depth, across, lag : int
        Of a stack: slices of a patch, slices on either side that are searched, and the largest lag there.
    """

    side: int
    count: int
    step: int = 4
    radius: int = 16
    apart: bool = False
    depth: int = 1
    across: int = 0
    lag: int = 0

    def work(self, shape: Sequence[int], eigen: bool = False) -> float:
        """Of a pass over a picture (C, H, W) or stack (C, Z, H, W), in multiplications."""
        channels, *slices, height, width = shape
        together = 1 if self.apart else channels
        size = together * self.side**2 * self.depth
        least = min(size, self.count)  # of a patch's values and its group's patches the fewer are inverted
        algebra = 1.5 * least * size * self.count + (8.0 if eigen else 1.0) * least**3
        places = (2 * self.radius + 1) ** 2 + 2 * self.across * (2 * self.lag + 1) ** 2
        search = channels * self.side**2 * self.depth * places
        references = prod(slices) / max(1, self.depth - 1) * height * width / self.step**2
        return references * (search + channels / together * algebra)


@dataclass(frozen=True)
class Sums:
    """What the stripes add up to.

    Attributes
    ----------
    total : array, shape (C, H, W)
        Of components, where each has groups of its own.
    variance, weights : array, shape (B, H, W)
        One plane, or one for each component.
    basis : array, shape (C, C), or None
        Its columns are the components; None where all channels are together.
    """

    total: Array
    variance: Array
    weights: Array
    basis: Array | None

    @classmethod
    def zeros(cls, like: Array, basis: Array | None) -> Sums:
        """For a picture (C, H, W)."""
        planes = like if basis is not None else like[:1]
        return cls(np.zeros_like(like), np.zeros_like(planes), np.zeros_like(planes), basis)

    def add(self, rows: slice, other: Sums) -> None:
        """Add a stripe's sums at its rows."""
        self.total[:, rows] += other.total
        self.variance[:, rows] += other.variance
        self.weights[:, rows] += other.weights

    @property
    def mean(self) -> Tensor:
        """(C, H, W)."""
        mean = self.total / self.weights
        return torch.from_numpy(mean if self.basis is None else np.tensordot(self.basis, mean, 1))

    @property
    def std(self) -> Tensor:
        """(C, H, W): the same in all channels, or that of errors of the components that are uncorrelated."""
        variance = self.variance / self.weights
        if self.basis is not None:
            variance = np.tensordot(self.basis**2, variance, 1)
        return torch.from_numpy(np.sqrt(variance)).expand(self.total.shape).clone()


StripeFilter = Callable[[Any, Array, tuple[int, int, int, int], Array, Array, Sums], None]
"""``(pictures, noise, search, tops, lefts, sums)``, all of one stripe."""


def combination(
    y: Tensor,
    pilot: Tensor,
    noise: Tensor,
    groups: Groups,
    stop: Callable[[float], bool],
    *,
    noisy: float,
    affine: bool,
    basis: Array | None = None,
) -> Sums | None:
    """Linear combinations of each group's own patches (:func:`bayesdip.patches.group_filters.combine`).

    Parameters
    ----------
    y, pilot : Tensor, shape (C, H, W)
    noise : Tensor, shape (H, W)
        Variance of the noise in `y`.
    groups : Groups
    stop : callable
        ``(share of the pass done) -> bool``
    noisy : float
        Part of the noise's variance that the pilot holds.
    affine : bool
        Whether the coefficients of a combination have the sum of one.
    basis : array, shape (C, C), optional
        Orthonormal columns, linear combinations of the channels, each of which has groups of its own at the same places.

    Returns
    -------
    Sums or None
        None if `stop` ended the pass.
    """
    from bayesdip.patches import group_filters

    def of_stripe(pictures: Any, noise: Array, search: Any, tops: Array, lefts: Array, sums: Sums) -> None:
        own = groups.side, groups.count, search
        outputs = sums.total, sums.variance, sums.weights
        group_filters.combine(*pictures, noise, np.float32(noisy), affine, tops, lefts, *own, *outputs)

    return _passed([y, pilot], noise, groups, of_stripe, stop, basis)


def wiener_filter(
    y: Tensor,
    pilot: Tensor,
    noise: Tensor,
    groups: Groups,
    stop: Callable[[float], bool],
    *,
    basis: Array | None = None,
    correlation: Array | None = None,
) -> Sums | None:
    """Posterior means of the groups (:func:`bayesdip.patches.group_filters.wiener`); arguments as of `combination`.

    `correlation`, of shape (C, C, K, K), is that of the noise (:mod:`bayesdip.patches.correlation`); None where it is white.
    """
    from bayesdip.patches import group_filters

    covariances = WHITE
    if correlation is not None:
        blocks = correlation[None] if basis is None else of_components(correlation, basis)
        covariances = patch_covariances(blocks, groups.side)

    def of_stripe(pictures: Any, noise: Array, search: Any, tops: Array, lefts: Array, sums: Sums) -> None:
        own = groups.side, groups.count, search
        outputs = sums.total, sums.variance, sums.weights
        group_filters.wiener(*pictures, noise, covariances, tops, lefts, *own, *outputs)

    return _passed([y, pilot], noise, groups, of_stripe, stop, basis)


def shrinkage(
    picture: Tensor,
    guide: Tensor,
    noise: Tensor,
    groups: Groups,
    stop: Callable[[float], bool],
    *,
    thresholds: Array,
    basis: Array | None = None,
) -> Sums | None:
    """Shrink the groups' singular values (:func:`bayesdip.patches.group_filters.shrink`).

    Arguments as of `combination`; `thresholds`, of shape (1,) or of the basis (C,), are the weight of the nuclear norm times the
    variance of the noise in the picture as a part of `noise`. The sums have no variance.
    """
    from bayesdip.patches import group_filters

    def of_stripe(pictures: Any, noise: Array, search: Any, tops: Array, lefts: Array, sums: Sums) -> None:
        own = groups.side, groups.count, search
        outputs = sums.total, sums.weights
        group_filters.shrink(*pictures, noise, thresholds, tops, lefts, *own, *outputs)

    return _passed([picture, guide], noise, groups, of_stripe, stop, basis)


def _passed(
    pictures: list[Tensor],
    noise: Tensor,
    groups: Groups,
    of_stripe: StripeFilter,
    stop: Callable[[float], bool],
    basis: Array | None,
) -> Sums | None:
    """All stripes of a picture, or of a stack, by threads of their own."""
    side = groups.side
    arrays = [np.ascontiguousarray(picture.numpy()) for picture in pictures]
    height, width = arrays[0].shape[-2:]
    tops, lefts = (evenly_spaced(n - side, groups.step).numpy() for n in (height, width))
    sums = Sums.zeros(arrays[0], basis)
    stripes = list(_stripes(tops, height, groups))
    if noise.ndim > 2:
        return stack_passes.passed(arrays, noise, groups, of_stripe, stop, basis, stripes, sums)
    of_patches = pad(box_sum(noise, (side, side)) / side**2, (0, side - 1, 0, side - 1)).numpy()
    of_patches = of_patches.astype(arrays[0].dtype)

    def run(rows: slice, own: Array) -> Sums:
        parts = [array[:, rows] for array in arrays]
        if basis is not None:
            parts = [np.tensordot(basis.T, part, 1) for part in parts]
        parts = [np.ascontiguousarray(part) for part in parts]
        found = Sums.zeros(parts[0], basis)
        search = (rows.stop - rows.start, groups.radius, 0, 0)
        of_stripe(parts, of_patches[rows].ravel(), search, own - rows.start, lefts, found)
        return found

    done = in_order(partial(run, rows, own) for rows, own in stripes)
    for number, ((rows, _), found) in enumerate(zip(stripes, done, strict=True), 1):
        sums.add(rows, found)
        look()
        if stop(number / len(stripes)):
            return None
    return sums


def components(picture: Array, correlation: Array | None = None, noise: float = 1.0) -> Array:
    """Orthonormal linear combinations of the channels of a picture (C, H, W) whose detail is uncorrelated: columns, (C, C).

    They are the principal components of the differences of neighbouring pixels. White noise of one variance in all channels
    stays so, and does not change them; what correlated noise of a mean variance `noise` adds is taken off. On colour photographs they
    are about the brightness and two differences of colours.
    """
    scatter = np.zeros((len(picture), len(picture)))
    for axis in (-2, -1):
        detail = np.diff(picture, axis=axis).reshape(len(picture), -1).astype(np.float64)
        scatter += detail @ detail.T
        if correlation is not None:
            scatter -= noise * detail.shape[1] * of_differences(correlation, axis)
    return np.asarray(np.linalg.eigh(scatter)[1][:, ::-1], picture.dtype)


def _stripes(tops: Array, height: int, groups: Groups) -> Iterator[tuple[slice, Array]]:
    """Rows of the picture that the groups of some rows of reference patches lie in, and these rows."""
    for start in range(0, len(tops), STRIPE):
        own = tops[start : start + STRIPE]
        first = max(0, int(own[0]) - groups.radius)
        yield slice(first, min(height, int(own[-1]) + groups.radius + groups.side)), own
