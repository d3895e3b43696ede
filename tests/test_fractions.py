"""Counts of a few come back as the real numbers that their mean is, and are said to."""

from __future__ import annotations

import numpy as np
import tifffile
from typer.testing import CliRunner

import bayesdip as bd
from bayesdip import io
from bayesdip.cli import app
from conftest import smooth_picture

RATE = 0.3 + 1.5 * smooth_picture((48, 48))
COUNTS = np.random.default_rng(0).poisson(RATE).astype(np.uint8)


def test_counts_of_a_few_are_restored_between_whole_numbers():
    r = bd.denoise(COUNTS, 1.0, method="gp")
    assert r.mean.dtype == np.float32 and "fractions" in [f.kind for f in r.findings]
    assert np.sqrt(np.mean((r.mean - RATE) ** 2)) < 0.5 * np.sqrt(np.mean((np.rint(RATE) - RATE) ** 2) + 0.25)


def test_pictures_and_exact_data_keep_their_type():
    picture = np.clip(30 + 180 * smooth_picture((32, 32)), 0, 255).astype(np.uint8)
    assert bd.denoise(picture, 10, method="gp").mean.dtype == np.uint8
    labels = np.zeros((24, 24), np.uint8)
    labels[:, 12:] = 3
    mask = np.zeros(labels.shape, bool)
    mask[8:10, 8:16] = True
    assert bd.inpaint(labels, mask, method="gp").mean.dtype == np.uint8


def test_files_keep_the_fractions_where_they_can_and_say_where_not(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", COUNTS)
    words = ["denoise", str(tmp_path / "in.tif"), "--method", "gp", "--sigma", "1"]
    for name, dtype in (("out.tif", np.float32), ("out.npy", np.float32), ("out.png", np.uint8)):
        done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.stderr
        assert io.read_picture(tmp_path / name).pixels.dtype == dtype
        assert ("rounded; write .tif" in done.stderr) == (name == "out.png")
