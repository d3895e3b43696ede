"""Odd pictures that must simply work, from file to file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from bayesdip import io
from bayesdip.cli import app

rng = np.random.default_rng(0)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def smooth(shape, low, high, dtype):
    """A smooth picture with a little noise, from ``low`` to ``high``."""
    waves = sum(np.sin(np.linspace(0, 3 + i, n)).reshape([-1 if j == i else 1 for j in range(len(shape))])
                for i, n in enumerate(shape))  # fmt: skip
    waves = np.broadcast_to(waves, shape) + 0.1 * rng.standard_normal(shape)
    unit = (waves - waves.min()) / (np.ptp(waves) or 1)
    return (low + unit * (high - low)).astype(dtype)


def save_picture(path, array, mode=None):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)


def save_tiff(path, array):
    tifffile.imwrite(path, array)


ODD = {
    "1x1": ("a.png", lambda p: save_picture(p, np.full((1, 1), 7, np.uint8))),
    "1x5000": ("a.png", lambda p: save_picture(p, smooth((1, 5000), 0, 255, np.uint8))),
    "3x3": ("a.png", lambda p: save_picture(p, smooth((3, 3), 0, 255, np.uint8))),
    "constant": ("a.png", lambda p: save_picture(p, np.full((12, 9), 100, np.uint8))),
    "16-bit": ("a.png", lambda p: save_picture(p, smooth((12, 9), 0, 60000, np.uint16))),
    "float of any range": ("a.tif", lambda p: save_tiff(p, smooth((12, 9), -3e5, 8e6, np.float32))),
    "gray with alpha": ("a.png", lambda p: save_picture(p, smooth((12, 9, 2), 0, 255, np.uint8), "LA")),
    "colour with alpha": ("a.png", lambda p: save_picture(p, smooth((12, 9, 4), 0, 255, np.uint8))),
    "CMYK": ("a.tif", lambda p: save_picture(p, smooth((12, 9, 3), 0, 255, np.uint8), "CMYK")),
    "palette": ("a.png", lambda p: save_picture(p, smooth((12, 9, 3), 0, 255, np.uint8), "P")),
    "7 channels": ("a.tif", lambda p: save_tiff(p, smooth((7, 12, 9), 0, 60000, np.uint16))),
    "signal": ("a.npy", lambda p: np.save(p, smooth((50,), -1, 1, np.float64))),
}


@pytest.mark.parametrize(("name", "make"), ODD.values(), ids=ODD.keys())
def test_odd_pictures_come_back_in_their_own_type_and_size(tmp_path, name, make):
    source, out = tmp_path / name, tmp_path / f"out{name[-4:]}"
    make(source)
    result = run(
        "denoise", source, "-o", out, "--method", "gp", "--effort", "fast", "--report", tmp_path / "page"
    )
    assert result.exit_code == 0, result.stderr
    before, after = io.read_picture(source), io.read_picture(out)
    assert after.pixels.shape == before.pixels.shape
    assert after.pixels.dtype == before.pixels.dtype
    assert after.colour == before.colour
    if before.alpha is not None:
        np.testing.assert_array_equal(after.alpha, before.alpha)
    reach = np.ptp(before.pixels.astype(float)) or 1
    assert abs(after.pixels.astype(float).mean() - before.pixels.mean()) < 0.1 * reach
    assert (tmp_path / "page" / "report.html").stat().st_size > 5000


def test_a_network_takes_the_thinnest_picture(tmp_path, monkeypatch):
    from bayesdip.networks import schedule

    monkeypatch.setitem(schedule.SCHEDULES, "fast", schedule.Schedule(3))
    save_picture(tmp_path / "a.png", smooth((1, 700), 0, 255, np.uint8))
    words = ("--method", "map", "--effort", "fast", "--arch", "shuffle", "--sigma", 5)
    result = run("denoise", tmp_path / "a.png", "-o", tmp_path / "out.png", *words)
    assert result.exit_code == 0, result.stderr
    assert io.read_picture(tmp_path / "out.png").pixels.shape == (1, 700)


def test_upscaling_multiplies_the_size_and_keeps_channels_and_alpha(tmp_path):
    save_picture(tmp_path / "a.png", smooth((5, 6, 4), 0, 255, np.uint8))
    words = ("--factor", 3, "--method", "gp", "--effort", "fast", "--std", tmp_path / "std.tif")
    result = run("upscale", tmp_path / "a.png", "-o", tmp_path / "out.png", *words)
    assert result.exit_code == 0, result.stderr
    after = io.read_picture(tmp_path / "out.png")
    assert after.pixels.shape == (15, 18, 3) and after.alpha.shape == (15, 18)
    std = io.read_picture(tmp_path / "std.tif").pixels
    assert std.shape == (15, 18, 3) and std.dtype == np.float32


def test_deblurring_by_a_point_changes_nothing_that_is_exact(tmp_path):
    picture = smooth((9, 9), 0, 255, np.uint8)
    save_picture(tmp_path / "a.png", picture)
    point = np.zeros((3, 3))
    point[1, 1] = 2.0  # its sum does not matter
    np.save(tmp_path / "psf.npy", point)
    words = ("--psf", tmp_path / "psf.npy", "--sigma", 0, "--method", "gp", "--effort", "fast")
    result = run("deblur", tmp_path / "a.png", "-o", tmp_path / "out.png", *words)
    assert result.exit_code == 0, result.stderr
    after = io.read_picture(tmp_path / "out.png").pixels
    assert np.abs(after.astype(int) - picture.astype(int)).max() <= 2


def test_inpaint_keeps_known_pixels_and_fills_the_white_of_the_mask(tmp_path):
    picture = smooth((16, 16, 3), 50, 200, np.uint8)
    missing = np.zeros((16, 16), bool)
    missing[6:9, 4:12] = True
    save_picture(tmp_path / "a.png", np.where(missing[..., None], 0, picture).astype(np.uint8))
    save_picture(tmp_path / "mask.png", np.where(missing, 255, 0).astype(np.uint8))
    words = ("--mask", tmp_path / "mask.png", "--method", "gp", "--effort", "fast", "--json")
    result = run("inpaint", tmp_path / "a.png", "-o", tmp_path / "out.png", *words)
    assert result.exit_code == 0, result.stderr
    after = io.read_picture(tmp_path / "out.png").pixels
    np.testing.assert_array_equal(after[~missing], picture[~missing])
    assert np.abs(after[missing].astype(float) - picture[missing]).mean() < 25
    assert json.loads(result.stdout)["missing"] == missing.sum()


def test_transparent_pixels_are_missing_in_inpaint_and_come_back_opaque(tmp_path):
    picture = smooth((16, 16, 4), 50, 200, np.uint8)
    picture[..., 3] = 255
    picture[5:8, 5:8] = (255, 0, 255, 0)
    save_picture(tmp_path / "a.png", picture)
    result = run(
        "inpaint", tmp_path / "a.png", "-o", tmp_path / "out.png", "--method", "gp", "--effort", "fast"
    )
    assert result.exit_code == 0, result.stderr
    after = io.read_picture(tmp_path / "out.png")
    assert (after.alpha == 255).all()
    np.testing.assert_array_equal(after.pixels[:5], picture[:5, :, :3])
    assert np.abs(after.pixels[5:8, 5:8].astype(int) - (255, 0, 255)).min(axis=(0, 1)).max() > 20


def test_nan_pixels_are_filled_in_on_request(tmp_path):
    picture = smooth((12, 12), -1, 1, np.float32)
    picture[3:5, 3:5] = np.nan
    picture[8, 8] = np.inf
    np.save(tmp_path / "a.npy", picture)
    words = ("--missing", "nan", "--method", "gp", "--effort", "fast", "--json")
    result = run("inpaint", tmp_path / "a.npy", "-o", tmp_path / "out.npy", *words)
    assert result.exit_code == 0, result.stderr
    after = np.load(tmp_path / "out.npy")
    assert np.isfinite(after).all() and after.dtype == np.float32
    assert json.loads(result.stdout)["missing"] == 5


def test_counts_are_restored_under_poisson_noise(tmp_path):
    save_tiff(tmp_path / "a.tif", rng.poisson(smooth((12, 12), 2, 30, np.float64)).astype(np.uint16))
    words = ("--noise", "poisson", "--method", "gp", "--effort", "fast", "--json")
    result = run("denoise", tmp_path / "a.tif", "-o", tmp_path / "out.tif", *words)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["sigma"] is None and "Poisson" in told["settings"]["noise"]
