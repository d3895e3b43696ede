"""Noise of one's own, by a likelihood or as a subclass; arrays; and estimates in the layout of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise import (
    Gaussian,
    Laplace,
    Noise,
    Poisson,
    from_log_likelihood,
)

FREEDOM, SCALE = 3.0, 0.1


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


def student(y: Tensor, mean: Tensor) -> Tensor:
    """-log of Student's t density, of each entry."""
    return (FREEDOM + 1) / 2 * torch.log1p(((y - mean) / SCALE) ** 2 / FREEDOM)


class Student(Noise):
    """The same as a subclass, in one method."""

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return student(y, prediction)


NOISES: dict[str, Noise] = {
    "of each entry": from_log_likelihood(student),
    "summed": from_log_likelihood(lambda y, mean: student(y, mean).sum()),
    "subclass": Student(),
}
every_student = pytest.mark.parametrize("noise", list(NOISES.values()), ids=list(NOISES))


# --- likelihoods -----------------------------------------------------------------------------------


@every_student
def test_a_likelihood_counts_observed_entries_alone(noise: Noise) -> None:
    y, one, two = uniform(2, 5, 6), uniform(2, 5, 6, seed=1), uniform(2, 5, 6, seed=2)
    seen = uniform(5, 6, seed=3) < 0.6
    data_seen = torch.where(seen, y, torch.nan)

    def loss(mean: Tensor) -> Tensor:
        return noise.negative_log_likelihood(mean, data_seen, seen)

    expected = (student(y, one) - student(y, two))[:, seen].sum()
    torch.testing.assert_close(loss(one) - loss(two), expected)
    mean = one.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(mean), mean)
    assert bool((gradient[:, ~seen] == 0).all()) and bool((gradient[:, seen] != 0).all())
    torch.testing.assert_close(loss(torch.where(seen, one, 7.0)), loss(one))


@every_student
def test_a_likelihood_of_a_batch_is_the_sum_over_it(noise: Noise) -> None:
    y, batch = uniform(2, 5, 6), uniform(4, 2, 5, 6, seed=1)
    seen = torch.ones(5, 6, dtype=torch.bool)
    single = sum(noise.negative_log_likelihood(mean, y, seen) for mean in batch)
    torch.testing.assert_close(noise.negative_log_likelihood(batch, y, seen), single)


@every_student
@pytest.mark.parametrize(("shift", "scale"), [(-20.0, 255.0), (5.0, 0.01)])
def test_rescaled_noise_computes_in_the_units_of_the_data(noise: Noise, shift: float, scale: float) -> None:
    y, mean = uniform(2, 5, 6), uniform(2, 5, 6, seed=1)
    seen = uniform(5, 6, seed=3) < 0.6
    twice = noise.rescaled(shift / 2, 2.0).rescaled(shift / 4, scale / 2)
    assert twice.describe() == noise.describe() and not twice.is_exact
    for other in (noise.rescaled(shift, scale), twice):
        torch.testing.assert_close(
            other.negative_log_likelihood((mean - shift) / scale, (y - shift) / scale, seen),
            noise.negative_log_likelihood(mean, y, seen),
        )
        variance = other.variance((y - shift) / scale, seen) * scale**2
        torch.testing.assert_close(variance[:, seen], noise.variance(y, seen)[:, seen])
    with pytest.raises(BayesDipError, match="scale is 0"):
        noise.rescaled(0.0, 0.0)


def test_where_the_likelihood_is_not_defined_no_data_stand() -> None:
    exponential = from_log_likelihood(lambda y, mean: mean.log() + y / mean)
    y, seen = 1 + uniform(1, 9), torch.arange(9) < 6
    mean = torch.where(seen, y, -1.0).requires_grad_()
    loss = exponential.negative_log_likelihood(mean, torch.where(seen, y, 0.0), seen)
    (gradient,) = torch.autograd.grad(loss, mean)
    assert bool(loss.isfinite()) and bool(gradient.isfinite().all())


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda y, mean: mean.detach(), BayesDipError, "without gradient: expected a tensor that depends"),
        (lambda y, mean: 1.0, BayesDipError, "returned float"),
        (lambda y, mean: student(y, mean).sum(0), ShapeError, "expected that shape, or a scalar"),
    ],
)
def test_a_function_that_is_no_likelihood_is_refused(f: object, error: type[Exception], message: str) -> None:
    noise = from_log_likelihood(f)  # type: ignore[arg-type]
    mean = uniform(2, 3, 4).requires_grad_()
    with pytest.raises(error, match=message):
        noise.negative_log_likelihood(mean, uniform(2, 3, 4), torch.ones(3, 4, dtype=torch.bool))


# --- variances -------------------------------------------------------------------------------------


def as_subclass(noise: Noise) -> Noise:
    """The likelihood of a model of ours, and nothing else of it."""
    return from_log_likelihood(lambda y, mean: noise.loss(mean, y))


