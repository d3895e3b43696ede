"""The ranking without a truth: its estimates are right, its intervals hold, and it says what it found."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import api, baselines, methods
from bayesdip.comparison import compare, splits
from bayesdip.comparison.candidates import BaselineCandidate, MethodCandidate, all_names, candidates
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
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
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
    small = Downsample((96, 96), 2)
    others = [
        Problem(CLEAN, Blur((96, 96), torch.ones(3, 3) / 9), Gaussian(0.1)),
        Problem(small.forward(CLEAN), small, Gaussian(0.0)),
        Problem(CLEAN, Identity((96, 96)), bd.Poisson(0.01)),
        Problem(CLEAN, Identity((96, 96)), Gaussian(0.1, (0.0, 1.0))),
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


def test_every_method_is_compared_and_the_baselines_that_are_made_for_the_problem():
    inpainting = Problem(CLEAN, Mask(torch.eye(96) > 0), Gaussian(0.0))
    everything = [c.name for c in candidates(inpainting)]
    assert everything == [*methods.NAMES, "biharmonic", "navier-stokes", "telea", "tv"]
    assert [c.name for c in candidates(noisy(), ["ours"])] == list(methods.NAMES)
    assert [c.name for c in candidates(noisy(), ["lanczos", "gp"])] == ["lanczos", "gp"]
    assert set(all_names()) == {*methods.NAMES, *baselines.names()}
    with pytest.raises(BayesDipError, match="method 'nope' is unknown"):
        candidates(noisy(), ["nope"])


def test_two_settings_of_one_method_are_told_apart():
    wide, narrow = candidates(
        noisy(), ["sgld", methods.create("sgld", chains=3, effort="best")], effort="fast"
    )
    assert (wide.name, narrow.name) == ("sgld", "sgld-2")
    assert (wide.setting, narrow.setting) == ("effort fast", "effort best, chains 3")


def clean_and_noisy():
    clean = data.astronaut()[:96, 170:266]
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    return clean, np.clip(clean + noise, 0, 255).astype(np.uint8)


FAST = ["tv", "nlm", "wavelet", "bilateral", "lanczos"]


def test_denoising_is_compared_from_the_picture_alone_and_the_truth_changes_nothing():
    clean, y = clean_and_noisy()
    blind = bd.compare(y, channel_axis=-1, methods=FAST)
    judged = bd.compare(y, channel_axis=-1, methods=FAST, truth=clean)
    assert [e.name for e in blind.entries] == [e.name for e in judged.entries]
    assert blind.agreement is None and 0 <= judged.agreement.loss < 0.5
    assert judged.agreement.best == max(judged.applied, key=lambda e: e.quality.psnr).name
    assert [e.name for e in judged.entries if e.why] == ["lanczos"]
    best = blind.best
    assert best.restored.shape == y.shape and best.restored.dtype == np.uint8
    assert best.behind.value == 0 and best.rmse.low < best.rmse.value < best.rmse.high
    assert all(
        a.behind.value <= b.behind.value for a, b in zip(judged.applied, judged.applied[1:], strict=False)
    )


def test_inpainting_is_compared_and_known_pixels_stay():
    clean = data.camera()[40:104, 200:264]
    missing = np.random.default_rng(0).random(clean.shape) < 0.4
    names = {"tv", "telea", "biharmonic", "patches"}
    found = bd.compare(np.where(missing, 0, clean), missing, methods=sorted(names), truth=clean)
    assert {e.name for e in found.applied} == names
    assert all(np.array_equal(e.restored[~missing], clean[~missing]) for e in found.applied)
    assert found.agreement.loss < 0.5
    true = np.sqrt(np.mean((found.best.restored.astype(float) - clean)[missing] ** 2))
    assert found.best.rmse.value == pytest.approx(true, rel=0.4)


def test_deblurring_and_enlarging_are_compared():
    clean = data.camera()[40:104, 200:264] / 255
    wide = bd.compare(clean, factor=2, methods=["lanczos", "bicubic"])
    assert wide.best.restored.shape == (128, 128)
    sharp = bd.compare(
        blurred(CLEAN, 1.5)[0].numpy(), psf=np.ones((3, 3)), methods=["wiener", "tv"], sigma=0.01
    )
    assert sharp.setup.task == "deblur" and len(sharp.applied) == 2


def test_counts_of_photons_are_compared_under_their_own_noise_on_held_out_pixels():
    clean = 40 * CLEAN[0].numpy() + 5
    counts = np.random.default_rng(0).poisson(clean).astype(float)
    found = bd.compare(counts, noise=bd.Poisson(), methods=["tv", "nlm"], truth=clean)
    assert found.estimator == "held-out" and found.setup.sigma is None
    assert found.summary()["noise"] == bd.Poisson().describe() and found.summary()["sigma"] is None
    true = np.sqrt(np.mean((found.best.restored - clean) ** 2))
    assert found.best.rmse.value == pytest.approx(true, rel=0.3)
    assert true < 0.6 * np.sqrt(np.mean((counts - clean) ** 2))


def test_the_sentence_says_what_to_use_and_by_how_much():
    _, y = clean_and_noisy()
    found = bd.compare(y, channel_axis=-1, methods=FAST)
    second = found.applied[1]
    assert found.sentence.startswith(f"Use {found.best.name}")
    assert f"{second.behind.value:.2f} dB" in found.sentence and second.name in found.sentence
    assert ("cannot be told apart" in found.sentence) == second.tied
    assert found.table().count("not applicable") == 1


def test_the_figure_shows_the_given_picture_and_all_restorations_best_first():
    _, y = clean_and_noisy()
    found = bd.compare(y, channel_axis=-1, methods=["tv", "nlm"], rounds=1)
    axes = found.figure().axes
    titles = [cell.get_title().split("\n")[0] for cell in axes if cell.get_title()]
    assert titles == ["given", *(e.name for e in found.applied)]
    pictures = [cell.images[0].get_array() for cell in axes if cell.images]
    assert [p.shape for p in pictures] == 3 * [(96, 96, 3)] + 3 * [(24, 24, 3)]
    assert np.array_equal(pictures[0], y) and np.array_equal(pictures[1], found.best.restored)


def test_a_run_that_is_interrupted_is_not_ranked(monkeypatch):
    _, y = clean_and_noisy()

    class Stopped:
        stopped = "interrupted"

    monkeypatch.setattr(api, "restore", lambda *a, **k: Stopped())
    with pytest.raises(KeyboardInterrupt):
        bd.compare(y, channel_axis=-1, methods=["gp"])


def test_where_nothing_applies_every_reason_is_given():
    _, y = clean_and_noisy()
    with pytest.raises(
        BayesDipError, match=r"no method applies: lanczos: lanczos was given .* made for upscale"
    ):
        bd.compare(y, channel_axis=-1, methods=["lanczos"])


BAD = [
    ({"sigma": 0.0}, BayesDipError, "sigma is 0"),
    ({"sigma": -1.0}, BayesDipError, "sigma"),
    ({"sigma": 10.0, "noise": bd.Poisson()}, BayesDipError, "sigma and noise"),
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
    ({"effort": "lazy", "methods": ["gp"]}, BayesDipError, "effort is 'lazy'"),
    ({"methods": ["nope"]}, BayesDipError, "method 'nope'"),
    ({"channel_axis": None}, ShapeError, "channel_axis=-1"),
    ({"estimator": "nope"}, BayesDipError, "estimator is 'nope'"),
    ({"estimator": "recorruption", "factor": 2}, BayesDipError, "expected Gaussian noise"),
]


@pytest.mark.parametrize(("options", "kind", "said"), BAD)
@pytest.mark.filterwarnings("ignore:an image of shape")
def test_bad_arguments_are_one_clear_line(options, kind, said):
    _, y = clean_and_noisy()
    with pytest.raises(kind, match=said):
        bd.compare(y, **{"channel_axis": -1, "methods": ["tv"], **options})


def test_our_methods_are_called_as_a_user_calls_them(monkeypatch):
    calls, original = [], api.restore
    monkeypatch.setattr(api, "restore", lambda *a, **k: calls.append(k) or original(*a, **k))
    problem = noisy()
    method = methods.create("patches", effort="fast")
    mean = MethodCandidate(method, "patches", time_budget=50.0).restore(problem)
    assert calls[0]["method"] is method and calls[0]["time_budget"] == 50.0 and mean.shape == CLEAN.shape
    assert float((mean - CLEAN).square().mean()) < 0.6 * float((problem.y - CLEAN).square().mean())


@dataclass(frozen=True, kw_only=True)
class Smooth(methods.Method):
    """A user's own method: a Gaussian filter."""

    width: float = 1.0

    name = "smooth"
    summary = "Gaussian filter"

    def fit(self, problem, progress):
        from bayesdip.result import Posterior

        return Posterior(blurred(problem.y, self.width))


def test_a_method_of_ones_own_is_compared_as_an_object():
    y = noisy().y[0].numpy()
    found = bd.compare(y, sigma=SIGMA, methods=[Smooth(width=0.8), Smooth(width=6.0), "tv"], rounds=1)
    assert {e.name for e in found.applied} == {"smooth", "smooth-2", "tv"}
    assert found.applied[-1].name == "smooth-2" and "width 6.0" in found.applied[-1].setting


def test_comparison_is_reachable_by_its_public_name():
    assert bd.compare is compare
