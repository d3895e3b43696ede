"""Estimates of the error without a truth: unbiased, with intervals that hold; and measures with a truth."""

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import baselines
from bayesdip.comparison import splits
from bayesdip.comparison.candidates import BaselineCandidate
from bayesdip.comparison.elimination import Evaluation, ranked, undecided
from bayesdip.comparison.quality import gmsd, kendall, quality
from bayesdip.comparison.scoring import (
    Score,
    bootstrap_weights,
    by_block,
    clearly_behind,
    decibels_behind,
    mean_error,
)
from bayesdip.errors import BayesDipError
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Identity, Mask
from bayesdip.problem import Problem

CLEAN = torch.from_numpy(data.camera()[40:136, 200:296] / 255.0)[None]
SIGMA = 0.1


def noisy(seed=0, sigma=SIGMA):
    generator = torch.Generator().manual_seed(seed)
    y = CLEAN + sigma * torch.randn(CLEAN.shape, generator=generator, dtype=CLEAN.dtype)
    return Problem(y, Identity(CLEAN.shape[1:]), Gaussian(sigma))


def blurred(y, width):
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(y[0].numpy(), width))[None]


# From doing nothing to blurring everything away.
FILTERS = [lambda y: y, lambda y: blurred(y, 0.7), lambda y: blurred(y, 2.0), torch.zeros_like]


@pytest.mark.parametrize("restore", FILTERS)
def test_recorruption_estimates_the_true_error_without_bias(restore):
    true, estimated = [], []
    for seed in range(24):
        split = splits.recorrupted(noisy(seed), 1000 + seed)
        restored = restore(split.training.y)
        estimated.append(split.error(restored))
        true.append(float((restored - CLEAN).square().mean()))
    difference = np.array(estimated) - np.array(true)
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.std() < 0.4 * SIGMA**2  # and one run alone says something


@pytest.mark.parametrize("restore", FILTERS[1:])
def test_the_interval_of_the_estimate_holds_the_true_error(restore):
    held = 0
    for seed in range(20):
        score, true = Score(), []
        for number in range(2):
            split = splits.recorrupted(noisy(seed), 100 * seed + number)
            restored = restore(split.training.y)
            score.add(*split.squared_errors(restored))
            true.append(float((restored - CLEAN).square().mean()))
        interval = mean_error(score, bootstrap_weights(len(score.sums[0]), 0))
        assert interval.low <= interval.value <= interval.high
        held += interval.low <= np.mean(true) <= interval.high
    assert held >= 16  # of 20; at 95% less than that has a probability of 0.3%


def test_the_noise_of_a_split_is_not_that_of_the_picture_made_with_the_same_seed():
    problem = noisy(seed=3)
    extra = splits.recorrupted(problem, 3).training.y - problem.y
    correlation = float((extra * (problem.y - CLEAN)).mean() / (extra.std() * SIGMA))
    assert abs(correlation) < 4 / CLEAN.numel() ** 0.5


@pytest.mark.parametrize("sigma", [SIGMA, (0.05, 0.1, 0.2)])
def test_the_noise_that_methods_meet_is_what_their_noise_model_says(sigma):
    count = len(sigma) if isinstance(sigma, tuple) else 1
    clean = CLEAN.expand(count, *CLEAN.shape[1:])
    problem = Problem(
        Gaussian(sigma).sample(clean, torch.Generator().manual_seed(0)), Identity((96, 96)), Gaussian(sigma)
    )
    training = splits.recorrupted(problem, 7).training
    found = (training.y - clean).flatten(1).std(1)
    assert found.tolist() == pytest.approx((1.25**0.5 * np.atleast_1d(sigma)).tolist(), rel=0.03)
    assert np.atleast_1d(training.noise.sigma).tolist() == pytest.approx(
        (1.25**0.5 * np.atleast_1d(sigma)).tolist()
    )


def test_held_out_pixels_are_hidden_and_their_noise_is_not_counted():
    generator = torch.Generator().manual_seed(1)
    missing = torch.rand(CLEAN.shape[1:], generator=generator) < 0.4
    problem = Problem(torch.where(missing, 0.0, noisy().y), Mask(missing), Gaussian(SIGMA))
    split = splits.held_out(problem, 3)
    chosen = ~split.training.operator.observed & ~missing
    assert int(chosen.sum()) == round(0.1 * int((~missing).sum()))
    wrong = CLEAN + 0.2
    count = split.squared_errors(wrong)[1]
    assert torch.equal(count > 0, chosen)
    assert split.error(wrong) == pytest.approx(0.04, abs=4 * 2 * 0.2 * SIGMA / int(chosen.sum()) ** 0.5)
    elsewhere = torch.where(chosen, wrong, 17.0)
    assert split.error(elsewhere) == split.error(wrong)


def test_held_out_pixels_lie_as_deep_as_the_missing_ones():
    from scipy.ndimage import distance_transform_edt

    scattered = np.random.default_rng(0).random((96, 96)) < 0.5
    hole = np.zeros((96, 96), bool)
    hole[30:54, 20:50] = True
    for missing in (scattered, hole):
        chosen = splits.choose_held_out(torch.from_numpy(~missing), 0, like_missing=True).numpy()
        assert not (chosen & missing).any()
        wanted = distance_transform_edt(missing)[missing].mean()
        depth = distance_transform_edt(missing | chosen)[chosen].mean()
        assert 0.7 * wanted < depth < 1.5 * wanted
        assert chosen.sum() <= 0.2 * (~missing).sum()


