"""Kernels with free parameters, to be learnt from the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bayesdip import arch, kernels
from bayesdip.errors import BayesDipError
from bayesdip.kernels.kernel import Kernel

# Main channels of the networks: the more, the finer are the shares of skip channels that whole numbers give.
WIDTH = 8192


@dataclass(frozen=True)
class Family:
    """Kernels of one kind.

    Attributes
    ----------
    name : str
    build : callable
        From the number of axes and the parameters, by name, to the kernel.
    ranges : mapping of str to (low, start, high)
        The parameters, all positive: where each begins, and how far it may go.
    """

    name: str
    build: Callable[..., Kernel]
    ranges: Mapping[str, tuple[float, float, float]]


def _skip(scales: int) -> Callable[..., Kernel]:
    def build(dims: int, skip_share: float, slope: float) -> Kernel:
        skip = max(1, round(WIDTH * skip_share / (1 - skip_share)))
        return arch.skip(scales=scales, width=WIDTH, skip=skip, slope=slope).kernel(dims=dims)

    return build


LENGTHSCALE = {"lengthscale": (0.3, 2.0, 100.0)}
NETWORK = {"skip_share": (2e-4, 0.004, 0.5), "slope": (0.01, 0.2, 0.9)}

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("rbf", lambda dims, **p: kernels.RBF(**p), {"lengthscale": (0.3, 1.0, 100.0)}),
        Family("matern12", lambda dims, **p: kernels.Matern12(**p), {"lengthscale": (0.3, 8.0, 300.0)}),
        Family("matern32", lambda dims, **p: kernels.Matern32(**p), LENGTHSCALE),
        Family("matern52", lambda dims, **p: kernels.Matern52(**p), LENGTHSCALE),
        Family(
            "rq",
            lambda dims, **p: kernels.RationalQuadratic(**p),
            {**LENGTHSCALE, "alpha": (0.05, 1.0, 20.0)},
        ),
        Family("skip2", _skip(2), NETWORK),
        Family("skip5", _skip(5), NETWORK),
    )
}


# Kernels of the distance alone: each costs little to build on three axes, too.
ISOTROPIC = ("rbf", "matern12", "matern32", "matern52", "rq")


def named(name: str) -> Family:
    """The family of that name.

    Parameters
    ----------
    name : str
        One of `FAMILIES`.

    Returns
    -------
    Family

    Raises
    ------
    BayesDipError
        There is no such family.
    """
    if name not in FAMILIES:
        raise BayesDipError(
            f"the kernel family is {name!r}: expected one of {', '.join(FAMILIES)}; choose one of these"
        )
    return FAMILIES[name]
