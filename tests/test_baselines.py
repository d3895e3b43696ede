"""Baselines: each improves what it is made for, is tuned, and refuses what it is not made for."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage import data

from bayesdip import baselines
from bayesdip.baselines.filling import filled
from bayesdip.errors import BayesDipError
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Identity, Mask
from bayesdip.pipeline import settings_of
from bayesdip.problem import Problem
from bayesdip.progress import Progress

SIGMA = 0.1
# An ordinary photograph, gray or colour, (C, 64, 64) in 0..1.
GRAY = torch.from_numpy(data.camera()[60:124, 210:274] / 255.0)[None]
COLOUR = torch.from_numpy(np.moveaxis(data.astronaut()[:64, 180:244] / 255.0, -1, 0).copy())
INSTALLED = [name for name in baselines.names() if name != "bm3d"]


def measured(task, clean, seed=0):
    """The picture as a problem of that task."""
    generator = torch.Generator().manual_seed(seed)
    if task == "denoise":
        noise = SIGMA * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        return Problem(clean + noise, Identity(clean.shape[1:]), Gaussian(SIGMA))
    if task == "inpaint":
        gone = torch.rand(clean.shape[1:], generator=generator) < 0.5
        return Problem(torch.where(gone, 0.0, clean), Mask(gone), Gaussian(0.0))
    if task == "upscale":
        operator = Downsample(clean.shape[1:], 2)
        return Problem(operator.forward(clean), operator, Gaussian(0.0))
    axis = torch.arange(-4, 5, dtype=torch.float64)
    psf = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    operator = Blur(clean.shape[1:], psf / psf.sum())
    noise = 0.01 * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    return Problem(operator.forward(clean) + noise, operator, Gaussian(0.01))


def plainly(problem, task):
    """What one has without any method."""
    if task == "upscale":
        return problem.y.repeat_interleave(2, -1).repeat_interleave(2, -2)
    if task == "inpaint":
        seen = problem.operator.observed
        means = torch.stack([y[seen].mean() for y in problem.y])
        return torch.where(seen, problem.y, means[:, None, None])
    return problem.y


def error(a, b):
    return float((a - b).square().mean())


CASES = [(name, task) for name in INSTALLED for task in baselines.named(name).tasks]


@pytest.mark.parametrize("clean", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_tuned_baseline_improves_its_picture_and_is_no_worse_than_its_usual_setting(name, task, clean):
    problem = measured(task, clean)
    baseline = baselines.named(name)
    tuning = baselines.tune(baseline, problem, lambda restored: error(restored, clean))
    assert tuning.restored.shape == clean.shape and tuning.restored.dtype == torch.float64
    assert error(tuning.restored, clean) < 0.8 * error(plainly(problem, task), clean)
    assert tuning.errors[tuning.value] == min(tuning.errors.values()) <= tuning.errors[baseline.usual]
    assert error(baseline.restore(problem, tuning.value), clean) == tuning.errors[tuning.value]


def test_tuning_on_hidden_pixels_alone_finds_what_suits_the_hidden_truth():
    from bayesdip.comparison.splits import held_out, recorrupted

    for task, trial in (("denoise", recorrupted), ("inpaint", held_out)):
        problem, baseline = measured(task, GRAY), baselines.named("tv")
        blind = baselines.tune(baseline, trial(problem, 0).seen, trial(problem, 0).error)
        assert blind.errors[blind.value] <= blind.errors[baseline.usual]
        true = {v: error(baseline.restore(problem, v), GRAY) for v in baseline.values}
        assert 10 * np.log10(true[blind.value] / min(true.values())) < 0.5


def test_a_baseline_has_the_signature_of_our_methods_and_no_standard_deviation():
    problem = measured("denoise", GRAY)
    run = baselines.named("nlm").method(0.6)
    posterior = run(problem, settings_of({"method": "gp"}), Progress())
    assert posterior.std is None and len(posterior.samples) == 0
    assert posterior.mean.shape == GRAY.shape and posterior.info["value"] == 0.6


@pytest.mark.parametrize("name", ["biharmonic", "telea", "navier-stokes"])
def test_inpainting_keeps_the_known_pixels(name):
    problem = measured("inpaint", COLOUR)
    baseline = baselines.named(name)
    seen = problem.operator.observed
    restored = baseline.restore(problem, baseline.usual)
    assert torch.equal(restored[:, seen], COLOUR[:, seen])


def test_lanczos_is_pillows():
    from PIL import Image

    problem = measured("upscale", GRAY)
    small = Image.fromarray(problem.y[0].numpy().astype(np.float32))
    expected = np.asarray(small.resize((64, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(baselines.named("lanczos").restore(problem, 0.0)[0].numpy(), expected)


def test_a_shift_of_the_levels_shifts_the_result():
    for name in ("tv", "nlm", "wavelet", "bilateral"):
        m, baseline = measured("denoise", COLOUR), baselines.named(name)
        shifted = Problem(m.y + 3, m.operator, m.noise)
        a, b = (baseline.restore(x, baseline.usual) for x in (m, shifted))
        assert float((b - 3 - a).abs().max()) < 1e-3, name


def test_a_baseline_refuses_what_it_is_not_made_for():
    with pytest.raises(BayesDipError, match="lanczos is made for upscale, and this is denoise"):
        baselines.named("lanczos").restore(measured("denoise", GRAY), 0.0)
    with pytest.raises(BayesDipError, match="baseline is 'nope'"):
        baselines.named("nope")


def test_what_another_library_raises_becomes_a_refusal(monkeypatch):
    def broken(*given, **options):
        raise RuntimeError("kaputt")

    monkeypatch.setattr("skimage.restoration.denoise_nl_means", broken)
    with pytest.raises(BayesDipError, match="refuses: kaputt"):
        baselines.named("nlm").restore(measured("denoise", GRAY), 0.5)


def test_bm3d_is_used_where_the_user_has_it_and_else_says_why_not(monkeypatch):
    baseline, m = baselines.named("bm3d"), measured("denoise", GRAY)
    monkeypatch.setitem(sys.modules, "bm3d", None)
    monkeypatch.setattr("bayesdip.baselines.baseline.find_spec", lambda name: None)
    with pytest.raises(BayesDipError, match="non-commercial"):
        baseline.restore(m, 1.0)
    calls = []
    module = SimpleNamespace(bm3d=lambda z, sigma: calls.append(sigma) or z / 2)
    monkeypatch.setitem(sys.modules, "bm3d", module)
    monkeypatch.setattr("bayesdip.baselines.baseline.find_spec", lambda name: module)
    assert torch.allclose(baseline.restore(m, 1.1), m.y / 2)
    assert calls == [pytest.approx(1.1 * SIGMA)]


def test_missing_extras_are_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setattr("bayesdip.baselines.baseline.find_spec", lambda name: None)
    for name in ("wavelet", "bilateral"):
        with pytest.raises(BayesDipError, match=r"bayesdip\[compare\]"):
            baselines.named(name).restore(measured("denoise", GRAY), 1.0)


def test_filling_keeps_what_is_known_and_reaches_across_large_holes():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 64, 64)
    gone = torch.zeros(64, 64, dtype=torch.bool)
    gone[10:50, 10:50] = True
    full = filled(Problem(torch.where(gone, 9.0, ramp), Mask(gone), Gaussian(0.0)))
    assert torch.equal(full[:, ~gone], ramp[:, ~gone])
    assert float(full.min()) >= 0 and float(full.max()) <= 1
    assert error(full, ramp) < 0.01
