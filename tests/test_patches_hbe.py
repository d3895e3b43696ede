"""HBE: Gaussian patches of which only a part is known, each given its own known pixels."""

from functools import cache

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip.errors import ShapeError
from bayesdip.gp import posterior
from bayesdip.interruption import stoppable
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.patches.filling import STATIONARY
from bayesdip.patches.hbe import condition_on_known
from bayesdip.patches.inference import patch_posterior
from bayesdip.window import window_sum


@cache
def photograph(channels=1):
    """48 x 48 pixels of a picture that scikit-image ships."""
    crop = torch.from_numpy(data.astronaut()[30:78, 180:228].copy()).permute(2, 0, 1).double() / 255
    return crop[:channels]


def holes(share, shape=(48, 48), seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def filled(clean, missing, sigma=0.0, **options):
    y = torch.where(missing, torch.nan, clean)
    return patch_posterior(y, Mask(missing, clean.shape[1:]), Gaussian(sigma), **options)


def stationary(clean, missing, sigma=0.0):
    y = torch.where(missing, torch.nan, clean)
    kernel = STATIONARY.kernel(dims=clean.ndim - 1)
    return posterior(y, Mask(missing, clean.shape[1:]), kernel, Gaussian(sigma)).mean


def rms(error, where):
    return float(error[where.expand(error.shape)].square().mean().sqrt())


@pytest.mark.parametrize("with_holes", [0.0, 0.5, 0.9])
def test_each_patch_has_the_dense_posterior_given_its_known_values(with_holes):
    generator = torch.Generator().manual_seed(0)
    y, noise = torch.randn(2, 2, 3, 6, dtype=torch.float64, generator=generator)
    noise = noise.square() + 0.1
    root = torch.randn(2, 6, 9, dtype=torch.float64, generator=generator)
    covariance = root @ root.mT
    missing = torch.rand(2, 3, 6, generator=generator) < with_holes
    mean, variance = condition_on_known(y, missing, noise, covariance)
    for g in range(2):
        for i in range(3):
            o, C = ~missing[g, i], covariance[g]
            inverse = torch.linalg.inv(C[o][:, o] + noise[g, i, o].diag())
            assert torch.allclose(mean[g, i], C[:, o] @ inverse @ y[g, i, o])
            expected = (C - C[:, o] @ inverse @ C[o]).diagonal()
            assert torch.allclose(variance[g, i], expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_patches_fill_half_a_picture_better_than_the_stationary_process(channels):
    clean, missing = photograph(channels), holes(0.5)
    before = rms(stationary(clean, missing) - clean, missing)
    assert rms(filled(clean, missing).mean - clean, missing) < 0.85 * before


def test_a_texture_is_found_again_from_a_fifth_of_its_pixels():
    row, column = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    clean = (0.5 + 0.4 * torch.sin(1.1 * row + 0.7 * column)).double()[None]
    missing = holes(0.8)
    before = rms(stationary(clean, missing) - clean, missing)
    assert rms(filled(clean, missing).mean - clean, missing) < 0.2 * before


def test_standard_deviation_is_near_the_error_of_missing_pixels():
    clean, missing = photograph(), holes(0.5)
    found = filled(clean, missing)
    z = ((found.mean - clean) / found.std)[:, missing]
    assert 0.8 < z.square().mean().sqrt() < 2.0


def test_missing_pixels_among_noisy_ones_are_filled_and_the_noise_is_taken_away():
    clean, missing = photograph(), holes(0.4)
    y = clean + 0.08 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    found = filled(y, missing, 0.08)
    before = stationary(y, missing, 0.08)
    assert rms(found.mean - clean, ~missing) < 0.7 * 0.08
    assert rms(found.mean - clean, missing) < rms(before - clean, missing)


def test_channels_that_lack_pixels_of_their_own_help_each_other():
    clean = photograph(3)
    missing = holes(0.5, (3, 48, 48))
    apart = torch.cat([filled(clean[c : c + 1], missing[c], passes=2).mean for c in range(3)])
    assert rms(filled(clean, missing, passes=2).mean - clean, missing) < 0.8 * rms(apart - clean, missing)


def test_the_middle_of_a_large_hole_goes_on_smoothly_from_what_patches_reach():
    clean = photograph()
    missing = torch.zeros(48, 48, dtype=torch.bool)
    missing[10:38, 10:38] = True
    found = filled(clean, missing)
    beside = [found.mean.roll(step, axis) for axis in (1, 2) for step in (-1, 1)]
    neighbours = torch.stack(beside).mean(0)
    assert torch.allclose(found.mean[:, 20:28, 20:28], neighbours[:, 20:28, 20:28], atol=1e-6)
    assert found.info["left_to_harmonic_filling"] == pytest.approx(16**2 / 48**2, rel=0.3)
    assert found.std[:, 22:26, 22:26].mean() > 2 * found.std[:, 10, 10:38].mean()


def test_the_middle_of_a_large_hole_does_not_go_back_to_the_mean_of_the_picture():
    clean = photograph() * 0.2
    clean[:, :, 36:] += 0.7  # far from the hole
    missing = torch.zeros(48, 48, dtype=torch.bool)
    missing[8:36, 2:30] = True
    found, middle = filled(clean, missing), torch.zeros_like(missing)
    middle[17:27, 11:21] = True
    assert rms(found.mean - clean, middle) < 0.5 * rms(stationary(clean, missing) - clean, middle)


def test_sizes_of_patches_that_reach_different_depths_of_a_hole_have_one_standard_deviation():
    clean = photograph()
    missing = torch.zeros(48, 48, dtype=torch.bool)
    missing[10:38, 10:38] = True
    small, both = (
        filled(clean, missing, passes=2, patches=sizes) for sizes in ({27: 1.0}, {75: 0.4, 27: 0.6})
    )
    assert both.info["left_to_harmonic_filling"] < small.info["left_to_harmonic_filling"]
    assert bool(both.std.isfinite().all())


def test_a_start_takes_the_place_of_the_stationary_process():
    clean, missing = photograph(), holes(0.5)
    near = clean + 0.01 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    found = filled(clean, missing, start=near, passes=1)
    assert rms(found.mean - clean, missing) < 0.8 * rms(filled(clean, missing).mean - clean, missing)
    with pytest.raises(ShapeError, match="start"):
        filled(clean, missing, start=near[:, :-1])


def test_stopping_leaves_the_last_finished_estimate_without_a_standard_deviation():
    clean, missing = photograph(), holes(0.5)
    at_once = filled(clean, missing, stop=lambda number, share: True)
    assert at_once.info["passes"] == 0 and at_once.std is None
    near = window_sum((~missing).float(), (3, 3)) > 0
    process = stationary(clean, missing)
    assert torch.allclose(at_once.mean[:, near], process[:, near], atol=1e-5)
    assert near.all() or not torch.allclose(at_once.mean[:, ~near], process[:, ~near], atol=1e-3)
    later = filled(clean, missing, stop=lambda number, share: number == 2)
    assert later.info["passes"] == 2
    assert rms(later.mean - clean, missing) < rms(at_once.mean - clean, missing)


@pytest.mark.parametrize("sigma", [0.0, 0.05])
@pytest.mark.parametrize("last", [1, 2, 4, 6])
def test_work_in_a_large_hole_that_shall_end_keeps_what_was_found(last, sigma):
    clean, missing, ended = photograph()[:1], torch.zeros(48, 48, dtype=torch.bool), []
    missing[10:38, 10:38] = True
    noise = sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0), dtype=clean.dtype)

    def stop(number, share):
        if number >= last:
            ended.append(number)
        return bool(ended)

    y = torch.where(missing, torch.nan, clean + noise)
    with stoppable(lambda: bool(ended)):
        found = patch_posterior(y, Mask(missing, (48, 48)), Gaussian(sigma), stop=stop)
    assert found.mean.isfinite().all()
    assert rms(found.mean - clean, missing) < 1.5 * rms(stationary(clean, missing) - clean, missing)


