"""`bd.compare`: who takes part, what it finds without a truth, and what it says of it."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import api, baselines, methods
from bayesdip.comparison import compare
from bayesdip.comparison.candidates import MethodCandidate, all_names, candidates
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity, Mask
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


@pytest.mark.slow
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
    assert sharp.best.restored.shape == CLEAN.shape[1:]


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


@pytest.mark.parametrize(("line", "ranked"), [(1, 1), (4, 4), (7, 4)])
def test_an_interrupted_comparison_ranks_by_what_was_done(line, ranked):
    _, y = clean_and_noisy()
    lines = []

    def log(text):
        if len(lines) == line:
            raise KeyboardInterrupt
        lines.append(text)

    found = bd.compare(y, channel_axis=-1, methods=FAST[:4], log=log)
    assert found.interrupted and "interrupted" in found.sentence and found.summary()["interrupted"]
    assert len(found.applied) == ranked
    assert all(e.restored.shape == y.shape and e.seconds > 0 for e in found.applied)
    assert all("interrupted" in e.why for e in found.entries if e.why)


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
        BayesDipError, match=r"no method applies: lanczos: lanczos was given .* a picture to upscale"
    ):
        bd.compare(y, channel_axis=-1, methods=["lanczos"])


BAD = [
    ({"sigma": 0.0}, BayesDipError, "sigma is 0"),
    ({"sigma": -1.0}, BayesDipError, "sigma"),
    ({"sigma": 10.0, "noise": bd.Poisson()}, BayesDipError, "both given"),
    ({"mask": np.zeros((3, 3), bool)}, ShapeError, "mask"),
    ({"mask": np.zeros((96, 96), bool)}, BayesDipError, "no pixel is missing"),
    ({"mask": np.ones((96, 96), bool)}, BayesDipError, "every pixel is missing"),
    ({"mask": np.eye(96) > 0, "factor": 2}, BayesDipError, "mask and factor"),
    ({"factor": 0}, BayesDipError, "factor is 0"),
    ({"factor": 1}, BayesDipError, "factor is 1"),
    ({"sigma": (1.0, 2.0)}, BayesDipError, "sigma has 2 numbers"),
    ({"psf": np.zeros((3, 3))}, BayesDipError, "psf"),
    ({"truth": np.zeros((3, 3))}, ShapeError, "truth"),
    ({"truth": np.full((96, 96, 3), np.nan)}, NonFiniteError, "truth"),
    ({"rounds": 0}, BayesDipError, "rounds is 0"),
    ({"time_budget": 0.0}, BayesDipError, "time_budget is 0"),
    ({"effort": "lazy"}, BayesDipError, "effort is 'lazy'"),
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
    settings = {e.name: e.setting for e in found.applied}
    assert "width 0.8" in settings["smooth"] and "width 6.0" in settings["smooth-2"]


def test_comparison_is_reachable_by_its_public_name():
    assert bd.compare is compare
