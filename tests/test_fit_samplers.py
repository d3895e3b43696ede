"""Every sampler that claims to sample the posterior does so where the posterior is known."""

from dataclasses import dataclass, replace

import pytest
import torch
from benchmarks import samplers_exact

from bayesdip.errors import BayesDipError
from bayesdip.lab.methods import step_sizes as schedule
from bayesdip.methods.sgld import SAMPLERS
from bayesdip.networks import precision
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.preconditioner import Basis
from bayesdip.networks.samplers import Psgld, Sgld
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from bayesdip.settings import Settings

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


def test_every_sampler_of_the_posterior_is_held_against_it():
    assert set(CASES) == set(SAMPLERS)


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


def test_after_a_rollback_the_coordinates_are_those_of_the_weights():
    target, basis, curvature = BankTarget.in_a_basis(chains=2)
    sampler = Psgld(target, torch.Generator().manual_seed(0), [curvature], step_size=0.2, bases=[basis])
    sampler.temperature = 1.0
    sampler.step()
    kept = sampler.snapshot()
    before = target.weights[0].detach().clone()
    sampler.step()
    sampler.rewind(kept)
    assert torch.equal(target.weights[0].detach(), before)
    assert torch.allclose(sampler.coordinates[0], basis.into(before))


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


def test_hmc_adapts_its_step_to_the_acceptance_it_wants():
    for first in (0.02, 3.0):
        _, sampler = run("hmc", LinearTarget.draw(chains=50), steps=3000, step_size=first)
        assert 0.6 < sampler.acceptance < 0.95


def test_a_sampled_noise_level_has_its_exact_posterior():
    """Stated half of what it is: weights integrated out, p(v | y) is known up to a factor on a grid of v."""
    target = LinearTarget.draw(chains=300, n=60, sigma=0.5)
    target.sigma = 0.25
    curvature = [4 * target.design.square().sum(0) + torch.zeros_like(target.weights[0])]
    generator = torch.Generator().manual_seed(3)
    sampler = Psgld(target, generator, curvature, step_size=0.4, sample_sigma=True)
    sampler.temperature = 1.0
    seen = []
    for step in range(1000):
        sampler.step()
        if step >= 300:
            seen.append(sampler.relative_variance.log().clone())
    seen = torch.stack(seen)

    logs = torch.linspace(0, 3, 600, dtype=torch.float64)
    densities = []
    for log in logs:
        noise = 0.25**2 * log.exp() * torch.eye(60, dtype=torch.float64)
        law = torch.distributions.MultivariateNormal(
            torch.zeros(60, dtype=torch.float64),
            noise + target.stds[0] ** 2 * target.design @ target.design.T,
        )
        densities.append(law.log_prob(target.y))
    density = (torch.stack(densities) - max(densities)).exp()
    expected = float((density * logs).sum() / density.sum())
    spread = float(((density * (logs - expected) ** 2).sum() / density.sum()).sqrt())
    assert seen.mean().item() == pytest.approx(expected, abs=0.05 * spread)
    assert seen.std().item() == pytest.approx(spread, rel=0.05)


def test_sgld_steps_fall_by_the_stated_power():
    sampler = Sgld(LinearTarget.draw(1), torch.Generator(), [torch.ones(1, DIM)], step_size=0.1)
    sampler.pace(0.0)
    first = sampler.step_size**2
    sampler.pace(1.0)
    assert sampler.step_size**2 / first == pytest.approx(11**-0.55)


def test_cycles_start_without_noise_at_the_largest_step_and_end_at_none():
    places = [schedule.place_in_cycle(course / 400) for course in range(401)]
    assert places[0] == places[100] == places[300] == 0 and places[400] == 1
    assert schedule.cosine(0.0) == 1 and schedule.cosine(1.0) == 0
    target = LinearTarget.draw(chains=2)
    draws, sampler = run("cyclical", target, steps=400, step_size=0.3)
    assert len(draws) == 150  # the counted halves of three cycles; the first one is burn-in
    sampler.pace(0.5)
    sampler.momentum.values[0].zero_()
    here, _ = target.posterior()
    with torch.no_grad():
        target.weights[0].copy_(here.expand(2, -1))
    sampler.step()
    assert torch.allclose(target.weights[0], here.expand(2, -1), atol=1e-9)  # at the mode nothing moves


