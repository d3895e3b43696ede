"""A mask painted too narrow is seen by its rim and grown; one that fits is left as it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.data import astronaut, camera

import bayesdip as bd
from bayesdip.inputs import Inputs
from bayesdip.rim import grown, too_narrow_by

CLEAN = camera()[100:260, 180:340].astype(float)
GRAINY = CLEAN + np.random.default_rng(0).normal(0, 6, CLEAN.shape)


def scratches(seed: int = 3) -> np.ndarray:
    """Six straight scratches, 2 pixels wide."""
    rng, mask = np.random.default_rng(seed), np.zeros(CLEAN.shape, bool)
    for _ in range(6):
        (row, column), angle = rng.uniform(30, 130, 2), rng.uniform(0, np.pi)
        for step in np.arange(-50, 50, 0.5):
            r, c = int(row + step * np.sin(angle)), int(column + step * np.cos(angle))
            if 0 <= r < 158 and 0 <= c < 158:
                mask[r : r + 2, c : c + 2] = True
    return mask


MASK = scratches()


def contents() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "as it was": CLEAN,
        "black": np.where(MASK, 0.0, CLEAN),
        "white": np.where(MASK, 255.0, CLEAN),
        "random": np.where(MASK, rng.uniform(0, 255, CLEAN.shape), CLEAN),
        "NaN": np.where(MASK, np.nan, GRAINY),
        "scratched": np.where(MASK, 235.0, GRAINY),
    }


def soft(damage: float) -> np.ndarray:
    """The scratches with soft edges, as a scanner sees them."""
    share = np.clip(1.4 * gaussian_filter(MASK.astype(float), 0.7), 0, 1)
    return GRAINY * (1 - share) + damage * share


@pytest.mark.parametrize("name", list(contents()))
def test_a_mask_that_fits_is_left_as_it_is(name: str) -> None:
    assert too_narrow_by(contents()[name][None], MASK) == 0


def test_soft_edges_are_seen_and_a_wide_mask_covers_them() -> None:
    for image in (soft(235.0), 255 - soft(235.0)):
        assert 1 <= too_narrow_by(image[None], MASK) <= 2
        assert too_narrow_by(image[None], binary_dilation(MASK, iterations=2)) == 0


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_mask_that_is_too_wide_is_not_grown(pixels: int) -> None:
    photo, drawing = astronaut()[:96, 120:216].astype(float), Image.new("L", (96, 96), 0)
    for line in range(3):
        place, font = (4 + 8 * line, 8 + 28 * line), ImageFont.load_default(16)
        ImageDraw.Draw(drawing).text(place, "SAMPLE 42", fill=255, font=font)
    share = 0.75 * np.asarray(drawing)[..., None] / 255
    lettered = np.moveaxis(photo * (1 - share) + 255 * share, -1, 0)
    assert too_narrow_by(lettered, grown(np.asarray(drawing) > 0, pixels)) == 0


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_mask_grows_by_as_much_as_is_missing(pixels: int) -> None:
    colour = np.stack([GRAINY, GRAINY * 0.8 + 20, GRAINY * 0.9])
    damaged = np.where(grown(MASK, pixels), np.array([235.0, 230.0, 220.0])[:, None, None], colour)
    assert too_narrow_by(damaged, MASK) == pixels


def test_the_rim_shows_it_where_the_hole_was_emptied() -> None:
    bright = 110 + 0.5 * GRAINY
    damaged = np.where(MASK, 0.0, np.where(grown(MASK, 1), 250.0, bright))
    assert too_narrow_by(damaged[None], MASK) == 1


def test_the_wings_of_saturated_stars_belong_to_the_picture() -> None:
    rng, sky = np.random.default_rng(0), np.zeros((160, 160))
    sky[rng.integers(10, 150, 40), rng.integers(10, 150, 40)] = 1
    image = np.minimum(100 + 2e4 * gaussian_filter(sky, 1.8) + rng.normal(0, 2, sky.shape), 400)
    assert too_narrow_by(image[None], image >= 400) == 0


def test_too_little_rim_and_scattered_pixels_tell_nothing() -> None:
    speck = np.zeros(CLEAN.shape, bool)
    speck[50:53, 50:53] = True
    assert too_narrow_by(np.where(grown(speck, 1), 250.0, CLEAN)[None], speck) == 0
    assert too_narrow_by(CLEAN[None], np.random.default_rng(0).random(CLEAN.shape) < 0.5) == 0
    assert too_narrow_by(CLEAN[None, :8, :8], MASK[:8, :8] | True) == 0


def test_inpainting_grows_the_mask_says_so_and_can_be_told_not_to() -> None:
    y = soft(235.0)

    def inputs(grow: bool) -> Inputs:
        return Inputs.inpainting(y, MASK, 0.0, None, "auto", None, grow)

    (finding,) = inputs(True).findings
    assert finding.kind == "narrow mask" and "--no-grow" in finding.text
    missing = ~inputs(True).problem.observed[0].numpy()
    np.testing.assert_array_equal(missing, grown(MASK, finding.facts["grown_by"]))
    assert not inputs(False).findings
    np.testing.assert_array_equal(~inputs(False).problem.observed[0].numpy(), MASK)


@pytest.mark.slow
def test_a_grown_mask_restores_what_the_scratches_hid() -> None:
    y, here = soft(235.0), grown(MASK, 2)

    def error(grow: bool) -> float:
        r = bd.inpaint(y, MASK, sigma=6, grow_mask=grow, effort="fast")
        return float(np.sqrt(np.mean((r.mean - CLEAN)[here] ** 2)))

    assert error(True) < 0.8 * error(False)
