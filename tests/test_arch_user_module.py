"""A PyTorch module of the user's own as an architecture."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bayesdip as bd
from bayesdip import arch
from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.held_out_split import split
from bayesdip.networks.checkpointing import add_checkpoints
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.precision import lower
from bayesdip.networks.weight_prior import initial_stds
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask, Operator
from bayesdip.problem import Problem

DEPTH = 8


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(channels: int, dims: int) -> nn.Module:
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1]
    return nn.Sequential(
        convolution(DEPTH, 12, 3, padding=1),
        norm(12),
        nn.ReLU(inplace=True),
        convolution(12, channels, 1),
    )


class Strided(nn.Module):
    """Halves the grid, reads its layers by index and needs the usual order of the axes in memory."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(DEPTH, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, channels, 1))

    def forward(self, z: Tensor) -> Tensor:
        x = self.layers[1](self.layers[0](z.view(len(z), -1).view(z.shape)))
        return nn.functional.interpolate(self.layers[2](x), scale_factor=2)


class Mean(nn.Module):
    """The mean of groups of features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.channels, -1)).mean(2)


def linear_model(channels: int, dims: int) -> nn.Module:
    """One convolution of size 1: linear in its weights, so its best fit is known."""
    return nn.Conv2d(DEPTH, channels, 1)


def energy_of(net: arch.Architecture, y: Tensor, operator: Operator, sigma: float = 0.1) -> Energy:
    return Energy.of(Problem(y, operator, Gaussian(sigma)), net, seeded(1), "cpu")


@pytest.mark.parametrize("grid", [(7,), (9, 5), (4, 3, 5)])
def test_module_makes_pictures_of_any_grid_and_every_weight_learns(grid: tuple[int, ...]) -> None:
    network = arch.from_module(small, input_depth=DEPTH).build(2, len(grid), generator=seeded())
    picture = network(network.new_input(grid, seeded()), grid)
    assert picture.shape == (1, 2, *grid)
    picture.square().sum().backward()
    assert all(bool(w.grad.isfinite().all()) for w in network.parameters())


def test_strided_module_is_given_grids_that_it_can_halve() -> None:
    net = arch.from_module(lambda channels, dims: Strided(channels), input_depth=DEPTH, multiple_of=2)
    network = net.build(3, generator=seeded())
    z = network.new_input((7, 10), seeded())
    assert z.shape == (1, DEPTH, 8, 10)
    assert network(z, (7, 10)).shape == (1, 3, 7, 10)


def test_fit_reaches_least_squares_for_a_module_that_is_linear_in_its_weights() -> None:
    net = arch.from_module(linear_model, input_depth=DEPTH, input="normal", input_scale=1.0)
    y = torch.rand(1, 12, 10, generator=seeded(3))
    seen = torch.rand(12, 10, generator=seeded(4)) < 0.6
    energy = energy_of(net, y, Mask(~seen))
    design = energy.latent[0].flatten(1).T[seen.flatten()]
    design = torch.cat((design, torch.ones(len(design), 1)), 1).double()
    solution = torch.linalg.lstsq(design, y.flatten()[seen.flatten()].double()[:, None]).solution
    optimiser = torch.optim.LBFGS(
        energy.weights, max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = energy.negative_log_likelihood(energy.picture())
        loss.backward()
        return loss

    optimiser.step(closure)
    found = torch.cat([w.detach().flatten() for w in energy.weights])
    assert found.numpy() == pytest.approx(solution.flatten().float().numpy(), abs=2e-4)


def test_restored_plane_is_the_posterior_of_linear_regression() -> None:
    """A mesh for input and one convolution of size 1: the picture is a plane, and its posterior is in closed form."""
    grid, sigma = (20, 16), 0.1
    net = arch.from_module(lambda channels, dims: nn.Conv2d(2, channels, 1), input="mesh", input_scale=1.0)
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in grid), indexing="ij")
    design = np.stack([*axes, np.ones(grid)], -1).reshape(-1, 3)
    rng = np.random.default_rng(0)
    y = design @ [0.5, -0.3, 0.2] + sigma * rng.standard_normal(len(design))
    seen = rng.random(len(design)) < 0.7
    hidden = bd.Mask(~seen.reshape(grid))
    held_out = split(Problem(torch.from_numpy(y.reshape(1, *grid)), hidden, bd.Gaussian(sigma)), 0)
    fitted = seen & ~held_out.numpy().ravel()  # a sampled network is not fitted again with what was held out
    prior = np.array([(2 / (1.04 * 2)) ** 0.5] * 2 + [1.0])
    precision = design[fitted].T @ design[fitted] / sigma**2 + np.diag(prior**-2)
    mean = design @ np.linalg.solve(precision, design[fitted].T @ y[fitted]) / sigma**2
    std = np.sqrt((design @ np.linalg.inv(precision) * design).sum(1))
    found = bd.restore(
        y.reshape(grid),
        hidden,
        bd.Gaussian(sigma),
        method=bd.SGLD(arch=net, steps=400, samples=0),
    )
    # Missing pixels are averaged with simple filling.
    assert float(np.abs(found.mean.ravel() - mean)[seen].max()) < 0.7 * float(std.max())
    assert float(found.raw_std.mean()) == pytest.approx(float(std.mean()), rel=0.4)


def test_module_without_biases_or_of_a_single_filter_is_sampled() -> None:
    """The optimisers treat filters and other weights apart, and one of the two may be missing."""
    y = np.random.default_rng(0).random((12, 12))
    for module in (lambda c, d: nn.Conv2d(32, 4 * c, 1, bias=False), lambda c, d: nn.Conv2d(32, c, 1)):
        whole = arch.from_module(lambda c, d, m=module: nn.Sequential(m(c, d), Mean(c)))
        options = {"arch": whole, "steps": 40, "samples": 2}
        found = bd.restore(y, bd.Identity((12, 12)), bd.Gaussian(0.1), method=bd.SGLD(**options))
        assert np.isfinite(found.mean).all()


def test_prior_of_a_foreign_convolution_is_that_of_ours() -> None:
    foreign = arch.from_module(lambda c, d: nn.Conv2d(DEPTH, c, 3, padding=1), input_depth=DEPTH)
    network = foreign.build(2, generator=seeded())
    energy = energy_of(foreign, torch.rand(2, 8, 8), Identity((8, 8)))
    assert energy.stds == pytest.approx([(2 / (1.04 * DEPTH * 9)) ** 0.5, 1.0])
    assert initial_stds(network) == pytest.approx([(3 * DEPTH * 9) ** -0.5] * 2)


def test_chains_have_weights_of_their_own_and_the_first_is_the_network() -> None:
    energy = energy_of(arch.from_module(small, input_depth=DEPTH), torch.rand(1, 8, 8), Identity((8, 8)))
    both = EnsembleEnergy.of(energy, 2, seeded(5))
    pictures = both.picture()
    assert torch.allclose(pictures[0], energy.picture(), atol=1e-6)
    assert not torch.allclose(pictures[0], pictures[1], atol=1e-3)


def test_precision_and_checkpointing_leave_the_module_as_it_was_written() -> None:
    net = arch.from_module(lambda channels, dims: Strided(channels), input_depth=DEPTH, multiple_of=2)
    network = net.build(1, generator=seeded())
    z = network.new_input((8, 8), seeded())
    before = network(z)
    lower(network, torch.bfloat16)
    add_checkpoints(network)
    assert torch.equal(network(z), before)


def test_same_seed_gives_the_same_weights_and_the_global_generator_is_left_alone() -> None:
    net = arch.from_module(small, input_depth=DEPTH)
    state = torch.random.get_rng_state()
    first, again, other = (net.build(1, generator=seeded(s)).body.state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)
    assert torch.equal(state, torch.random.get_rng_state())


def test_batch_norm_normalises_by_the_current_picture_in_training_and_evaluation() -> None:
    network = arch.from_module(small, input_depth=DEPTH).build(1, generator=seeded())
    norm = network.body.module[1]
    for scale in (1.0, 30.0):
        x = scale * torch.randn(1, 12, 9, 8, generator=seeded()) + scale
        trained = norm.train()(x)
        assert torch.equal(norm.eval()(x), trained)
        assert float(trained.detach().mean((2, 3)).abs().max()) < 1e-5
    z = network.new_input((6, 6), seeded())
    assert torch.equal(network.train()(z), network.eval()(z))


def test_its_kernel_is_an_estimate_and_agrees_with_the_same_network_of_ours() -> None:
    net = arch.from_module(
        lambda c, d: nn.Sequential(
            nn.Conv1d(16, 64, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.Conv1d(64, c, 1)
        ),
        input_depth=16,
        output="sigmoid",
    )
    for ask in (net.kernel, net.tangent_kernel, lambda: net.exact_covariance((8,))):
        with pytest.raises(BayesDipError, match="monte_carlo_kernel"):
            ask()
    sampled = net.monte_carlo_kernel((40,), 200, lags=6, generator=seeded())
    ours = arch.Flat(width=64, depth=1, slope=0.0, norm=False, input_depth=16)
    expected = ours.exact_covariance((40,)).averaged((7,))
    assert bool(((sampled.table - expected / expected[0]).abs() <= 4 * sampled.standard_error + 1e-6).all())
    assert float(sampled.standard_error.max()) < 0.02


def test_description_is_plain_values_and_hashable() -> None:
    net = arch.from_module(small, input_depth=DEPTH, multiple_of=4)
    assert net.describe() == "from_module(small)"
    assert json.loads(json.dumps(net.to_dict()))["multiple_of"] == 4
    assert hash(net) == hash(dataclasses.replace(net))


def same_again() -> arch.Architecture:
    one = nn.Conv2d(32, 1, 1)
    net = arch.from_module(lambda channels, dims: one)
    net.build(1)
    return net


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: arch.from_module(nn.Conv2d(32, 1, 1)), "a function"),
        (lambda: arch.from_module(small, multiple_of=0), "multiple_of=0"),
        (lambda: arch.from_module(small, input="noise"), "input='noise'"),
        (lambda: arch.from_module(lambda c, d: torch.zeros(1)).build(1), "torch.nn.Module was expected"),
        (lambda: arch.from_module(lambda c, d: nn.ReLU()).build(1), "trainable"),
        (
            lambda: arch.from_module(lambda c, d: nn.Sequential(nn.Conv2d(32, c, 1), nn.Dropout(0.1))).build(
                1
            ),
            "dropout",
        ),
        (lambda: same_again().build(1), "same module twice"),
        (lambda: arch.from_module(small).build(1, width=8), "width=8"),
    ],
)
def test_what_cannot_be_fitted_is_refused_and_said(make: object, said: str) -> None:
    with pytest.raises(BayesDipError, match=said):
        make()  # type: ignore[operator]


def test_output_that_is_no_picture_on_the_grid_is_refused() -> None:
    network = arch.from_module(lambda c, d: nn.Conv2d(32, c, 3)).build(1)
    with pytest.raises(ShapeError, match=r"\(1, 1, 6, 6\).*\(1, 1, 8, 8\) was expected"):
        network(network.new_input((8, 8)))
