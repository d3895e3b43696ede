"""The command line on pictures that stay on the disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from bayesdip.cli import app
from bayesdip.io.stored import open_stored
from bayesdip.tile_processing import tiled_function
from tiled_arrays import in_process, noisy, smooth_picture

zarr = pytest.importorskip("zarr")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a noisy OME-Zarr like array, an ImageJ stack, and a mask."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tiled_function, "_pool", lambda *args: in_process())
    picture = noisy(smooth_picture((64, 72)), 10)
    array = zarr.create_array("in.zarr", shape=picture.shape, chunks=(32, 32), dtype=picture.dtype)
    array[:] = picture
    stack = np.stack([picture[:48, :48]] * 2)
    tifffile.imwrite(
        "stack.tif",
        stack,
        imagej=True,
        metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"},
        resolution=(4, 4),
    )
    mask = np.zeros(picture.shape, np.uint8)
    mask[20:24, 10:60] = 255
    tifffile.imwrite("mask.tif", mask)
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_denoise_writes_ome_zarr_and_its_standard_deviation(here):
    done = call(
        "denoise", "in.zarr", "-o", "out.ome.zarr", "--std", "std.ome.zarr", "--effort", "fast", "--json"
    )
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["tiles"] == 1 and facts["method"] == "patches" and "sigma" in facts["noise"][0]
    found = open_stored("out.ome.zarr").description
    assert found.kind == "OME-Zarr 0.5" and found.shape == (64, 72) and found.dtype == "uint16"
    assert open_stored("std.ome.zarr").description.dtype == "float32"
    again = call("denoise", "in.zarr", "-o", "out.ome.zarr")
    assert again.exit_code == 2 and "exists already" in again.stderr


def test_a_hyperstack_stays_one(here):
    done = call("denoise", "stack.tif", "-o", "out.tif", "--effort", "fast")
    assert done.exit_code == 0, done.stderr
    with tifffile.TiffFile("out.tif") as file:
        assert file.is_imagej and file.series[0].axes == "ZYX"
        assert file.imagej_metadata["spacing"] == 2.0 and file.imagej_metadata["unit"] == "um"
    assert "tiles" in done.stdout and "2" in done.stdout


def test_inpaint_takes_a_mask_of_another_format(here):
    done = call(
        "inpaint", "in.zarr", "--mask", "mask.tif", "-o", "out.zarr", "--sigma", "0", "--effort", "fast"
    )
    assert done.exit_code == 0, done.stderr
    before, after = (zarr.open_array(name, mode="r")[:] for name in ("in.zarr", "out.zarr"))
    gone = tifffile.imread("mask.tif") > 0
    assert np.array_equal(before[~gone], after[~gone])
    assert not np.array_equal(before[gone], after[gone])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("upscale", "in.zarr", "-o", "o.zarr"), "expected denoise or inpaint"),
        (("denoise", "in.zarr", "-o", "o.zarr", "--report", "r"), "--report was given with a picture"),
        (("denoise", "in.zarr", "-o", "o.zarr", "--time-budget", "3"), "--time-budget was given"),
        (("denoise", "in.zarr", "-o", "o.png"), "not written in tiles"),
        (("denoise", "in.zarr", "-o", "o.zarr", "--noise", "laplace"), "without its size"),
        (("denoise", "in.zarr", "-o", "o.zarr", "--axes", "zyx"), "axes are 'zyx' for 2 axes"),
        (("denoise", "in.zarr", "-o", "in.zarr/o.zarr"), "is an input, lies in one"),
        (("denoise", "no.zarr", "-o", "o.zarr"), "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(here, words, said):
    done = call(*words)
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1
