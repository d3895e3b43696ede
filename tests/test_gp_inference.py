"""The posterior on a grid against dense Gaussian algebra, written out here once more."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ResourceError, ShapeError
from bayesdip.gp import posterior
from bayesdip.gp.dense import dense_covariance
from bayesdip.gp.grid_covariance import embed
from bayesdip.kernels import RBF, Kernel, Matern32, Tabulated
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator

PSF = torch.tensor([[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]], dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(*shape: int, seed: int = 0) -> Tensor:
    """A smooth picture around one half, (1, *shape)."""
    return 0.5 + 0.2 * embed(Matern32(3.0), shape).draw((1,), seeded(seed))


def dense(
    y: Tensor, operator: Operator, kernel: Kernel, noise: Tensor, offset: float, *, constant: bool = False
) -> tuple[Tensor, Tensor]:
    """Posterior mean and covariance of one channel, given the offset; `noise` in units of the kernel."""
    shape = operator.input_shape
    K = dense_covariance(kernel, shape, constant=constant)
    n = math.prod(shape)
    A = operator.forward(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).flatten(1).T
    seen = operator.observed.flatten()
    A, noise = A[seen], noise.expand(operator.output_shape).flatten()[seen]
    C = A @ K @ A.T + noise.diag()
    gain = torch.linalg.solve(C, A @ K).T
    mean = offset + gain @ (y.flatten()[seen] - offset * A.sum(1))
    return mean.reshape(shape), K - gain @ A @ K


def random_mask(*shape: int, share: float = 0.5) -> Tensor:
    return torch.rand(shape, generator=seeded(5)) < share


CASES = {
    "mask": Mask(random_mask(32, 32)),
    "identity": Identity((20, 13)),
    "1-D": Mask(random_mask(60)),
    "3-D": Mask(random_mask(7, 6, 5)),
    "1x1": Identity((1, 1)),
    "row": Mask(random_mask(1, 50)),
    "blur": Blur((16, 15), PSF),
    "downsample": Downsample((24, 21), 3),
    "masked blur": Mask(random_mask(16, 15)) @ Blur((16, 15), PSF),
    "blurred mask": Blur((16, 15), PSF) @ Mask(random_mask(16, 15, share=0.1)),
    "masked downsample": Mask(random_mask(8, 7, share=0.3)) @ Downsample((24, 21), 3),
    "1-D downsample": Downsample((40,), 4),
    "3-D downsample": Downsample((8, 8, 6), 2),
}


# Deconvolution without noise is as ill-conditioned as the jitter allows: not for the blurred mask.
@pytest.mark.parametrize(
    ("name", "sigma"), [(n, s) for n in CASES for s in (0.0, 0.05) if (n, s) != ("blurred mask", 0.0)]
)
def test_posterior_mean_equals_the_dense_one(name: str, sigma: float) -> None:
    operator = CASES[name]
    y = operator.forward(picture(*operator.input_shape))
    y = y + sigma * torch.randn(y.shape, generator=seeded(), dtype=y.dtype)
    kernel = Matern32(2.0)
    result = posterior(y, operator, kernel, Gaussian(sigma), tol=1e-10, max_iterations=3000)
    ratio = torch.tensor(sigma**2 / result.info["amplitude"][0] if sigma else 1e-5, dtype=torch.float64)
    expected, _ = dense(y, operator, kernel, ratio, result.info["offset"][0])
    assert result.info["converged"]
    assert float((result.mean[0] - expected).abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["mask", "blur", "downsample"])
def test_single_precision_gives_the_same_mean(name: str) -> None:
    operator = CASES[name]
    y = operator.forward(picture(*operator.input_shape))
    double = posterior(y, operator, Matern32(2.0), Gaussian(0.05), tol=1e-9)
    single = posterior(y.float(), operator, Matern32(2.0), Gaussian(0.05), tol=1e-5)
    assert single.mean.dtype == torch.float32
    assert float((single.mean - double.mean).abs().max()) < 1e-4


@pytest.mark.parametrize("name", ["mask", "1-D", "3-D", "blur", "downsample"])
def test_samples_have_the_dense_posteriors_mean_and_variance(name: str) -> None:
    operator = CASES["masked blur"] if name == "blur" else CASES[name]
    if name == "mask":
        operator = Mask(random_mask(16, 16))
    y = operator.forward(picture(*operator.input_shape))
    count, sigma = 250 if name == "3-D" else 1000, 0.05
    result = posterior(
        y,
        operator,
        Matern32(2.0),
        Gaussian(sigma),
        samples=count,
        generator=seeded(),
        tol=1e-4,
        mean=0.5,
        amplitude=0.04,
    )
    ratio = torch.tensor(sigma**2 / 0.04, dtype=torch.float64)
    mean, covariance = dense(y, operator, Matern32(2.0), ratio, 0.5)
    std = (0.04 * covariance.diagonal()).sqrt().reshape(mean.shape)
    z = (result.samples[:, 0].mean(0) - mean) / (std / math.sqrt(count))
    assert float(z.abs().max()) < 5
    assert float(z.square().mean()) == pytest.approx(1, abs=0.6)
    assert result.std is not None
    assert result.info["std_error"] == pytest.approx(1 / math.sqrt(2 * count))
    assert float((result.std[0] / std - 1).abs().max()) < 5 * result.info["std_error"]


def test_samples_have_the_dense_posteriors_covariance() -> None:
    operator = Mask(random_mask(5, 6))
    y = operator.forward(picture(5, 6))
    result = posterior(
        y,
        operator,
        Matern32(2.0),
        Gaussian(0.1),
        samples=8000,
        generator=seeded(),
        mean=0.5,
        amplitude=0.04,
        tol=1e-5,
    )
    mean, covariance = dense(y, operator, Matern32(2.0), torch.tensor(0.25, dtype=torch.float64), 0.5)
    centred = (result.samples[:, 0] - mean).flatten(1)
    sample = centred.T @ centred / len(centred)
    assert float((sample - 0.04 * covariance).abs().max()) < 5 * 0.04 * math.sqrt(2 / 8000)


def test_exact_std_equals_the_samples_with_the_offset_unknown() -> None:
    operator = Mask(random_mask(12, 12, share=0.8))
    y = operator.forward(picture(12, 12))
    options = {"generator": seeded(), "tol": 1e-5}
    sampled = posterior(y, operator, Matern32(3.0), Gaussian(0.05), samples=4000, **options)  # type: ignore[arg-type]
    exact = posterior(y, operator, Matern32(3.0), Gaussian(0.05), exact=True)
    assert sampled.std is not None and exact.std is not None
    assert exact.info["std_error"] == 0
    ratio = sampled.std / exact.std
    assert float((ratio - 1).abs().max()) < 0.06
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)


def test_noise_that_differs_by_pixel_is_weighted_by_pixel() -> None:
    sigma = 0.02 + 0.3 * torch.rand((1, 18, 18), generator=seeded(2), dtype=torch.float64)
    operator = Mask(random_mask(18, 18, share=0.2))
    y = operator.forward(picture(18, 18))
    result = posterior(y, operator, Matern32(2.0), Gaussian(sigma), tol=1e-10)
    expected, _ = dense(
        y, operator, Matern32(2.0), sigma[0].square() / result.info["amplitude"][0], result.info["offset"][0]
    )
    assert float((result.mean[0] - expected).abs().max()) < 1e-6


def test_each_channel_has_its_own_mask_noise_and_amplitude() -> None:
    missing = torch.stack([random_mask(14, 14), random_mask(14, 14, share=0.2)])
    y = torch.cat([picture(14, 14), 3 * picture(14, 14, seed=1)])
    options = {"tol": 1e-10, "exact": True, "colour": False}
    result = posterior(y, Mask(missing, (14, 14)), Matern32(2.0), Gaussian((0.02, 0.3)), **options)  # type: ignore[arg-type]
    assert result.std is not None
    for c, sigma in enumerate((0.02, 0.3)):
        alone = posterior(y[c : c + 1], Mask(missing[c]), Matern32(2.0), Gaussian(sigma), **options)  # type: ignore[arg-type]
        torch.testing.assert_close(result.mean[c], alone.mean[0], atol=1e-7, rtol=0)
        assert alone.std is not None
        torch.testing.assert_close(result.std[c], alone.std[0], atol=1e-7, rtol=0)


def coloured(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two correlated channels, (2, *shape), and the covariance between them."""
    B = torch.tensor([[0.04, 0.03], [0.03, 0.05]], dtype=torch.float64)
    factor = torch.linalg.cholesky(B)
    return torch.einsum("ij,j...->i...", factor, embed(Matern32(2.0), shape).draw((2,), seeded(seed))), B


