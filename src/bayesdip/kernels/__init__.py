"""Stationary kernels on pixel grids, all of one type; add, multiply and scale them.

::

    k = 0.8 * Matern32(2.0) + 0.2 * RBF(20.0)
    k.window(lags=8)               # the covariance around lag zero

One kernel is not stationary: :class:`PatchKernel`, between the patches of the observed picture.
"""

from __future__ import annotations

from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel, Product, Scaled, Sum, Tabulated
from bayesdip.kernels.monte_carlo import EmpiricalKernel, empirical
from bayesdip.kernels.stationary import (
    RBF,
    Isotropic,
    Matern12,
    Matern32,
    Matern52,
    RationalQuadratic,
    SpectralMixture,
)
from bayesdip.patches.pilot import Cosine, PatchKernel

# Lengthscales in pixels that suit photographs before anything is learnt from the data.
DEFAULTS: dict[str, Kernel | PatchKernel] = {
    "rbf": RBF(1.5),
    "matern12": Matern12(8.0),
    "matern32": Matern32(2.0),
    "matern52": Matern52(2.0),
    "rq": RationalQuadratic(2.0),
    "nonlocal": PatchKernel(),
}


def names() -> list[str]:
    """The names that :func:`named` knows."""
    return list(DEFAULTS)


def named(name: str) -> Kernel | PatchKernel:
    """The kernel of that name, at its default lengthscale.

    Raises
    ------
    BayesDipError
        There is no such kernel.
    """
    if name not in DEFAULTS:
        raise BayesDipError(f"kernel is {name!r}: expected one of {', '.join(DEFAULTS)}; choose one of these")
    return DEFAULTS[name]


__all__ = [
    "RBF",
    "Cosine",
    "EmpiricalKernel",
    "Isotropic",
    "Kernel",
    "Matern12",
    "Matern32",
    "Matern52",
    "PatchKernel",
    "Product",
    "RationalQuadratic",
    "Scaled",
    "SpectralMixture",
    "Sum",
    "Tabulated",
    "empirical",
    "named",
    "names",
]
