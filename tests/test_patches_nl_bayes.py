"""NL-Bayes: groups of similar patches as draws of Gaussians learnt from the picture itself."""

from functools import cache

import numpy as np
import pytest
import scipy
import torch
from skimage import data
from skimage.filters import gaussian

import bayesdip as bd
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Identity, Mask
from bayesdip.patches.inference import beyond_the_levels, patch_posterior
from bayesdip.patches.nl_bayes import POSTERIOR_PART, PRIOR_LOG_ODDS, condition
from bayesdip.patches.patch_grid import Patches, evenly_spaced


@cache
def photograph(channels=3):
    """96 x 96 pixels of a picture that scikit-image ships."""
    crop = torch.from_numpy(data.astronaut()[20:116, 170:266].copy()).permute(2, 0, 1).double() / 255
    return crop[:channels]


def noisy(picture, sigma=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return picture + sigma * torch.randn(picture.shape, dtype=picture.dtype, generator=generator)


def restored(y, sigma=0.1, operator=None, **options):
    return patch_posterior(y, operator or Identity(y.shape[1:]), Gaussian(sigma), **options)


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.03, 0.1, 0.3])
def test_posterior_mean_beats_every_gaussian_filter(channels, sigma):
    clean = photograph(channels)
    y = noisy(clean, sigma)
    filtered = (gaussian(y.numpy(), s, channel_axis=0) for s in (0.4, 0.6, 0.8, 1.1, 1.5, 2.0, 3.0))
    best = max(psnr(torch.from_numpy(f), clean) for f in filtered)
    assert psnr(restored(y, sigma).mean, clean) > best + (1.0 if sigma < 0.2 else 0.4)


def test_every_pass_improves_on_the_kernel_regression():
    clean = photograph()
    y = noisy(clean)
    found = [psnr(restored(y, passes=passes).mean, clean) for passes in (0, 1, 2)]
    assert found[0] > psnr(y, clean) + 6
    assert found[1] > found[0] + 0.5
    assert found[2] > found[1]


def test_standard_deviation_is_near_the_error():
    clean = photograph()
    found = restored(noisy(clean))
    ratio = ((found.mean - clean) / found.std).square().mean().sqrt()
    assert 0.8 < ratio < 1.5


def test_shift_and_scale_pass_through():
    y = noisy(photograph())[:, :40, :40]
    found, moved = restored(y), restored(3 * y + 5, 0.3)
    assert torch.allclose(moved.mean, 3 * found.mean + 5, atol=1e-2)
    assert torch.allclose(moved.std, 3 * found.std, atol=5e-3)


