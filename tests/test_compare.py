"""The blind ranking: its estimates are right, its intervals hold, and it says what it found."""

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import api as tasks
from bayesdip.comparison import compare
from bayesdip.comparison import splits as trials
from bayesdip.comparison.candidates import Classical, Ours, all_names, contenders
from bayesdip.comparison.elimination import Runner, ranked, undecided
from bayesdip.comparison.quality import gmsd, kendall, quality
from bayesdip.comparison.scoring import (
    Score,
    bootstrap_weights,
    by_block,
    clearly_behind,
    decibels_behind,
    mean_error,
)
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Identity, Mask
from bayesdip.problem import Problem
from bayesdip.settings import METHODS

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
        trial = trials.recorrupted(noisy(seed), 1000 + seed)
        restored = restore(trial.seen.y)
        estimated.append(trial.error(restored))
        true.append(float((restored - CLEAN).square().mean()))
    difference = np.array(estimated) - np.array(true)
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.std() < 0.4 * SIGMA**2  # and one run alone says something


@pytest.mark.parametrize("restore", FILTERS[1:])
def test_the_interval_of_the_blind_estimate_holds_the_true_error(restore):
    held = 0
    for seed in range(20):
        score, true = Score(), []
        for round_number in range(2):
            trial = trials.recorrupted(noisy(seed), 100 * seed + round_number)
            restored = restore(trial.seen.y)
            score.add(*trial.losses(restored))
            true.append(float((restored - CLEAN).square().mean()))
        interval = mean_error(score, bootstrap_weights(len(score.sums[0]), 0))
        assert interval.low <= interval.value <= interval.high
        held += interval.low <= np.mean(true) <= interval.high
    assert held >= 16  # of 20; at 95% less than that has a probability of 0.3%


def test_the_noise_that_methods_meet_is_what_they_are_told():
    trial = trials.recorrupted(noisy(), 7)
    assert float((trial.seen.y - CLEAN).std()) == pytest.approx(trial.seen.noise.sigma, rel=0.03)
    assert trial.seen.noise.sigma == pytest.approx(SIGMA * 1.25**0.5)


def test_held_out_pixels_are_hidden_and_their_noise_is_not_counted():
    generator = torch.Generator().manual_seed(1)
    gone = torch.rand(CLEAN.shape[1:], generator=generator) < 0.4
    y = noisy().y
    m = Problem(torch.where(gone, 0.0, y), Mask(gone), Gaussian(SIGMA))
    trial = trials.held_out(m, 3)
    held_out = ~trial.seen.operator.observed & ~gone
    assert int(held_out.sum()) == round(0.1 * int((~gone).sum()))
    wrong = CLEAN + 0.2
    count = trial.losses(wrong)[1]
    assert torch.equal(count > 0, held_out)
    assert trial.error(wrong) == pytest.approx(0.04, abs=4 * 2 * 0.2 * SIGMA / int(held_out.sum()) ** 0.5)
    elsewhere = torch.where(held_out, wrong, 17.0)
    assert trial.error(elsewhere) == trial.error(wrong)


def test_hidden_holes_are_as_deep_as_the_missing_ones():
    from scipy.ndimage import distance_transform_edt

    scattered = np.random.default_rng(0).random((96, 96)) < 0.5
    hole = np.zeros((96, 96), bool)
    hole[30:54, 20:50] = True
    for gone in (scattered, hole):
        held_out = trials.hide(torch.from_numpy(~gone), 0, like_holes=True).numpy()
        assert not (held_out & gone).any()
        wanted = distance_transform_edt(gone)[gone].mean()
        depth = distance_transform_edt(gone | held_out)[held_out].mean()
        assert 0.7 * wanted < depth < 1.5 * wanted
        assert held_out.sum() <= 0.2 * (~gone).sum()


def test_only_white_noise_on_the_picture_itself_is_recorrupted():
    psf = torch.ones(3, 3) / 9
    small = Downsample((96, 96), 2)
    blur = Problem(CLEAN, Blur((96, 96), psf), Gaussian(0.1))
    assert trials.usual_estimator(noisy()) == "recorruption"
    assert trials.usual_estimator(blur) == "held-out"
    assert trials.usual_estimator(Problem(small.forward(CLEAN), small, Gaussian(0.0))) == "held-out"
    with pytest.raises(BayesDipError, match="Gaussian"):
        trials.recorrupted(Problem(CLEAN, Identity((96, 96)), bd.Poisson(0.01)), 0)


def runner(name, losses):
    score = Score()
    for loss in losses:
        score.add(torch.as_tensor(loss), torch.ones_like(torch.as_tensor(loss)))
    return Runner(Classical(bd.baselines.named(name)), score)


