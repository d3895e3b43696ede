"""Stationary kernels on pixel grids, in closed form or estimated from sampled pictures."""

from bayesdip.kernels.kernel import (
    RBF,
    Isotropic,
    Kernel,
    Matern12,
    Matern32,
    Matern52,
    Product,
    RationalQuadratic,
    Scaled,
    SpectralMixture,
    Sum,
    Tabulated,
    named,
    names,
)
from bayesdip.kernels.monte_carlo import MonteCarloKernel, autocovariance, monte_carlo_kernel
from bayesdip.kernels.periodic import Periodic
from bayesdip.kernels.stretched import Stretched

__all__ = [
    "RBF",
    "Isotropic",
    "Kernel",
    "Matern12",
    "Matern32",
    "Matern52",
    "MonteCarloKernel",
    "Periodic",
    "Product",
    "RationalQuadratic",
    "Scaled",
    "SpectralMixture",
    "Stretched",
    "Sum",
    "Tabulated",
    "autocovariance",
    "monte_carlo_kernel",
    "named",
    "names",
]
