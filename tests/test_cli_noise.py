"""``bayesdip denoise --noise``: each kind takes its own options, and what is left out is estimated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from bayesdip.cli.noise_choice import NoiseChoice
from bayesdip.cli.verbs import denoising
from bayesdip.errors import BayesDipError
from bayesdip.io import Picture, read_picture
from bayesdip.noise import Correlated, Gaussian, Laplace, Poisson, PoissonGaussian, Speckle

PIXELS = data.camera()[:200, 100:300].astype(float) + 5


def noisy(tmp_path: Path, kind: str) -> Picture:
    rng = np.random.default_rng(0)
    y = (
        PIXELS * rng.gamma(4, 1 / 4, PIXELS.shape)
        if kind == "speckle"
        else PIXELS + rng.laplace(0, 10, PIXELS.shape)
    )
    path = tmp_path / "noisy.npy"
    np.save(path, y)
    return read_picture(path)


@pytest.mark.parametrize(
    ("kind", "sigma", "facts", "expected"),
    [
        ("laplace", "14.142135623730951", {}, Laplace(10.0)),
        ("speckle", "auto", {"looks": 4.0, "offset": 2.0}, Speckle(4.0, 2.0)),
        ("poisson", "auto", {"gain": 2.0}, Poisson(2.0)),
        ("poisson-gaussian", "3", {"offset": 7.0}, PoissonGaussian(1.0, 3.0, 7.0)),
        ("gaussian", "25", {}, None),
    ],
)
def test_what_is_told_is_used(
    kind: str, sigma: str, facts: dict[str, float], expected: Any, tmp_path: Path
) -> None:
    choice = NoiseChoice.parse(
        kind, sigma, gain=facts.get("gain"), looks=facts.get("looks"), offset=facts.get("offset")
    )
    found = choice.model(noisy(tmp_path, kind))
    assert not choice.is_estimated
    if isinstance(expected, Laplace):
        assert isinstance(found, Laplace) and found.scale == pytest.approx(expected.scale)
    else:
        assert found == expected


def test_what_is_not_told_is_estimated(tmp_path: Path) -> None:
    laplace = NoiseChoice.parse("laplace", "auto")
    assert laplace.is_estimated
    found = laplace.model(noisy(tmp_path, "laplace"))
    assert isinstance(found, Laplace) and found.scale == pytest.approx(10, rel=0.15)
    assert isinstance(NoiseChoice.parse("correlated", "auto").model(noisy(tmp_path, "gaussian")), Correlated)
    speckle = NoiseChoice.parse("speckle", "auto").model(noisy(tmp_path, "speckle"))
    assert isinstance(speckle, Speckle) and speckle.looks == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(
    ("kind", "sigma", "facts", "message"),
    [
        ("laplace", "auto", {"gain": 2.0}, "--gain .* use --noise poisson or poisson-gaussian"),
        ("gaussian", "auto", {"looks": 2.0}, "--looks .* use --noise speckle"),
        ("speckle", "25", {}, "--looks"),
        ("correlated", "25", {}, "estimated from the picture; use --noise auto"),
        ("laplace", "25,20,30", {}, "one number, or auto"),
        ("salt", "auto", {}, "laplace, speckle"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    kind: str, sigma: str, facts: dict[str, float], message: str
) -> None:
    with pytest.raises(BayesDipError, match=message):
        NoiseChoice.parse(kind, sigma, **facts)


def test_auto_leaves_the_noise_to_an_inspection_and_gaussian_does_not(tmp_path: Path) -> None:
    picture = noisy(tmp_path, "laplace")
    auto, gaussian = (NoiseChoice.parse(kind, "auto") for kind in ("auto", "gaussian"))
    assert auto.is_estimated and auto.model(picture) is None
    white = gaussian.model(picture)
    assert isinstance(white, Gaussian) and white.sigma == pytest.approx(14.1, rel=0.2)
    assert denoising(picture, auto).request["noise"] == "auto"


def test_the_work_says_whether_the_noise_is_estimated(tmp_path: Path) -> None:
    picture = noisy(tmp_path, "laplace")
    assert denoising(picture, NoiseChoice.parse("laplace", "auto")).sigma_estimated
    assert not denoising(picture, NoiseChoice.parse("laplace", "10")).sigma_estimated
    assert not denoising(picture, NoiseChoice.parse("poisson", "auto")).sigma_estimated


def test_the_summary_says_where_the_noise_was_clipped(tmp_path: Path, quick: None) -> None:
    from typer.testing import CliRunner

    from bayesdip.cli import app

    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 48)
    pixels = np.clip(np.rint(ramp + rng.normal(0, 60, (48, 48))), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    command = ["denoise", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--sigma", "60"]
    told = CliRunner().invoke(app, [*command, "--method", "map", "--arch", "skip(scales=1, width=4)"])
    assert told.exit_code == 0, told.output
    assert "60 (Gaussian noise, sigma 60, clipped at 0 and 255)" in told.output
