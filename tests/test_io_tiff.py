"""TIFF files come back as they were, in every sample type and arrangement."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from bayesdip import io
from bayesdip.errors import FileError
from bayesdip.io.picture import TiffLayout
from picture_files import ORIENTATION, SIZES, assert_alike, noise, same_again, saved, the_error, tiff_file


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float16", "float32", "float64"],
)
def test_tiff_keeps_every_sample_type(tmp_path: Path, dtype) -> None:
    for shape in ((6, 5), (6, 5, 3)):
        pixels = noise(shape, dtype)
        options = {"photometric": "rgb" if len(shape) == 3 else "minisblack"}
        picture, again = same_again(tiff_file(tmp_path / "in.tif", pixels, **options), force=True)
        np.testing.assert_array_equal(picture.pixels, pixels)
        assert picture.pixels.dtype == dtype
        assert_alike(picture, again)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "copy.tif"), pixels)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("arrangement", ["contiguous", "planar", "pages"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_channels_keep_their_arrangement(tmp_path: Path, size, count, arrangement, compression) -> None:
    pixels = noise((*size, count), "uint16")
    path = tmp_path / "in.tif"
    if arrangement == "contiguous":
        more = {"planarconfig": "contig", "extrasamples": [0] * (count - 1)}
        tiff_file(path, pixels, photometric="minisblack", compression=compression, **more)
    elif arrangement == "planar":
        more = {"planarconfig": "separate", "extrasamples": [0] * (count - 1)}
        planes = np.moveaxis(pixels, -1, 0)
        tiff_file(path, planes, photometric="minisblack", compression=compression, **more)
    else:
        with tifffile.TiffWriter(path) as writer:
            for index in range(count):
                writer.write(pixels[..., index], compression=compression, metadata=None)
    picture, again = same_again(path)
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.tiff is not None and picture.tiff.arrangement == arrangement
    assert picture.colour == "channels" and picture.tiff.compressed == bool(compression)
    assert_alike(picture, again)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_tiff_transparency_is_kept_in_its_kind(tmp_path: Path, kind, dtype) -> None:
    for count, photometric in ((2, "minisblack"), (4, "rgb"), (5, "separated")):
        stored = noise((6, 5, count), dtype)
        words = {"planarconfig": "contig", "extrasamples": [kind], "photometric": photometric}
        picture, again = same_again(tiff_file(tmp_path / "in.tif", stored, **words), force=True)
        np.testing.assert_array_equal(picture.alpha, stored[..., -1])
        assert_alike(picture, again)


def test_pages_of_one_multi_page_file_written_by_pillow_are_channels(tmp_path: Path) -> None:
    pages = noise((6, 5, 4))
    first, *rest = (Image.fromarray(np.ascontiguousarray(pages[..., c])) for c in range(4))
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.tif").pixels, pages)


def test_imagej_and_shaped_stacks_are_channels(tmp_path: Path) -> None:
    stack = noise((7, 6, 5), "uint16")
    tifffile.imwrite(tmp_path / "shaped.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "imagej.tif", stack, imagej=True)
    tifffile.imwrite(tmp_path / "truncated.tif", stack, photometric="minisblack", truncate=True)
    for name in ("shaped", "imagej", "truncated"):
        picture, again = same_again(tmp_path / f"{name}.tif", force=True)
        np.testing.assert_array_equal(np.moveaxis(picture.pixels, -1, 0), stack)
        assert_alike(picture, again)


def test_tiff_palette_white_is_zero_and_12_bits_show_alike(tmp_path: Path) -> None:
    ramp = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = np.zeros((3, 256), np.uint16)
    palette[:, :12] = np.arange(36).reshape(3, 12) * 256
    tiff_file(tmp_path / "p.tif", ramp, photometric="palette", colormap=palette)
    expected = np.moveaxis(np.arange(36).reshape(3, 3, 4), 0, -1)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "p.tif").pixels, expected)
    tiff_file(tmp_path / "w.tif", ramp, photometric="miniswhite")
    np.testing.assert_array_equal(io.read_picture(tmp_path / "w.tif").pixels, 255 - ramp)
    twelve = np.array([[0, 4095, 2048]], np.uint16)
    try:
        tiff_file(tmp_path / "t.tif", twelve, bitspersample=12)
    except NotImplementedError:
        pytest.skip("this imagecodecs does not write 12 bits")
    np.testing.assert_array_equal(io.read_picture(tmp_path / "t.tif").pixels, [[0, 65535, 32776]])


def test_a_thumbnail_beside_the_picture_is_passed_over(tmp_path: Path) -> None:
    pixels = noise((8, 8))
    tiff_file(tmp_path / "a.tif", pixels, subfiletype=1)  # a thumbnail of nothing is a picture
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.tif").pixels, pixels)
    for pages in ([pixels, pixels[::4, ::4]], [pixels[::4, ::4], pixels]):
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            for page in pages:
                writer.write(page, subfiletype=int(len(page) < 8), metadata=None)
        np.testing.assert_array_equal(io.read_picture(tmp_path / "a.tif").pixels, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", ["lzw", "packbits", "zstd"])
@pytest.mark.parametrize(
    ("dtype", "count"), [("uint8", 1), ("uint8", 3), ("uint16", 1), ("uint16", 3), ("uint16", 4)]
)
def test_compressed_tiffs_are_read(tmp_path: Path, dtype, count, compression, order) -> None:
    pixels = noise((6, 5, count), dtype)
    shape = pixels.shape if count > 1 else pixels.shape[:2]
    extra = {"photometric": "rgb", "planarconfig": "contig"} if count > 1 else {}
    extra |= {"extrasamples": [1]} if count == 4 else {}
    extra["extratags"] = [(ORIENTATION, "H", 1, 6, True)]
    tiff_file(tmp_path / "a.tif", pixels.reshape(shape), byteorder=order, compression=compression, **extra)
    picture = io.read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, pixels.squeeze()[..., :3] if count > 1 else pixels[..., 0])
    assert picture.pixels.dtype == dtype and picture.orientation == 6
    if count == 4:
        np.testing.assert_array_equal(picture.alpha, pixels[..., 3])


def test_a_compression_that_no_codec_knows_is_named(tmp_path: Path) -> None:
    tiff_file(tmp_path / "a.tif", noise((6, 5)))
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        struct.pack_into("<H", data, file.pages[0].tags["Compression"].valueoffset, 32895)  # IT8 CT
    (tmp_path / "a.tif").write_bytes(data)
    text = the_error(FileError, io.read_picture, tmp_path / "a.tif")
    assert "it8ctpad" in text and "damaged or cut short" not in text


def test_the_tiff_layout_of_another_picture_is_not_forced(tmp_path: Path) -> None:
    seven = io.Picture(noise((4, 5, 7)), colour="channels", tiff=TiffLayout(extrasamples=(0,) * 6))
    io.write_picture(tmp_path / "a.tif", noise((4, 5, 3)), seven)
    io.write_picture(tmp_path / "b.tif", noise((4, 5)), seven)
    for name, shape in (("a.tif", (4, 5, 3)), ("b.tif", (4, 5))):
        np.testing.assert_array_equal(io.read_picture(tmp_path / name).pixels, noise(shape))


def test_subsampled_and_fax_tiffs_are_read(tmp_path: Path) -> None:
    colour = np.full((40, 50, 3), (200, 30, 90), np.uint8)
    black_white = noise((40, 50)) // 128 * np.uint8(255)
    picture = io.read_picture(saved(tmp_path / "jpeg.tif", colour, "YCbCr", compression="jpeg", quality=100))
    assert picture.colour == "rgb" and np.abs(picture.pixels.astype(int) - colour).max() <= 2
    picture = io.read_picture(saved(tmp_path / "lzw.tif", colour, "YCbCr", compression="tiff_lzw"))
    assert picture.colour == "rgb" and np.abs(picture.pixels.astype(int) - colour).max() <= 2
    fax = saved(tmp_path / "fax.tif", black_white, "1", compression="group4")
    if not hasattr(imagecodecs, "CCITTFAX4"):  # before 2025, one line says so
        assert "ccitt" in str(the_error(FileError, io.read_picture, fax))
        return
    picture = io.read_picture(fax)
    np.testing.assert_array_equal(picture.pixels, black_white)


def test_damage_in_a_tiff_is_told_once(tmp_path: Path, capfd, caplog) -> None:
    data = saved(tmp_path / "a.tif", noise((40, 50, 3)), "YCbCr", compression="jpeg").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    (tmp_path / "a.tif").write_bytes(data[:start] + bytes(length) + data[start + length :])
    the_error(FileError, io.read_picture, tmp_path / "a.tif")
    whole = tiff_file(
        tmp_path / "b.tif", noise((40, 50, 3)), photometric="rgb", software="a name"
    ).read_bytes()
    for length in range(150, 260, 10):  # in the directory and what it points to
        (tmp_path / "b.tif").write_bytes(whole[:length])
        the_error(FileError, io.read_picture, tmp_path / "b.tif")
    assert capfd.readouterr() == ("", "") and caplog.records == []


def test_missing_strips_are_not_filled_with_black(tmp_path: Path) -> None:
    tiff_file(tmp_path / "a.tif", noise((40, 50)), rowsperstrip=10)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        rows = file.pages[0].tags["ImageLength"]
        struct.pack_into("<H" if rows.dtype == 3 else "<I", data, rows.valueoffset, 60)
    (tmp_path / "a.tif").write_bytes(data)
    assert "6 strips" in the_error(FileError, io.read_picture, tmp_path / "a.tif")
