"""Groups of patches across the slices of a stack."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.data import binary_blobs

import bayesdip as bd
from bayesdip.patches import patch_search

DEPTH, HEIGHT, WIDTH, SIDE = 5, 20, 24, 4


def places_found(stack, top, left, search):
    """(slice, row, column) and distance of each place that the compiled search looks at."""
    guide = np.ascontiguousarray(stack.reshape(1, -1, WIDTH).astype(np.float32))
    found = np.zeros(patch_search.most_places(search), np.float32)
    places = np.zeros(len(found), np.int32)
    count = patch_search.squared_distances(guide, top, left, SIDE, search, found, places)
    rows, columns = np.divmod(places[:count], WIDTH)
    return dict(zip(zip(rows // HEIGHT, rows % HEIGHT, columns, strict=True), found[:count], strict=True))


@pytest.mark.parametrize(("z", "row", "left"), [(2, 8, 10), (0, 0, 0), (4, 16, 20)])
def test_the_search_looks_at_every_patch_within_reach_in_each_slice(z, row, left):
    stack = np.random.default_rng(0).standard_normal((DEPTH, HEIGHT, WIDTH))
    found = places_found(stack, z * HEIGHT + row, left, (HEIGHT, 3, 2, 30))
    own = stack[z, row : row + SIDE, left : left + SIDE]
    slices = [k for k in range(DEPTH) if abs(k - z) <= 2]
    expected = {}
    for k in slices:
        reach = 3 if k == z else 30
        for r in range(max(0, row - reach), min(HEIGHT - SIDE, row + reach) + 1):
            for c in range(max(0, left - reach), min(WIDTH - SIDE, left + reach) + 1):
                expected[k, r, c] = ((stack[k, r : r + SIDE, c : c + SIDE] - own) ** 2).sum()
    assert found.pop((z, row, left)) == -1
    expected.pop((z, row, left))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-4)


def test_the_search_follows_what_moves_farther_than_its_reach():
    rng = np.random.default_rng(1)
    thing, stack = 5 * rng.standard_normal((SIDE, SIDE)), 0.1 * rng.standard_normal((DEPTH, HEIGHT, WIDTH))
    for z in range(DEPTH):  # three columns a slice, with a search as far as three
        stack[z, 8 : 8 + SIDE, 2 + 3 * z : 2 + 3 * z + SIDE] += thing
    found = places_found(stack, 8, 2, (HEIGHT, 3, 4, 3))
    nearest = sorted(found, key=found.get)[:DEPTH]
    assert sorted(nearest) == [(z, 8, 2 + 3 * z) for z in range(DEPTH)]


SIGMA = 0.1


@pytest.fixture(scope="module")
def moving():
    """Seven frames of a scene that moves by a pixel and a half each, and the same with noise."""
    frames = []
    for z in range(7):
        down, across = np.mgrid[:32, :40] / 3.0
        down, across = down + z / 3, across + 1.5 * z / 3
        frames.append(
            0.5 + 0.2 * np.sin(1.7 * down) * np.cos(2.3 * across) + 0.3 * (np.sin(across + 0.4 * down) > 0.3)
        )
    clean = np.stack(frames)
    return clean, clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape)


@pytest.fixture(scope="module")
def restored(moving):
    return bd.denoise(moving[1], SIGMA, method="patches", effort="fast")


def mse(a, b):
    return float(np.mean((a - b) ** 2))


def test_a_stack_is_restored_better_across_its_slices_than_each_by_itself(moving, restored):
    clean, noisy = moving
    alone = bd.denoise(noisy, SIGMA, method=bd.Patches(across=0), effort="fast")
    assert mse(restored.mean, clean) < 0.75 * mse(alone.mean, clean)
    one = bd.denoise(noisy[3], SIGMA, method="patches", effort="fast")
    assert mse(alone.mean[3], one.mean) < 0.02 * mse(one.mean, clean[3])
    assert [f.kind for f in restored.findings] == ["across slices"] and "across=0" in restored.findings[
        0
    ].text
    assert "across slices" not in [f.kind for f in alone.findings]


def test_error_bars_of_a_stack_hold(moving, restored):
    low, high = restored.interval(0.9)
    assert 0.8 < np.mean((low <= moving[0]) & (moving[0] <= high)) < 0.97
    assert 0.7 < np.sqrt(np.mean(restored.std**2) / mse(restored.mean, moving[0])) < 1.4


def test_a_stack_turned_over_gives_the_result_turned_over(moving, restored):
    turned = bd.denoise(moving[1][::-1], SIGMA, method="patches", effort="fast")
    assert mse(turned.mean[::-1], restored.mean) < 0.02 * mse(restored.mean, moving[0])


def test_frames_of_what_stands_still_come_near_their_average():
    clean = np.random.default_rng(1).random((32, 32))  # each frame by itself shows nothing but noise
    noisy = clean + SIGMA * np.random.default_rng(2).standard_normal((7, 32, 32))
    found = bd.denoise(noisy, SIGMA, method="patches", effort="fast")
    assert mse(found.mean, clean) < 1.5 * SIGMA**2 / 5  # at the ends five frames are within reach


def test_missing_voxels_among_noisy_ones_are_filled_in_from_other_slices(moving):
    clean, noisy = moving
    missing = np.random.default_rng(3).random(clean.shape) < 0.1
    found = bd.inpaint(np.where(missing, 0, noisy), missing, sigma=SIGMA, method="patches", effort="fast")
    assert mse(found.mean[missing], clean[missing]) < 0.5 * SIGMA**2
    assert found.std[missing].mean() > found.std[~missing].mean()


def test_the_default_for_noisy_stacks_searches_across_and_colours_go_along(moving):
    colours = np.stack([moving[1], 0.5 * moving[1][:, ::-1]], -1)[:4]
    found = bd.denoise(colours, SIGMA, effort="fast", channel_axis=-1)
    assert found.method == "patches" and found.mean.shape == colours.shape
    assert mse(found.mean[..., 0], moving[0][:4]) < 0.4 * SIGMA**2


def test_texture_of_a_small_stack_is_not_taken_for_correlated_noise():
    clean = gaussian_filter(binary_blobs(32, blob_size_fraction=0.12, n_dim=3, rng=0)[:5].astype(float), 0.8)
    noisy = clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape)
    found = bd.denoise(noisy, effort="fast")
    assert found.sigma == pytest.approx((SIGMA,), rel=0.15)
    assert mse(found.mean, clean) < 0.8 * SIGMA**2


@pytest.mark.parametrize(
    ("shape", "call", "words"),
    [
        (
            (20, 20),
            lambda y: bd.denoise(y, 1, method=bd.Patches(across=2)),
            "across=2 was given for a grid of 2 axes",
        ),
        ((4, 12, 40), lambda y: bd.denoise(y, 1, method="patches"), "expected at least 16 x 16"),
        ((4, 20, 20), lambda y: bd.denoise(y, 0, method="patches"), "no noise to speak of"),
        ((4, 20, 20), lambda y: bd.deblur(y, np.ones((1, 3, 3)), sigma=1, method="patches"), "noisy voxels"),
        ((4, 20, 20), lambda y: bd.denoise(y, 1, method=bd.Patches(across=-1)), "across is -1"),
    ],
)
def test_what_patches_do_not_take_is_refused_in_one_line(shape, call, words):
    with pytest.raises(bd.BayesDipError, match=words) as error:
        call(np.random.default_rng(0).standard_normal(shape))
    assert "\n" not in str(error.value)