def test_the_variance_of_gaussian_noise_follows_from_its_likelihood() -> None:
    y = uniform(2, 20, 20)
    sigma = torch.tensor([0.1, 0.3]).double()[:, None, None]
    variance = as_subclass(Gaussian((0.1, 0.3))).variance(y)
    torch.testing.assert_close(variance, (sigma**2).expand_as(y))


def test_the_variance_of_poisson_noise_is_the_rate_around_an_entry() -> None:
    y = Poisson().sample(torch.full((1, 64, 64), 50.0, dtype=torch.float64), seeded())
    variance = as_subclass(Poisson()).variance(y)
    assert float(variance.mean()) == pytest.approx(50.0, rel=0.03)


def test_the_variance_of_laplace_noise_grows_with_the_residual() -> None:
    y = torch.full((1, 9, 9), 0.5, dtype=torch.float64)
    y[0, 4, 4] = 2.5
    assert float(as_subclass(Laplace(0.1)).variance(y)[0, 4, 4]) == pytest.approx(0.2)


@every_student
def test_the_variance_of_an_outlier_is_large(noise: Noise) -> None:
    y = torch.full((1, 9, 9), 0.5, dtype=torch.float64)
    y[0, 4, 4] = 2.5
    variance = noise.variance(y)
    usual = FREEDOM * SCALE**2 / (FREEDOM + 1)
    assert float(variance[0, 4, 4]) == pytest.approx(usual + 4 / (FREEDOM + 1))
    assert float(variance[0, 0, 0]) == pytest.approx(usual, rel=1e-3)


@every_student
def test_the_variance_ignores_what_was_not_observed(noise: Noise) -> None:
    y, seen = uniform(2, 12, 12), uniform(12, 12, seed=1) < 0.6
    one, two = (noise.variance(torch.where(seen, y, other), seen) for other in (torch.nan, 1e6))
    assert bool(one.isfinite().all()) and torch.equal(one[:, seen], two[:, seen])


def test_a_likelihood_of_the_wrong_sign_is_found_out() -> None:
    with pytest.raises(BayesDipError, match="check the sign of the likelihood"):
        from_log_likelihood(lambda y, mean: -student(y, mean)).variance(uniform(1, 9, 9))


@pytest.mark.parametrize(
    "variance",
    [0.04, np.full((5, 6), 0.04), torch.full((2, 1, 1), 0.04), lambda y: 0.04 + 0 * y, lambda y: 0.04],
)
def test_a_variance_that_is_given_is_the_variance(variance: object) -> None:
    y = uniform(2, 5, 6)
    noise = from_log_likelihood(student, variance=variance)
    found = noise.variance(torch.where(y > 0.5, y, torch.nan), y > 0.5).expand(y.shape)
    torch.testing.assert_close(found, torch.full_like(y, 0.04))
    other = noise.rescaled(3.0, 2.0).variance(y).expand(y.shape)
    torch.testing.assert_close(other, torch.full_like(y, 0.01))


def test_a_negative_variance_is_refused() -> None:
    with pytest.raises(BayesDipError, match="negative or non-finite"):
        from_log_likelihood(student, variance=-1.0)
    with pytest.raises(BayesDipError, match="negative or non-finite"):
        from_log_likelihood(student, variance=lambda y: y - 1).variance(uniform(1, 9))


# --- draws -----------------------------------------------------------------------------------------


@every_student
def test_without_a_sampler_there_are_no_draws(noise: Noise) -> None:
    with pytest.raises(BayesDipError, match=r"no draws: expected .* give it to from_log_likelihood"):
        noise.rescaled(0.0, 2.0).sample(torch.zeros(1, 3))


def test_a_sampler_draws_in_the_units_of_the_data() -> None:
    noise = from_log_likelihood(student, sample=lambda mean, generator: mean + 4.0)
    mean = uniform(1, 5)
    torch.testing.assert_close(noise.sample(mean), mean + 4)
    torch.testing.assert_close(noise.rescaled(7.0, 2.0).sample(mean), mean + 2)


# --- arrays ----------------------------------------------------------------------------------------


def test_sigma_may_be_an_array_or_a_list() -> None:
    sigma = np.linspace(1, 2, 20).reshape(4, 5)
    y = uniform(3, 4, 5)
    torch.testing.assert_close(Gaussian(sigma).variance(y), torch.from_numpy(sigma) ** 2)
    assert Gaussian([1.0, 2.0]) == Gaussian((1.0, 2.0))  # type: ignore[arg-type]
    assert Gaussian(np.float32(0.5)).sigma == 0.5
    assert Gaussian(np.array(2)).sigma == 2.0
    with pytest.raises(BayesDipError, match="negative or non-finite"):
        Gaussian(-sigma)
