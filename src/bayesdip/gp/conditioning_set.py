"""The size of the conditioning sets of a Vecchia factor, found by trying on a part of the picture."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from bayesdip.gp.conjugate_gradients import conjugate_gradients
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.vecchia import vecchia_factor
from bayesdip.kernels.kernel import Tabulated

# Sizes of conditioning sets, and with how many iterations on the part each is good enough: a picture of
# 512x512 takes up to three times as many. Larger sets cost time and memory before the first iteration.
CANDIDATES = {8: 18, 12: 16, 16: 15, 25: 40, 32: 60}
LARGEST_SET = 48
# Up to so many observed entries, the trial takes as long as the solve, and a set of this size is used.
FEW_ENTRIES, SET_OF_FEW = 10_000, 25
# Observed entries of the part, and the relative residual of its solve.
TRIAL_ENTRIES, TRIAL_TOLERANCE = 2500, 1e-3


def conditioning_set_size(
    seen: Tensor, table: Tensor, noise: Tensor, coregionalisation: Tensor | None = None
) -> int:
    """The smallest set with which data drawn from the prior are solved for in few iterations.

    For few entries a fixed number: a trial would take as long as the solve.

    Parameters
    ----------
    seen, table, noise, coregionalisation
        As `vecchia_factor` takes them.

    Returns
    -------
    int
    """
    if int(seen.sum()) < FEW_ENTRIES:
        return SET_OF_FEW
    part, noise = representative(seen.cpu(), noise.to("cpu", torch.float64))
    table = table.cpu()
    grid = embed(Tabulated(table), part.shape[1:])
    coregionalisation = None if coregionalisation is None else coregionalisation.to("cpu", torch.float64)
    marks = part[None]
    system = DataCovariance(
        grid, None, marks, noise[None], torch.zeros(1, dtype=torch.long), coregionalisation
    )
    rows = torch.arange(1)
    generator = torch.Generator().manual_seed(0)
    e = noise.sqrt() * torch.randn(marks.shape, generator=generator, dtype=torch.float64)
    b = (system.draw(generator) + e) * marks
    for count, most in CANDIDATES.items():
        factor = vecchia_factor(part, table, noise, count, b, coregionalisation)
        found = conjugate_gradients(
            lambda v, active: system.apply(v, rows),
            b,
            precondition=lambda v, active, factor=factor: factor.solve(v.flatten(1)).reshape(v.shape),  # type: ignore[misc]
            tol=TRIAL_TOLERANCE,
            max_iterations=most,
        )
        if found.converged:
            return count
    return LARGEST_SET


def representative(seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The part of about `TRIAL_ENTRIES` entries in which the share of observed ones is nearest to the mean.

    Parameters
    ----------
    seen : Tensor of bool, shape (G, *grid)
    noise : Tensor, shape broadcastable to it

    Returns
    -------
    Both of them, cut to the part.
    """
    shape = seen.shape[1:]
    axes = max(1, sum(n > 1 for n in shape))
    share = int(seen.sum()) / seen.numel()
    side = max(1, round((TRIAL_ENTRIES / len(seen) / share) ** (1 / axes)))
    corners = list(product(*(range(0, max(1, n - side + 1), side) for n in shape)))
    parts = [(slice(None), *(slice(c, c + side) for c in corner)) for corner in corners]
    shares = torch.tensor([int(seen[part].sum()) / seen[part].numel() for part in parts])
    mean_share = shares[shares > 0].mean() if bool((shares > 0).any()) else shares.mean()
    best = parts[int((shares - mean_share).abs().argmin())]
    return seen[best], noise[
        tuple(s if n > 1 else slice(None) for s, n in zip(best, noise.shape, strict=True))
    ]
