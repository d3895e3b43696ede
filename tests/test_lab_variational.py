"""Mean-field variational inference and Monte-Carlo dropout."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.errors import BayesDipError
from bayesdip.lab.methods import Dropout, Variational
from bayesdip.lab.methods.dropout import add_dropout
from bayesdip.lab.methods.variational import MeanFieldStepper
from conftest import smooth_picture
from test_networks_langevin import linear_posterior


class Quadratic:
    """A model whose negative_log_likelihood and Gaussian prior have the posterior N(mean, precision^-1)."""

    def __init__(self, precision, mean, prior_std):
        self.weights = [torch.zeros(len(mean), dtype=torch.float64, requires_grad=True)]
        self.stds, self.observations = [prior_std], 1
        self.mean, self.precision = mean, precision
        self.likelihood = precision - torch.eye(len(mean), dtype=torch.float64) / prior_std**2

    def picture(self):
        return self.weights[0] * 1

    def evaluate(self, input_noise, generator):
        negative_log_likelihood = self.negative_log_likelihood(self.picture())
        return [
            self.picture().detach(),
            negative_log_likelihood.detach(),
            *torch.autograd.grad(negative_log_likelihood, self.weights),
        ]

    def negative_log_likelihood(self, picture):
        # The likelihood's part of the energy, so that with the prior's its minimum is the mean.
        shift = self.precision @ self.mean
        return 0.5 * picture @ self.likelihood @ picture - shift @ picture


@pytest.mark.slow
def test_variational_inference_gives_the_mean_field_answer_of_a_linear_gaussian_model():
    # As few data as weights: the weights are strongly correlated under the posterior.
    precision, mean, covariance = linear_posterior(n=6, prior_std=0.8)
    generator = torch.Generator().manual_seed(0)
    field = MeanFieldStepper(Quadratic(precision, mean, 0.8), generator, learning_rate=0.05)
    steps = 2000
    for step in range(steps):
        field.pace(step / steps)
        field.step()
    exact = precision.diagonal().rsqrt()
    assert torch.allclose(field.log_stds[0].exp(), exact, rtol=0.1)
    assert ((field.means[0] - mean).abs() < 0.3 * exact).all()
    # The known fault of independent Gaussians: narrower than the posterior where weights are correlated.
    assert (exact < 0.9 * covariance.diagonal().sqrt()).all()


def test_a_draw_has_the_field_s_mean_and_spread():
    precision, mean, _ = linear_posterior()
    field = MeanFieldStepper(
        Quadratic(precision, mean, 0.8), torch.Generator().manual_seed(0), learning_rate=0.01
    )
    field.means[0].fill_(3.0)
    field.log_stds[0].fill_(np.log(0.5))
    draws = []
    for _ in range(4000):
        field.draw()
        draws.append(field.weights[0].detach().clone())
    draws = torch.stack(draws)
    assert torch.allclose(draws.mean(0), torch.full_like(mean, 3.0), atol=0.05)
    assert torch.allclose(draws.std(0), torch.full_like(mean, 0.5), rtol=0.06)


def test_a_rewound_field_stands_where_it_stood():
    precision, mean, _ = linear_posterior()
    field = MeanFieldStepper(
        Quadratic(precision, mean, 0.8), torch.Generator().manual_seed(0), learning_rate=0.01
    )
    for _ in range(3):
        field.step()
    kept = field.snapshot()
    means, spreads = field.means[0].clone(), field.log_stds[0].clone()
    for _ in range(3):
        field.step()
    assert not torch.equal(field.means[0], means)
    field.rewind(kept)
    assert torch.equal(field.means[0], means) and torch.equal(field.log_stds[0], spreads)
    assert field.learning_rate == pytest.approx(0.007)


def test_dropout_keeps_a_linear_network_s_mean_and_gives_it_the_binomial_variance():
    from bayesdip.arch.layers import Conv

    generator = torch.Generator().manual_seed(0)
    first = Conv(6, size=1, bias=False).module(3, 1, generator)
    last = Conv(1, size=1, bias=False).module(6, 1, generator)
    network = torch.nn.Sequential(first, last)
    x = torch.randn(1, 3, 1, generator=generator)
    with torch.no_grad():
        parts = (first(x) * last.weight[0][None]).flatten()
        plain = network(x).item()
        add_dropout(network, 0.2, generator)
        draws = network(x.expand(20000, 3, 1)).flatten()
    spread = (0.2 / 0.8 * parts.square().sum()).sqrt()
    assert abs(draws.mean() - plain) < 4 * spread / len(draws) ** 0.5
    assert draws.std() == pytest.approx(spread.item(), rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Variational, Dropout])
def test_it_removes_noise_and_its_error_bars_cover_the_truth(method, tiny_arch):
    truth = smooth_picture((32, 32))
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape)
    r = bd.denoise(noisy, 0.1, method=method(arch=tiny_arch, steps=300, samples=5, device="cpu"))
    assert r.method == method.name
    assert 0 < len(r.samples) <= 5 and r.std.shape == truth.shape and (r.std > 0).all()
    assert np.mean((r.mean - truth) ** 2) < 0.5 * 0.1**2
    lower, upper = r.interval(0.9)
    assert np.mean((lower <= truth) & (truth <= upper)) > 0.6  # independent Gaussians are too narrow
    assert r.chain is None and r.diagnostics is None  # independent draws


@pytest.mark.parametrize("method", [Variational, Dropout])
def test_it_repeats_with_its_seed(method, tiny_arch):
    noisy = smooth_picture((16, 16)) + np.random.default_rng(0).normal(0, 0.1, (16, 16))
    a, b, c = (
        bd.denoise(noisy, 0.1, method=method(arch=tiny_arch, steps=40, samples=2, seed=seed, device="cpu"))
        for seed in (4, 4, 5)
    )
    assert np.array_equal(a.mean, b.mean) and np.array_equal(a.samples, b.samples)
    assert not np.array_equal(a.mean, c.mean)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (Dropout, {"rate": 1.0}, "rate"),
        (Variational, {"samples": -1}, "samples"),
        (Dropout, {"steps": 0}, "steps"),
    ],
)
def test_options_out_of_their_range_are_refused(method, options, message):
    with pytest.raises(BayesDipError, match=message):
        method(**options)
