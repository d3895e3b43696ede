"""The two ways to the evidence against dense algebra, and what is learnt against what was drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from bayesdip.errors import BayesDipError
from bayesdip.gp import choose, learn, posterior
from bayesdip.gp.dense import dense_covariance
from bayesdip.gp.evidence import VecchiaEvidence, WhittleEvidence
from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.model import Model, build
from bayesdip.kernels import Kernel, Matern12, Matern32, RationalQuadratic
from bayesdip.noise import Gaussian, Poisson
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(kernel: Kernel, shape: tuple[int, ...], channels: int = 1, seed: int = 0) -> Tensor:
    return 0.5 + 0.2 * embed(kernel, shape).draw((channels,), seeded(seed))


def random_mask(*shape: int, share: float = 0.5) -> Tensor:
    return torch.rand(shape, generator=seeded(5)) < share


def modelled(y: Tensor, operator: Operator, kernel: Kernel, sigma: float, amplitude: float | None) -> Model:
    seen = operator.observed.expand(y.shape)
    noise = torch.where(seen, Gaussian(sigma).variance(y).expand(y.shape), 0)
    return build(
        torch.where(seen, y, 0),
        seen,
        noise,
        operator,
        kernel,
        constant=False,
        amplitude=amplitude,
        colour=False,
    )


def dense_evidence(y: Tensor, operator: Operator, kernel: Kernel, ratio: float, scale: float | None) -> float:
    """Log evidence per entry at the most likely mean (and scale, where None), written out."""
    shape, seen = operator.input_shape, operator.observed.flatten()
    n = math.prod(shape)
    A = operator.forward(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).flatten(1).T[seen]
    C = A @ dense_covariance(kernel, shape) @ A.T + ratio * torch.eye(len(A), dtype=torch.float64)
    factor = torch.linalg.cholesky(C)
    both = torch.stack((y.flatten()[seen], A.sum(1)), 1)
    white, ones = torch.linalg.solve_triangular(factor, both, upper=False).T
    white = white - ones * (white @ ones) / (ones @ ones)
    power = float(white.square().mean())
    scale = power if scale is None else scale
    log_determinant = 2 * float(factor.diagonal().log().mean())
    return -0.5 * (math.log(2 * math.pi * scale) + power / scale + log_determinant)


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_vecchia_evidence_whose_sets_hold_all_pixels_before_is_the_dense_one(sigma: float) -> None:
    operator = Mask(random_mask(7, 8))
    y = drawn(Matern32(2.0), (7, 8)) + sigma * torch.randn(1, 7, 8, generator=seeded(), dtype=torch.float64)
    model = modelled(y, operator, Matern32(2.0), sigma, 0.04 if sigma else None)
    found = VecchiaEvidence(model, set_size=100)(
        Matern32(2.0).quadrant((7, 8)), model.system.noise, model.scale
    )
    ratio = sigma**2 / 0.04 if sigma else 1e-5
    expected = dense_evidence(y, operator, Matern32(2.0), ratio, 0.04 if sigma else None)
    assert found.per_entry == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("kernel", [Matern12(6.0), Matern32(2.0), RationalQuadratic(1.5, 0.3)], ids=repr)
def test_vecchia_evidence_is_close_to_the_dense_one(kernel: Kernel) -> None:
    operator = Mask(random_mask(30, 30))
    y = drawn(Matern32(2.0), (30, 30))
    model = modelled(y, operator, kernel, 0.0, None)
    found = VecchiaEvidence(model)(kernel.quadrant((30, 30)), model.system.noise, model.scale)
    assert found.per_entry == pytest.approx(dense_evidence(y, operator, kernel, 1e-5, None), abs=0.02)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_periodograms_expectation_is_right_on_average(missing: float) -> None:
    shape, kernel = (16, 12), Matern32(4.0)
    operator = Mask(random_mask(*shape, share=missing))
    y = embed(kernel, shape).draw((3000,), seeded()) * operator.observed
    model = modelled(y, operator, kernel, 0.0, 1.0)
    whittle = WhittleEvidence(model)
    expected = whittle._expectation(kernel.quadrant(shape))
    ratio = whittle.periodogram[:, 0].mean(0) / expected
    # All but the zero frequency, which is the mean and taken out.
    assert float((ratio.flatten()[1:] - 1).abs().max()) < 6 / math.sqrt(3000)


def test_whittle_evidence_prefers_the_true_lengthscale() -> None:
    y = drawn(Matern32(3.0), (64, 64))
    model = modelled(y, Identity((64, 64)), Matern32(3.0), 0.0, None)
    whittle = WhittleEvidence(model)
    at = {
        length: whittle(Matern32(length).quadrant((64, 64)), model.system.noise, model.scale).per_entry
        for length in (1.5, 2.4, 3.0, 3.75, 6.0)
    }
    assert max(at, key=lambda length: at[length]) in (2.4, 3.0, 3.75)
    assert at[3.0] > max(at[1.5], at[6.0])


@pytest.mark.parametrize("known", [True, False])
def test_lengthscale_amplitude_and_noise_are_learnt(known: bool) -> None:
    y = drawn(Matern32(3.0), (96, 96)) + 0.1 * torch.randn(
        1, 96, 96, generator=seeded(1), dtype=torch.float64
    )
    learnt = learn(y, Mask(random_mask(96, 96, share=0.3)), "matern32", Gaussian(0.1) if known else None)
    assert learnt.parameters["lengthscale"] == pytest.approx(3.0, rel=0.15)
    assert float(learnt.colour) == pytest.approx(0.04, rel=0.3)
    assert isinstance(learnt.noise, Gaussian) and learnt.noise.sigma == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("name", ["blur", "downsample"])
def test_the_lengthscale_is_learnt_through_an_operator(name: str) -> None:
    psf = torch.ones(3, 3, dtype=torch.float64) / 9
    operator: Operator = Blur((96, 96), psf) if name == "blur" else Downsample((128, 128), 2)
    y = operator.forward(drawn(Matern32(4.0), operator.input_shape))
    y = y + 0.02 * torch.randn(y.shape, generator=seeded(1), dtype=y.dtype)
    assert learn(y, operator, "matern32", Gaussian(0.02)).parameters["lengthscale"] == pytest.approx(
        4.0, rel=0.2
    )


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [Matern12(6.0), RationalQuadratic(1.5, 0.3)], ids=repr)
def test_the_kernel_that_drew_the_picture_is_chosen(kernel: Kernel) -> None:
    names = {"Matern12": "matern12", "RationalQuadratic": "rq"}
    y = drawn(kernel, (72, 72))
    choice = choose(
        y, Mask(random_mask(72, 72)), Gaussian(0.0), ("matern12", "matern32", "matern52", "rbf", "rq")
    )
    true = names[type(kernel).__name__]
    # A rational quadratic can imitate others closely: within a hundredth of a nat it may win.
    assert next(c for c in choice.candidates if c.name == true).evidence > choice.best.evidence - 0.01
    assert choice.best.name in choice.why


def test_learning_does_not_depend_on_the_datas_scale() -> None:
    y = drawn(Matern32(2.0), (40, 40))
    operator = Mask(random_mask(40, 40))
    one, other = (
        learn(y, operator, "matern52", Gaussian(0.0)),
        learn(255 * y - 9, operator, "matern52", Gaussian(0.0)),
    )
    assert other.parameters["lengthscale"] == pytest.approx(one.parameters["lengthscale"], rel=1e-4)
    assert float(other.colour / one.colour) == pytest.approx(255**2, rel=1e-4)


def test_a_learnt_kernel_goes_straight_into_the_posterior() -> None:
    B = torch.tensor([[0.04, 0.03], [0.03, 0.05]], dtype=torch.float64)
    clean = torch.einsum(
        "ij,j...->i...", torch.linalg.cholesky(B), embed(Matern32(3.0), (48, 48)).draw((2,), seeded())
    )
    y = clean + 0.2 * torch.randn(clean.shape, generator=seeded(2), dtype=clean.dtype)
    learnt = learn(y, Identity((48, 48)), "matern32", Gaussian(0.2))
    result = posterior(y, Identity((48, 48)), learnt.kernel, learnt.noise, colour=learnt.colour)
    truth = posterior(y, Identity((48, 48)), Matern32(3.0), Gaussian(0.2), colour=B)
    error, best = ((r.mean - clean).square().mean().sqrt() for r in (result, truth))
    assert float(error) < 1.03 * float(best)


def test_unknown_and_missing_families_are_refused() -> None:
    y = torch.zeros(1, 8, 8)
    with pytest.raises(BayesDipError, match="matern32"):
        learn(y, Identity((8, 8)), "matern9")
    with pytest.raises(BayesDipError, match="at least one"):
        choose(y, Identity((8, 8)), candidates=())


def test_a_kernel_is_learnt_from_counts_that_are_mostly_noise() -> None:
    """28 times as much noise as picture: what says something of a pixel is all around it, and not its nearest ones."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(32, 32)), 3)
    rate = np.repeat((0.15 + 0.07 * field / field.std()).clip(0.01)[None], 6, 0)
    counts = torch.from_numpy(np.random.default_rng(1).poisson(rate)).double()
    learnt = choose(counts[None], Identity(counts.shape), Poisson(), ("rbf",)).best
    found = posterior(
        counts[None], Identity(counts.shape), learnt.kernel, Poisson(), colour=learnt.colour
    ).mean[0]
    error = float(np.square(found.numpy() - rate).mean())
    assert error < 0.35 * rate.var()
    assert float(found.mean()) == pytest.approx(float(counts.mean()), rel=0.06)
