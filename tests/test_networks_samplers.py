"""The default sampler has known posteriors exactly; networks of an ensemble are what each is alone."""

from dataclasses import replace

import pytest
import torch
from benchmarks import samplers_exact

from bayesdip.networks import precision
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.samplers import Psgld
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
from bayesdip.problem import Problem
from test_lab_samplers import BankTarget, LinearTarget


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


def test_a_sampled_noise_level_has_its_exact_posterior():
    """Stated as half of what it is: weights integrated out, p(v | y) is known up to a factor on a grid of v."""
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


@pytest.mark.slow
def test_a_wide_shallow_network_has_the_posterior_of_its_process():
    known = samplers_exact.wide(grid=(6, 6), width=192)
    found = samplers_exact.compare(known, "psgld", chains=8, steps=700, step_size=0.2)
    assert found["mean_error"] < 0.2 and found["mean_z"] < 2
    assert abs(found["variance_ratio"] - 1) < max(0.04, 3 * found["variance_error"])
    assert found["variance_error"] < 0.04


@pytest.mark.slow
def test_a_linear_network_has_its_posterior_through_networks_and_masks():
    known = samplers_exact.linear(grid=(6, 6))
    found = samplers_exact.compare(known, "psgld", chains=16, steps=600, step_size=0.4)
    assert found["mean_error"] < 0.1 and found["mean_z"] < 2
    assert abs(found["variance_ratio"] - 1) < 3 * found["variance_error"]
    assert found["variance_error"] < 0.03


def energy_of(arch, operator, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(2, *operator.output_shape, generator=generator)
    return Energy.of(Problem(y, operator, Gaussian((0.1, 0.2))), arch, generator, "cpu")


@pytest.mark.parametrize("grid", [(16, 16), (19, 14), (40,)])
def test_networks_of_an_ensemble_give_the_same_as_looped_ones(tiny_arch, grid):
    """Pictures, likelihoods, gradients and steps at temperature zero, for grids that need padding too."""
    missing = torch.rand(grid, generator=torch.Generator().manual_seed(5)) < 0.3
    single = energy_of(tiny_arch, Mask(missing))
    others = [tiny_arch.build(2, len(grid), generator=torch.Generator().manual_seed(k)) for k in (1, 2)]
    looped = [replace(single, network=network) for network in [single.network, *others]]
    together = EnsembleEnergy.stack(single, [p.network for p in looped])
    pictures = together.picture()
    likelihoods = together.negative_log_likelihood(pictures)
    for k, one in enumerate(looped):
        assert torch.allclose(pictures[k], one.picture(), atol=1e-5)
        assert likelihoods[k].item() == pytest.approx(
            one.negative_log_likelihood(one.picture()).item(), rel=1e-4
        )

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


def test_all_networks_of_an_ensemble_have_the_precision_of_the_first(tiny_arch):
    single = energy_of(tiny_arch, Identity((16, 16)))
    precision.lower(single.network, torch.bfloat16)
    target = EnsembleEnergy.of(single, 3, torch.Generator().manual_seed(0))
    asked = [[m.precision for m in body.modules() if hasattr(m, "precision")] for body in target.bodies]
    assert len(asked) == 3 and asked[0] == asked[1] == asked[2]
    assert torch.bfloat16 in asked[0]


def test_chains_of_an_ensemble_move_apart():
    """Noise is drawn for each: from one start, two chains differ after a step."""
    known = samplers_exact.linear(grid=(6, 6))
    target = EnsembleEnergy.stack(known.target, [known.target.network] * 2)
    sampler = Psgld(target, torch.Generator().manual_seed(0), known.curvature, step_size=0.3)
    sampler.temperature = 1.0
    sampler.step()
    assert not torch.allclose(target.weights[0][0], target.weights[0][1])


def test_the_fit_of_an_ensemble_is_that_of_all_networks(tiny_arch):
    single = energy_of(tiny_arch, Identity((16, 16)))
    target = EnsembleEnergy.of(single, 3, torch.Generator().manual_seed(0))
    pictures = target.picture().detach()
    squares = [single.fit(p) ** 2 for p in pictures]
    assert target.fit(pictures) == pytest.approx((sum(squares) / 3) ** 0.5)