def dense_in_colour(
    y: Tensor, seen: Tensor, B: Tensor, noise: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """Posterior mean and variance of correlated channels; `noise` is absolute."""
    K = torch.kron(B, dense_covariance(Matern32(2.0), y.shape[1:]))
    s = seen.flatten()
    m = offset.repeat_interleave(y[0].numel())
    gain = torch.linalg.solve(K[s][:, s] + noise.expand_as(y).flatten()[s].diag(), K[s]).T
    mean = m + gain @ (y.flatten() - m)[s]
    return mean.reshape(y.shape), (K.diagonal() - (gain * K[:, s]).sum(1)).reshape(y.shape)


@pytest.mark.parametrize("own", ["nothing of their own", "masks", "noise"])
def test_correlated_channels_help_each_other_as_in_dense_algebra(own: str) -> None:
    y, B = coloured(13, 12)
    missing = random_mask(2, 13, 12) if own == "masks" else random_mask(13, 12)[None].expand(2, -1, -1)
    sigma = (0.05, 0.2) if own == "noise" else (0.1, 0.1)
    noise = torch.tensor(sigma, dtype=torch.float64).square()[:, None, None]
    result = posterior(
        y, Mask(missing, (13, 12)), Matern32(2.0), Gaussian(sigma), colour=B, mean=0.1, tol=1e-10, exact=True
    )
    mean, variance = dense_in_colour(y, ~missing, B, noise, torch.full((2,), 0.1, dtype=torch.float64))
    assert result.std is not None
    torch.testing.assert_close(result.mean, mean, atol=1e-7, rtol=0)
    torch.testing.assert_close(result.std, variance.sqrt(), atol=1e-7, rtol=0)
    assert result.info["colour"] == pytest.approx(B.numpy(), abs=1e-12)


@pytest.mark.parametrize("own", ["nothing of their own", "masks"])
def test_samples_of_correlated_channels_have_the_exact_std(own: str) -> None:
    y, B = coloured(9, 8)
    missing = random_mask(2, 9, 8) if own == "masks" else random_mask(9, 8)
    result, exact = (
        posterior(y, Mask(missing, (9, 8)), Matern32(2.0), Gaussian(0.1), colour=B, tol=1e-5, **options)  # type: ignore[arg-type]
        for options in ({"samples": 3000, "generator": seeded()}, {"exact": True})
    )
    assert result.std is not None and exact.std is not None
    assert float((result.std / exact.std - 1).abs().max()) < 5 * result.info["std_error"]
    # Between the channels, too: the mean product of the deviations where both are missing.
    deviation = result.samples - result.mean
    both = (random_mask(2, 9, 8)[0] & random_mask(2, 9, 8)[1]) if own == "masks" else missing
    product = float((deviation[:, 0] * deviation[:, 1])[:, both].mean())
    scale = float((exact.std[0] * exact.std[1])[both].mean())
    assert 0.3 < product / scale < 0.9


def test_the_colour_covariance_is_learnt_from_noisy_data() -> None:
    y, B = coloured(96, 96)
    noisy = y + 0.3 * torch.randn(y.shape, generator=seeded(3), dtype=y.dtype)
    learnt = posterior(noisy, Identity((96, 96)), Matern32(2.0), Gaussian(0.3)).info["colour"]
    assert learnt == pytest.approx(B.numpy(), abs=0.01)


@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_rescaled_data_give_the_rescaled_posterior(sigma: float) -> None:
    operator = Mask(random_mask(20, 20))
    y = picture(20, 20)
    plain = posterior(y, operator, Matern32(2.0), Gaussian(sigma), tol=1e-9, exact=True)
    scaled = posterior(255 * y - 40, operator, Matern32(2.0), Gaussian(255 * sigma), tol=1e-9, exact=True)
    torch.testing.assert_close(scaled.mean, 255 * plain.mean - 40, atol=1e-4, rtol=0)
    assert scaled.std is not None and plain.std is not None
    torch.testing.assert_close(scaled.std, 255 * plain.std, rtol=1e-5, atol=1e-6)


def test_a_kernels_constant_part_acts_when_the_mean_is_given() -> None:
    kernel = Matern32(2.0) + 5.0 * Tabulated(torch.ones(1, 1), 1.0)
    operator = Mask(random_mask(12, 12))
    y = operator.forward(picture(12, 12))
    result = posterior(y, operator, kernel, Gaussian(0.05), mean=0.0, amplitude=0.04, tol=1e-11)
    ratio = torch.tensor(0.05**2 / 0.04, dtype=torch.float64)
    expected, _ = dense(y, operator, kernel, ratio, 0.0, constant=True)
    assert float((result.mean[0] - expected).abs().max()) < 1e-6


def test_the_amplitude_of_noise_free_data_is_the_most_likely_one() -> None:
    y = 0.5 + 0.3 * picture(24, 24) / 0.2
    result = posterior(y, Identity((24, 24)), Matern32(3.0), Gaussian(0.0), tol=1e-9)
    K = dense_covariance(Matern32(3.0), (24, 24)) + 1e-5 * torch.eye(576, dtype=torch.float64)
    r = (y - result.info["offset"][0]).flatten()
    assert result.info["amplitude"][0] == pytest.approx(float(r @ torch.linalg.solve(K, r)) / 576, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 500), (40,)])
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_a_constant_picture_stays_constant(shape: tuple[int, ...], sigma: float) -> None:
    y = torch.full((2, *shape), 0.7)
    result = posterior(y, Identity(shape), RBF(1.0), Gaussian(sigma), samples=2, generator=seeded())
    torch.testing.assert_close(result.mean, y)
    assert bool(result.samples.isfinite().all())


