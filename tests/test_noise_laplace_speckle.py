"""Outliers and speckle: their laws are those of SciPy, their sizes are found, and they restore what Gaussian noise cannot."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from skimage import data
from torch import Tensor

from bayesdip import denoise, methods
from bayesdip.networks.energy import Energy
from bayesdip.networks.steppers import AdamStepper
from bayesdip.noise import (
    Gaussian,
    Laplace,
    Noise,
    Poisson,
    PoissonGaussian,
    Speckle,
    estimate_looks,
    estimate_sigma,
    from_log_likelihood,
)
from bayesdip.operators import Identity
from bayesdip.problem import Problem


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def losses(noise: Noise, prediction: Tensor, y: Tensor) -> Tensor:
    """One for each of n pairs (n,)."""
    seen = torch.ones(1, dtype=torch.bool)
    pairs = zip(prediction.view(-1, 1, 1), y.view(-1, 1, 1), strict=True)
    return torch.stack([noise.negative_log_likelihood(p, v, seen) for p, v in pairs])


def camera(side: int) -> Tensor:
    return torch.from_numpy(data.camera()[100 : 100 + side, 150 : 150 + side] / 255.0)[None]


# --- likelihoods -----------------------------------------------------------------------------------


def test_laplace_is_that_of_scipy_but_for_its_constant() -> None:
    x, y = (torch.linspace(-2, 3, 41, dtype=torch.float64).roll(k) for k in (0, 7))
    exact = -stats.laplace.logpdf(y.numpy(), x.numpy(), 0.3) - math.log(2 * 0.3)
    np.testing.assert_allclose(losses(Laplace(0.3), x, y), exact, atol=1e-12)


def test_laplace_makes_one_over_all_data() -> None:
    y = torch.linspace(-5, 6, 4001, dtype=torch.float64)
    density = torch.exp(-losses(Laplace(0.3), torch.full_like(y, 0.5), y)) / (2 * 0.3)
    assert float(torch.trapezoid(density, y)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_speckle_is_the_gamma_law_of_scipy_but_for_what_the_prediction_does_not_change(looks: float) -> None:
    y = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64).repeat_interleave(30)
    x = torch.linspace(0.3, 6.0, 30, dtype=torch.float64).repeat(3)
    ours = losses(Speckle(looks, offset=-2.0), x - 2.0, y - 2.0)
    exact = -stats.gamma.logpdf(y.numpy(), looks, scale=x.numpy() / looks)
    difference = (ours.numpy() - exact).reshape(3, 30)
    np.testing.assert_allclose(difference, difference[:, :1].repeat(30, 1), atol=1e-9)


def test_speckle_makes_one_over_all_data() -> None:
    looks, x = 4.0, 1.3
    y = torch.linspace(1e-3, 12, 6001, dtype=torch.float64)
    constant = looks**looks / math.gamma(looks)
    # The likelihood is stated by x / y: it lacks the looks-th power of y, and the density has one less.
    density = constant / y * torch.exp(-losses(Speckle(looks), torch.full_like(y, x), y))
    assert float(torch.trapezoid(density, y)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("noise", "score"),
    [
        (Laplace(0.3), lambda x, y: torch.sign(y - x) / 0.3),
        (Speckle(4.0, 0.1), lambda x, y: 4.0 * ((y - 0.1) / (x - 0.1) ** 2 - 1 / (x - 0.1))),
    ],
)
def test_gradients_are_the_known_scores(noise: Noise, score: Callable[[Tensor, Tensor], Tensor]) -> None:
    y = torch.tensor([[0.4, 0.8, 1.5, 2.0]], dtype=torch.float64)
    x = torch.tensor([[0.9, 0.7, 1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    loss = noise.negative_log_likelihood(x, y, torch.ones(4, dtype=torch.bool))
    (slope,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(slope, -score(x.detach(), y))


def test_speckle_points_back_up_from_predictions_in_the_dark_and_below() -> None:
    x = torch.tensor([[-1e3, -1.0, 0.0, 1e-6, 0.02]], requires_grad=True)
    y = torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0]])
    loss = Speckle(1.0).negative_log_likelihood(x, y, torch.ones(5, dtype=torch.bool))
    (slope,) = torch.autograd.grad(loss, x)
    assert bool(loss.isfinite()) and bool((slope.isfinite() & (slope < 0)).all())


def test_speckle_of_a_black_datum_is_finite() -> None:
    y = torch.tensor([[0.0, 1.0, 2.0]])
    loss = Speckle(1.0).negative_log_likelihood(torch.full_like(y, 0.5), y, torch.ones(3, dtype=torch.bool))
    assert bool(loss.isfinite())


# --- variances -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 4000), (1, 64, 64), (2, 16, 16, 16)])
def test_the_variance_of_speckle_from_data_is_that_of_the_model(shape: tuple[int, ...]) -> None:
    noise = Speckle(looks=4.0, offset=5.0)
    mean = torch.full(shape, 15.0, dtype=torch.float64)
    y = noise.sample(mean, seeded())
    assert float(noise.variance(y).mean()) == pytest.approx(100 / 4, rel=0.05)
    torch.testing.assert_close(noise.mean_square(mean, noise.variance(y)), torch.full_like(mean, 25.0))


def test_the_variance_of_laplace_tells_an_outlier_from_its_neighbours() -> None:
    y = torch.full((1, 9, 9), 0.5, dtype=torch.float64)
    y[0, 4, 4] = 2.5
    variance = Laplace(0.1).variance(y)
    assert float(variance[0, 4, 4]) == pytest.approx(0.1 * math.hypot(2.0, 0.1))
    variance[0, 4, 4] = 0.01
    torch.testing.assert_close(variance, torch.full_like(y, 0.01))


@pytest.mark.parametrize("noise", [Laplace(0.1), Speckle(4.0)])
def test_variances_ignore_what_was_not_observed(noise: Noise) -> None:
    y = noise.sample(torch.full((1, 32, 32), 2.0), seeded())
    seen = torch.rand(32, 32, generator=seeded(1)) < 0.6
    one, two = (noise.variance(torch.where(seen, y, other), seen) for other in (torch.nan, 1e6))
    assert bool(one[:, seen].isfinite().all()) and torch.equal(one[:, seen], two[:, seen])


# --- estimates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("name", ["camera", "coins"])
def test_looks_are_found(name: str, looks: float) -> None:
    clean = torch.from_numpy(getattr(data, name)()).double()[None, :256, :256] + 5
    assert estimate_looks(Speckle(looks).sample(clean, seeded())) == pytest.approx(looks, rel=0.12)
    offset = Speckle(looks, 30.0).sample(clean + 30, seeded())
    assert estimate_looks(offset, 30.0) == pytest.approx(looks, rel=0.12)


def test_without_speckle_the_looks_are_infinite() -> None:
    assert estimate_looks(torch.full((1, 32, 32), 3.0)) == math.inf


def test_the_scale_of_laplace_noise_follows_from_its_standard_deviation() -> None:
    y = Laplace(10.0).sample(255 * camera(256), seeded())
    found = estimate_sigma(y)
    assert isinstance(found, float) and found / 2**0.5 == pytest.approx(10, rel=0.15)


# --- restoration -----------------------------------------------------------------------------------


def restored(clean: Tensor, y: Tensor, noise: Noise, steps: int = 150) -> float:
    """Least mean squared error along a short fit: what stopping at the best moment gives."""
    from bayesdip import arch

    tiny = arch.skip(scales=2, width=16, skip=2)
    grid = tuple(y.shape[1:])
    target = Energy.of(Problem(y, Identity(grid), noise), tiny, seeded(), "cpu")
    stepper = AdamStepper(target, seeded(), learning_rate=0.02, input_noise=0.03)
    average = None
    errors = []
    for _ in range(steps):
        picture = stepper.step()
        average = picture if average is None else average.lerp(picture, 0.05)
        errors.append(float((average - clean).square().mean()))
    return min(errors)


@pytest.mark.slow
def test_with_outliers_laplace_restores_better_than_gaussian_noise_of_the_same_variance() -> None:
    clean = camera(32).float()
    hit = torch.rand(clean.shape, generator=seeded(1)) < 0.2
    y = torch.where(hit, torch.rand(clean.shape, generator=seeded(2)), clean)
    spread = float((y - clean).std())
    robust = restored(clean, y, Laplace(spread / 2**0.5))
    assert robust < 0.7 * restored(clean, y, Gaussian(spread))


@pytest.mark.slow
def test_with_speckle_its_own_likelihood_restores_better_than_gaussian_noise() -> None:
    clean = torch.full((1, 32, 32), 0.1)
    clean[:, 8:24, 8:24] = 0.9
    y = Speckle(4.0).sample(clean, seeded())
    spread = float((y - clean).std())
    dark = clean < 0.5

    def error_in_the_dark(noise: Noise) -> float:
        from bayesdip import arch

        target = Energy.of(
            Problem(y, Identity((32, 32)), noise), arch.skip(scales=2, width=16, skip=2), seeded(), "cpu"
        )
        stepper = AdamStepper(target, seeded(), learning_rate=0.02, input_noise=0.03)
        pictures = [stepper.step() for _ in range(120)][60:]
        return float((torch.stack(pictures).mean(0) - clean)[dark].square().mean())

    assert error_in_the_dark(Speckle(4.0)) < 0.7 * error_in_the_dark(Gaussian(spread))


@pytest.mark.parametrize(
    ("noise", "method"),
    [
        (Laplace(25.0), methods.Patches(effort="fast")),
        (Laplace(25.0), methods.GP(effort="fast")),
        (Laplace(25.0), methods.SGLD(steps=30, samples=2)),
        (Speckle(16.0), methods.Patches(effort="fast")),
        (Poisson(2.0), methods.Patches(effort="fast")),
        (PoissonGaussian(2.0, 3.0), methods.GP(effort="fast")),
        (from_log_likelihood(lambda y, mean: (y - mean).abs() / 25), methods.Patches(effort="fast")),
    ],
)
def test_every_noise_runs_through_with_held_out_pixels(noise: Noise, method: methods.Method) -> None:
    picture = 255 * camera(20)[0].numpy()
    picture[3, 4], picture[7, 7] = 255, 0  # impulses
    found = denoise(picture, noise=noise, method=method)
    assert found.held_out is not None and np.isfinite(found.mean).all()
    assert found.mean.min() > -60 and found.mean.max() < 315