def test_a_wide_shallow_network_has_the_posterior_of_its_process():
    known = samplers_exact.wide(grid=(6, 6), width=192)
    found = samplers_exact.compare(known, "psgld", chains=8, steps=700, step_size=0.2)
    assert found["mean_error"] < 0.2 and found["mean_z"] < 2
    assert abs(found["variance_ratio"] - 1) < max(0.04, 3 * found["variance_error"])
    assert found["variance_error"] < 0.04


def test_a_linear_network_has_its_posterior_through_networks_and_masks():
    known = samplers_exact.linear(grid=(6, 6))
    found = samplers_exact.compare(known, "psgld", chains=16, steps=600, step_size=0.4)
    assert found["mean_error"] < 0.1 and found["mean_z"] < 2
    assert abs(found["variance_ratio"] - 1) < 3 * found["variance_error"]
    assert found["variance_error"] < 0.03


def problem_of(arch, operator, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(2, *operator.output_shape, generator=generator)
    return Energy.pose(Problem(y, operator, Gaussian((0.1, 0.2))), arch, generator, "cpu")


@pytest.mark.parametrize("grid", [(16, 16), (19, 14), (40,)])
def test_stacked_chains_give_the_same_as_looped_ones(tiny_arch, grid):
    """Pictures, misfits, gradients and steps at temperature zero, for grids that need padding too."""
    missing = torch.rand(grid, generator=torch.Generator().manual_seed(5)) < 0.3
    single = problem_of(tiny_arch, Mask(missing))
    others = [tiny_arch.build(2, len(grid), generator=torch.Generator().manual_seed(k)) for k in (1, 2)]
    looped = [replace(single, network=network) for network in [single.network, *others]]
    together = EnsembleEnergy.stack(single, [p.network for p in looped])
    pictures = together.picture()
    misfits = together.negative_log_likelihood(pictures)
    for k, one in enumerate(looped):
        assert torch.allclose(pictures[k], one.picture(), atol=1e-5)
        assert misfits[k].item() == pytest.approx(one.negative_log_likelihood(one.picture()).item(), rel=1e-4)

    def stepped(target):
        curvature = [torch.full_like(w, 100.0) for w in target.weights]
        sampler = Psgld(target, torch.Generator().manual_seed(0), curvature, step_size=0.01)
        for _ in range(3):
            sampler.step()
        return target.weights

    batched = stepped(together)
    for k, one in enumerate(looped):
        for mine, stack in zip(stepped(one), batched, strict=True):
            assert torch.allclose(mine, stack[k], rtol=1e-3, atol=1e-5)


def test_all_chains_compute_as_the_first_is_set_up(tiny_arch):
    """In its precision: others, freshly drawn, would take twice as long."""
    single = problem_of(tiny_arch, Identity((16, 16)))
    precision.lower(single.network, torch.bfloat16)
    target = EnsembleEnergy.of(single, 3, torch.Generator().manual_seed(0))
    asked = [[m.precision for m in body.modules() if hasattr(m, "precision")] for body in target.bodies]
    assert len(asked) == 3 and asked[0] == asked[1] == asked[2]
    assert torch.bfloat16 in asked[0]


def test_stacked_chains_move_apart_from_each_other():
    """Noise is drawn for each: from one start, two chains differ after a step."""
    known = samplers_exact.linear(grid=(6, 6))
    target = EnsembleEnergy.stack(known.target, [known.target.network] * 2)
    sampler = Psgld(target, torch.Generator().manual_seed(0), known.curvature, step_size=0.3)
    sampler.temperature = 1.0
    sampler.step()
    assert not torch.allclose(target.weights[0][0], target.weights[0][1])


def test_the_fit_of_stacked_chains_is_that_of_all(tiny_arch):
    single = problem_of(tiny_arch, Identity((16, 16)))
    target = EnsembleEnergy.of(single, 3, torch.Generator().manual_seed(0))
    pictures = target.picture().detach()
    squares = [single.fit(p) ** 2 for p in pictures]
    assert target.fit(pictures) == pytest.approx((sum(squares) / 3) ** 0.5)


@pytest.mark.parametrize(
    "options", [{"chains": 0}, {"sampler": "mcmc"}, {"sampler": "adam-noise", "sample_sigma": True}]
)
def test_impossible_choices_are_refused(tiny_arch, options):
    with pytest.raises(BayesDipError):
        Settings(arch=tiny_arch, **options)
