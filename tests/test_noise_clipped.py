"""Noise that was clipped: its likelihood is a probability, its pile is found, and knowing of it pays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from skimage import data
from torch import Tensor

import bayesdip as bd
from bayesdip.networks.energy import Energy
from bayesdip.noise import Gaussian, detect_clipping
from bayesdip.operators import Identity
from bayesdip.problem import Problem

SIGMA, LOW, HIGH = 0.2, 0.0, 1.0
NOISE = Gaussian(SIGMA, clipped=(LOW, HIGH))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss(noise: Gaussian, prediction: Tensor, y: Tensor) -> Tensor:
    return noise.negative_log_likelihood(prediction, y, torch.ones(y.shape[1:], dtype=torch.bool))


def camera(side: int = 128) -> Tensor:
    return torch.from_numpy(data.camera()[100 : 100 + side, 150 : 150 + side] / 255.0)[None]


# --- the likelihood --------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [-0.3, 0.0, 0.1, 0.6, 1.0, 1.4])
def test_the_density_between_the_levels_and_the_mass_at_them_make_one(mean: float) -> None:
    inside = torch.linspace(LOW, HIGH, 20_001, dtype=torch.float64)[1:-1]
    at = torch.tensor([LOW, HIGH], dtype=torch.float64)

    def likelihood(y: Tensor) -> Tensor:
        each = torch.stack(
            [loss(NOISE, torch.full((1, 1), mean, dtype=torch.float64), v.view(1, 1)) for v in y]
        )
        return torch.exp(-each)

    density = likelihood(inside[::20]) / (SIGMA * math.sqrt(2 * math.pi))
    total = float(density.sum()) * float(inside[20] - inside[0]) + float(likelihood(at).sum())
    assert total == pytest.approx(1, abs=2e-3)


def test_the_likelihood_at_a_level_is_the_tail_of_scipy() -> None:
    x = torch.linspace(-3, 4, 57, dtype=torch.float64).view(1, -1)
    at_low = torch.stack([loss(NOISE, p.view(1, 1), torch.full((1, 1), LOW, dtype=p.dtype)) for p in x[0]])
    at_high = torch.stack([loss(NOISE, p.view(1, 1), torch.full((1, 1), HIGH, dtype=p.dtype)) for p in x[0]])
    np.testing.assert_allclose(at_low, -stats.norm.logcdf((LOW - x[0].numpy()) / SIGMA), rtol=1e-6)
    np.testing.assert_allclose(at_high, -stats.norm.logsf((HIGH - x[0].numpy()) / SIGMA), rtol=1e-6)


def test_the_gradient_at_a_level_is_the_hazard_of_the_normal_law() -> None:
    """d/dx of -log P(y >= high) is -hazard / sigma; in single precision too, and far out."""
    x = torch.tensor([[-9.0, -1.0, 0.5, 0.9, 1.0, 1.5, 3.0]], requires_grad=True)
    y = torch.full_like(x, HIGH).detach()
    (slope,) = torch.autograd.grad(loss(NOISE, x, y), x)
    z = (HIGH - x.detach().double().numpy()[0]) / SIGMA
    hazard = np.exp(stats.norm.logpdf(z) - stats.norm.logsf(z))
    np.testing.assert_allclose(slope[0], -hazard / SIGMA, rtol=2e-3, atol=1e-12)


def test_between_the_levels_it_is_the_likelihood_of_unclipped_noise() -> None:
    y, x = torch.rand(1, 9, 9, generator=seeded()), torch.rand(1, 9, 9, generator=seeded(1))
    assert float(loss(NOISE, x, y)) == float(loss(Gaussian(SIGMA), x, y))


def test_a_value_that_single_precision_moved_still_stands_at_its_level() -> None:
    noise = Gaussian(25.0, clipped=(3.0, 252.0)).rescaled(3.0, 249.0)
    y = ((torch.tensor([[3.0, 252.0]], dtype=torch.float64) - 3.0) / 249.0).float() + torch.tensor(
        [1e-7, -1e-7]
    )
    beyond = torch.tensor([[-0.5, 1.5]])
    assert float(loss(noise, beyond, y)) < 1e-3  # not drawn back to the level


def test_a_one_sided_level_leaves_the_other_side_alone() -> None:
    noise = Gaussian(SIGMA, clipped=(-math.inf, HIGH))
    y, x = torch.zeros(1, 4), torch.full((1, 4), -0.5)
    assert float(loss(noise, x, y)) == float(loss(Gaussian(SIGMA), x, y))


# --- draws and moments -----------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [-0.2, 0.05, 0.5, 1.1])
def test_draws_are_clipped_and_have_the_mean_square_that_is_stated(mean: float) -> None:
    x = torch.full((1, 200_000), mean, dtype=torch.float64)
    drawn = NOISE.sample(x, seeded())
    assert float(drawn.min()) >= LOW and float(drawn.max()) <= HIGH
    stated = NOISE.mean_square(x, NOISE.variance(drawn)).mean()
    assert float((drawn - x).square().mean()) == pytest.approx(float(stated), rel=0.02)


def test_the_fit_of_the_truth_is_one_although_clipping_cut_the_noise(tiny_arch) -> None:  # type: ignore[no-untyped-def]
    clean = camera(96).clamp(0.02, 0.98)
    y = Gaussian(0.3, clipped=(0.0, 1.0)).sample(clean, seeded())
    for noise, expected in ((Gaussian(0.3, clipped=(0.0, 1.0)), 1.0), (Gaussian(0.3), 0.85)):
        target = Energy.of(Problem(y, Identity((96, 96)), noise), tiny_arch, seeded(), "cpu")
        found = target.fit(clean.float())
        assert found == pytest.approx(1, abs=0.02) if expected == 1 else found < expected


# --- detection -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["camera", "astronaut", "coffee", "coins", "rocket"])
@pytest.mark.parametrize("sigma", [10.0, 25.0, 50.0])
def test_clipping_to_8_bits_is_found_at_both_ends_where_it_took_place(name: str, sigma: float) -> None:
    pixels = torch.from_numpy(getattr(data, name)()).double()
    clean = pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)
    y = (clean + sigma * torch.randn(clean.shape, generator=seeded(), dtype=torch.float64)).round()
    low, high = detect_clipping(y.clamp(0, 255))
    for found, level, beyond in ((low, 0.0, y < 0), (high, 255.0, y > 255)):
        if float(beyond.double().mean()) > 1e-3:
            assert found == level
    assert detect_clipping(y) == (-math.inf, math.inf)
    assert detect_clipping(y + 0.1 * torch.rand(y.shape, generator=seeded(1))) == (-math.inf, math.inf)


def test_clipping_of_floats_is_found_in_any_scale() -> None:
    y = camera() + 0.1 * torch.randn(camera().shape, generator=seeded(), dtype=torch.float64)
    low, high = detect_clipping(7 * y.clamp(0.1, 0.9) - 3)
    assert low == pytest.approx(7 * 0.1 - 3) and high == pytest.approx(7 * 0.9 - 3)
    assert detect_clipping(y.clamp(min=0.1))[1] == math.inf


def test_what_was_not_observed_is_no_pile() -> None:
    y = camera() + 0.1 * torch.randn(camera().shape, generator=seeded(), dtype=torch.float64)
    gone = torch.rand(y.shape[1:], generator=seeded(1)) < 0.5
    assert detect_clipping(torch.where(gone, -9.0, y), ~gone) == (-math.inf, math.inf)
    assert detect_clipping(torch.where(gone, torch.nan, y)) == (-math.inf, math.inf)


@pytest.mark.parametrize("y", [torch.zeros(1, 9, 9), (torch.arange(81.0).view(1, 9, 9) > 40).float()])
def test_a_picture_of_a_few_levels_was_not_clipped(y: Tensor) -> None:
    assert detect_clipping(y) == (-math.inf, math.inf)


# --- restoration -----------------------------------------------------------------------------------


def test_denoise_knows_of_the_clipping_that_the_picture_shows() -> None:
    rng = np.random.default_rng(0)
    clean = camera(48)[0].numpy() * 255
    noisy = clean + rng.normal(0, 40, clean.shape)
    options = {"method": bd.MAP(arch="skip(scales=1, width=4)"), "callback": lambda snapshot: True}
    clipped = bd.denoise(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), sigma=40, **options)
    assert clipped.settings["noise"] == "Gaussian noise, sigma 40, clipped at 0 and 255"
    assert "clipped" not in bd.denoise(noisy, sigma=40, **options).settings["noise"]
    assert "clipped" not in bd.denoise(np.clip(noisy, 0, 255), sigma=0, **options).settings["noise"]


@pytest.mark.slow
def test_a_dark_ground_stays_dark_when_the_clipping_is_known(tiny_arch) -> None:  # type: ignore[no-untyped-def]
    """Clipped at 0, noise of 0.3 leaves a mean of 0.12 on black: only the likelihood can tell."""
    from bayesdip.networks.steppers import AdamStepper

    clean = torch.full((1, 32, 32), 0.02)
    clean[:, 8:24, 8:24] = 0.6
    y = Gaussian(0.3, clipped=(0.0, 1.0)).sample(clean, seeded())
    dark = {}
    for noise in (Gaussian(0.3), Gaussian(0.3, clipped=(0.0, 1.0))):
        target = Energy.of(Problem(y, Identity((32, 32)), noise), tiny_arch, seeded(), "cpu")
        stepper = AdamStepper(target, seeded(), learning_rate=0.01, input_noise=0.03)
        pictures = [stepper.step() for _ in range(200)][100:]
        dark[noise.is_clipped] = float(torch.stack(pictures).mean(0)[clean < 0.1].mean())
    assert dark[False] > 0.1
    assert dark[True] - 0.02 < 0.6 * (dark[False] - 0.02)
