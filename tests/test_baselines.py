"""Baselines: each improves what it is made for, is tuned, and refuses what it is not made for."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage import data

from bayesdip import baselines
from bayesdip.baselines.conversions import filled
from bayesdip.errors import BayesDipError
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Identity, Mask
from bayesdip.problem import Problem

SIGMA = 0.1
# An ordinary photograph, gray or colour, (C, 64, 64) in 0..1.
GRAY = torch.from_numpy(data.camera()[60:124, 210:274] / 255.0)[None]
COLOUR = torch.from_numpy(np.moveaxis(data.astronaut()[:64, 180:244] / 255.0, -1, 0).copy())
INSTALLED = [name for name in baselines.names() if name != "bm3d"]


def problem_of(task, clean, seed=0):
    """The picture as a problem of that task."""
    generator = torch.Generator().manual_seed(seed)
    if task == "denoise":
        noise = SIGMA * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        return Problem(clean + noise, Identity(clean.shape[1:]), Gaussian(SIGMA))
    if task == "inpaint":
        missing = torch.rand(clean.shape[1:], generator=generator) < 0.5
        return Problem(torch.where(missing, 0.0, clean), Mask(missing), Gaussian(0.0))
    if task == "upscale":
        operator = Downsample(clean.shape[1:], 2)
        return Problem(operator.forward(clean), operator, Gaussian(0.0))
    axis = torch.arange(-4, 5, dtype=torch.float64)
    psf = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    operator = Blur(clean.shape[1:], psf / psf.sum())
    noise = 0.01 * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    return Problem(operator.forward(clean) + noise, operator, Gaussian(0.01))


def without_a_method(problem, task):
    """The picture that takes no method at all."""
    if task == "upscale":
        return problem.y.repeat_interleave(2, -1).repeat_interleave(2, -2)
    if task == "inpaint":
        observed = problem.operator.observed
        means = torch.stack([y[observed].mean() for y in problem.y])
        return torch.where(observed, problem.y, means[:, None, None])
    return problem.y


def error(a, b):
    return float((a - b).square().mean())


CASES = [(name, task) for name in INSTALLED for task in baselines.named(name).tasks]


@pytest.mark.parametrize("clean", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_tuned_baseline_improves_its_picture_and_is_no_worse_than_its_default(name, task, clean):
    problem = problem_of(task, clean)
    baseline = baselines.named(name)
    tried = []
    value, restored = baseline.tune(problem, lambda x: tried.append(error(x, clean)) or tried[-1])
    assert restored.shape == clean.shape and restored.dtype == torch.float64
    assert len(tried) == len(baseline.values) and error(restored, clean) == min(tried)
    assert error(restored, clean) < 0.8 * error(without_a_method(problem, task), clean)
    assert error(baseline.restore(problem, value), clean) == min(tried)
    assert min(tried) <= error(baseline.restore(problem), clean)


def test_tuning_without_the_truth_finds_nearly_the_best_value():
    from bayesdip.comparison.splits import held_out, recorrupted

    for task, split in (("denoise", recorrupted), ("inpaint", held_out)):
        problem, baseline = problem_of(task, GRAY), baselines.named("tv")
        value, _ = baseline.tune(split(problem, 0).training, split(problem, 0).error)
        true = {v: error(baseline.restore(problem, v), GRAY) for v in baseline.values}
        assert 10 * np.log10(true[value] / min(true.values())) < 0.5


@pytest.mark.parametrize("name", ["biharmonic", "telea", "navier-stokes"])
def test_inpainting_keeps_the_known_pixels(name):
    problem = problem_of("inpaint", COLOUR)
    observed = problem.operator.observed
    restored = baselines.named(name).restore(problem)
    assert torch.equal(restored[:, observed], COLOUR[:, observed])


def test_lanczos_is_that_of_pillow():
    from PIL import Image

    problem = problem_of("upscale", GRAY)
    small = Image.fromarray(problem.y[0].numpy().astype(np.float32))
    expected = np.asarray(small.resize((64, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(baselines.named("lanczos").restore(problem)[0].numpy(), expected)


def test_total_variation_of_a_blur_by_one_pixel_is_total_variation_of_the_picture():
    y = problem_of("denoise", GRAY).y
    one_pixel = Blur(GRAY.shape[1:], torch.ones(1, 1, dtype=torch.float64))
    iterated = baselines.named("tv").restore(Problem(y, one_pixel, Gaussian(SIGMA)))
    direct = baselines.named("tv").restore(Problem(y, Identity(GRAY.shape[1:]), Gaussian(SIGMA)))
    assert float((iterated - direct).abs().max()) < 0.02 * float((direct - y).abs().max())


def test_adding_a_constant_to_the_data_adds_it_to_the_result():
    for name in ("tv", "nlm", "wavelet", "bilateral"):
        problem, baseline = problem_of("denoise", COLOUR), baselines.named(name)
        shifted = Problem(problem.y + 3, problem.operator, problem.noise)
        a, b = (baseline.restore(x) for x in (problem, shifted))
        assert float((b - 3 - a).abs().max()) < 1e-3, name


def test_a_baseline_refuses_what_it_is_not_made_for():
    noisy = problem_of("denoise", GRAY)
    with pytest.raises(BayesDipError, match=r"lanczos was given Identity.*a picture to upscale"):
        baselines.named("lanczos").restore(noisy)
    volume = Problem(torch.zeros(1, 8, 8, 8), Identity((8, 8, 8)), Gaussian(SIGMA))
    assert baselines.named("tv").applies(noisy) and not baselines.named("tv").applies(volume)
    with pytest.raises(BayesDipError, match="baseline is 'nope'"):
        baselines.named("nope")


def test_denoisers_apply_to_missing_pixels_only_where_there_is_noise():
    exact = problem_of("inpaint", GRAY)
    noisy = Problem(exact.y, exact.operator, Gaussian(SIGMA))
    nlm = baselines.named("nlm")
    assert not nlm.applies(exact) and nlm.applies(noisy)
    assert bool(nlm.restore(noisy).isfinite().all())


def test_what_another_library_raises_becomes_a_refusal(monkeypatch):
    def broken(*given, **options):
        raise RuntimeError("kaputt")

    monkeypatch.setattr("skimage.restoration.denoise_nl_means", broken)
    with pytest.raises(BayesDipError, match="denoise_nl_means failed: kaputt"):
        baselines.named("nlm").restore(problem_of("denoise", GRAY))


def test_bm3d_is_used_where_the_user_has_it_and_else_says_why_not(monkeypatch):
    baseline, problem = baselines.named("bm3d"), problem_of("denoise", GRAY)
    monkeypatch.setattr("bayesdip.baselines.baseline.find_spec", lambda name: None)
    with pytest.raises(BayesDipError, match="non-commercial"):
        baseline.restore(problem)
    calls = []
    module = SimpleNamespace(bm3d=lambda z, sigma: calls.append(sigma) or z / 2)
    monkeypatch.setitem(sys.modules, "bm3d", module)
    monkeypatch.setattr("bayesdip.baselines.baseline.find_spec", lambda name: module)
    assert torch.allclose(baseline.restore(problem, 1.1), problem.y / 2)
    assert calls == [pytest.approx(1.1 * SIGMA)]


def test_missing_extras_are_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setattr("bayesdip.baselines.baseline.find_spec", lambda name: None)
    for name in ("wavelet", "bilateral"):
        with pytest.raises(BayesDipError, match=r"bayesdip\[compare\]"):
            baselines.named(name).restore(problem_of("denoise", GRAY))


def test_filling_keeps_what_is_known_and_reaches_across_large_holes():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 64, 64)
    missing = torch.zeros(64, 64, dtype=torch.bool)
    missing[10:50, 10:50] = True
    full = filled(Problem(torch.where(missing, 9.0, ramp), Mask(missing), Gaussian(0.0)))
    assert torch.equal(full[:, ~missing], ramp[:, ~missing])
    assert float(full.min()) >= 0 and float(full.max()) <= 1
    assert error(full, ramp) < 0.01


MEDIAN = """
import torch
from scipy.ndimage import median_filter
from bayesdip.baselines import Baseline


def median(problem, value):
    return torch.from_numpy(median_filter(problem.y.numpy(), (1, int(value), int(value))))


BASELINES = (Baseline("median", ("denoise",), median, "scipy.ndimage.median_filter", (3.0, 5.0), 3.0, "pixels"),)
"""


def test_a_new_baseline_is_one_file(tmp_path, monkeypatch):
    import bayesdip

    (tmp_path / "median.py").write_text(MEDIAN)
    monkeypatch.setattr(baselines, "__path__", [*baselines.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "bayesdip.baselines.median", raising=False)
    noisy = problem_of("denoise", GRAY).y[0].numpy()
    found = bayesdip.compare(noisy, sigma=SIGMA, methods=["median", "lanczos"], rounds=1)
    assert [entry.name for entry in found.applied] == ["median"]
    assert found.best.setting in ("3 pixels", "5 pixels")
    assert error(torch.from_numpy(found.best.restored), GRAY[0]) < 0.8 * error(
        torch.from_numpy(noisy), GRAY[0]
    )