def test_a_paired_interval_is_narrow_where_two_methods_fail_alike():
    rng = np.random.default_rng(0)
    hard = rng.gamma(0.3, 1.0, (64, 64))  # what is hard for all
    a, b = runner("tv", [hard]), runner("nlm", [1.1 * hard])
    weights = bootstrap_weights(64, 0)
    gap = decibels_behind(b.score, a.score, weights)
    assert gap.value == pytest.approx(10 * np.log10(1.1)) and gap.high - gap.low < 1e-6
    alone = mean_error(a.score, weights)
    assert alone.high > 1.05 * alone.low


def test_doubt_about_the_noise_level_widens_the_distance_and_leaves_the_order():
    rng = np.random.default_rng(0)
    base = rng.random((64, 64))
    sure, doubtful = ([runner(n, [f * base]) for n, f in (("tv", 1.0), ("nlm", 1.3))] for _ in range(2))
    for r in doubtful:
        r.score.noise, r.score.doubt = 2.0, 0.06
    weights = bootstrap_weights(64, 0)
    narrow, wide = (decibels_behind(b.score, a.score, weights) for a, b in (sure, doubtful))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low) and wide.value == narrow.value
    for r in doubtful:  # so little error that the noise's uncertainty is more
        r.score.noise = 100.0
    lost = decibels_behind(doubtful[1].score, doubtful[0].score, weights)
    assert lost.low > 0 and lost.high < 10
    assert all(clearly_behind(b.score, a.score, weights) for a, b in (sure, doubtful))


def test_blocks_keep_the_sum_at_any_size():
    picture = np.random.default_rng(0).random((37, 50))
    assert by_block(picture).shape == (5 * 7,)
    assert by_block(picture).sum() == pytest.approx(picture.sum())
    assert by_block(picture)[0] == pytest.approx(picture[:8, :8].sum())


def test_who_is_clearly_behind_drops_out_and_who_is_close_stays():
    rng = np.random.default_rng(1)
    base = rng.random((64, 64))
    best, close, far = (
        runner(n, [base * f + 0.1 * rng.random((64, 64))])
        for n, f in (("tv", 1), ("nlm", 1.001), ("wavelet", 2))
    )
    assert undecided([far, close, best], bootstrap_weights(64, 0)) == [close, best]


def test_the_ranking_is_by_error_and_puts_those_that_do_not_apply_last():
    flat = np.full((16, 16), 1.0)
    good, bad, worse = runner("tv", [flat, flat]), runner("nlm", [2 * flat]), runner("wavelet", [3 * flat])
    none = Runner(Classical(bd.baselines.named("bm3d")), why="not installed")
    assert ranked([none, worse, bad, good], bootstrap_weights(4, 0)) == [good, bad, worse, none]


def test_kendall_counts_pairs_in_order():
    assert kendall([1, 2, 3], [10, 20, 30]) == 1
    assert kendall([1, 2, 3], [30, 20, 10]) == -1
    assert kendall([1, 2, 3], [10, 30, 20]) == pytest.approx(1 / 3)


def test_quality_is_that_of_scikit_image_and_gmsd_knows_alike_from_blurred():
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


def test_every_method_of_the_registry_takes_part():
    assert set(METHODS) <= set(all_names()) and "gp-nonlocal" in all_names()
    holed = Problem(CLEAN, Mask(torch.eye(96) > 0), Gaussian(0.0))
    named = [c.name for c in contenders(holed, (), {})]
    assert "biharmonic" in named and "nlm" not in named and set(METHODS) <= set(named)
    assert [c.name for c in contenders(noisy(), ("ours",), {})] == [
        n for n in all_names() if n not in bd.baselines.names()
    ]
    with pytest.raises(BayesDipError, match="method 'nope' is unknown"):
        contenders(noisy(), ("nope",), {})


def clean_and_noisy():
    clean = data.astronaut()[:96, 170:266]
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    return clean, np.clip(clean + noise, 0, 255).astype(np.uint8)


FAST = ["tv", "nlm", "wavelet", "bilateral", "lanczos"]


def test_denoising_is_compared_from_the_picture_alone_and_the_truth_changes_nothing():
    clean, y = clean_and_noisy()
    blind = bd.compare(y, channel_axis=-1, methods=FAST)
    told = bd.compare(y, channel_axis=-1, methods=FAST, truth=clean)
    assert [e.name for e in blind.entries] == [e.name for e in told.entries]
    assert blind.agreement is None and 0 <= told.agreement.loss < 0.5
    assert told.agreement.best == max(told.applied, key=lambda e: e.quality.psnr).name
    assert [e.name for e in told.entries if e.why] == ["lanczos"]
    best = blind.best
    assert best.restored.shape == y.shape and best.restored.dtype == np.uint8
    assert best.behind.value == 0 and best.rmse.low < best.rmse.value < best.rmse.high
    assert all(a.behind.value <= b.behind.value for a, b in zip(told.applied, told.applied[1:], strict=False))


