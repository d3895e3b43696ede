"""Posteriors of pictures larger than memory: block by block, with the error that this costs.

A pixel's posterior depends on data within a few correlation lengths. Each block is therefore solved with
a margin around it, and only its core is kept. What is lost is measured, not assumed: blocks laid
across the seams see on both sides what the others saw on one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.gp.conjugate_gradients import Watcher
from bayesdip.gp.data_covariance import without_masks
from bayesdip.gp.inference import GPPosterior, posterior
from bayesdip.kernels.kernel import Kernel
from bayesdip.noise import Gaussian, Noise
from bayesdip.operators import Mask, Operator

# Lags at which less than this share of the variance is left do not need to be in the margin.
FAR = 0.01
MARGINS = (16, 96)
# Seams at which the error is measured.
CONTROLS = 4


@dataclass(frozen=True)
class BlockPosterior:
    """A posterior put together from blocks.

    Attributes
    ----------
    posterior : GPPosterior
        Without samples: draws of neighbouring blocks do not fit together. Iterations and residual are
        the largest of all blocks.
    blocks : int
    margin : tuple of int
        Pixels around each core, on each axis.
    error, largest_error : float
        Root mean square and largest difference to the solves across seams, in the data's units.
        Zero where there is one block only.
    """

    posterior: GPPosterior
    blocks: int
    margin: tuple[int, ...]
    error: float
    largest_error: float


@dataclass(frozen=True)
class _Centred(Kernel):
    """A kernel less its value at infinite lag."""

    kernel: Kernel

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        return self.kernel.quadrant(shape) - self.kernel.limit


def posterior_in_blocks(
    y: Tensor,
    operator: Operator,
    kernel: Kernel,
    noise: Noise,
    *,
    block: int = 1024,
    margin: int | None = None,
    draws: int = 0,
    generator: torch.Generator | None = None,
    tol: float = 1e-3,
    max_iterations: int = 500,
    progress: Watcher | None = None,
) -> BlockPosterior:
    """`gp.posterior` for pixels (any mask), never holding more than one block's solve.

    The channels' means, covariance and amplitude are estimated once: the mean from all data, the
    covariance from the block with the most data.

    Parameters
    ----------
    y, operator, kernel, noise, draws, generator, tol, max_iterations, progress
        As `gp.posterior` takes them.
    block : int
        Side of a core in pixels.
    margin : int, optional
        Pixels around it; by default until the kernel has died away to a hundredth, within `MARGINS`.

    Raises
    ------
    BayesDipError
        If the data are not pixels, or `block` or `margin` is out of its range.
    """
    if without_masks(operator) is not None:
        raise BayesDipError(
            f"{operator!r} mixes pixels: expected an identity or a mask, for blocks cut the others apart; "
            "use gp.posterior, or a smaller picture"
        )
    if block < 1 or (margin is not None and margin < 0):
        raise BayesDipError(
            f"block={block}, margin={margin}: expected at least 1 and at least 0; change them"
        )
    shape = tuple(y.shape[1:])
    around = tuple(min(n, _margin(kernel, len(shape)) if margin is None else margin) for n in shape)
    seen = operator.observed.expand(y.shape)
    variance = noise.variance(torch.where(seen.to(y.device), y, 0), seen.to(y.device)).expand(y.shape)
    count = seen.flatten(1).sum(1)
    mean = torch.where(seen.to(y.device), y, 0).double().flatten(1).sum(1) / count.to(y.device)
    cores = list(_cores(shape, block))
    colour: Tensor | None = None

    def solve(part: tuple[slice, ...], draws: int) -> GPPosterior:
        here = (slice(None), *part)
        local = Mask(~seen[here], tuple(seen[here].shape[1:]))
        return posterior(
            y[here],
            local,
            _Centred(kernel),
            Gaussian(variance[here].clamp(min=0).sqrt()),
            draws=draws,
            generator=generator,
            tol=tol,
            max_iterations=max_iterations,
            progress=progress,
            mean=mean,
            colour=True if colour is None else colour,
        )

    richest = max(cores, key=lambda core: int(seen[(slice(None), *core)].flatten(1).sum(1).min()))
    colour = solve(_grown(richest, around, shape), 0).colour
    # What an interrupted run does not reach keeps the mean, and the spread of the data.
    by_channel = (-1, *[1] * len(shape))
    out = mean.to(y.dtype).reshape(by_channel).expand(y.shape).clone()
    spread = (
        colour.diagonal().sqrt().to(y.dtype) if colour is not None else torch.zeros_like(mean, dtype=y.dtype)
    )
    std = spread.reshape(by_channel).expand(y.shape).clone() if draws > 1 else None
    last: GPPosterior | None = None
    for core in cores:
        part = _grown(core, around, shape)
        if not bool(seen[(slice(None), *part)].flatten(1).any(1).all()):
            raise BayesDipError(
                f"the block at {tuple(s.start for s in core)} has a channel without any observed pixel: expected some "
                "in each block and its margin; take larger blocks"
            )
        found = solve(part, draws)
        inner = (slice(None), *_within(core, part))
        out[(slice(None), *core)] = found.mean[inner]
        if std is not None and found.std is not None:
            std[(slice(None), *core)] = found.std[inner]
        last = _worse(last, found)
        if found.stopped in ("monitor", "interrupt"):
            break
    assert last is not None
    differences = [torch.zeros(1)]
    if last.stopped not in ("monitor", "interrupt"):
        for seam, part in _seams(cores, around, shape):
            if bool(seen[(slice(None), *part)].flatten(1).any(1).all()):
                inner = (slice(None), *_within(seam, part))
                differences.append((solve(part, 0).mean[inner] - out[(slice(None), *seam)]).flatten().cpu())
    whole = torch.cat(differences[1:] or differences)
    result = replace(last, mean=out, std=std, samples=out.new_zeros((0, *out.shape)), offset=mean.to(y.dtype))
    return BlockPosterior(
        result, len(cores), around, float(whole.square().mean().sqrt()), float(whole.abs().max())
    )


def _margin(kernel: Kernel, dims: int) -> int:
    """The lag from which on the kernel is below `FAR`, within `MARGINS`."""
    along = kernel.quadrant((MARGINS[1], *[1] * (dims - 1))).flatten() - kernel.limit
    alive = (along.abs() > FAR * along[0]).nonzero()
    return max(MARGINS[0], int(alive.max()) + 1)


def _cores(shape: Sequence[int], block: int) -> Iterator[tuple[slice, ...]]:
    """A tiling of the grid by nearly equal parts of at most `block` pixels a side."""
    axes = []
    for n in shape:
        parts = math.ceil(n / block)
        edges = [round(i * n / parts) for i in range(parts + 1)]
        axes.append([slice(a, b) for a, b in pairwise(edges)])
    yield from product(*axes)


def _grown(core: Sequence[slice], margin: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    """The core with its margin, as far as the grid reaches."""
    return tuple(
        slice(max(0, s.start - m), min(n, s.stop + m)) for s, m, n in zip(core, margin, shape, strict=True)
    )


def _within(core: Sequence[slice], part: Sequence[slice]) -> tuple[slice, ...]:
    """The core in the coordinates of `part`."""
    return tuple(slice(c.start - p.start, c.stop - p.start) for c, p in zip(core, part, strict=True))


def _seams(
    cores: Sequence[Sequence[slice]], margin: Sequence[int], shape: Sequence[int]
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Boxes around inner corners of cores, as wide as the margin, each with twice the margin around it."""
    inner = [core for core in cores if any(s.start > 0 for s in core)]
    # The corners where most seams meet come first, spread over the picture.
    inner.sort(key=lambda core: -sum(s.start > 0 for s in core))
    most = [core for core in inner if sum(s.start > 0 for s in core) == sum(s.start > 0 for s in inner[0])]
    for core in most[:: max(1, len(most) // CONTROLS)][:CONTROLS]:
        corner = [s.start if s.start > 0 else (s.stop // 2) for s in core]
        box = tuple(
            slice(max(0, c - max(1, m // 2)), min(n, c + max(1, m // 2)))
            for c, m, n in zip(corner, margin, shape, strict=True)
        )
        yield box, _grown(box, [2 * m for m in margin], shape)


def _worse(one: GPPosterior | None, other: GPPosterior) -> GPPosterior:
    """The second, with the largest iterations and residuals of both."""
    if one is None:
        return other
    return replace(
        other,
        iterations=max(one.iterations, other.iterations),
        residual=max(one.residual, other.residual),
        converged=one.converged and other.converged,
        sample_iterations=max(one.sample_iterations, other.sample_iterations),
        sample_residual=max(one.sample_residual, other.sample_residual),
    )
