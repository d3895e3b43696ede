"""A kernel of bayesdip inside a GPyTorch model (``pip install bayesdip[gpytorch]``).

::

    covar_module = gpytorch.kernels.ScaleKernel(GridKernel(arch.skip(scales=2).kernel()))

Inputs are pixel coordinates, whole numbers, one column an axis.
"""

from __future__ import annotations

from typing import Any

import gpytorch
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel


class GridKernel(gpytorch.kernels.Kernel):
    """A stationary kernel on pixel coordinates, for any GPyTorch model.

    Parameters
    ----------
    kernel : Kernel
        Any kernel of bayesdip, ``arch.kernel()`` among them.
    spacing : float
        Distance of two neighbouring pixels in the model's coordinates. For inputs scaled to
        0..1 on an axis of n pixels it is 1 / (n - 1).

    Notes
    -----
    The kernel is known at whole lags and has nothing to learn; put it into GPyTorch's
    ``ScaleKernel`` to learn its variance.
    """

    is_stationary = True
    has_lengthscale = False

    def __init__(self, kernel: Kernel, spacing: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not spacing > 0:
            raise BayesDipError(
                f"the spacing of the pixels is {spacing}: expected a positive number; give theirs"
            )
        self.kernel = kernel
        self.spacing = spacing
        self._table = torch.zeros(0)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Covariance of the pixels x1 (..., n, dims) and x2 (..., m, dims): (..., n, m).

        With ``diag`` (n equal to m) only its diagonal, (..., n).

        Raises
        ------
        BayesDipError
            Two pixels are no whole number of pixels apart.
        """
        exact = (x1 - x2 if diag else x1[..., :, None, :] - x2[..., None, :, :]) / self.spacing
        lags = exact.detach().round()
        if exact.numel() and float((exact - lags).abs().max()) > 1e-2:
            raise BayesDipError(
                f"pixels {float((exact - lags).abs().max()):.3g} off the grid were given to a GridKernel of spacing "
                f"{self.spacing}: expected whole pixels; give the coordinates of pixels, or their spacing"
            )
        index = lags.abs().long()
        table = self._covers([int(n) + 1 for n in index.reshape(-1, index.shape[-1]).amax(0)])
        return table.to(x1)[tuple(index.movedim(-1, 0))]

    def _covers(self, shape: list[int]) -> Tensor:
        """A table of the kernel at lags of at least ``shape``; computed again only to grow."""
        known = self._table.shape
        if len(known) != len(shape) or any(a < b for a, b in zip(known, shape, strict=True)):
            old = known if len(known) == len(shape) else [1] * len(shape)
            self._table = self.kernel.quadrant([max(a, b) for a, b in zip(old, shape, strict=True)])
        return self._table