def test_values_of_missing_pixels_do_not_matter() -> None:
    missing = random_mask(10, 10)
    y = picture(10, 10)
    clean = posterior(y, Mask(missing), Matern32(2.0), Gaussian(0.0))
    dirty = posterior(y.masked_fill(missing, float("nan")), Mask(missing), Matern32(2.0), Gaussian(0.0))
    torch.testing.assert_close(clean.mean, dirty.mean)


def test_the_same_generator_gives_the_same_samples() -> None:
    y = picture(10, 10)
    one, two = (
        posterior(
            y, Mask(random_mask(10, 10)), RBF(1.0), Gaussian(0.1), samples=3, generator=seeded(7)
        ).samples
        for _ in range(2)
    )
    assert torch.equal(one, two)


def test_a_stop_ends_with_the_best_so_far() -> None:
    y = picture(32, 32)
    result = posterior(
        y, CASES["mask"], Matern32(4.0), Gaussian(0.0), tol=1e-12, stop=lambda i, r: i >= 2, samples=3
    )
    assert (
        result.info["stopped"] == "stopped"
        and not result.info["converged"]
        and result.info["iterations"] == 2
    )
    assert len(result.samples) == 0 and bool(result.mean.isfinite().all())


def test_facts_are_plain_json_values_by_channel() -> None:
    y = torch.cat([picture(10, 10), 3 * picture(10, 10, seed=1)])
    info = posterior(y, Identity((10, 10)), RBF(1.0), Gaussian(0.1), draws=4, generator=seeded()).info
    assert json.loads(json.dumps(info)) == info
    assert len(info["amplitude"]) == len(info["offset"]) == len(info["colour"]) == 2
    assert info["converged"] and info["stopped"] == "converged"
    assert info["iterations"] > 0 and info["sample_iterations"] > 0 and info["clipped"] == 0


def test_wrong_input_is_refused_in_one_line() -> None:
    y = picture(6, 6)
    with pytest.raises(ShapeError, match="channels"):
        posterior(y[0], Identity((6, 6)), RBF(1.0), Gaussian(0.1))
    with pytest.raises(NonFiniteError, match="1 observed"):
        posterior(torch.where(y == y.max(), torch.nan, y), Identity((6, 6)), RBF(1.0), Gaussian(0.1))
    with pytest.raises(BayesDipError, match="no observed"):
        posterior(y, Mask(torch.ones(6, 6, dtype=torch.bool)), RBF(1.0), Gaussian(0.1))
    with pytest.raises(BayesDipError, match="tol"):
        posterior(y, Identity((6, 6)), RBF(1.0), Gaussian(0.1), tol=0.0)
    with pytest.raises(ResourceError, match="samples"):
        posterior(torch.zeros(1, 80, 80), Identity((80, 80)), RBF(1.0), Gaussian(0.1), exact=True)
