"""Pixel size, unit, axes and place on Earth are kept in TIFF files, and follow an enlarged picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdip import io
from picture_files import assert_alike, noise, same_again, saved

SCALE, TIE, TRANSFORMATION, KEYS, NO_DATA = 33550, 33922, 34264, 34735, 42113
POINT_KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 2)


def geo_file(path: Path, pixels: np.ndarray, *tags: tuple) -> Path:
    tifffile.imwrite(path, pixels, metadata=None, photometric="minisblack", extratags=tags)
    return path


def enlarged_file(path: Path, factor: int = 2) -> tifffile.TiffFile:
    """What is written for a picture that many times as large."""
    picture = io.read_picture(path)
    large = picture.pixels.repeat(factor, 0).repeat(factor, 1)
    copy = path.with_name("large.tif")
    io.write_picture(copy, large, picture, force=True)
    return tifffile.TiffFile(copy)


def test_geographic_tags_come_back_as_they_were(tmp_path: Path) -> None:
    tags = (
        (SCALE, "d", 3, (30.0, 30.0, 0.0), True),
        (TIE, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
        (KEYS, "H", 12, POINT_KEYS, True),
        (34737, "s", 0, "WGS 84|", True),
        (42112, "s", 0, "<GDALMetadata></GDALMetadata>", True),
        (NO_DATA, "s", 0, "-9999", True),
    )
    picture, again = same_again(geo_file(tmp_path / "a.tif", noise((6, 5), "float32"), *tags))
    assert picture.tiff is not None and [tag.code for tag in picture.tiff.tags] == [tag[0] for tag in tags]
    assert_alike(picture, again)
    assert picture.no_data == again.no_data == -9999
    assert io.read_picture(saved(tmp_path / "b.png", noise((6, 5)))).no_data is None
    assert np.isnan(io.read_picture(geo_file(tmp_path / "c.tif", noise((6, 5)), (NO_DATA, "s", 0, "nan", True))).no_data)  # fmt: skip


@pytest.mark.parametrize("keys", [(1, 1, 0, 0), POINT_KEYS])
def test_an_enlarged_raster_covers_the_same_ground(tmp_path: Path, keys) -> None:
    """The middle of the old pixel (2, 3) is the corner where the new pixels meet that replace it."""
    centre = 0.0 if keys == POINT_KEYS else 0.5
    places = []
    matrix = (20.0, 1.0, 0.0, 7e5, 2.0, -25.0, 0.0, 3e6, 0, 0, 0, 0, 0, 0, 0, 1.0)
    tags = [(SCALE, "d", 3, (30.0, 10.0, 0.0), True), (TIE, "d", 6, (1.0, 2.0, 0.0, 5e5, 4e6, 0.0), True)]
    tags += [(TRANSFORMATION, "d", 16, matrix, True), (KEYS, "H", len(keys), keys, True)]
    path = geo_file(tmp_path / "a.tif", noise((6, 5), "float32"), *tags)
    for file, at in ((tifffile.TiffFile(path), (2.0, 3.0)), (enlarged_file(path), (4.5, 6.5))):
        with file:
            found = {tag.code: tag.value for tag in file.pages[0].tags}
        i, j = (number + centre for number in at)
        tie, scale = found[TIE], found[SCALE]
        matrix = np.reshape(found[TRANSFORMATION], (4, 4))
        places.append([tie[3] + (i - tie[0]) * scale[0], tie[4] - (j - tie[1]) * scale[1]])
        places[-1] += list(matrix[:2] @ [i, j, 0, 1])
    np.testing.assert_allclose(places[0], places[1], rtol=1e-12)


def test_imagej_keeps_axes_unit_and_size(tmp_path: Path) -> None:
    stack = noise((3, 2, 6, 5), "uint16")
    options = {"metadata": {"axes": "ZCYX", "spacing": 0.5, "unit": "um"}, "resolution": (10, 10)}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, **options)
    picture, again = same_again(tmp_path / "a.tif")
    assert_alike(picture, again)
    for file, size in ((tifffile.TiffFile(tmp_path / "copy.tif"), 10), (enlarged_file(tmp_path / "a.tif"), 20)):  # fmt: skip
        with file:
            assert file.series[0].axes == "ZCYX" and file.pages[0].get_resolution() == (size, size)
            assert file.imagej_metadata["unit"] == "um" and file.imagej_metadata["spacing"] == 0.5
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "copy.tif"), stack)


def test_ome_keeps_axes_and_size(tmp_path: Path) -> None:
    stack = noise((3, 2, 6, 5), "uint16")
    metadata = {"axes": "ZCYX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.2}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata=metadata)
    with enlarged_file(tmp_path / "a.ome.tif") as file:
        assert file.series[0].axes == "ZCYX" and file.series[0].shape == (3, 2, 12, 10)
        for words in ('PhysicalSizeX="0.05"', 'PhysicalSizeY="0.1"', 'PhysicalSizeXUnit="µm"'):
            assert words in file.ome_metadata
        np.testing.assert_array_equal(file.asarray()[..., ::2, ::2], stack)


def test_another_number_of_channels_drops_the_description(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((4, 6, 5), "uint16"), imagej=True)
    picture = io.read_picture(tmp_path / "a.tif")
    io.write_picture(tmp_path / "b.tif", picture.pixels[..., 0], picture)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert not file.is_imagej and file.asarray().shape == (6, 5)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_the_resolution_follows_the_size(tmp_path: Path, suffix) -> None:
    picture = io.read_picture(saved(tmp_path / "a.png", noise((6, 5)), dpi=(300, 150)))
    io.write_picture(tmp_path / f"b{suffix}", picture.pixels.repeat(3, 0).repeat(3, 1), picture)
    assert io.read_picture(tmp_path / f"b{suffix}").dpi == pytest.approx((900, 450), rel=1e-3)


def test_a_resolution_in_centimetres_stays_in_them(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise((6, 5)), resolution=(40, 80), resolutionunit="centimeter")
    picture, again = same_again(tmp_path / "a.tif")
    assert picture.tiff is not None and picture.tiff.resolution == (40, 80, 3)
    assert_alike(picture, again)
