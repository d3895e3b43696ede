"""A kernel of the distance, stretched along the first axis: frames that are alike, or slices that are far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from bayesdip.kernels.kernel import Isotropic, Kernel, check_positive, squared_lags


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
        check_positive("factor", self.factor, "lengthscale along the first axis over that along the others")

    def quadrant(self, shape: Sequence[int]) -> Tensor:
        lengthscales = [self.kernel.lengthscale] * len(shape)
        lengthscales[:1] = [
            self.factor * lengthscale for lengthscale in lengthscales[:1]
        ]  # none for a single value
        return self.kernel.profile(squared_lags(shape, lengthscales))
