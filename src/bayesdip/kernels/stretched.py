"""A kernel of the distance, stretched along the first axis: frames that are alike, or slices that are far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Isotropic, Kernel


@dataclass(frozen=True)
class Stretched(Kernel):
    """A kernel of the Euclidean lag, whose part along the first axis counts less or more.

    Attributes
    ----------
    kernel : Isotropic
        Along the other axes.
    factor : float
        Lengthscale along the first axis over that along the others, positive: more than 1 where pictures change little
        from one to the next.

    Raises
    ------
    BayesDipError
        The factor is not a positive number.

    Examples
    --------
    >>> from bayesdip import kernels
    >>> Stretched(kernels.RBF(2.0), 10.0).quadrant((2, 2)).round(decimals=2).tolist()
    [[1.0, 0.88], [1.0, 0.88]]
    """

    kernel: Isotropic
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
            raise BayesDipError(
                f"factor is {self.factor}: expected a positive number, the lengthscale along the first axis over that along the "
                "others; give one, such as 4"
            )

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        squared = torch.zeros((), dtype=torch.float64)
        for axis, n in enumerate(shape):
            scale = self.kernel.lengthscale * (self.factor if axis == 0 else 1.0)
            squared = squared[..., None] + (torch.arange(n, dtype=torch.float64) / scale).square()
        return self.kernel.profile(squared)