def test_shift_and_scale_pass_through_the_filling():
    clean, missing = photograph()[:, :40, :40], holes(0.5, (40, 40))
    found, moved = filled(clean, missing), filled(300 * clean - 70, missing)
    assert torch.allclose(moved.mean, 300 * found.mean - 70, atol=0.3)
    assert torch.allclose(moved.std, 300 * found.std, atol=0.3)


@pytest.mark.parametrize("shape", [(1, 40), (1, 5, 5), (1, 1, 30), (2, 30, 1), (5, 20, 21)])
def test_every_shape_is_filled(shape):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(shape, dtype=torch.float64, generator=generator)
    found = filled(clean, torch.rand(shape[1:], generator=generator) < 0.4)
    assert found.mean.shape == found.std.shape == shape
    assert found.mean.isfinite().all() and found.std.isfinite().all()


def test_inpaint_by_patches_beats_the_stationary_process():
    image = photograph(3).permute(1, 2, 0).numpy()
    missing = holes(0.5).numpy()
    found = bd.inpaint(image, missing, method="patches", effort="fast", channel_axis=-1)
    assert found.info["model"] == "HBE"
    assert np.allclose(found.mean[~missing], image[~missing], atol=1e-12)
    assert not found.std[~missing].any() and found.std[missing].all()
    process = bd.inpaint(image, missing, method="gp", effort="fast", channel_axis=-1)
    assert np.square(found.mean - image).sum() < 0.8 * np.square(process.mean - image).sum()
