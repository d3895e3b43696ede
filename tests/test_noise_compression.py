"""How much JPEG's rounding has changed a picture is seen in the picture, and is no detail to be enlarged."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom
from skimage import data

import bayesdip as bd
from bayesdip.inputs import Inputs
from bayesdip.noise.compression import compression_level, is_coarsely_compressed, is_compressed
from bayesdip.noise.inspection import inspect
from bayesdip.noise.spectrum import Windows, compressed_levels


def small(side=48, crop=(100, 150)):
    top, left = crop
    picture = Image.fromarray(data.camera()[top : top + 2 * side, left : left + 2 * side])
    return np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS))


def through_jpeg(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def tensor(picture):
    return torch.from_numpy(picture.copy()).double().reshape(-1, *picture.shape[:2])


def in_colour(picture):
    return torch.from_numpy(picture.copy()).double().movedim(-1, 0)


@pytest.mark.parametrize("crop", [(100, 150), (300, 100)])
@pytest.mark.parametrize("quality", [40, 75, 90])
def test_the_level_is_about_the_root_mean_square_change(quality, crop):
    clean = small(64, crop)
    compressed = through_jpeg(clean, quality)
    true = float(np.sqrt(np.mean((compressed - clean.astype(float)) ** 2)))
    assert 0.55 * true < compression_level(tensor(compressed)) < 1.8 * true


def test_what_was_not_compressed_or_resized_after_has_no_level():
    assert compression_level(tensor(small())) == 0.0
    again = Image.fromarray(through_jpeg(small(96, (100, 150)), 60)).resize(
        (60, 60), Image.Resampling.LANCZOS
    )
    assert compression_level(tensor(np.asarray(again))) == 0.0
    assert compression_level(torch.zeros(1, 64, 64, dtype=torch.float64)) == 0.0
    assert compression_level(torch.rand(1, 64, 64, dtype=torch.float64)) == 0.0


def test_what_the_compression_took_is_an_error_that_neighbours_share():
    def shared(picture, sigma=None):
        problem = Inputs.upscaling(picture, 2, "lanczos", sigma, None, None).problem
        found = problem.shared_variance
        return None if found is None else float(found) ** 0.5 * problem.units.scale

    given = through_jpeg(small(), 60)
    assert shared(given) == pytest.approx(compression_level(tensor(given)) / 0.84)
    assert shared(given, 5.0) is None and shared(small()) is None


@pytest.mark.slow
def test_a_compressed_picture_is_enlarged_better_than_by_bicubic_interpolation_and_said():
    clean = data.camera()[100:196, 150:246]
    given = through_jpeg(small(), 60)
    rival = np.asarray(Image.fromarray(given).resize((96, 96), Image.Resampling.BICUBIC))
    found = bd.upscale(given, 2, effort="fast")

    def error(picture):
        return float(np.mean((picture.astype(float) - clean) ** 2))

    assert error(found.mean) < error(rival)
    low, high = found.interval(0.9)
    assert 0.8 <= ((low <= clean) & (clean <= high)).mean() <= 0.97
    assert [f.kind for f in found.findings if f.kind == "compression"]
    assert "compression" not in [f.kind for f in bd.upscale(given, 2, effort="fast", sigma=0).findings]


def test_the_noise_of_a_compressed_picture_is_at_most_what_its_calmest_places_allow():
    # Fine texture of 25 all over, low frequencies weaker than those of a tenth of the windows, which have noise of 10 on slopes.
    power = np.tile(np.array([30.0, 25.0, 12.0]) ** 2, (400, 1, 1))
    power[-40:] = np.array([60.0, 10.0, 10.0]) ** 2
    windows = Windows(np.zeros((400, 1)), power, np.zeros((400, 2)))
    (level,) = compressed_levels(windows, (4.0,))  # the compression took the high frequencies
    assert 10 <= level <= 1.3 * 10
    all_over = Windows(windows.means, power[:-40], windows.places)
    assert compressed_levels(all_over, (6.0,)) == pytest.approx((25,))
    # Where the compression left the noise its high frequencies, the white level tells it.
    assert compressed_levels(all_over, (12.0,)) == pytest.approx((14.4,))


def test_pictures_with_clipped_values_in_every_block_are_seen_to_be_compressed():
    rng = np.random.default_rng(0)
    dark = np.clip(0.1 * data.astronaut()[100:196, 150:246] + rng.normal(0, 15, (96, 96, 3)), 0, 255).astype(
        np.uint8
    )
    blocks = (dark == 0).any(-1).reshape(12, 8, 12, 8).any((1, 3))
    assert blocks.all() and not is_compressed(in_colour(dark))
    for quality in (75, 95):
        assert is_compressed(in_colour(through_jpeg(dark, quality)))


@pytest.mark.parametrize("quality, found", [(92, True), (85, True), (8, False)])
def test_correlated_noise_is_found_beneath_a_fine_compression_and_not_beneath_a_coarse_one(quality, found):
    rng = np.random.default_rng(1)
    smooth = zoom(rng.uniform(20, 200, (5, 5)), 40, order=3)[:160, :160]
    noise = gaussian_filter(rng.normal(size=smooth.shape), 1.2)
    noisy = np.clip(np.rint(smooth + 4.5 * noise / noise.std()), 0, 255).astype(np.uint8)
    picture = tensor(through_jpeg(noisy, quality))
    assert is_compressed(picture) and is_coarsely_compressed(picture) != found
    inspected = inspect(picture, denoising=True)
    assert inspected.is_correlated == found
    if found:
        assert 3.5 < float(inspected.noise.variance(picture).mean()) ** 0.5 < 5.5
