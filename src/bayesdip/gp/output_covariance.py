"""The covariance of blurred or downsampled data at every lag, for a stationary picture."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.gp.data_covariance import without_masks
from bayesdip.gp.grid_covariance import GridCovariance
from bayesdip.kernels.kernel import Kernel
from bayesdip.operators import Operator
from bayesdip.operators.part import on_grid


def output_covariance(operator: Operator, kernel: Kernel) -> Tensor | None:
    """``A K A^T`` at the lags 0, 1, ... of each axis of the output, far from borders.

    It is the column of the central entry of the same measurement of a picture twice as large. Blurred data have next to
    no power at high frequencies: whatever is put together from parts has more than they do.

    Parameters
    ----------
    operator : Operator
    kernel : Kernel
        Its value at infinite lag is left out.

    Returns
    -------
    Tensor, float64, shape operator.output_shape, or None
        None for operators of which nobody knows what they are on another grid.
    """
    base = without_masks(operator)
    large = tuple(2 * n for n in operator.input_shape)
    wide = None if base is None else on_grid(base, large)
    if wide is None:
        return None
    covariance = _at_every_lag(kernel, large)
    centre = [n // 2 for n in wide.output_shape]
    unit = torch.zeros((1, 1, *wide.output_shape), dtype=torch.float64)
    unit[(0, 0, *centre)] = 1
    column = wide.forward(covariance.apply(wide.adjoint(unit)))[0, 0]
    return column[tuple(slice(c, c + n) for c, n in zip(centre, operator.output_shape, strict=True))]


def _at_every_lag(kernel: Kernel, shape: tuple[int, ...]) -> GridCovariance:
    """The kernel less its limit on a grid, exact at every lag: no need to be positive on the torus."""
    table = kernel.quadrant(tuple(n + 1 for n in shape)) - kernel.limit
    variance = float(table[(0,) * len(shape)])
    for axis, n in enumerate(shape):
        table = torch.cat((table, table.narrow(axis, 1, n - 1).flip(axis)), axis)
    return GridCovariance(shape, tuple(table.shape), torch.fft.rfftn(table).real, variance)
