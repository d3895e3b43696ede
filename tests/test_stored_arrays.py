"""Arrays on the disk: what is written is read back, values and remarks, in every format; what is damaged is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bayesdip.errors import BayesDipError, FileError
from bayesdip.io.stored import Axis, Description, GivenArray, canvas_for, is_stack, is_zarr, open_stored

AXES = (
    Axis("t", 2, 1.5, "second"),
    Axis("c", 2),
    Axis("z", 3, 2.0, "micrometer"),
    Axis("y", 300, 0.25, "micrometer"),
    Axis("x", 410, 0.5, "micrometer"),
)
STACK = Description(AXES, np.dtype("uint16"), "array", ("DAPI", "GFP"), "cells")
COLOURS = Description(
    (Axis("y", 300, 0.25, "micrometer"), Axis("x", 410, 0.25, "micrometer"), Axis("s", 3)), np.dtype("uint8")
)
TRIPS = {
    "ome-zarr-0.5": ("a.ome.zarr", STACK, "OME-Zarr 0.5"),
    "ome-zarr-0.4": ("a.ome.zarr", replace(STACK, kind="OME-Zarr 0.4"), "OME-Zarr 0.4"),
    "zarr-2": ("a.zarr", replace(STACK, kind="Zarr 2"), "Zarr 2"),
    "zarr-3": ("a.zarr", replace(STACK, kind="Zarr 3"), "Zarr 3"),
    "ome-tiff": ("a.ome.tif", STACK, "OME-TIFF"),
    "imagej": ("a.tif", replace(STACK, kind="ImageJ"), "ImageJ"),
    "stack-in-tiff": ("a.tif", STACK, "OME-TIFF"),
    "colour-ome-zarr": ("a.ome.zarr", COLOURS, "OME-Zarr 0.5"),
    "colour-ome-tiff": ("a.ome.tif", COLOURS, "OME-TIFF"),
    "colour-tiff": ("a.tif", COLOURS, "TIFF"),
}


def random(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape).astype(dtype)


def written(folder: Path, name: str, description: Description):
    """A canvas that was filled block by block and made whole, and the values in its order of axes."""
    canvas = canvas_for(folder / name, folder / "work", description, {"y": 128, "x": 128, "s": 3})
    canvas.create()
    order = [description.names.index(n if n in description.names else "s") for n in canvas.levels[0].names]
    values = random(description.shape, description.dtype).transpose(order)
    blocks = [range(0, n, c) for n, c in zip(values.shape, canvas.chunk, strict=True)]
    for corner in product(*blocks):
        region = tuple(
            slice(a, min(n, a + c)) for a, c, n in zip(corner, canvas.chunk, values.shape, strict=True)
        )
        canvas.write(0, region, values[region])
    canvas.finish().rename(folder / name)
    return canvas, values


@pytest.mark.parametrize("case", TRIPS)
def test_values_and_remarks_come_back(tmp_path, case):
    name, description, kind = TRIPS[case]
    if name.endswith("zarr"):
        pytest.importorskip("zarr")
    _, values = written(tmp_path, name, description)
    stored = open_stored(tmp_path / name)
    found = stored.description
    assert found.kind == kind and found.shape == values.shape and found.dtype == description.dtype
    region = tuple(slice(n // 3, n // 3 + max(1, n // 2)) for n in found.shape)
    assert np.array_equal(stored.read(region), values[region])
    assert stored.read(region).dtype == description.dtype
    if kind.startswith("Zarr"):
        assert found.names == "tczyx"
        return
    given = {axis.name: axis for axis in description.axes}
    metres = {"micrometer": 1e-6, "centimeter": 1e-2}
    for axis in found.axes:
        if axis.name in "zyx":
            size = axis.step * metres[axis.unit]
            assert size == pytest.approx(given[axis.name].step * 1e-6, rel=1e-4)
        elif axis.name == "t":
            assert (axis.step, axis.unit) == (1.5, "second")
    if description is not COLOURS:
        assert found.channel_names == ("DAPI", "GFP")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_has_resolution_levels_at_their_places_and_keeps_how_channels_are_shown(tmp_path, version):
    zarr = pytest.importorskip("zarr")
    shown = {"channels": [{"label": "DAPI", "color": "0000FF"}, {"label": "GFP", "color": "00FF00"}]}
    description = replace(STACK, kind=f"OME-Zarr {version}", extra={"omero": shown, "attributes": {"own": 1}})
    canvas, _ = written(tmp_path, "a.ome.zarr", description)
    attributes = dict(zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r").attrs)
    block = attributes["ome"] if version == "0.5" else attributes
    assert attributes["own"] == 1 and block["omero"] == shown
    (picture,) = block["multiscales"]
    assert [axis["type"] for axis in picture["axes"]] == ["time", "channel", "space", "space", "space"]
    scale, shift = picture["datasets"][1]["coordinateTransformations"]
    assert scale["scale"] == [1.5, 1.0, 2.0, 0.5, 1.0]
    assert shift["translation"] == [0, 0, 0, 0.125, 0.25]
    assert zarr.open_array(str(tmp_path / "a.ome.zarr" / "1"), mode="r").shape == (2, 2, 3, 150, 205)
    assert len(canvas.levels) == len(picture["datasets"]) == 2
    again = open_stored(tmp_path / "a.ome.zarr").description
    assert again.extra["omero"] == shown and again.extra["attributes"] == {"own": 1}


def test_ome_tiff_has_tiles_and_levels(tmp_path):
    written(tmp_path, "a.ome.tif", STACK)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        (series,) = file.series
        assert file.is_ome and series.axes == "TCZYX"
        assert [level.shape for level in series.levels] == [(2, 2, 3, 300, 410), (2, 2, 3, 150, 205)]
        assert series.keyframe.is_tiled and series.keyframe.tilewidth == 512


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "rowsperstrip": 32},
        {"tile": (64, 48), "compression": "lzw", "predictor": True},
        {"planarconfig": "separate", "tile": (64, 64)},
        {"bigtiff": True, "byteorder": ">"},
        {"bigtiff": True, "byteorder": ">", "tile": (32, 32)},
    ],
    ids=lambda options: "-".join(map(str, options)) or "plain",
)
def test_a_region_of_a_tiff_file_is_that_of_the_whole(tmp_path, options):
    values = random((150, 210, 3), "uint16")
    if "planarconfig" in options:
        values = values.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", metadata=None, **options)
    stored = open_stored(tmp_path / "a.tif")
    assert stored.description.names == ("syx" if "planarconfig" in options else "yxs")
    for part in (slice(0, 150), slice(63, 65), slice(149, 150)):
        region = tuple(
            part if axis.name == "y" else slice(0, axis.length) for axis in stored.description.axes
        )
        assert np.array_equal(stored.read(region), values[region])


def test_tiles_that_are_not_asked_for_are_not_read(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", random((512, 512), "uint16"), tile=(64, 64), compression="zlib")
    stored, seen = open_stored(tmp_path / "a.tif"), []
    decode = tifffile.TiffPage.decode
    monkeypatch.setattr(
        tifffile.TiffPage,
        "decode",
        property(
            lambda page: (
                lambda data, index, **words: seen.append(index) or decode.func(page)(data, index, **words)
            )
        ),
    )
    stored.read((slice(60, 130), slice(0, 10)))
    assert seen == [0, 8, 16]


def test_pages_without_names_of_axes_need_them(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", random((4, 50, 60), "uint8"), metadata=None, photometric="minisblack"
    )
    with pytest.raises(BayesDipError, match="the 3 axes of 4 x 50 x 60 have no names"):
        open_stored(tmp_path / "a.tif")
    assert open_stored(tmp_path / "a.tif", "zyx").description.names == "zyx"


def test_stacks_are_told_from_pictures(tmp_path):
    values = random((3, 40, 50), "uint8")
    tifffile.imwrite(tmp_path / "z.tif", values, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "c.tif", values, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "plain.tif", values[0])
    assert [is_stack(tmp_path / f"{name}.tif") for name in ("z", "c", "plain")] == [True, False, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"datasets": [{"path": "../../secret"}]}, "names an array outside of it"),
        ({"datasets": [{"path": "/etc"}]}, "names an array outside of it"),
        ({"datasets": []}, "names no array"),
        ({"datasets": [{"path": "7"}]}, "the array 7 is not there"),
    ],
)
def test_metadata_that_lead_astray_are_one_line(tmp_path, change, words):
    pytest.importorskip("zarr")
    written(tmp_path, "a.ome.zarr", STACK)
    file = tmp_path / "a.ome.zarr" / "zarr.json"
    facts = json.loads(file.read_text())
    facts["attributes"]["ome"]["multiscales"][0] |= change
    file.write_text(json.dumps(facts))
    with pytest.raises(FileError, match=words):
        open_stored(tmp_path / "a.ome.zarr")


def test_damaged_and_dangerous_zarr_is_one_line(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(str(tmp_path / "a"), shape=(40, 50), chunks=(40, 50), dtype="f4", zarr_format=2)
    array[:] = 1
    file = tmp_path / "a" / ".zarray"
    facts = json.loads(file.read_text())
    for change, words in (
        ({"filters": [{"id": "pickle", "protocol": 5}]}, "can run programs"),
        ({"dtype": "|O", "filters": None}, "."),
        ({"shape": [0, 5]}, "holds no values"),
        ({"shape": [40, 50, 2], "chunks": [40, 50, 2]}, "have no names"),
        ({"chunks": [10**9, 10**9], "shape": [10**9, 10**9]}, "needs .* GiB to be read"),
    ):
        file.write_text(json.dumps(facts | change))
        with pytest.raises(BayesDipError, match=words):
            open_stored(tmp_path / "a")
    file.write_text("{")
    with pytest.raises(FileError, match="damaged or cut short"):
        open_stored(tmp_path / "a")
    with pytest.raises(FileError, match="no such file"):
        open_stored(tmp_path / "b")


def test_a_damaged_block_and_a_file_that_vanishes_are_one_line_when_they_are_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(8, 9), chunks=(8, 9), dtype="u2")
    array[:] = random((8, 9), "uint16")
    (block,) = (path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    tifffile.imwrite(tmp_path / "a.tif", random((40, 50), "uint16"), compression="zlib")
    tifffile.imwrite(tmp_path / "b.tif", random((40, 50), "uint16"))
    stored = [open_stored(tmp_path / name) for name in ("a.zarr", "a.tif", "b.tif")]
    block.write_bytes(block.read_bytes()[:-7])
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-400])
    (tmp_path / "b.tif").unlink()
    for one in stored:
        with pytest.raises(FileError, match=r"is damaged or cut short"):
            one.read((slice(0, 8), slice(0, 9)))


@pytest.mark.parametrize("samples", [1, 2, 4])
def test_colours_that_tiff_has_no_name_for_are_refused_before_the_run(tmp_path, samples):
    axes = (Axis("y", 30), Axis("x", 40), Axis("s", samples))
    with pytest.raises(BayesDipError, match=f"has {samples} samples of a colour"):
        canvas_for(
            tmp_path / "a.ome.tif", tmp_path, Description(axes, np.dtype("uint8")), {"y": 30, "x": 40, "s": 3}
        )


def test_a_group_without_a_picture_names_what_is_inside(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "g"), mode="w")
    group.create_array("inner", shape=(4, 5), dtype="f4")
    assert is_zarr(tmp_path / "g")
    with pytest.raises(FileError, match=r"it holds inner.*such as .*inner"):
        open_stored(tmp_path / "g")
    assert open_stored(tmp_path / "g" / "inner").description.names == "yx"


def test_without_the_library_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    import sys

    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(BayesDipError, match=r"pip install 'bayesdip\[zarr\]'"):
        open_stored(tmp_path / "a.zarr")


def test_an_array_in_memory_says_where_its_axes_are():
    assert GivenArray.of(np.zeros((3, 4))).description.names == "yx"
    assert GivenArray.of(np.zeros(4)).description.names == "x"
    cut = GivenArray.of(np.arange(60).reshape(3, 4, 5), "zyx").cut((slice(1, 3), slice(1, 4), slice(2, 5)))
    assert np.array_equal(
        cut.read((slice(2, 3), slice(2, 4), slice(3, 5))), np.arange(60).reshape(3, 4, 5)[2:3, 2:4, 3:5]
    )
    with pytest.raises(BayesDipError, match="type complex128"):
        GivenArray.of(np.zeros((3, 4), complex))
    with pytest.raises(BayesDipError, match="without x"):
        GivenArray.of(np.zeros((3, 4)), "zy")
