"""The chain of group filters: its algebra, search and estimates against dense formulas of NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.data import camera

import bayesdip as bd
from bayesdip.noise import Correlated
from bayesdip.patches import group_filters, patch_search
from bayesdip.patches.chain import Chain, chain_of
from bayesdip.patches.correlation import patch_covariances
from bayesdip.patches.filter_chain import denoise, low_rank, takes
from bayesdip.patches.group_passes import WHITE, Groups, combination, components, shrinkage, wiener_filter
from bayesdip.patches.nl_bayes import WhitenedData

SIDE, COUNT, RADIUS = 5, 12, 6
SEARCH = (48, RADIUS, 0, 0)  # in a picture of 48 rows, no other slice


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def scene(side=48):
    down, across = np.mgrid[:side, :side] / 6.0
    return (8 * np.sin(down) * np.cos(across) + 10 * (across > 4))[None].astype(np.float32)


def one_group(picture, top, left):
    """Patches most similar to one by brute force, as rows, nearest first."""
    places = [
        (t, s)
        for t in range(max(0, top - RADIUS), min(picture.shape[1] - SIDE, top + RADIUS) + 1)
        for s in range(max(0, left - RADIUS), min(picture.shape[2] - SIDE, left + RADIUS) + 1)
    ]
    rows = np.stack([picture[:, t : t + SIDE, s : s + SIDE].ravel() for t, s in places])
    own = picture[:, top : top + SIDE, left : left + SIDE].ravel()
    order = np.argsort(((rows - own) ** 2).sum(1), kind="stable")[:COUNT]
    return [places[k] for k in order]


def patches_at(picture, places):
    return np.stack([picture[:, t : t + SIDE, s : s + SIDE].ravel() for t, s in places]).astype(np.float64)


def aggregated(picture, places, rows, weights):
    total, count = np.zeros(picture.shape), np.zeros(picture.shape)
    for (t, s), row, w in zip(places, rows, weights, strict=True):
        total[:, t : t + SIDE, s : s + SIDE] += w * row.reshape(-1, SIDE, SIDE)
        count[:, t : t + SIDE, s : s + SIDE] += w
    return total, count


def sums_of(function, pictures, *before, top=9, left=11, variance=True):
    """What one reference patch adds."""
    y = pictures[0]
    noise = np.ones(y.shape[1] * y.shape[2], np.float32)
    outputs = [np.zeros_like(y), np.zeros_like(y[:1]), np.zeros_like(y[:1])]
    used = outputs if variance else [outputs[0], outputs[2]]
    function(*pictures, noise, *before, np.array([top]), np.array([left]), SIDE, COUNT, SEARCH, *used)
    return outputs


@pytest.mark.parametrize(("top", "left"), [(9, 11), (0, 0), (43, 2)])
def test_groups_are_those_of_brute_force(top, left):
    picture = scene() + drawn(1, 48, 48)
    found, places = np.zeros(400, np.float32), np.zeros(400, np.int32)
    count = patch_search.squared_distances(picture, top, left, SIDE, SEARCH, found, places)
    patch_search.select(found, places, count, COUNT)
    assert {divmod(int(p), 48) for p in places[:COUNT]} == set(one_group(picture, top, left))


@pytest.mark.parametrize("affine", [False, True])
def test_a_combination_is_the_dense_ridge_regression_of_the_group(affine):
    pilot = scene()
    y = pilot + drawn(1, 48, 48)
    pilot = pilot + 0.1 * drawn(1, 48, 48, seed=1)
    total, variance, weights = sums_of(
        lambda y, p, noise, *rest: group_filters.combine(y, p, noise, np.float32(0), affine, *rest),
        (y, pilot),
    )
    places = one_group(pilot, 9, 11)
    data, guess = patches_at(y, places), patches_at(pilot, places)
    ridge = data.shape[1] * np.eye(COUNT)
    inverse = np.linalg.inv(guess @ guess.T + ridge)
    coefficients = np.eye(COUNT) - ridge @ inverse
    if affine:
        # Lagrange's multiplier of each row's sum
        one = np.ones(COUNT)
        lacking = 1 - coefficients @ one
        coefficients += np.outer(lacking / (one @ inverse @ one), inverse @ one)
        np.testing.assert_allclose(coefficients.sum(1), 1, atol=1e-9)
    weight = 1 / (coefficients**2).sum(1).clip(1 / COUNT)
    expected, count = aggregated(y, places, coefficients @ data, weight)
    np.testing.assert_allclose(total, expected, rtol=2e-3, atol=2e-2)
    np.testing.assert_allclose(weights[0], count[0], rtol=2e-3, atol=1e-3)
    assert (variance >= 0).all()
    assert variance.max() > 0


@pytest.mark.parametrize("correlated", [False, True])
def test_a_wiener_filter_is_the_dense_posterior_mean(correlated):
    pilot = scene()
    y = pilot + drawn(1, 48, 48)
    pilot = pilot + 0.1 * drawn(1, 48, 48, seed=1)
    table = Correlated.of_kernel(np.ones((2, 3)), 1.3).covariances(1, 2)
    covariances = patch_covariances(table[None], SIDE) if correlated else WHITE
    noise = covariances[0].astype(float) if correlated else np.eye(SIDE**2)
    total, variance, weights = sums_of(group_filters.wiener, (y, pilot), covariances)
    places = one_group(pilot, 9, 11)
    data, guess = patches_at(y, places), patches_at(pilot, places)
    inverse = np.linalg.inv(np.cov(guess.T, bias=True) + noise)
    mean = data - (data - data.mean(0)) @ inverse @ noise
    expected, count = aggregated(y, places, mean, np.ones(COUNT))
    np.testing.assert_allclose(total, expected, rtol=1e-3, atol=1e-2)
    own = (np.trace(noise) - (1 - 1 / COUNT) * np.trace(noise @ inverse @ noise)) / len(inverse)
    np.testing.assert_allclose(variance[0], own * count[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(weights[0], count[0])


def test_shrinkage_takes_the_singular_values_of_the_closed_form():
    y = scene() + drawn(1, 48, 48)
    total, _, _ = sums_of(
        lambda y, g, noise, *rest: group_filters.shrink(y, g, noise, np.array([0.5 * 3], np.float32), *rest),
        (y, y),
        variance=False,
    )
    places = one_group(y, 9, 11)
    data = patches_at(y, places)
    left, s, right = np.linalg.svd(data - data.mean(0), full_matrices=False)
    root = s**2 - 4 * 3 * 0.5 * np.sqrt(COUNT)
    shrunk = np.where(root > 0, (s + np.sqrt(root.clip(0))) / 2, 0)
    assert 0 < (shrunk > 0).sum() < len(s)
    expected, _ = aggregated(y, places, data.mean(0) + (left * shrunk) @ right, np.ones(COUNT))
    # Singular values are found only as far as the threshold is sure.
    np.testing.assert_allclose(total, expected, rtol=1e-3, atol=0.1)
    assert np.sqrt(np.mean((total - expected) ** 2)) < 2e-3 * np.sqrt(np.mean(expected**2))


def test_components_of_mixed_pictures_are_the_pictures():
    sources = np.stack([9 * scene(40)[0], 3 * scene(40)[0].T[::-1], drawn(40, 40)])
    mixing = np.linalg.qr(drawn(3, 3, seed=2))[0]
    found = components(np.tensordot(mixing, sources, 1).astype(np.float32))
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-6)
    assert (np.abs(np.diag(found.T @ mixing)) > 0.99).all()


@pytest.mark.parametrize("name", ["combination", "wiener_filter"])
def test_components_apart_are_filtered_each_alone_at_the_same_places(name):
    """Of three equal channels one component is left; of the others, means of as many patches as a group has."""
    gray = torch.from_numpy(scene() + drawn(1, 48, 48))
    noise, groups = torch.ones(48, 48), Groups(5, 12)

    def filtered(picture):
        own = picture, picture, noise, groups, lambda share: False
        basis = components(picture.numpy())
        if name == "wiener_filter":
            return wiener_filter(*own, basis=basis)
        return combination(*own, noisy=0.0, affine=True, basis=basis)

    alone, three = filtered(3**0.5 * gray), filtered(gray.expand(3, -1, -1).contiguous())
    for channel in range(3):
        np.testing.assert_allclose(3**0.5 * three.mean[channel], alone.mean[0], rtol=1e-3, atol=1e-2)
        variance = (alone.std[0].square() + 2 / groups.count) / 3
        np.testing.assert_allclose(three.std[channel].square(), variance, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", ["combination", "wiener_filter", "shrinkage"])
def test_any_number_of_threads_gives_the_same_bits(name):
    y, noise = torch.from_numpy(scene(80) + drawn(1, 80, 80)), torch.ones(80, 80)
    passes = {
        "combination": lambda: combination(
            y, y, noise, Groups(5, 12), lambda share: False, noisy=1.0, affine=False
        ),
        "wiener_filter": lambda: wiener_filter(y, y, noise, Groups(5, 12), lambda share: False),
        "shrinkage": lambda: shrinkage(
            y, y, noise, Groups(5, 12), lambda share: False, thresholds=np.array([3], np.float32)
        ),
    }
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(passes[name]())
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0].mean, other.mean) for other in found[1:])


def test_a_held_out_pixel_is_predicted_by_the_others_alone():
    clean = torch.from_numpy(scene())
    y = clean + torch.from_numpy(drawn(1, 48, 48))
    missing = torch.zeros(1, 48, 48, dtype=torch.bool)
    missing[0, 5::9, 5::9] = True
    guess = torch.where(missing, clean.mean(), y)
    data = WhitenedData(guess, torch.ones(48, 48), missing)
    found = denoise(lambda estimate: data, chain_of("fast", 1), lambda stage, share: False)
    seen = WhitenedData(y, torch.ones(48, 48), None)
    whole = denoise(lambda estimate: seen, chain_of("fast", 1), lambda stage, share: False)
    error = float((found.mean - clean)[missing].square().mean())
    own = float((whole.mean - clean).square().mean())
    assert error < 4 * own + 0.05
    assert (found.std[missing] > whole.std[missing]).double().mean() > 0.8


def test_stopping_keeps_the_last_finished_filter():
    y = torch.from_numpy(scene() + drawn(1, 48, 48))
    data = WhitenedData(y, torch.ones(48, 48), None)
    chain = chain_of("balanced", 1)
    found = denoise(lambda estimate: data, chain, lambda stage, share: stage == 1)
    first = denoise(lambda estimate: data, Chain(chain.first, ()), lambda stage, share: False)
    assert found.passes == 1
    assert torch.equal(found.mean, first.mean)


def test_each_effort_is_better_than_the_noise_by_far_and_repeats_to_the_bit():
    clean = 100 + 10 * scene(64)[0]
    y = clean + 15 * drawn(64, 64)
    for effort in ("fast", "balanced"):
        found = bd.denoise(y, sigma=15, method="patches", effort=effort)
        again = bd.denoise(y, sigma=15, method="patches", effort=effort)
        assert found.info["model"] == "chain of group filters"
        assert np.array_equal(found.mean, again.mean)
        assert np.sqrt(np.mean((found.mean - clean) ** 2)) < 5


def test_low_rank_groups_beside_the_chain_are_better_than_either_on_a_photograph():
    clean = torch.from_numpy(camera()[None, 100:196, 200:296] / np.float32(25))
    data = WhitenedData(clean + torch.from_numpy(drawn(1, 96, 96)), torch.ones(96, 96), None)
    chain = chain_of("fast", 1)
    alone, both = (
        denoise(lambda estimate: data, one, lambda stage, share: False)
        for one in (replace(chain, shrunk=()), chain)
    )
    low = low_rank(data, alone, chain.shrunk[0], chain.rounds, lambda stage, share: False)
    errors = [float((mean - clean).square().mean()) for mean in (alone.mean, low, both.mean)]
    assert errors[2] < 0.98 * min(errors[:2]), errors


def test_signals_spectra_and_small_pictures_are_left_to_nl_bayes():
    assert takes(torch.zeros(3, 16, 16), 1e3)
    for shape in ((1, 40), (4, 40, 40), (1, 15, 40)):
        assert not takes(torch.zeros(shape), 1e3)
    assert not takes(torch.zeros(1, 40, 40), 1e7)


@pytest.mark.parametrize("sigma", [0.15, 0.3, 1.0, 3.0])
def test_faint_noise_is_taken_away_too_and_the_intervals_say_how_much_of_it_stays(sigma):
    clean = camera()[100:196, 200:296].astype(np.float64)
    noisy = clean + sigma * np.random.default_rng(0).normal(size=clean.shape)
    restored = bd.denoise(noisy, sigma, effort="fast")
    assert restored.info["model"] == "chain of group filters"
    assert np.std(restored.mean - clean) < 0.999 * sigma
    low, high = restored.interval(0.9)
    assert 0.86 < np.mean((low <= clean) & (clean <= high)) < 0.97


def test_saturated_parts_of_a_noisy_picture_stay_as_they_are():
    clean = 100 + 5 * scene(64)[0].astype(np.float64)
    clean[20:50, 10:50], clean[:8] = 400, -200
    noisy = np.clip(np.rint(clean + 5 * drawn(64, 64)), 0, 255)
    restored = bd.denoise(noisy, 5.0, effort="fast")
    assert restored.info["model"] == "chain of group filters"
    # The restored values may lie beyond those at which the picture was clipped.
    truth, mean = np.clip(clean, 0, 255), np.clip(restored.mean, 0, 255)
    errors = [np.sqrt(np.mean((picture - truth) ** 2)) for picture in (noisy, mean)]
    assert errors[1] < 0.5 * errors[0]
    assert np.abs(mean - truth)[24:46, 14:46].max() < 1


@pytest.mark.parametrize("sigma", [None, 2.0])
def test_a_constant_picture_comes_back(sigma):
    restored = bd.denoise(np.full((40, 40), 7.5), sigma, effort="fast")
    np.testing.assert_allclose(restored.mean, 7.5, atol=1e-3)


def test_patches_that_differ_by_less_than_their_noise_are_averaged():
    """Noise that is overstated: the least risk would have coefficients as large as the group, of either sign."""
    y = torch.from_numpy((100 + 0.05 * drawn(1, 48, 48)).astype(np.float32))
    found = combination(y, y, torch.ones(48, 48), Groups(5, 12), lambda share: False, noisy=1.0, affine=False)
    assert float((found.mean - 100).std()) < 0.5 * float(y.std())


def test_components_are_apart_only_where_each_has_the_noise_that_is_told():
    gray = np.repeat(scene(48), 3, axis=0)
    rng = np.random.default_rng(0)
    white = bd.denoise(
        gray + rng.normal(0, 9, gray.shape), 9.0, method=bd.Patches(effort="fast"), channel_axis=0
    )
    shared = gray + rng.normal(0, 9, gray.shape[1:]) + rng.normal(0, 0.5, gray.shape)
    found = bd.denoise(shared, 9.0, method=bd.Patches(effort="fast"), channel_axis=0)
    # Shared noise cannot be told from the picture by channels: one channel's worth of it goes, as from a gray picture.
    alone = bd.denoise(shared[0], 9.0, method=bd.Patches(effort="fast"))
    error, of_gray = (float(np.sqrt(np.mean((a - gray[0]) ** 2))) for a in (found.mean[0], alone.mean))
    assert float(np.sqrt(np.mean((white.mean - gray) ** 2))) < of_gray
    assert error < 1.35 * of_gray


def test_the_variance_that_the_last_filter_leaves_tells_the_size_of_errors():
    """Of two halves, one smooth and one textured: intervals of both hold about what they say, with no held-out pixels."""
    clean = 10 * scene(96)
    clean[:, :, 48:] += 12 * np.random.default_rng(3).standard_normal((1, 24, 12)).repeat(4, 1).repeat(
        4, 2
    ).astype(np.float32)
    data = WhitenedData(torch.from_numpy(clean / 10 + drawn(1, 96, 96)), torch.ones(96, 96), None)
    found = denoise(lambda estimate: data, chain_of("fast", 1), lambda stage, share: False)
    error = found.mean.numpy() - clean / 10
    for half in (slice(0, 48), slice(48, 96)):
        size = np.sqrt(np.mean(np.square(error[..., half])))
        assert 0.65 < np.sqrt(float(found.std[..., half].square().mean())) / size < 1.6
