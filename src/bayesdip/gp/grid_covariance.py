"""A stationary covariance on a pixel grid, applied by FFT.

The grid is laid on a larger torus, on which a stationary covariance is a circular
convolution: its eigenvectors are the Fourier modes and its eigenvalues, the *spectrum*,
the Fourier transform of the kernel (circulant embedding: Dietrich and Newsam, SIAM J. Sci.
Comput. 18, 1997). Any product with it costs two FFTs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.kernels.kernel import Kernel

# A covariance below this share of the variance is taken as zero.
NEGLIGIBLE = 1e-9
# Eigenvalues that are negative by less than this share of the largest are rounding.
ROUNDING = 1e-10
# Most pixels of a torus that is tried to avoid clipping: a larger one costs more than the clipping does harm.
LARGEST_TRIAL = 2**21


@dataclass(frozen=True)
class GridCovariance:
    """The covariance ``K`` of the pixels of a grid under a stationary kernel.

    Attributes
    ----------
    shape, torus : tuple of int
        The grid, and the torus it lies on.
    spectrum : Tensor, shape as rfftn gives it for the torus
        Eigenvalues on the torus, none negative.
    variance : float
        K at lag zero.
    clipped : float
        How much had to be added to make the spectrum non-negative, as a share of the
        variance. The covariance on the grid is wrong by no more than this share.
    """

    shape: tuple[int, ...]
    torus: tuple[int, ...]
    spectrum: Tensor
    variance: float
    clipped: float = 0.0

    @property
    def axes(self) -> tuple[int, ...]:
        """The grid's axes, the last ones of any tensor."""
        return tuple(range(-len(self.shape), 0))

    def to(self, like: Tensor) -> GridCovariance:
        """The same in the dtype and on the device of `like`."""
        return replace(self, spectrum=self.spectrum.to(like))

    def apply(self, v: Tensor) -> Tensor:
        """``K v``: (..., *shape) to (..., *shape)."""
        return self.filtered(v, self.spectrum)

    def filtered(self, v: Tensor, response: Tensor) -> Tensor:
        """``v``, zero around the grid, times `response` in Fourier space, cropped to the grid."""
        modes = torch.fft.rfftn(v, self.torus, self.axes)
        modes *= response
        # One axis after the other: rows off the grid drop out early, and less is held at a time.
        for axis, n in zip(self.axes[:-1], self.shape, strict=False):
            modes = torch.fft.ifft(modes, dim=axis).narrow(axis, 0, n)
        wrapped = torch.fft.irfft(modes, self.torus[-1])
        del modes
        return self._cropped(wrapped)

    def draw(self, count: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Draws of the Gaussian process with mean zero, shape (*count, *shape).

        White noise on the torus, times the square root of the spectrum.
        """
        device = generator.device if generator is not None else self.spectrum.device
        white = torch.randn(
            (*count, *self.torus), generator=generator, dtype=self.spectrum.dtype, device=device
        )
        modes = torch.fft.rfftn(white.to(self.spectrum.device), self.torus, self.axes)
        modes *= self.spectrum.sqrt()
        return self._cropped(torch.fft.irfftn(modes, self.torus, self.axes))

    def _cropped(self, v: Tensor) -> Tensor:
        for axis, n in zip(self.axes, self.shape, strict=True):
            v = v.narrow(axis, 0, n)
        return v.contiguous()


def embed(
    kernel: Kernel, shape: Sequence[int], *, constant: bool = True, like: Tensor | None = None
) -> GridCovariance:
    """Lay a stationary kernel on a grid.

    A kernel that dies away is wrapped around a torus not much larger than the grid; wrapping
    keeps it positive. One that does not needs a torus of at least twice the grid. Where its
    spectrum has negative eigenvalues there, larger tori are tried, and what is left is clipped.

    Parameters
    ----------
    kernel : Kernel
    shape : sequence of int
        The grid; 1-D, 2-D or 3-D, any lengths from 1.
    constant : bool
        Whether to keep the kernel's value at infinite lag (the variance of a picture's mean).
    like : Tensor, optional
        Gives the dtype and the device; float64 on the CPU without it.

    Returns
    -------
    GridCovariance

    Raises
    ------
    ShapeError
        If the grid has an axis without pixels.
    BayesDipError
        If the kernel's variance is not a positive number.
    """
    shape = tuple(int(n) for n in shape)
    if not shape or min(shape) < 1:
        raise ShapeError(
            f"the grid is {shape}: expected at least one axis and one pixel on each; give such a grid"
        )
    like = torch.zeros((), dtype=torch.float64) if like is None else like
    limit = kernel.limit
    variance = float(kernel.quadrant((1,) * len(shape))) - (0.0 if constant else limit)
    if not 0 < variance < float("inf"):
        raise BayesDipError(
            f"the kernel has variance {variance} on this grid: expected a positive number; choose another kernel"
        )
    best: GridCovariance | None = None
    for torus in _tori(kernel, shape, limit, variance):
        table = _wrapped(kernel, shape, torus, limit)
        spectrum = torch.fft.rfftn(table).real.clone()
        lowest = float(spectrum.min())
        clipped = 0.0
        if lowest < -ROUNDING * float(spectrum.max()):
            # Each clipped eigenvalue adds its size, over the number of modes, to every entry of K.
            clipped = float(-_all_modes(spectrum.clamp(max=0), torus).mean()) / variance
        spectrum.clamp_(min=0)
        if constant:
            spectrum[(0,) * len(shape)] += limit * table.numel()
        if best is None or clipped < best.clipped:
            best = GridCovariance(shape, torus, spectrum.to(like), variance, clipped)
        if clipped < NEGLIGIBLE:
            break
    assert best is not None
    return best


def _tori(kernel: Kernel, shape: tuple[int, ...], limit: float, variance: float) -> Iterator[tuple[int, ...]]:
    """Tori to try, the cheapest first."""
    yield _torus(shape, _reach(kernel, shape, shape, limit, variance), 1)
    for growth in (2, 4, 8):
        if math.prod(2 * growth * n for n in shape) > LARGEST_TRIAL:
            return
        yield _torus(shape, _reach(kernel, shape, tuple(growth * n for n in shape), limit, variance), growth)


def _torus(shape: tuple[int, ...], reach: tuple[int | None, ...], growth: int) -> tuple[int, ...]:
    """A torus that a kernel of that reach can be wrapped around, or one some times the grid."""
    least = (growth * (2 * n - 1) if r is None else n + r for n, r in zip(shape, reach, strict=True))
    return tuple(fast_length(size) for size in least)


def fast_length(least: int) -> int:
    """The smallest length from `least` on with no other prime factors than 2, 3 and 5: its transform is fast.

    ``scipy.fft.next_fast_len``, without the import of all of that.
    """
    best, fives = 1 << max(0, least - 1).bit_length(), 1
    while fives < best:
        odd = fives
        while odd < best:
            best = min(best, odd << max(0, -(-least // odd) - 1).bit_length())
            odd *= 3
        fives *= 5
    return best


def _reach(
    kernel: Kernel, shape: tuple[int, ...], lags: tuple[int, ...], limit: float, variance: float
) -> tuple[int | None, ...]:
    """The first lag of each axis, below `lags`, from which on the covariance is negligible; None if there is none."""
    small = (kernel.quadrant(lags) - limit).abs() <= NEGLIGIBLE * variance
    reach: list[int | None] = []
    for axis, n in enumerate(lags):
        others = tuple(i for i in range(len(lags)) if i != axis)
        alive = ~(small.all(dim=others) if others else small)
        first = int(alive.nonzero().max()) + 1
        # A grid of one pixel has no lags to wrap.
        reach.append(first if first < n and shape[axis] > 1 else None)
    return tuple(reach)


def _wrapped(kernel: Kernel, shape: tuple[int, ...], torus: tuple[int, ...], limit: float) -> Tensor:
    """The kernel less its limit on the torus, lag zero first.

    Where the torus is shorter than twice the grid, or the kernel has died away half around it, its
    copies are summed, which keeps it positive; else every lag takes the shorter way around.
    """
    variance = float(kernel.quadrant((1,) * len(shape))) - limit
    reach = _reach(kernel, shape, torus, limit, variance)
    wraps = [r is not None and n + r <= size for n, r, size in zip(shape, reach, torus, strict=True)]
    lags = [size + 1 if wrap else size // 2 + 1 for size, wrap in zip(torus, wraps, strict=True)]
    table = kernel.quadrant(lags) - limit
    for axis, (size, wrap) in enumerate(zip(torus, wraps, strict=True)):
        if wrap:
            table = table.narrow(axis, 0, size) + table.flip(axis).narrow(axis, 0, size)
        else:
            back = table.narrow(axis, 1, (size - 1) // 2).flip(axis)
            table = torch.cat((table, back), dim=axis)
    return table


def _all_modes(half: Tensor, torus: tuple[int, ...]) -> Tensor:
    """Undo the halving of rfftn for a spectrum that is even on every axis."""
    back = half.narrow(-1, 1, (torus[-1] - 1) // 2).flip(-1)
    return torch.cat((half, back), dim=-1)


def empty_share(grid: GridCovariance, level: float) -> float:
    """Share of the torus's frequencies whose eigenvalue is below `level` times the variance."""
    empty = (_all_modes(grid.spectrum, grid.torus) < level * grid.variance).double()
    return float(empty.mean())