def test_inpainting_is_compared_and_known_pixels_stay():
    clean = data.camera()[40:104, 200:264]
    gone = np.random.default_rng(0).random(clean.shape) < 0.4
    found = bd.compare(
        np.where(gone, 0, clean), gone, methods=["tv", "telea", "biharmonic", "gp"], truth=clean
    )
    assert {e.name for e in found.applied} == {"tv", "telea", "biharmonic", "gp"}
    assert all(np.array_equal(e.restored[~gone], clean[~gone]) for e in found.applied)
    assert found.agreement.loss < 0.5
    assert found.best.rmse.value == pytest.approx(
        np.sqrt(np.mean((found.best.restored.astype(float) - clean)[gone] ** 2)), rel=0.4
    )


def test_deblurring_and_enlarging_are_compared():
    clean = data.camera()[40:104, 200:264] / 255
    wide = bd.compare(clean, factor=2, methods=["lanczos", "bicubic"])
    assert wide.best.restored.shape == (128, 128)
    sharp = bd.compare(
        blurred(CLEAN, 1.5)[0].numpy(), psf=np.ones((3, 3)), methods=["wiener", "tv"], sigma=0.01
    )
    assert sharp.setup.task == "deblur" and len(sharp.applied) == 2


def test_the_sentence_says_what_to_use_and_by_how_much():
    _, y = clean_and_noisy()
    found = bd.compare(y, channel_axis=-1, methods=FAST)
    second = found.applied[1]
    assert found.sentence.startswith(f"Use {found.best.name}")
    assert f"{second.behind.value:.2f} dB" in found.sentence and second.name in found.sentence
    assert ("cannot be told apart" in found.sentence) == second.tied
    assert found.table().count("not applicable") == 1
    assert len(found.figure().axes) >= 2 * (1 + len(found.applied))


def test_a_run_that_is_interrupted_is_not_ranked(monkeypatch):
    _, y = clean_and_noisy()

    class Stopped:
        stopped = "interrupted"

    monkeypatch.setattr("bayesdip.api.restore", lambda *a, **k: Stopped())
    with pytest.raises(KeyboardInterrupt):
        bd.compare(y, channel_axis=-1, methods=["gp"])


def test_where_nothing_applies_every_reason_is_told(monkeypatch):
    _, y = clean_and_noisy()
    with pytest.raises(BayesDipError, match="no method applies: lanczos: lanczos is made for upscale"):
        bd.compare(y, channel_axis=-1, methods=["lanczos"])


BAD = [
    ({"sigma": 0.0}, BayesDipError, "sigma is 0"),
    ({"sigma": -1.0}, BayesDipError, "sigma"),
    ({"mask": np.zeros((3, 3), bool)}, ShapeError, "mask"),
    ({"mask": np.zeros((96, 96), bool)}, BayesDipError, "nothing is missing"),
    ({"mask": np.ones((96, 96), bool)}, BayesDipError, "everything is missing"),
    ({"mask": np.eye(96) > 0, "factor": 2}, BayesDipError, "mask and factor"),
    ({"factor": 1}, BayesDipError, "factor is 1"),
    ({"psf": np.zeros((3, 3))}, BayesDipError, "psf"),
    ({"truth": np.zeros((3, 3))}, ShapeError, "truth"),
    ({"truth": np.full((96, 96, 3), np.nan)}, NonFiniteError, "truth"),
    ({"rounds": 0}, BayesDipError, "rounds is 0"),
    ({"time_budget": 0.0}, BayesDipError, "time_budget is 0"),
    ({"effort": "lazy"}, BayesDipError, "effort is 'lazy'"),
    ({"methods": ["nope"]}, BayesDipError, "method 'nope'"),
    ({"channel_axis": None}, ShapeError, "channel_axis=-1"),
    ({"estimator": "recorruption", "factor": 2}, BayesDipError, "denoising alone"),
]


@pytest.mark.parametrize(("options", "kind", "said"), BAD)
def test_bad_arguments_are_one_clear_line(options, kind, said):
    _, y = clean_and_noisy()
    with pytest.raises(kind, match=said):
        bd.compare(y, **{"channel_axis": -1, "methods": ["tv"], **options})


def test_our_methods_are_called_by_their_front_door(monkeypatch):
    seen, original = [], tasks.restore
    monkeypatch.setattr(tasks, "restore", lambda *a, **k: seen.append(k) or original(*a, **k))
    m = noisy()
    mean = Ours("gp", {"method": "gp", "effort": "fast", "samples": 0, "draws": 0}).restore(m)
    assert seen[0]["method"] == "gp" and mean.shape == CLEAN.shape
    assert float((mean - CLEAN).square().mean()) < 0.6 * float((m.y - CLEAN).square().mean())


def test_comparison_is_reachable_by_its_public_name():
    assert bd.compare is compare
