"""Missing pixels beside noisy ones: one run fills in and takes the noise into account, and says what it found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom
from skimage.data import astronaut, brick, camera, grass

import bayesdip as bd
from bayesdip.inputs import Inputs
from bayesdip.noise import Gaussian
from bayesdip.noise.presence import is_clearly_noisy
from bayesdip.operators import Identity, Mask
from bayesdip.patches.chain import chain_of
from bayesdip.patches.inference import patch_posterior

CLEAN = camera()[100:196, 180:276].astype(float)


def noisy(sigma: float, seed: int = 0) -> np.ndarray:
    return CLEAN + np.random.default_rng(seed).normal(0, sigma, CLEAN.shape)


def dust(seed: int = 1) -> np.ndarray:
    """Specks of 3x3 to 5x5 pixels, away from the border."""
    rng, mask = np.random.default_rng(seed), np.zeros(CLEAN.shape, bool)
    for _ in range(25):
        (row, column), side = rng.integers(4, 86, 2), rng.integers(3, 6)
        mask[row : row + side, column : column + side] = True
    return mask


def psnr(restored, truth=CLEAN, where=...) -> float:
    return float(10 * np.log10(255**2 / np.mean((np.asarray(restored, float) - truth)[where] ** 2)))


def inpainting(image, mask, sigma=None) -> Inputs:
    return Inputs.inpainting(image, mask, sigma, None, "auto", None)


def test_clean_photographs_count_as_clean_and_noisy_ones_as_noisy() -> None:
    mask = dust()
    small = camera().reshape(128, 4, 128, 4).mean((1, 3)).round()  # looks rough
    for clean, m in ((CLEAN, mask), (small[:96, :96], mask), (brick()[:96, :96], mask)):
        found = inpainting(clean, m)
        assert found.sigma == (0.0,) and not found.findings and not found.problem.keeps_known
    found = inpainting(noisy(12), mask)
    assert found.sigma == pytest.approx((12.0,), rel=0.15)
    (finding,) = found.findings
    assert finding.kind == "noise" and "--sigma auto" in finding.text
    assert finding.facts["sigma"] == pytest.approx(found.sigma[0])


def test_scattered_missing_pixels_leave_enough_to_see_the_noise() -> None:
    mask = np.random.default_rng(0).random(CLEAN.shape) < 0.5
    assert inpainting(noisy(20), mask).sigma == pytest.approx((20.0,), rel=0.25)
    assert inpainting(CLEAN, mask).sigma == (0.0,)


def test_correlated_noise_is_not_white() -> None:
    generator = torch.Generator().manual_seed(0)
    white = 100 + 5 * torch.randn(2, 64, 64, generator=generator)
    blurred = torch.nn.functional.avg_pool2d(white[None], 3, stride=1)[0]
    everywhere = torch.ones((), dtype=torch.bool)
    assert is_clearly_noisy(white, everywhere, 5.0)
    assert not is_clearly_noisy(blurred, everywhere, float(blurred.std()))
    assert is_clearly_noisy(white.reshape(1, -1), everywhere, 5.0)  # a signal
    assert not is_clearly_noisy(torch.zeros(1, 64, 64), everywhere, 0.0)


def test_by_default_known_pixels_come_back_and_holes_are_filled_without_their_noise() -> None:
    mask, y = dust(), noisy(20)
    unasked, exact = bd.inpaint(y, mask, effort="fast"), bd.inpaint(y, mask, sigma=0, effort="fast")
    np.testing.assert_allclose(unasked.mean[~mask], y[~mask], atol=1e-9)
    assert psnr(unasked.mean, where=mask) > psnr(exact.mean, where=mask) + 0.05
    assert unasked.std is not None
    np.testing.assert_allclose(unasked.std[~mask], unasked.sigma[0], rtol=1e-4)
    low, high = unasked.interval(0.9)
    inside = (low <= CLEAN) & (high >= CLEAN)
    assert 0.85 <= inside[~mask].mean() <= 0.95
    assert "noise" not in {f.kind for f in exact.findings}
    assert exact.sigma == (0.0,) and not exact.std[~mask].any()


def test_auto_denoises_known_pixels_too() -> None:
    mask, y = dust(), noisy(12)
    r = bd.inpaint(y, mask, sigma="auto", effort="fast")
    assert r.sigma == pytest.approx((12.0,), rel=0.15)
    assert psnr(r.mean, where=~mask) > psnr(y, where=~mask) + 4
    low, high = r.interval(0.9)
    inside = (low <= CLEAN) & (high >= CLEAN)
    assert 0.8 <= inside.mean() <= 0.97


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_one_run_is_as_good_as_two(share: float) -> None:
    """Against: denoise the picture with its holes smoothly filled, then fill in; and fill in, then denoise."""
    from skimage.restoration import inpaint_biharmonic

    sigma, y = 15.0, noisy(15)
    mask = dust() if share < 0.1 else np.random.default_rng(0).random(CLEAN.shape) < share
    one = bd.inpaint(y, mask, sigma=sigma, effort="fast")
    if share < 0.1:
        denoised = bd.denoise(np.where(mask, inpaint_biharmonic(y, mask), y), sigma, effort="fast")
        two = bd.inpaint(denoised.mean, mask, sigma=0, effort="fast")
    else:
        two = bd.denoise(bd.inpaint(y, mask, sigma=0, effort="fast").mean, sigma, effort="fast")
    assert psnr(one.mean, where=mask) > psnr(two.mean, where=mask) - 0.3  # one picture's 400 pixels
    assert psnr(one.mean, where=~mask) > psnr(two.mean, where=~mask) - 0.1


def test_filling_in_after_denoising_is_no_worse_than_either_alone() -> None:
    mask = torch.from_numpy(np.random.default_rng(0).random(CLEAN.shape) < 0.6)
    y = torch.from_numpy(noisy(15))[None] / 255
    y = torch.where(mask, 0.0, y)

    def quality(**how: bool) -> float:
        r = patch_posterior(y, Mask(mask), Gaussian(15 / 255), **how)
        return psnr(255 * r.mean[0].numpy(), where=mask.numpy())

    both = quality()
    assert both > quality(fills=True) and both > quality(holes=0) - 0.1


def test_beside_few_holes_known_pixels_are_denoised_as_without_holes() -> None:
    clean = torch.from_numpy(astronaut()[80:144, 200:264].transpose(2, 0, 1) / 255.0)
    mask = torch.from_numpy(dust()[:64, :64])
    y = clean + 15 / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).double()
    data, noise = torch.where(mask, 0.0, y), Gaussian(15 / 255)
    chain = chain_of("fast", 3)
    whole = patch_posterior(y, Identity(mask.shape), noise, chain=chain)
    both, without = (patch_posterior(data, Mask(mask), noise, chain=c) for c in (chain, None))
    assert torch.equal(both.mean[:, mask], without.mean[:, mask])
    reached, alone, least = (
        psnr(255 * r.mean.numpy(), 255 * clean.numpy(), (slice(None), ~mask.numpy()))
        for r in (whole, both, without)
    )
    assert alone > reached - 0.1 and alone > least + 0.2


def test_clear_noise_in_a_small_picture_is_found_and_said() -> None:
    y = small_picture() + np.random.default_rng(0).normal(0, 15, (48, 48))
    found = Inputs.upscaling(y, 2, "area", None, None, None)
    assert found.sigma == pytest.approx((15.0,), rel=0.3)
    assert [f.kind for f in found.findings] == ["noise"]
    assert Inputs.upscaling(y, 2, "area", "auto", None, None).sigma == found.sigma
    assert Inputs.upscaling(y, 2, "area", 0, None, None).sigma == (0.0,)
    assert Inputs.upscaling(small_picture(), 2, "area", None, None, None).sigma == (0.0,)


def test_half_of_the_noise_that_a_rough_small_picture_may_have_is_taken_and_said() -> None:
    rough = grass()[:96, :96].astype(float).reshape(48, 2, 48, 2).mean((1, 3))
    found = Inputs.upscaling(rough, 2, "area", None, None, None)
    (finding,) = found.findings
    assert finding.kind == "doubtful noise" and "sigma=0" in finding.text
    assert found.sigma == (finding.facts["sigma"],)
    assert found.sigma[0] == pytest.approx(bd.estimate_sigma(rough) / 2)
    assert Inputs.upscaling(rough, 2, "area", 0, None, None).findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["area", "lanczos"])
def test_a_noisy_picture_is_enlarged_better_than_by_bicubic_of_it_denoised(kind) -> None:
    y = bd.Downsample(CLEAN.shape, 2, kind).forward(CLEAN[None])[0]
    y = y + np.random.default_rng(0).normal(0, 15, y.shape)
    r = bd.upscale(y, 2, kind=kind, effort="fast")

    def bicubic(small: np.ndarray) -> float:
        return psnr(zoom(small, 2, order=3, mode="nearest", grid_mode=True))

    assert psnr(r.mean) > max(bicubic(y), bicubic(bd.denoise(y, 15.0, effort="fast").mean))


def small_picture() -> np.ndarray:
    return CLEAN.reshape(48, 2, 48, 2).mean((1, 3))


def test_a_wrong_sigma_is_refused_in_one_line() -> None:
    with pytest.raises(bd.BayesDipError, match="'auto'"):
        bd.inpaint(CLEAN, dust(), sigma="much")
