"""The classic kernels against their spectra and against scikit-free closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bayesdip import kernels
from bayesdip.errors import BayesDipError
from bayesdip.kernels import (
    RBF,
    Matern12,
    Matern32,
    Matern52,
    RationalQuadratic,
    SpectralMixture,
    Stretched,
    Tabulated,
)

ISOTROPIC = [
    RBF(1.7),
    Matern12(3.0),
    Matern32(2.0),
    Matern52(1.5),
    RationalQuadratic(2.0, 0.8),
    Stretched(RBF(1.5), 3.0),
]


def bessel_matern(nu: float, r: float, lengthscale: float) -> float:
    """``2^(1-nu) / Gamma(nu) s^nu K_nu(s)``, ``s = sqrt(2 nu) r / l``: Rasmussen and Williams, 4.14."""
    from scipy.special import kv

    s = math.sqrt(2 * nu) * r / lengthscale
    return float(2 ** (1 - nu) / math.gamma(nu) * s**nu * kv(nu, s))


@pytest.mark.parametrize(("kernel", "nu"), [(Matern12(3.0), 0.5), (Matern32(3.0), 1.5), (Matern52(3.0), 2.5)])
def test_matern_kernels_equal_their_bessel_form(kernel: kernels.Kernel, nu: float) -> None:
    table = kernel.quadrant((4, 5))
    for i, j in ((0, 1), (2, 0), (3, 4)):
        assert float(table[i, j]) == pytest.approx(bessel_matern(nu, math.hypot(i, j), 3.0), rel=1e-10)


def test_rational_quadratic_tends_to_rbf_for_a_large_exponent() -> None:
    difference = RationalQuadratic(2.0, 1e6).quadrant((8, 8)) - RBF(2.0).quadrant((8, 8))
    assert float(difference.abs().max()) < 1e-5


def test_spectral_mixture_of_one_centred_component_is_rbf() -> None:
    lengthscale = 2.5
    scale = 1 / (2 * math.pi * lengthscale)
    mixture = SpectralMixture((2.0,), ((0.0, 0.0),), ((scale, scale),))
    torch.testing.assert_close(mixture.quadrant((9, 6)), 2 * RBF(lengthscale).quadrant((9, 6)))


@pytest.mark.parametrize("kernel", ISOTROPIC, ids=lambda k: type(k).__name__)
@pytest.mark.parametrize("shape", [(9,), (5, 7), (3, 4, 2)])
def test_every_kernel_is_positive_definite_with_unit_variance(
    kernel: kernels.Kernel, shape: tuple[int, ...]
) -> None:
    from bayesdip.gp.dense import dense_covariance

    K = dense_covariance(kernel, shape)
    assert float(K[0, 0]) == 1.0
    assert float(torch.linalg.eigvalsh(K).min()) > -1e-10


def test_limits_follow_sums_products_and_scales() -> None:
    a = Tabulated(torch.ones(1, 1), beyond=0.5)
    assert (3 * (a + a * a) + RBF(1.0)).limit == pytest.approx(3 * (0.5 + 0.25))
    assert float((3 * (a + a * a)).quadrant((500, 1))[499, 0]) == pytest.approx(2.25)


def test_table_is_the_kernel_within_and_a_constant_beyond() -> None:
    kernel = Tabulated(np.array([[2.0, 1.0], [0.5, 0.25]]), beyond=0.1)
    expected = [[2.0, 1.0, 0.1], [0.5, 0.25, 0.1], [0.1, 0.1, 0.1]]
    assert kernel.quadrant((3, 3)).tolist() == expected
    assert kernel.limit == 0.1


def test_an_unknown_name_lists_the_known_ones() -> None:
    assert kernels.named("matern32") == Matern32(2.0)
    with pytest.raises(BayesDipError, match="matern52"):
        kernels.named("matern42")


@pytest.mark.parametrize("lengthscale", [0.0, -1.0, float("nan")])
def test_a_lengthscale_must_be_positive(lengthscale: float) -> None:
    with pytest.raises(BayesDipError, match="positive"):
        RBF(lengthscale)


def test_a_spectral_mixture_says_what_does_not_fit() -> None:
    with pytest.raises(BayesDipError, match="2 weights"):
        SpectralMixture((1.0, 1.0), ((0.0,),), ((0.1,),))
    with pytest.raises(BayesDipError, match="axes"):
        SpectralMixture((1.0,), ((0.0,),), ((0.1,),)).quadrant((4, 4))


def test_a_stretched_kernel_has_another_lengthscale_along_the_first_axis() -> None:
    table = Stretched(Matern32(2.0), 4.0).quadrant((9, 3, 3))
    torch.testing.assert_close(table[:, 0, 0], Matern32(8.0).quadrant((9,)))
    torch.testing.assert_close(table[0], Matern32(2.0).quadrant((3, 3)))
    with pytest.raises(BayesDipError, match="factor is 0"):
        Stretched(Matern32(2.0), 0)
