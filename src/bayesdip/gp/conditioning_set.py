"""How many predecessors a local inverse needs, found by trying on a part of the picture."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from bayesdip.gp.conjugate_gradients import conjugate_gradients
from bayesdip.gp.data_covariance import DataCovariance
from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.vecchia import local_inverse
from bayesdip.kernels.kernel import Tabulated

# Numbers of predecessors, and with how many iterations on the part each is good enough: a picture of
# 512x512 takes up to three times as many. More predecessors cost time and memory before the first iteration.
CANDIDATES = {8: 18, 12: 16, 16: 15, 25: 40, 32: 60}
MOST = 48
# Small pictures are not worth the trial.
SMALL, FOR_SMALL = 10_000, 25
# Observed entries of the part.
ENTRIES = 2500
TOLERANCE = 1e-3


def enough_neighbours(seen: Tensor, table: Tensor, noise: Tensor, mixing: Tensor | None = None) -> int:
    """The fewest predecessors with which data from the prior are solved for in few iterations.

    For few entries a fixed number: a trial would take as long as the solve.

    Parameters
    ----------
    seen, table, noise, mixing
        As `local_inverse` takes them.
    """
    if int(seen.sum()) < SMALL:
        return FOR_SMALL
    part, noise = representative(seen.cpu(), noise.to("cpu", torch.float64))
    table = table.cpu()
    grid = embed(Tabulated(table), part.shape[1:])
    mixing = None if mixing is None else mixing.to("cpu", torch.float64)
    marks = part[None]
    system = DataCovariance(grid, None, marks, noise[None], torch.zeros(1, dtype=torch.long), mixing)
    rows = torch.arange(1)
    generator = torch.Generator().manual_seed(0)
    e = noise.sqrt() * torch.randn(marks.shape, generator=generator, dtype=torch.float64)
    b = (system.draw(generator) + e) * marks
    for count, most in CANDIDATES.items():
        inverse = local_inverse(part, table, noise, count, b, mixing)
        found = conjugate_gradients(
            lambda v, active: system.apply(v, rows),
            b,
            precondition=lambda v, active, inverse=inverse: inverse.apply(v.flatten(1)).reshape(v.shape),  # type: ignore[misc]
            tol=TOLERANCE,
            max_iterations=most,
        )
        if found.converged:
            return count
    return MOST


def representative(seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The part of about `ENTRIES` entries in which the share of observed ones is nearest to the usual.

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
    side = max(1, round((ENTRIES / len(seen) / share) ** (1 / axes)))
    corners = list(product(*(range(0, max(1, n - side + 1), side) for n in shape)))
    parts = [(slice(None), *(slice(c, c + side) for c in corner)) for corner in corners]
    shares = torch.tensor([int(seen[part].sum()) / seen[part].numel() for part in parts])
    usual = shares[shares > 0].mean() if bool((shares > 0).any()) else shares.mean()
    best = parts[int((shares - usual).abs().argmin())]
    return seen[best], noise[
        tuple(s if n > 1 else slice(None) for s, n in zip(best, noise.shape, strict=True))
    ]