def test_only_gaussian_noise_on_every_pixel_is_recorrupted():
    assert splits.can_recorrupt(noisy())
    clipped = Problem(noisy().y.clamp(0, 1), Identity((96, 96)), Gaussian(SIGMA, (0.0, 1.0)))
    training = splits.recorrupted(clipped, 0).training
    assert float(training.y.min()) < 0 and not training.noise.is_clipped
    small = Downsample((96, 96), 2)
    others = [
        Problem(CLEAN, Blur((96, 96), torch.ones(3, 3) / 9), Gaussian(0.1)),
        Problem(small.forward(CLEAN), small, Gaussian(0.0)),
        Problem(CLEAN, Identity((96, 96)), bd.Poisson(0.01)),
    ]
    for problem in others:
        assert not splits.can_recorrupt(problem)
        with pytest.raises(BayesDipError, match="expected Gaussian noise"):
            splits.recorrupted(problem, 0)


def evaluation(name, losses):
    score = Score()
    for loss in losses:
        score.add(torch.as_tensor(loss), torch.ones_like(torch.as_tensor(loss)))
    return Evaluation(BaselineCandidate(baselines.named(name)), score)


def test_a_paired_interval_is_narrow_where_two_methods_fail_alike():
    rng = np.random.default_rng(0)
    hard = rng.gamma(0.3, 1.0, (64, 64))  # what is hard for all
    a, b = evaluation("tv", [hard]), evaluation("nlm", [1.1 * hard])
    weights = bootstrap_weights(64, 0)
    gap = decibels_behind(b.score, a.score, weights)
    assert gap.value == pytest.approx(10 * np.log10(1.1)) and gap.high - gap.low < 1e-6
    alone = mean_error(a.score, weights)
    assert alone.high > 1.05 * alone.low


def test_an_uncertain_noise_level_widens_the_distance_and_leaves_the_order():
    rng = np.random.default_rng(0)
    base = rng.random((64, 64))
    sure, uncertain = ([evaluation(n, [f * base]) for n, f in (("tv", 1.0), ("nlm", 1.3))] for _ in range(2))
    for e in uncertain:
        e.score.noise, e.score.noise_error = 2.0, 0.06
    weights = bootstrap_weights(64, 0)
    narrow, wide = (decibels_behind(b.score, a.score, weights) for a, b in (sure, uncertain))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low) and wide.value == narrow.value
    for e in uncertain:  # so little error that the noise's uncertainty is more
        e.score.noise = 100.0
    lost = decibels_behind(uncertain[1].score, uncertain[0].score, weights)
    assert lost.low > 0 and lost.high < 10
    assert all(clearly_behind(b.score, a.score, weights) for a, b in (sure, uncertain))


def test_blocks_keep_the_sum_at_any_size():
    picture = np.random.default_rng(0).random((37, 50))
    assert by_block(picture).shape == (5 * 7,)
    assert by_block(picture).sum() == pytest.approx(picture.sum())
    assert by_block(picture)[0] == pytest.approx(picture[:8, :8].sum())


def test_what_is_clearly_behind_drops_out_and_what_is_close_stays():
    rng = np.random.default_rng(1)
    base = rng.random((64, 64))
    best, close, far = (
        evaluation(n, [base * f + 0.1 * rng.random((64, 64))])
        for n, f in (("tv", 1), ("nlm", 1.001), ("wavelet", 2))
    )
    assert undecided([far, close, best], bootstrap_weights(64, 0)) == [close, best]


def test_the_ranking_is_by_error_and_puts_those_that_do_not_apply_last():
    flat = np.full((16, 16), 1.0)
    good, bad, worse = (
        evaluation("tv", [flat, flat]),
        evaluation("nlm", [2 * flat]),
        evaluation("wavelet", [3 * flat]),
    )
    none = Evaluation(BaselineCandidate(baselines.named("bm3d")), why="not installed")
    assert ranked([none, worse, bad, good], bootstrap_weights(4, 0)) == [good, bad, worse, none]


def test_kendall_counts_pairs_in_order():
    assert kendall([1, 2, 3], [10, 20, 30]) == 1
    assert kendall([1, 2, 3], [30, 20, 10]) == -1
    assert kendall([1, 2, 3], [10, 30, 20]) == pytest.approx(1 / 3)


def test_quality_is_that_of_scikit_image_and_gmsd_grows_with_blur():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    a = data.camera()[:64, :64]
    b = np.clip(a.astype(int) + np.random.default_rng(0).integers(-20, 20, a.shape), 0, 255).astype(np.uint8)
    q = quality(b, a, 255.0, None)
    assert q.psnr == pytest.approx(peak_signal_noise_ratio(a, b))
    assert q.ssim == pytest.approx(structural_similarity(a, b, data_range=255))
    x = CLEAN[0].numpy()
    assert gmsd(x, x, 1.0) == 0
    softer, softest = (gmsd(blurred(CLEAN, w)[0].numpy(), x, 1.0) for w in (0.7, 2.0))
    assert 0 < softer < softest
    assert gmsd(255 * x, 255 * blurred(CLEAN, 2.0)[0].numpy(), 255.0) == pytest.approx(softest)
