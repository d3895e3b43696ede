"""Noise with a known autocovariance: its likelihood, its draws, and what it refuses."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.noise import Correlated, Gaussian

BLUR = np.array([[0.1, 0.3, 0.0], [0.2, 2.0, 0.4], [0.1, 0.3, 0.2]])


def generator():
    return torch.Generator().manual_seed(3)


def zeros(*shape):
    return torch.zeros(shape, dtype=torch.float64)


def test_draws_have_the_autocovariance():
    noise = Correlated.of_kernel(BLUR, sigma=3.0)
    drawn = noise.sample(zeros(1, 300, 300), generator())[0]
    table = noise.covariances(1, 2)[0, 0]
    middle = table.shape[0] // 2
    assert table[middle, middle] == pytest.approx(9.0)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 1)):
        seen = (drawn[down:, right:] * drawn[: 300 - down, : 300 - right]).mean()
        assert float(seen) == pytest.approx(table[middle + down, middle + right], abs=0.15)


def test_a_lag_between_channels_goes_from_the_first_to_the_second():
    table = np.zeros((2, 2, 3, 3))
    table[0, 0, 1, 1] = table[1, 1, 1, 1] = 1.0
    table[0, 1, 1, 2] = table[1, 0, 1, 0] = 0.6
    drawn = Correlated(table).sample(zeros(2, 300, 300), generator())
    assert float((drawn[0, :, :-1] * drawn[1, :, 1:]).mean()) == pytest.approx(0.6, abs=0.03)
    assert float((drawn[0, :, 1:] * drawn[1, :, :-1]).mean()) == pytest.approx(0.0, abs=0.03)


def test_without_lags_it_is_white_noise():
    y, mean, seen = torch.randn(1, 9, 7, generator=generator()), zeros(1, 9, 7), torch.rand(1, 9, 7) < 0.8
    found = Correlated(np.full((1, 1), 4.0)).negative_log_likelihood(mean, y, seen)
    assert float(found) == pytest.approx(float(Gaussian(2.0).negative_log_likelihood(mean, y, seen)))


def test_channels_of_a_pixel_may_share_their_noise():
    covariance = np.array([[4.0, 3.0], [3.0, 9.0]])
    y = torch.randn(2, 8, 6, generator=generator(), dtype=torch.float64)
    found = Correlated(covariance[:, :, None, None]).negative_log_likelihood(
        zeros(2, 8, 6), y, torch.ones(2, 8, 6, dtype=torch.bool)
    )
    inverse = torch.from_numpy(np.linalg.inv(covariance))
    assert float(found) == pytest.approx(float(0.5 * torch.einsum("aij,ab,bij->", y, inverse, y)), rel=1e-6)


def test_its_own_draws_have_half_a_nat_for_each_value():
    noise = Correlated.of_kernel(BLUR, sigma=3.0)
    mean = torch.full((1, 128, 128), 5.0, dtype=torch.float64)
    y, seen = noise.sample(mean, generator()), torch.ones(1, 128, 128, dtype=torch.bool)
    assert float(noise.negative_log_likelihood(mean, y, seen)) / y.numel() == pytest.approx(0.5, abs=0.03)
    assert noise.negative_log_likelihood(mean + 1, y, seen) > noise.negative_log_likelihood(mean, y, seen)


def test_the_gradient_reaches_every_pixel():
    noise, y = Correlated.of_kernel(BLUR, sigma=1.0), torch.randn(1, 10, 11, generator=generator())
    mean = torch.zeros(1, 10, 11, requires_grad=True)
    noise.negative_log_likelihood(mean, y, torch.ones(1, 10, 11, dtype=torch.bool)).backward()
    assert bool((mean.grad != 0).all())


def test_other_units_change_the_variance_alone():
    noise = Correlated.of_kernel(BLUR, sigma=3.0)
    other = noise.rescaled(10.0, 2.0)
    assert np.allclose(other.correlation(1, 2), noise.correlation(1, 2))
    assert float(other.variance(zeros(1, 4, 4))) == pytest.approx(2.25)


def test_levels_say_how_strong_it_is_in_each_place():
    levels = Gaussian(torch.linspace(1, 2, 16, dtype=torch.float64).expand(1, 16, 16))
    noise = Correlated.of_kernel(BLUR, sigma=7.0)
    noise = Correlated(noise.autocovariance, levels)
    assert torch.equal(noise.variance(zeros(1, 16, 16)), levels.variance(zeros(1, 16, 16)))


def test_a_spectrum_gives_the_autocovariance():
    frequency = np.fft.fftfreq(64)
    spectrum = np.exp(-((frequency[:, None] ** 2 + frequency**2) / 0.02))
    table = Correlated.of_spectrum(spectrum, sigma=2.0, reach=8).autocovariance
    assert table.shape == (17, 17)
    assert table[8, 8] == pytest.approx(4.0)
    expected = np.fft.ifft2(spectrum).real
    assert np.allclose(table[8:, 8:] / 4, expected[:9, :9] / expected[0, 0])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.ones((2, 3)), "odd numbers"),
        (np.ones((4, 3, 3)), "3 channels"),
        (-np.ones((3, 3)), "no noise"),
        (np.arange(9.0).reshape(3, 3) + 1, "opposite lags"),
    ],
)
def test_what_is_no_autocovariance_of_a_picture_is_refused(table, words):
    with pytest.raises(bd.BayesDipError, match=words):
        Correlated(table).covariances(3, 2)


def test_what_is_not_finite_is_refused_at_once():
    with pytest.raises(bd.BayesDipError, match="finite"):
        Correlated(np.array([[np.nan]]))
    with pytest.raises(bd.BayesDipError, match="negative"):
        Correlated.of_spectrum(-np.ones((4, 4)), sigma=1.0)