def test_the_same_data_give_the_same_bits():
    y = noisy(photograph())[:, :40, :40]
    assert torch.equal(restored(y).mean, restored(y).mean)


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 1), (1, 40), (2, 1, 1), (1, 1, 9), (2, 9, 1), (3, 5, 5), (3, 13, 38)]
)
def test_every_shape_has_a_posterior(shape):
    found = restored(torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    assert found.mean.shape == found.std.shape == shape
    assert found.mean.isfinite().all()
    assert (found.std > 0).all() and (found.std <= 0.1 + 1e-6).all()


def test_a_single_pixel_keeps_its_value_and_its_noise():
    found = restored(torch.full((1, 1, 1), 0.7, dtype=torch.float64))
    assert found.mean.item() == pytest.approx(0.7)
    assert found.std.item() == pytest.approx(0.1)


def test_many_channels_help_each_other():
    clean = photograph(1)[:, :32, :32] * torch.linspace(0.4, 1.2, 16)[:, None, None].double()
    y = noisy(clean)
    together = restored(y).mean[8]
    alone = restored(y[8:9]).mean[0]
    assert psnr(together, clean[8]) > psnr(alone, clean[8]) + 2


def test_channels_of_their_own_noise_are_weighed_by_it():
    clean = photograph()
    sigmas = (0.02, 0.1, 0.3)
    y = torch.cat([noisy(clean[c : c + 1], s, seed=c) for c, s in enumerate(sigmas)])
    found = patch_posterior(y, Identity(y.shape[1:]), Gaussian(sigmas))
    errors = (found.mean - clean).flatten(1).square().mean(1).sqrt()
    assert (errors < torch.tensor([0.017, 0.05, 0.12])).all()
    assert (found.std.flatten(1).mean(1).diff() > 0).all()


def test_noise_free_data_come_back():
    y = photograph()
    found = restored(y, 0.0)
    assert torch.equal(found.mean, y)
    assert not found.std.any()


def test_holes_in_noise_free_data_are_filled():
    clean = photograph()
    missing = torch.rand(96, 96, generator=torch.Generator().manual_seed(1)) < 0.03
    found = restored(torch.where(missing, torch.nan, clean), 0.0, operator=Mask(missing))
    error = found.mean - clean
    assert error[:, ~missing].abs().max() < 0.02
    assert error[:, missing].square().mean().sqrt() < 0.03
    flat = restored(torch.where(missing, torch.nan, torch.full_like(clean, 0.3)), 0.0, operator=Mask(missing))
    assert torch.allclose(flat.mean, torch.full_like(clean, 0.3))


def two_models(y, estimate, noise):
    """By SciPy's density: the average of the precisions of two models of a group, (n, d), and the share of the wider one."""
    d = y.shape[1]
    covariance = np.cov(estimate.numpy().T) + noise * np.eye(d)
    posterior_covariance = noise * np.eye(d) - noise**2 * np.linalg.inv(covariance)
    wider = covariance + POSTERIOR_PART * posterior_covariance
    # Of n draws, their mean taken off: n - 1 independent ones, whatever these are.
    helmert = scipy.linalg.helmert(len(y)) @ y.numpy()
    evidence = [scipy.stats.multivariate_normal(cov=C).logpdf(helmert).sum() for C in (covariance, wider)]
    share = 1 / (1 + np.exp(evidence[0] - evidence[1] - PRIOR_LOG_ODDS))
    precision = (1 - share) * np.linalg.inv(covariance) + share * np.linalg.inv(wider)
    return torch.from_numpy(precision), share


@pytest.mark.parametrize(("scale", "wide"), [(0.9, False), (1.2, True)])
def test_group_posterior_averages_two_models_by_the_dense_formulas(scale, wide):
    generator = torch.Generator().manual_seed(0)
    y, estimate = torch.randn(2, 1, 600, 5, dtype=torch.float64, generator=generator)
    y = scale * y * 1.3**0.5
    mean, _ = condition(y, estimate, torch.tensor([0.3], dtype=torch.float64))
    precision, share = two_models(y[0], estimate[0], 0.3)
    assert share > 0.999 if wide else share < 0.001
    assert torch.allclose(mean[0], y[0] - 0.3 * (y[0] - y[0].mean(0)) @ precision)


def test_a_missing_value_is_predicted_from_its_patch_alone():
    generator = torch.Generator().manual_seed(0)
    y, estimate = torch.randn(2, 1, 50, 4, dtype=torch.float64, generator=generator)
    missing = torch.zeros(1, 50, 4, dtype=torch.bool)
    missing[0, 7, 2] = True
    noise = torch.tensor([0.3], dtype=torch.float64)
    mean, _ = condition(y, estimate, noise, missing)
    C = torch.linalg.inv(two_models(y[0], estimate[0], 0.3)[0])
    others, m = [0, 1, 3], y[0].mean(0)
    weights = torch.linalg.solve(C[others][:, others], C[others, 2])
    assert mean[0, 7, 2] == pytest.approx(float(m[2] + (y[0, 7] - m)[others] @ weights))


def test_a_few_missing_pixels_are_filled_from_their_patches():
    clean = photograph()
    missing = torch.rand(96, 96, generator=torch.Generator().manual_seed(1)) < 0.03
    y = torch.where(missing, torch.nan, noisy(clean))
    found = restored(y, operator=Mask(missing))
    error = found.mean - clean
    assert error[:, missing].square().mean().sqrt() < 1.6 * error[:, ~missing].square().mean().sqrt()
    assert found.std[:, missing].mean() > found.std[:, ~missing].mean()


def test_stopping_gives_the_last_finished_estimate():
    y = noisy(photograph())[:, :40, :40]
    stopped = restored(y, stop=lambda number, share: number == 1)
    assert stopped.info["passes"] == 1
    clean = photograph()[:, :40, :40]
    assert psnr(stopped.mean, clean) == pytest.approx(psnr(restored(y, passes=1).mean, clean), abs=0.2)
    at_once = restored(y, stop=lambda number, share: True)
    assert at_once.info["passes"] == 0
    assert torch.equal(at_once.mean, restored(y, passes=0).mean)


def test_a_last_pass_by_larger_patches_improves_on_the_mean_of_the_sizes():
    clean = photograph()[:, :56, :56]
    y = noisy(clean)
    sizes = {75: 0.7, 27: 0.3}
    before, after = restored(y, patches=sizes), restored(y, patches=sizes, last_size=(147, 0.45))
    assert after.info["passes"] == before.info["passes"] + 1
    assert psnr(after.mean, clean) > psnr(before.mean, clean)
    stopped = restored(y, patches=sizes, last_size=(147, 0.45), stop=lambda number, share: number == 8)
    assert stopped.info["passes"] == before.info["passes"] and torch.equal(stopped.mean, before.mean)


@pytest.mark.parametrize("shape", [(3, 20, 9), (3, 5, 40), (4, 12, 12), (1, 20, 20)])
def test_at_best_every_shape_is_denoised(shape):
    y = noisy(torch.zeros(shape, dtype=torch.float64) + 0.5)
    found = bd.denoise(y.numpy(), 0.1, method="patches", effort="best", channel_axis=0)
    assert found.mean.shape == shape and np.isfinite(found.mean).all()
    assert np.square(found.mean - 0.5).mean() < 0.2 * float((y - 0.5).square().mean())


def test_other_operators_are_refused_by_name():
    y = photograph()
    blur = Blur(y.shape[1:], torch.ones(3, 3) / 9)
    with pytest.raises(BayesDipError, match="back-projection"):
        restored(y, operator=blur)


def test_volumes_and_infinite_data_are_refused():
    with pytest.raises(ShapeError, match="1 or 2"):
        restored(torch.zeros(1, 3, 4, 5))
    with pytest.raises(NonFiniteError, match="declare"):
        restored(torch.tensor([[1.0, float("inf"), 2.0]]))


def test_what_lies_beyond_a_level_is_the_mean_of_the_truncated_noise():
    truth, levels = torch.tensor([0.9, 0.02, 0.5]), (0.0, 1.0)
    generator = torch.Generator().manual_seed(0)
    before = truth[:, None] + 0.1 * torch.randn(3, 200_000, generator=generator)
    after = before.clamp(*levels)
    likely = beyond_the_levels(after, truth[:, None].expand_as(after), Gaussian(0.1, levels))
    assert torch.allclose(likely.mean(1), before.mean(1), atol=2e-3)
    inside = (after > 1e-3) & (after < 1 - 1e-3)
    assert torch.equal(likely[inside], after[inside])


def test_clipped_white_comes_out_white():
    clean = torch.full((1, 40, 40), 0.98, dtype=torch.float64)
    y = noisy(clean).clamp(max=1.0)
    ordinary = patch_posterior(y, Identity((40, 40)), Gaussian(0.1))
    censored = patch_posterior(y, Identity((40, 40)), Gaussian(0.1, (0.0, 1.0)))
    assert (ordinary.mean - clean).mean() < -0.025
    assert (censored.mean - clean).mean().abs() < 0.02


def test_denoise_by_patches_has_a_mean_and_a_standard_deviation():
    image = noisy(photograph(1))[0, :48, :48].numpy()
    found = bd.denoise(image, sigma=0.1, method="patches")
    assert found.info["model"] == "chain of group filters"
    assert found.mean.shape == found.std.shape == image.shape
    assert psnr(torch.from_numpy(found.mean), photograph(1)[0, :48, :48]) > 25


def test_patches_and_their_sums_are_adjoint():
    patches = Patches(6, 9, 3, 2)
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(2, 6, 9, generator=generator, dtype=torch.float64)
    table = torch.randn(patches.of(picture).shape, generator=generator, dtype=torch.float64)
    assert torch.allclose((patches.of(picture) * table).sum(), (picture * patches.sums(table)).sum())


@pytest.mark.parametrize("far", [(0, 0), (5, 6), (40, 40)])
def test_similar_patches_are_the_nearest_of_those_compared(far):
    guide = torch.rand(2, 9, 11, generator=torch.Generator().manual_seed(0))
    patches = Patches(9, 11, 3, 3)
    found = patches.similar(guide, evenly_spaced(6, 2), evenly_spaced(8, 3), (2, 3), 5, far)
    table = patches.of(guide)
    references = [(top, left) for top in (0, 2, 4, 6) for left in (0, 3, 6, 8)]
    assert len(found) == len(references)
    for (top, left), members in zip(references, found, strict=True):
        lags = [
            (down, right)
            for down in range(-8, 9)
            for right in range(-10, 11)
            if (abs(down) <= 2 and abs(right) <= 3)
            or (abs(down) <= far[0] and abs(right) <= far[1] and down % 3 == right % 3 == 0)
        ]
        window = [
            (top + down) * patches.columns + left + right
            for down, right in lags
            if 0 <= top + down < patches.rows and 0 <= left + right < patches.columns
        ]
        distances = (table[window] - table[top * patches.columns + left]).square().sum(1)
        expected = {window[i] for i in distances.topk(5, largest=False).indices.tolist()}
        assert set(members.tolist()) == expected
