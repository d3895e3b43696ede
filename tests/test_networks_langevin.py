"""Langevin steps on linear Gaussian models, whose posterior is known."""

import pytest
import torch

from bayesdip.networks.langevin import Momentum, adam_noise_step, psgld_step


def linear_posterior(seed=0, n=30, d=6, sigma=0.3, prior_std=0.8):
    """y = X w + noise with a Gaussian prior: the exact posterior mean and covariance."""
    generator = torch.Generator().manual_seed(seed)
    design = torch.randn(n, d, generator=generator, dtype=torch.float64)
    design[:, 0] *= 4  # badly scaled directions are what a preconditioner is for
    y = design @ torch.randn(d, generator=generator, dtype=torch.float64)
    y += sigma * torch.randn(n, generator=generator, dtype=torch.float64)
    precision = design.T @ design / sigma**2 + torch.eye(d, dtype=torch.float64) / prior_std**2
    covariance = torch.linalg.inv(precision)
    return precision, covariance @ design.T @ y / sigma**2, covariance


def run_psgld(precision, mean, *, chains, steps, temperature=1.0, persistence=0.9, step_size=0.5, seed=1):
    """Many chains at once; gives all positions after burn-in, shape (kept, chains, d)."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.zeros(chains, len(mean), dtype=torch.float64)]
    preconditioner = [(1 / precision.diagonal()).expand(chains, -1)]
    momentum = Momentum.draw(weights, temperature, generator)
    kept = []
    for step in range(steps):
        gradients = [(weights[0] - mean) @ precision]
        psgld_step(
            weights,
            gradients,
            preconditioner,
            momentum,
            step_size=step_size,
            persistence=persistence,
            temperature=temperature,
            generator=generator,
        )
        if step >= steps // 4:
            kept.append(weights[0].clone())
    return torch.stack(kept)


@pytest.mark.parametrize("persistence", [0.0, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_psgld_has_the_exact_posterior_of_a_linear_gaussian_model(persistence, temperature):
    precision, mean, covariance = linear_posterior()
    draws = run_psgld(
        precision, mean, chains=400, steps=1200, temperature=temperature, persistence=persistence
    )
    chain_means = draws.mean(0)
    error_of_mean = chain_means.std(0) / len(chain_means) ** 0.5
    assert ((chain_means.mean(0) - mean).abs() < 4 * error_of_mean).all()

    chain_variances = (draws - mean).square().mean(0)
    error_of_variance = chain_variances.std(0) / len(chain_variances) ** 0.5
    expected = temperature * covariance.diagonal()
    assert ((chain_variances.mean(0) - expected).abs() < 4 * error_of_variance).all()
    assert (error_of_variance < 0.05 * expected).all()  # the comparison is sharp


def test_psgld_has_the_posterior_correlations():
    precision, mean, covariance = linear_posterior(seed=3)
    draws = run_psgld(precision, mean, chains=400, steps=1200).flatten(0, 1) - mean
    sampled = draws.T @ draws / len(draws)
    scale = covariance.diagonal().sqrt()
    assert ((sampled - covariance) / torch.outer(scale, scale)).abs().max() < 0.05


def test_psgld_at_temperature_zero_descends_to_the_posterior_mean():
    precision, mean, _ = linear_posterior(seed=5)
    draws = run_psgld(precision, mean, chains=1, steps=2000, temperature=0.0)
    assert torch.allclose(draws[-1, 0], mean, atol=1e-6)


def test_psgld_repeats_with_its_generator():
    precision, mean, _ = linear_posterior()
    first = run_psgld(precision, mean, chains=2, steps=40, seed=7)
    assert torch.equal(first, run_psgld(precision, mean, chains=2, steps=40, seed=7))
    assert not torch.equal(first, run_psgld(precision, mean, chains=2, steps=40, seed=8))


def test_adam_noise_falls_on_convolution_weights_alone_with_twice_the_learning_rate():
    weights = [torch.zeros(64, 64, 3, 3), torch.zeros(64), torch.zeros(64, 64)]
    adam_noise_step(weights, learning_rate=0.01, generator=torch.Generator().manual_seed(0))
    assert weights[0].std().item() == pytest.approx(0.02, rel=0.02)
    assert not weights[1].any() and not weights[2].any()
