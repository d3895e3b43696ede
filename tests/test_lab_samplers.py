"""Every sampler that claims to sample the posterior does so where the posterior is known."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.lab.methods import SAMPLERS, Cyclical, Hmc, Sgld
from bayesdip.lab.methods.samplers import CYCLES
from bayesdip.networks.preconditioner import Basis
from conftest import smooth_picture

DIM = 6


@dataclass
class LinearTarget:
    """K copies of the weights of ``y = X w + noise``, in double precision."""

    design: torch.Tensor
    y: torch.Tensor
    sigma: float
    stds: list[float]
    weights: list[torch.Tensor]

    @classmethod
    def draw(cls, chains, n=40, sigma=0.5, prior_std=0.8, seed=0):
        generator = torch.Generator().manual_seed(seed)
        design = torch.randn(n, DIM, generator=generator, dtype=torch.float64)
        design[:, 0] *= 4  # badly scaled directions are what a preconditioner is for
        y = design @ torch.randn(DIM, generator=generator, dtype=torch.float64) * prior_std
        y += sigma * torch.randn(n, generator=generator, dtype=torch.float64)
        weights = [torch.zeros(chains, DIM, dtype=torch.float64, requires_grad=True)]
        return cls(design, y, sigma, [prior_std], weights)

    @property
    def observations(self):
        return len(self.y)

    def picture(self):
        return self.weights[0] @ self.design.T

    def evaluate(self, input_noise, generator):
        picture = self.picture()
        negative_log_likelihood = self.negative_log_likelihood(picture)
        return [
            picture.detach(),
            negative_log_likelihood.detach(),
            *torch.autograd.grad(negative_log_likelihood.sum(), self.weights),
        ]

    def negative_log_likelihood(self, picture):
        return (picture - self.y).square().sum(-1) / (2 * self.sigma**2)

    def posterior(self):
        precision = self.design.T @ self.design / self.sigma**2
        precision += torch.eye(DIM, dtype=torch.float64) / self.stds[0] ** 2
        covariance = torch.linalg.inv(precision)
        return covariance @ self.design.T @ self.y / self.sigma**2, covariance


def run(name, target, *, steps, step_size, temperature=1.0, seed=1, **options):
    """Weights after the first quarter, (kept, K, DIM)."""
    curvature = [target.design.square().sum(0) / target.sigma**2 + torch.zeros_like(target.weights[0])]
    generator = torch.Generator().manual_seed(seed)
    sampler = SAMPLERS[name](target, generator, curvature, step_size=step_size, **options)
    sampler.temperature = temperature
    kept = []
    for step in range(steps):
        if step == steps // 4:
            sampler.begin()
        sampler.pace(step / steps)
        sampler.step()
        if step >= steps // 4 and sampler.counts:
            state = sampler.weights[0] if name != "hmc" else sampler._home.coordinates[0]
            kept.append(state.detach().clone())
    return torch.stack(kept), sampler


# An Euler step has a variance too large by O(h^2), which must stay below the Monte-Carlo error here.
CASES = {
    "psgld": {"steps": 1500, "step_size": 0.5},
    "sgld": {"steps": 4000, "step_size": 0.15},
    "sghmc": {"steps": 3000, "step_size": 0.05},
    "cyclical": {"steps": 3000, "step_size": 0.5},
    "hmc": {"steps": 2000, "step_size": 0.5},
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "temperature"), [*((name, 1.0) for name in CASES), ("psgld", 0.25)])
def test_the_sampler_has_the_exact_posterior_of_a_linear_network(name, temperature):
    target = LinearTarget.draw(chains=200)
    mean, covariance = target.posterior()
    draws, _ = run(name, target, temperature=temperature, **CASES[name])
    chain_means = draws.mean(0)
    error_of_mean = chain_means.std(0) / len(chain_means) ** 0.5
    assert ((chain_means.mean(0) - mean).abs() < 4 * error_of_mean).all()

    chain_variances = (draws - mean).square().mean(0)
    error_of_variance = chain_variances.std(0) / len(chain_variances) ** 0.5
    expected = temperature * covariance.diagonal()
    assert ((chain_variances.mean(0) - expected).abs() < 4 * error_of_variance).all()
    assert (error_of_variance < 0.05 * expected).all()  # the comparison is sharp
    assert (error_of_mean < 0.05 * expected.sqrt()).all()


class BankTarget(LinearTarget):
    """The same weights as a filter bank, (K, 2, 3), in coordinates of its own."""

    @classmethod
    def in_a_basis(cls, chains):
        target = cls.draw(chains)
        target.weights = [target.weights[0].detach().reshape(chains, 2, 3).requires_grad_()]
        generator = torch.Generator().manual_seed(3)
        turns = (torch.randn(n, n, generator=generator, dtype=torch.float64) for n in (2, 3))
        left, right = (torch.linalg.qr(t).Q.expand(chains, -1, -1) for t in turns)
        hessian = target.design.T @ target.design / target.sigma**2
        turn = torch.kron(left[0], right[0])  # of the coordinates, row by row
        curvature = (turn.T @ hessian @ turn).diagonal().reshape(2, 3).expand(chains, 2, 3)
        return target, Basis(left, right), curvature

    def picture(self):
        return self.weights[0].flatten(1) @ self.design.T


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_in_a_basis_too_the_sampler_has_the_exact_posterior(name):
    chains, case = 200, CASES[name]
    target, basis, curvature = BankTarget.in_a_basis(chains)
    mean, covariance = target.posterior()
    generator = torch.Generator().manual_seed(1)
    # The coordinates mix what is badly scaled, so that a chain from anywhere would take long to forget it.
    exact = (
        torch.randn(chains, DIM, generator=generator, dtype=torch.float64)
        @ torch.linalg.cholesky(covariance).T
    )
    target.weights[0].detach().copy_((mean + exact).reshape(chains, 2, 3))
    sampler = SAMPLERS[name](target, generator, [curvature], step_size=0.7 * case["step_size"], bases=[basis])
    sampler.temperature, draws = 1.0, []
    for step in range(2 * case["steps"]):
        if step == case["steps"] // 2:
            sampler.begin()
        sampler.pace(step / (2 * case["steps"]))
        sampler.step()
        if step >= case["steps"] // 2 and sampler.counts:
            at_home = name != "hmc" or sampler._leaps == 0
            if at_home:
                state = sampler.weights[0] if name != "hmc" else basis.back(sampler._home.coordinates[0])
                draws.append(state.detach().flatten(1).clone())
    draws = torch.stack(draws)
    chain_means = draws.mean(0)
    assert ((chain_means.mean(0) - mean).abs() < 4 * chain_means.std(0) / chains**0.5).all()
    chain_variances = (draws - mean).square().mean(0)
    error = chain_variances.std(0) / chains**0.5
    assert ((chain_variances.mean(0) - covariance.diagonal()).abs() < 4 * error).all()
    assert (error < 0.15 * covariance.diagonal()).all()


@pytest.mark.slow
def test_hmc_is_exact_at_a_step_at_which_an_euler_step_is_not():
    target = LinearTarget.draw(chains=200)
    _, covariance = target.posterior()
    mean, _ = target.posterior()
    ratios = {}
    for name in ("hmc", "sgld"):
        target.weights[0].detach().zero_()
        draws, _ = run(name, target, steps=2000, step_size=1.0)
        ratios[name] = ((draws - mean).square().mean((0, 1)) / covariance.diagonal()).mean().item()
    assert ratios["hmc"] == pytest.approx(1, abs=0.04)
    assert ratios["sgld"] > 1.06


@pytest.mark.slow
def test_hmc_adapts_its_step_to_the_acceptance_it_wants():
    for first in (0.02, 3.0):
        _, sampler = run("hmc", LinearTarget.draw(chains=50), steps=3000, step_size=first)
        assert 0.6 < sampler.acceptance < 0.95


def test_sgld_steps_fall_by_the_stated_power():
    sampler = Sgld(LinearTarget.draw(1), torch.Generator(), [torch.ones(1, DIM)], step_size=0.1)
    sampler.pace(0.0)
    first = sampler.step_size**2
    sampler.pace(1.0)
    assert sampler.step_size**2 / first == pytest.approx(11**-0.55)


def test_cycles_start_without_noise_at_the_largest_step_and_end_at_none():
    target = LinearTarget.draw(chains=2)
    draws, sampler = run("cyclical", target, steps=400, step_size=0.3)
    assert isinstance(sampler, Cyclical)
    assert len(draws) == 150  # the counted halves of three cycles; the first one is burn-in
    steps = []
    for course in range(401):
        sampler.pace(course / 400)
        steps.append(sampler.step_size)
    assert [n for n, step in enumerate(steps) if step == pytest.approx(0.3)] == [0, 100, 200, 300]
    assert steps[50] == pytest.approx(0.3 * 0.5**0.5) and steps[400] == pytest.approx(0)
    sampler.pace(2 / CYCLES)  # a cycle begins: what is at the mode, and at rest, stays there
    sampler.momentum.values[0].zero_()
    mode, _ = target.posterior()
    with torch.no_grad():
        target.weights[0].copy_(mode.expand(2, -1))
    sampler.step()
    assert torch.allclose(target.weights[0], mode.expand(2, -1), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS.values())
def test_a_picture_is_sampled_by_several_chains(sampler, quick, tiny_arch):
    truth = smooth_picture((16, 16))
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape)
    method = bd.SGLD(arch=tiny_arch, sampler=sampler, chains=2, samples=4, steps=200, device="cpu")
    found = bd.denoise(noisy, 0.1, method=method)
    assert found.info["sampler"] == sampler.__name__ and set(found.chain) == {0, 1}
    assert np.isfinite(found.mean).all() and (found.raw_std > 0).all()
    if sampler is Hmc:
        assert 0 < found.info["acceptance"] <= 1
