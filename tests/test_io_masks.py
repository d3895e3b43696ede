"""Masks and point spread functions say the same in every kind of file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bayesdip import io
from bayesdip.errors import FileError
from picture_files import ORIENTATION, noise, saved, the_error, tiff_file


def test_white_is_missing_in_any_mode(tmp_path: Path) -> None:
    missing = np.random.default_rng(0).random((6, 5)) < 0.4
    white = (missing * 255).astype(np.uint8)
    clear = np.full((6, 5), 255, np.uint8)
    saved(tmp_path / "gray.png", white)
    saved(tmp_path / "bits.png", white, "1")
    saved(tmp_path / "palette.png", white, "P")
    saved(tmp_path / "cmyk.tif", white, "CMYK")
    saved(tmp_path / "rgb.png", white, "RGB")
    saved(tmp_path / "alpha.png", np.stack([white, white, white, clear], -1))
    saved(tmp_path / "paint.png", np.stack([clear, clear, clear, white], -1))  # white on a clear layer
    saved(tmp_path / "ones.png", missing.astype(np.uint8))
    saved(tmp_path / "deep.png", missing.astype(np.uint16) * 65535)
    tiff_file(tmp_path / "float.tif", missing.astype(np.float32))
    tiff_file(tmp_path / "inverse.tif", 255 - white, photometric="miniswhite")
    np.save(tmp_path / "bool.npy", missing)
    np.save(tmp_path / "int.npy", missing.astype(int))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 13
    for file in files:
        mask = io.read_mask(file, (6, 5, 3))
        np.testing.assert_array_equal(mask, missing, err_msg=file.name)
        assert mask.dtype == bool


def test_gray_mask_levels_count_from_half_white_on(tmp_path: Path) -> None:
    mask = io.read_mask(saved(tmp_path / "a.png", np.array([[0, 127, 128, 255]], np.uint8)), (1, 4))
    assert mask.tolist() == [[False, False, True, True]]
    np.save(tmp_path / "a.npy", np.array([[0.49, 0.5], [0.51, 1.0]]))
    assert io.read_mask(tmp_path / "a.npy", (2, 2)).tolist() == [[False, True], [True, True]]


def test_a_mask_of_another_size_names_both_sizes(tmp_path: Path) -> None:
    path = saved(tmp_path / "mask.png", noise((6, 5)))
    text = the_error(FileError, io.read_mask, path, (8, 7, 3))
    assert "5x6 pixels" in text and "7x8 pixels" in text and str(path) in text
    np.save(tmp_path / "mask.npy", np.zeros((6, 5, 7)))
    assert "7 channels" in the_error(FileError, io.read_mask, tmp_path / "mask.npy", (6, 5))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_drawn_on_the_turned_picture_is_turned_back(tmp_path: Path, orientation) -> None:
    missing = np.random.default_rng(1).random((6, 5)) < 0.5
    stored = Image.fromarray((missing * 255).astype(np.uint8))
    stored.getexif()[ORIENTATION] = orientation
    ImageOps.exif_transpose(stored).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(io.read_mask(tmp_path / "mask.png", (6, 5), orientation), missing)


def test_a_mask_must_leave_something_known_and_something_missing() -> None:
    mask = np.array([[True, False]])
    io.check_mask(mask, "m.png")
    assert "nothing missing" in the_error(FileError, io.check_mask, mask & False, "m.png")
    assert "nothing known" in the_error(FileError, io.check_mask, mask | True, "m.png")


def test_a_point_spread_function_is_read_as_it_is_stored(tmp_path: Path) -> None:
    kernel = np.outer([1, 2, 1], [1, 4, 1]).astype(np.float32)
    np.save(tmp_path / "a.npy", kernel)
    saved(tmp_path / "a.png", (kernel * 31).astype(np.uint8), "RGB")
    np.save(tmp_path / "b.npy", kernel[1])
    for name in ("a.npy", "a.png"):
        psf = io.read_psf(tmp_path / name)
        np.testing.assert_allclose(psf / psf.sum(), kernel / 24, rtol=1e-6)
    np.testing.assert_allclose(io.read_psf(tmp_path / "b.npy"), np.array([2, 8, 2]) / 8)


@pytest.mark.parametrize("values", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]], ids=str)
def test_a_bad_point_spread_function_is_refused(tmp_path: Path, values) -> None:
    np.save(tmp_path / "a.npy", np.array([values]))
    the_error(FileError, io.read_psf, tmp_path / "a.npy")
