"""Noise models are the distributions they name; the estimate finds the noise that was added."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise import Gaussian, Laplace, Noise, Poisson, PoissonGaussian, Speckle


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


def everything(y: Tensor) -> Tensor:
    return torch.ones(y.shape[1:], dtype=torch.bool)


NOISES: dict[str, Noise] = {
    "gaussian": Gaussian(3.0),
    "gaussian by channel": Gaussian((2.0, 3.0, 5.0)),
    "gaussian by pixel": Gaussian(uniform(6, 7, low=1.0, high=4.0)),
    "gaussian, clipped": Gaussian(3.0, clipped=(4.0, 90.0)),
    "laplace": Laplace(3.0),
    "speckle": Speckle(looks=4.0, offset=-35.0),
    "poisson": Poisson(),
    "poisson, gain and offset": Poisson(gain=2.5, offset=-7.0),
    "poisson-gaussian": PoissonGaussian(gain=1.5, sigma=4.0, offset=10.0),
}
every_noise = pytest.mark.parametrize("noise", list(NOISES.values()), ids=list(NOISES))


# --- likelihoods -----------------------------------------------------------------------------------


def test_gaussian_likelihood_is_that_of_scipy_up_to_a_constant() -> None:
    y, one, two = uniform(3, 6, 7, seed=1), uniform(3, 6, 7, seed=2), uniform(3, 6, 7, seed=3)
    sigma = np.array([0.2, 0.3, 0.5])[:, None, None]
    noise, seen = Gaussian((0.2, 0.3, 0.5)), everything(y)

    def exact(mean: Tensor) -> float:
        return float(-stats.norm.logpdf(y.numpy(), mean.numpy(), sigma).sum())

    ours = noise.negative_log_likelihood(one, y, seen) - noise.negative_log_likelihood(two, y, seen)
    assert float(ours) == pytest.approx(exact(one) - exact(two))


@pytest.mark.parametrize("sigma", [0.0, (0.0, 0.0), torch.zeros(3, 1)])
def test_noise_is_exact_only_where_there_is_none(sigma: float | tuple[float, ...] | Tensor) -> None:
    assert Gaussian(sigma).is_exact
    assert not Gaussian((0.0, 0.1)).is_exact and not Poisson().is_exact


def test_poisson_likelihood_is_that_of_scipy_up_to_a_constant() -> None:
    counts = torch.poisson(uniform(2, 5, 5, high=6.0), generator=seeded())
    one, two = uniform(2, 5, 5, low=0.02, high=9.0, seed=2), uniform(2, 5, 5, low=0.02, high=9.0, seed=3)
    noise = Poisson(gain=2.5, offset=-7.0)
    seen = everything(counts)

    def ours(rate: Tensor) -> float:
        return float(noise.negative_log_likelihood(2.5 * rate - 7.0, 2.5 * counts - 7.0, seen))

    def exact(rate: Tensor) -> float:
        return float(-stats.poisson.logpmf(counts.numpy(), rate.numpy()).sum())

    assert bool((counts == 0).any())
    assert ours(one) - ours(two) == pytest.approx(exact(one) - exact(two))


def test_poisson_gaussian_likelihood_counts_the_variance_that_the_prediction_brings() -> None:
    y, one, two = (uniform(1, 5, 5, low=10.0, high=90.0, seed=s) for s in (1, 2, 3))
    noise, seen = PoissonGaussian(gain=1.5, sigma=4.0, offset=10.0), everything(y)

    def exact(mean: Tensor) -> float:
        spread = np.sqrt(1.5 * (mean.numpy() - 10.0) + 16.0)
        return float(-stats.norm.logpdf(y.numpy(), mean.numpy(), spread).sum())

    ours = noise.negative_log_likelihood(one, y, seen) - noise.negative_log_likelihood(two, y, seen)
    assert float(ours) == pytest.approx(exact(one) - exact(two))


@every_noise
def test_unobserved_entries_play_no_part(noise: Noise) -> None:
    y, prediction = uniform(3, 6, 7, high=30.0), uniform(3, 6, 7, high=30.0, seed=1).requires_grad_()
    seen = uniform(6, 7, seed=2) < 0.6
    held_out = torch.where(seen, y, torch.nan)
    loss = noise.negative_log_likelihood(prediction, held_out, seen)
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert float(loss.detach()) == pytest.approx(
        float(noise.negative_log_likelihood(prediction.detach(), y, seen))
    )
    assert bool((gradient[:, ~seen] == 0).all())
    assert bool((gradient[:, seen] != 0).all())
    other = torch.where(seen, prediction.detach(), 5.0)
    torch.testing.assert_close(noise.negative_log_likelihood(other, y, seen), loss.detach())


@every_noise
def test_likelihood_of_a_batch_is_the_sum_over_it(noise: Noise) -> None:
    y, batch = uniform(3, 6, 7, high=30.0), uniform(4, 3, 6, 7, high=30.0, seed=1)
    seen = everything(y)
    single = torch.stack([noise.negative_log_likelihood(p, y, seen) for p in batch])
    torch.testing.assert_close(noise.negative_log_likelihood(batch, y, seen), single.sum())


@every_noise
@pytest.mark.parametrize(("shift", "scale"), [(-20.0, 255.0), (5.0, 0.01)])
def test_rescaled_noise_on_rescaled_data_has_the_same_likelihood(
    noise: Noise, shift: float, scale: float
) -> None:
    y = uniform(3, 6, 7, low=-30.0, high=60.0)
    one, two = uniform(3, 6, 7, low=-30.0, high=60.0, seed=1), uniform(3, 6, 7, low=-30.0, high=60.0, seed=2)
    seen, other = everything(y), noise.rescaled(shift, scale)

    def difference(noise: Noise, change: Callable[[Tensor], Tensor]) -> float:
        losses = [noise.negative_log_likelihood(change(p), change(y), seen) for p in (one, two)]
        return float(losses[0] - losses[1])

    assert difference(other, lambda x: (x - shift) / scale) == pytest.approx(difference(noise, lambda x: x))
    torch.testing.assert_close(
        other.variance((y - shift) / scale).expand_as(y), noise.variance(y).expand_as(y) / scale**2
    )


@pytest.mark.parametrize("noise", [Poisson(2.0, 1.0), PoissonGaussian(2.0, 0.5, 1.0)])
@pytest.mark.parametrize("count", [0.0, 1.0, 7.0])
def test_gradient_below_the_offset_is_finite_and_points_back_up(noise: Noise, count: float) -> None:
    y = torch.full((1, 9), 1.0 + 2.0 * count, dtype=torch.float64)
    below = 1.0 - torch.tensor([[1e6, 1e4, 1e3, 50.0, 3.0, 1.0, 0.5, 0.2, 0.1]], dtype=torch.float64)
    below.requires_grad_()
    loss = noise.negative_log_likelihood(below, y, everything(y))
    (gradient,) = torch.autograd.grad(loss, below)
    assert bool(loss.isfinite()) and bool((gradient.isfinite() & (gradient < 0)).all())


@pytest.mark.parametrize("noise", [Poisson(2.0, 1.0), PoissonGaussian(2.0, 0.5, 1.0)])
@pytest.mark.parametrize("count", [0.0, 3.0])
def test_likelihood_is_smooth_where_the_rate_reaches_its_floor(noise: Noise, count: float) -> None:
    x = torch.linspace(0.9, 1.1, 20_001, dtype=torch.float64)[None].requires_grad_()
    y = torch.full_like(x, 1.0 + 2.0 * count).detach()
    (slope,) = torch.autograd.grad(noise.negative_log_likelihood(x, y, everything(y)), x)
    steps = slope.diff().abs()
    assert float(steps.max()) < 0.01 * float(slope.max() - slope.min())  # no jump


def test_without_a_count_the_likeliest_rate_is_zero() -> None:
    rates = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    y = torch.zeros(1, 1, dtype=torch.float64)
    losses = [float(Poisson().negative_log_likelihood(r.view(1, 1), y, everything(y))) for r in rates]
    assert float(rates[int(np.argmin(losses))]) == pytest.approx(0.0, abs=1e-9)


def test_data_below_the_offset_count_as_no_photon() -> None:
    y = torch.full((1, 4), -3.0)
    losses = [float(Poisson().negative_log_likelihood(y * 0 + r, y, everything(y))) for r in (-1e3, 0.0, 1e3)]
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_prediction_of_another_shape_is_refused() -> None:
    y = torch.zeros(3, 4, 4)
    with pytest.raises(ShapeError, match="apply the operator"):
        Gaussian(1.0).negative_log_likelihood(torch.zeros(1, 4, 4), y, everything(y))


# --- draws and variances ---------------------------------------------------------------------------


@every_noise
def test_draws_have_the_mean_and_the_variance_of_the_model(noise: Noise) -> None:
    mean = torch.full((3, 6, 7), 40.0, dtype=torch.float64)
    generator = seeded(4)
    draws = torch.stack([noise.sample(mean, generator) for _ in range(4000)])
    if isinstance(noise, Gaussian):
        expected = noise.variance(mean).expand_as(mean)
    elif isinstance(noise, PoissonGaussian):
        expected = torch.full_like(mean, 1.5 * (40.0 - 10.0) + 16.0)
    elif isinstance(noise, Poisson):
        expected = torch.full_like(mean, noise.gain * (40.0 - noise.offset))
    elif isinstance(noise, Laplace):
        expected = torch.full_like(mean, 2 * 3.0**2)
    else:
        assert isinstance(noise, Speckle)
        expected = torch.full_like(mean, (40.0 + 35.0) ** 2 / 4)
    assert float(((draws.mean(0) - mean) / (expected / 4000).sqrt()).abs().max()) < 4.5
    torch.testing.assert_close(draws.var(0), expected, rtol=0.2, atol=0)
    assert float((draws.var(0) / expected).mean()) == pytest.approx(1, rel=0.02)


@every_noise
def test_draws_repeat_with_their_generator(noise: Noise) -> None:
    mean = torch.full((3, 6, 7), 40.0)
    assert torch.equal(noise.sample(mean, seeded(1)), noise.sample(mean, seeded(1)))
    assert not torch.equal(noise.sample(mean, seeded(1)), noise.sample(mean, seeded(2)))


@pytest.mark.parametrize("noise", [Poisson(2.0, 5.0), PoissonGaussian(2.0, 3.0, 5.0)])
@pytest.mark.parametrize("shape", [(1, 4000), (1, 64, 64), (1, 16, 16, 16)])
@pytest.mark.parametrize("rate", [4.0, 100.0])
def test_variance_from_data_is_that_of_the_model(noise: Noise, shape: tuple[int, ...], rate: float) -> None:
    mean = torch.full(shape, 5.0 + 2.0 * rate, dtype=torch.float64)
    y = noise.sample(mean, seeded())
    variance = noise.variance(y)
    expected = 4.0 * rate + (9.0 if isinstance(noise, PoissonGaussian) else 0.0)
    assert variance.shape == y.shape
    assert float(variance.mean()) == pytest.approx(expected, rel=0.1)


def test_a_mean_weighted_by_the_variances_is_not_pulled_to_the_low_counts() -> None:
    y = Poisson().sample(torch.full((1, 128, 128), 6.0, dtype=torch.float64), seeded())

    def weighted(variance: Tensor) -> float:
        return float((y / variance).sum() / (1 / variance).sum())

    assert weighted(Poisson().variance(y)) == pytest.approx(6.0, abs=0.2)
    assert weighted(y.clamp(min=1)) < 5.2  # each by its own count: one too low


def test_variance_ignores_what_was_not_observed_and_is_never_zero() -> None:
    y = torch.full((1, 20, 20), 50.0)
    seen = torch.rand(20, 20, generator=seeded()) < 0.5
    filled = torch.where(seen, y, torch.nan)
    variance = Poisson().variance(filled, seen)
    assert bool(variance.isfinite().all())
    assert float(variance[:, seen].mean()) == pytest.approx(50.0, rel=0.1)
    assert float(Poisson().variance(torch.zeros(1, 20, 20)).min()) > 0


def test_gaussian_variance_broadcasts_to_the_data() -> None:
    y = torch.zeros(3, 4, 5)
    assert Gaussian(2.0).variance(y).expand_as(y).unique().tolist() == [4.0]
    assert Gaussian((1.0, 2.0, 3.0)).variance(y).expand_as(y)[:, 0, 0].tolist() == [1.0, 4.0, 9.0]
    assert torch.equal(Gaussian(torch.full((4, 5), 3.0)).variance(y).expand_as(y), torch.full_like(y, 9.0))
    with pytest.raises(ShapeError, match="sigma has shape"):
        Gaussian((1.0, 2.0)).variance(y)


# --- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(-1.0),
        lambda: Gaussian(float("nan")),
        lambda: Gaussian((1.0, -2.0)),
        lambda: Gaussian(torch.tensor([1.0, -1.0])),
        lambda: Poisson(0.0),
        lambda: Poisson(1.0, float("inf")),
        lambda: PoissonGaussian(-1.0, 1.0),
        lambda: PoissonGaussian(1.0, -1.0),
        lambda: PoissonGaussian(1.0, 0.0),
        lambda: Gaussian(1.0).rescaled(0.0, 0.0),
        lambda: Gaussian(1.0, clipped=(255.0, 0.0)),
        lambda: Laplace(0.0),
        lambda: Laplace(float("nan")),
        lambda: Speckle(0.0),
        lambda: Speckle(1.0, float("nan")),
    ],
)
def test_impossible_numbers_are_refused(make: Callable[[], Noise]) -> None:
    with pytest.raises(BayesDipError, match="expected"):
        make()


def test_exact_data_have_a_variance_and_no_likelihood() -> None:
    y = torch.zeros(1, 4)
    assert float(Gaussian(0.0).variance(y)) == 0
    with pytest.raises(BayesDipError, match="sigma is 0"):
        Gaussian(0.0).negative_log_likelihood(y, y, everything(y))


@pytest.mark.parametrize(
    ("noise", "phrase"),
    [
        (Gaussian(0.1), "Gaussian noise, sigma 0.1"),
        (Gaussian((0.1, 0.25)), "Gaussian noise, sigma 0.1, 0.25 by channel"),
        (Gaussian(torch.tensor([1.0, 3.0])), "Gaussian noise, sigma per pixel, 1 to 3"),
        (Gaussian(0.1, clipped=(0.0, float("inf"))), "Gaussian noise, sigma 0.1, clipped at 0"),
        (Gaussian(0.1, clipped=(0.0, 1.0)), "Gaussian noise, sigma 0.1, clipped at 0 and 1"),
        (Laplace(0.2), "Laplace noise, scale 0.2"),
        (Speckle(1.0), "speckle, 1 look, offset 0"),
        (Speckle(4.0, 2.0), "speckle, 4 looks, offset 2"),
        (Poisson(2.0), "Poisson noise, gain 2, offset 0"),
        (PoissonGaussian(2.0, 3.0, 1.0), "Poisson-Gaussian noise, gain 2, sigma 3, offset 1"),
    ],
)
def test_a_noise_describes_itself(noise: Noise, phrase: str) -> None:
    assert noise.describe() == phrase


def test_the_mean_of_few_counts_is_not_pulled_down_by_their_plug_in_variance() -> None:
    """Of an even rate, the mean weighted by the inverse variance is the rate, within the 3% that is told."""
    for shape in ((1, 8, 40, 40), (1, 100, 100), (1, 9000)):
        for rate in (0.05, 0.3, 3.0, 40.0):
            counts = torch.poisson(
                torch.full(shape, rate, dtype=torch.float64), torch.Generator().manual_seed(0)
            )
            weight = 1 / Poisson().variance(counts)
            found = float((weight * counts).sum() / weight.sum())
            assert found == pytest.approx(float(counts.mean()), rel=0.06)


def test_the_plug_in_variance_follows_the_rate() -> None:
    rate = torch.full((1, 60, 60), 0.2, dtype=torch.float64)
    rate[..., 30:] = 50.0
    counts = torch.poisson(rate, torch.Generator().manual_seed(0))
    variance = Poisson().variance(counts)
    assert float(variance[..., :20].mean()) == pytest.approx(0.2, rel=0.3)
    assert float(variance[..., 32:].mean()) == pytest.approx(50.0, rel=0.1)
