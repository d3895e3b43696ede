"""``bayesdip inpaint --mosaic``: a camera's raw data in a gray file, to a picture in colour."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from bayesdip import io
from bayesdip.cli import app
from bayesdip.operators import Mosaic

CLEAN = data.astronaut()[100:148, 150:214]


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def raw(pattern="RGGB"):
    seen = np.moveaxis(Mosaic(CLEAN.shape[:2], pattern).seen.numpy(), 0, -1)
    return (CLEAN * seen).sum(-1).astype(np.uint8), seen


def save_png(path, levels):
    Image.fromarray(levels).save(path)


def save_tiff(path, levels):
    tifffile.imwrite(path, levels.astype(np.uint16) * 257, photometric="minisblack", resolution=(300, 300))


@pytest.mark.parametrize(("name", "save", "scale"), [("m.png", save_png, 1), ("m.tif", save_tiff, 257)])
def test_a_mosaic_comes_back_in_colour(tmp_path, name, save, scale):
    levels, seen = raw("GBRG")
    save(tmp_path / name, levels)
    out = tmp_path / f"out{name[-4:]}"
    found = run("inpaint", tmp_path / name, "-o", out, "--mosaic", "GBRG", "--effort", "fast", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["missing"] == 2 * levels.size
    restored = io.read_picture(out).pixels / scale
    assert restored.shape == CLEAN.shape
    assert np.abs(restored - CLEAN)[seen].max() <= 0.51
    assert np.sqrt(np.square(restored - CLEAN)[~seen].mean()) < 9


def test_what_is_no_mosaic_is_refused_in_one_line(tmp_path):
    save_png(tmp_path / "colour.png", CLEAN)
    save_png(tmp_path / "m.png", raw()[0])
    words = ("-o", tmp_path / "out.png", "--mosaic")
    for source, more, said in (
        ("colour.png", ["RGGB"], "expected one value a pixel"),
        ("m.png", ["RGB"], "four letters"),
        ("m.png", ["RGGB", "--tile", "32"], "expected whole pictures"),
    ):
        found = run("inpaint", tmp_path / source, *words, *more)
        assert found.exit_code == 2 and said in found.stderr and found.stderr.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_dead_pixels_of_a_sensor_are_missing_too(tmp_path):
    levels, _ = raw()
    dead = np.zeros(levels.shape, np.uint8)
    dead[10:12, 20:30] = 255
    save_png(tmp_path / "m.png", np.where(dead > 0, 255, levels).astype(np.uint8))
    save_png(tmp_path / "dead.png", dead)
    out = tmp_path / "out.png"
    words = ("--mosaic", "RGGB", "--mask", tmp_path / "dead.png", "--effort", "fast")
    assert run("inpaint", tmp_path / "m.png", "-o", out, *words).exit_code == 0
    restored = io.read_picture(out).pixels.astype(float)
    assert np.sqrt(np.square(restored - CLEAN)[dead > 0].mean()) < 25
