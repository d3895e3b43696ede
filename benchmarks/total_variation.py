"""Total variation for any linear operator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bayesdip.operators import Operator

POWER_ITERATIONS = 20


def total_variation(
    y: Tensor, operator: Operator, shape: Sequence[int], weights: Sequence[float], iterations: int
) -> list[Tensor]:
    """The least of ``|A x - y|^2 / (2 |A|^2) + weight TV(x)`` for each weight, from the one before.

    By the primal-dual algorithm of Chambolle and Pock (J. Math. Imaging Vis. 40, 2011). The slopes of all channels at a pixel
    have one norm together.

    Parameters
    ----------
    y : Tensor, shape (C, *operator.output_shape)
    operator : Operator
        Linear.
    shape : sequence of int
        Of the picture, (C, M, N).
    weights : sequence of float
    iterations : int
        For each weight.

    Returns
    -------
    list of Tensor
    """
    gain = squared_norm(operator, shape) ** 0.5
    x = torch.zeros(tuple(shape), dtype=torch.float64)
    step, found = 0.99 / 9**0.5, []
    for weight in weights:
        ahead, of_data, of_slopes = x, torch.zeros_like(y), torch.zeros(2, *shape, dtype=torch.float64)
        for _ in range(iterations):
            of_data = (of_data + step * (operator.forward(ahead) - y) / gain) / (1 + step)
            of_slopes = of_slopes + step * slopes(ahead)
            of_slopes = of_slopes / (of_slopes.square().sum((0, 1)).sqrt() / weight).clamp(min=1)
            before, x = x, x - step * (operator.adjoint(of_data) / gain + slopes_adjoint(of_slopes))
            ahead = 2 * x - before
        found.append(x)
    return found


def squared_norm(operator: Operator, shape: Sequence[int]) -> float:
    """``|A|^2`` and a little more, by the power method."""
    x = torch.randn(tuple(shape), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(POWER_ITERATIONS):
        x = operator.adjoint(operator.forward(x / x.norm()))
    return 1.02 * float(x.norm())


def slopes(x: Tensor) -> Tensor:
    """Differences of neighbours, (2, C, M, N); zero at the last row and column."""
    pad = torch.nn.functional.pad
    return torch.stack([pad(x.diff(dim=-1), (0, 1)), pad(x.diff(dim=-2), (0, 0, 0, 1))])


def slopes_adjoint(g: Tensor) -> Tensor:
    """Of `slopes`."""
    pad = torch.nn.functional.pad
    across, down = g[0][..., :-1], g[1][..., :-1, :]
    return pad(across, (1, 0)) - pad(across, (0, 1)) + pad(down, (0, 0, 1, 0)) - pad(down, (0, 0, 0, 1))
