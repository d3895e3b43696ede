"""Picture files come back as they were, and a bad one costs one line."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from bayesdip import io
from bayesdip.errors import BayesDipError, FileError, NonFiniteError, ResourceError
from bayesdip.io import png, tiff

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXPOSURE, EXIF_IFD, GPS_IFD, ORIENTATION = 0x829A, 0x8769, 0x8825, 0x0112
SIZES = [(1, 1), (1, 5000), (5000, 1), (3, 3), (300, 7)]
PNG_MODES = {1: "gray", 2: "gray with alpha", 3: "rgb", 4: "rgb with alpha"}


def noise(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    """A picture with smooth and rough parts that uses the whole range of its type."""
    rng = np.random.default_rng(sum(shape))
    rough = rng.random(shape)
    rough[: shape[0] // 2] = np.linspace(0, 1, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    if dtype.startswith("float"):
        return (rough * 300 - 20).astype(dtype)
    limits = np.iinfo(dtype)
    return (limits.min + rough * (0.999 * limits.max - 0.999 * limits.min)).astype(dtype)


def exif(orientation: int = 6) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION], block[0x010F], block[0x8298] = orientation, "a maker", "© a name"
    block[EXIF_IFD], block[GPS_IFD] = {EXPOSURE: 0.25, 0x9003: "2024:01:02 03:04:05"}, {1: "N"}
    return block


def saved(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def tiff_file(path: Path, array: np.ndarray, **options: object) -> Path:
    tifffile.imwrite(path, array, metadata=None, **options)
    return path


def same_again(path: Path, **options: object) -> tuple[io.Picture, io.Picture]:
    """Read a picture, write it back beside its file, and read that."""
    picture = io.read_picture(path)
    copy = path.with_name(f"copy{path.suffix}")
    assert io.write_picture(copy, picture.pixels, picture, **options) == ()
    return picture, io.read_picture(copy)


def assert_alike(one: io.Picture, other: io.Picture) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.pixels.dtype == other.pixels.dtype
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)
    for fact in ("colour", "format", "icc_profile", "orientation", "tiff", "png_chunks"):
        assert getattr(one, fact) == getattr(other, fact), fact


def the_error(expected: type[BayesDipError], function: object, *args: object, **options: object) -> str:
    with pytest.raises(expected) as caught:
        function(*args, **options)
    text = str(caught.value)
    assert "\n" not in text and "expected" in text
    return text


# PNG


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("samples", PNG_MODES, ids=PNG_MODES.get)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_png_decoders_read_what_we_write(tmp_path: Path, size, samples, dtype) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    stored = noise((*size, samples), dtype)
    source = tmp_path / "in.png"
    source.write_bytes(imagecodecs.png_encode(stored[..., 0] if samples == 1 else stored))
    picture, again = same_again(source)
    assert_alike(picture, again)
    assert picture.pixels.dtype == dtype and picture.bits == 8 * picture.pixels.dtype.itemsize
    assert (picture.alpha is not None) == (samples in (2, 4))
    for path in (source, tmp_path / "copy.png"):
        decoded = imagecodecs.png_decode(path.read_bytes()).reshape(stored.shape)
        np.testing.assert_array_equal(decoded, stored)
    parts = [picture.pixels.reshape(*size, -1)] + (
        [] if picture.alpha is None else [picture.alpha[..., None]]
    )
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), stored)


def test_16_bit_rgb_png_keeps_every_bit(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(128, 512)
    pixels = np.stack([values, values[::-1], np.roll(values, 7)], axis=-1)
    io.write_picture(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.png").pixels, pixels)
    with Image.open(tmp_path / "a.png") as image:  # Pillow keeps the high bytes
        np.testing.assert_array_equal(np.asarray(image), pixels >> 8)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_interlaced_16_bit_png_is_read(tmp_path: Path, count) -> None:
    pixels = noise((13, 11, count), "uint16")
    rows = b"".join(
        b"\0" + line.tobytes()
        for top, left, down, across in
        # The seven passes of PNG's interlacing: first row and column, steps.
        [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        for line in pixels[top::down, left::across].astype(">u2")
    )
    kind = {2: 4, 3: 2, 4: 6}[count]
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 11, 13, 16, kind, 0, 0, 1)), (b"IDAT", zlib.compress(rows))]
    (tmp_path / "a.png").write_bytes(png.SIGNATURE + b"".join(png._packed([*parts, (b"IEND", b"")])))
    np.testing.assert_array_equal(png.read_16_bit_colour((tmp_path / "a.png").read_bytes()), pixels)
    assert io.read_picture(tmp_path / "a.png").pixels.dtype == np.uint16


def test_png_filters_make_smooth_pictures_small(tmp_path: Path) -> None:
    y, x = np.mgrid[:256, :256]
    smooth = np.stack([x + y, x - y + 256, 2 * x], axis=-1).astype(np.uint16) * 64
    io.write_picture(tmp_path / "a.png", smooth)
    assert (tmp_path / "a.png").stat().st_size < smooth.nbytes / 20


def test_palette_becomes_rgb_and_its_transparency_alpha(tmp_path: Path) -> None:
    indices = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    indices.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    indices.save(tmp_path / "a.png", transparency=2)
    indices.save(tmp_path / "b.png")
    picture = io.read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels[1], [[70, 80, 90], [40, 50, 60]])
    np.testing.assert_array_equal(picture.alpha, [[255, 255], [0, 255]])
    assert "palette became RGB" in picture.notes[0]
    assert io.read_picture(tmp_path / "b.png").alpha is None


def test_a_colour_declared_transparent_becomes_alpha(tmp_path: Path) -> None:
    values = noise((5, 6, 3), "uint16")
    key = (b"tRNS", struct.pack(">3H", *map(int, values[3, 4])))
    like = io.Picture(values, colour="rgb", png_chunks=(key,))
    (tmp_path / "a.png").write_bytes(png.encode(values, like))
    picture = io.read_picture(tmp_path / "a.png")
    assert picture.alpha is not None and np.argwhere(picture.alpha == 0).tolist() == [[3, 4]]
    # Four bits of gray: 5 of 15 becomes 85 of 255.
    rows = b"\0\x05\x0f" + b"\0\xf0\x55"
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 4, 0, 0, 0, 0)), (b"tRNS", b"\0\x05")]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    (tmp_path / "b.png").write_bytes(png.SIGNATURE + b"".join(png._packed(parts)))
    picture = io.read_picture(tmp_path / "b.png")
    np.testing.assert_array_equal(picture.pixels, [[0, 85, 0, 255], [255, 0, 85, 85]])
    np.testing.assert_array_equal(picture.alpha, [[255, 0, 255, 255], [255, 255, 0, 0]])
    assert picture.bits == 4


def test_one_bit_becomes_8_bit_gray(tmp_path: Path) -> None:
    black_white = np.array([[0, 255, 0], [255, 255, 0]], np.uint8)
    for name in ("a.png", "a.tif"):
        picture = io.read_picture(saved(tmp_path / name, black_white, "1"))
        np.testing.assert_array_equal(picture.pixels, black_white)
        assert picture.bits == 1 and picture.notes


def test_png_colour_space_in_chunks_is_kept(tmp_path: Path) -> None:
    chunks = ((b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\1"))
    like = io.Picture(noise((4, 5)), png_chunks=chunks)
    io.write_picture(tmp_path / "in.png", like.pixels, like)
    picture, again = same_again(tmp_path / "in.png")
    assert picture.png_chunks == chunks == again.png_chunks


# TIFF


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
    palette[:, :12] = np.arange(36).reshape(3, 12) * 257
    tiff_file(tmp_path / "p.tif", ramp, photometric="palette", colormap=palette)
    expected = np.moveaxis(np.arange(36).reshape(3, 3, 4), 0, -1)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "p.tif").pixels, expected)
    tiff_file(tmp_path / "w.tif", ramp, photometric="miniswhite")
    np.testing.assert_array_equal(io.read_picture(tmp_path / "w.tif").pixels, 255 - ramp)
    pytest.importorskip("imagecodecs")
    twelve = np.array([[0, 4095, 2048]], np.uint16)
    tiff_file(tmp_path / "t.tif", twelve, bitspersample=12)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "t.tif").pixels, [[0, 65535, 32776]])


def test_a_thumbnail_beside_the_picture_is_passed_over(tmp_path: Path) -> None:
    pixels = noise((8, 8))
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(pixels, metadata=None)
        writer.write(pixels[::4, ::4], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.tif").pixels, pixels)


def lzw(raw: bytes) -> bytes:
    """Wrap bytes in TIFF's LZW without compressing them: nine-bit codes, the table cleared in time."""
    codes: list[int] = []
    for start in range(0, len(raw), 200):
        codes += [256, *raw[start : start + 200]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "count"), [("uint8", 1), ("uint8", 3), ("uint16", 1), ("uint16", 3), ("uint16", 4)]
)
def test_lzw_tiff_is_read_without_imagecodecs(tmp_path: Path, monkeypatch, dtype, count, order) -> None:
    def missing(self: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    pixels = noise((6, 5, count), dtype)
    shape = pixels.shape if count > 1 else pixels.shape[:2]
    extra = {"photometric": "rgb", "planarconfig": "contig"} if count > 1 else {}
    extra |= {"extrasamples": [1]} if count == 4 else {}
    turned = [(ORIENTATION, "H", 1, 6, True)]  # Pillow turns TIFF pictures by it
    tiff_file(tmp_path / "a.tif", pixels.reshape(shape), byteorder=order, extratags=turned, **extra)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    packed = lzw(pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        values = {"Compression": 5, "StripOffsets": len(data), "StripByteCounts": len(packed)}
        for name, value in values.items():
            tag = file.pages[0].tags[name]
            struct.pack_into(f"{order}{'H' if tag.dtype == 3 else 'I'}", data, tag.valueoffset, value)
    (tmp_path / "a.tif").write_bytes(data + packed)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", missing)
    picture = io.read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, pixels.squeeze()[..., :3] if count > 1 else pixels[..., 0])
    assert picture.pixels.dtype == dtype and picture.orientation == 6
    if count == 4:
        np.testing.assert_array_equal(picture.alpha, pixels[..., 3])


def test_what_needs_imagecodecs_says_so(tmp_path: Path, monkeypatch) -> None:
    def missing(*_: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    words = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0] * 6}
    path = tiff_file(tmp_path / "a.tif", noise((6, 5, 7)), **words)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", missing)
    assert "pip install imagecodecs" in the_error(FileError, io.read_picture, path)


# JPEG, WebP, npy


def test_jpeg_comes_back_nearly_the_same(tmp_path: Path) -> None:
    y, x = np.mgrid[:40, :50]
    for pixels in ((x + y).astype(np.uint8), np.stack([2 * x, 3 * y, 200 - x], -1).astype(np.uint8)):
        picture, again = same_again(saved(tmp_path / "in.jpg", pixels, quality=95), force=True)
        assert picture.pixels.shape == again.pixels.shape == pixels.shape
        assert np.abs(picture.pixels.astype(int) - again.pixels).max() <= 6


def test_cmyk_jpeg_stays_cmyk_and_becomes_rgb_where_it_must(tmp_path: Path) -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, :8, 0], ink[8:, :, 3] = 255, 128  # cyan on the left, half black below
    image = Image.frombytes("CMYK", (16, 16), ink.tobytes())
    image.save(tmp_path / "in.jpg", quality=100)
    picture, again = same_again(tmp_path / "in.jpg")
    assert picture.colour == again.colour == "cmyk"
    assert np.abs(picture.pixels.astype(int) - ink).max() <= 3
    assert np.abs(again.pixels.astype(int) - ink).max() <= 6
    assert io.write_picture(tmp_path / "a.tif", picture.pixels, picture) == ()
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.tif").pixels, picture.pixels)
    (note,) = io.write_picture(tmp_path / "a.png", picture.pixels, picture)
    assert "CMYK became RGB" in note
    rgb = io.read_picture(tmp_path / "a.png").pixels.astype(int)
    for pixel, expected in (((2, 2), (0, 255, 255)), ((2, 13), (255, 255, 255)), ((13, 13), (127, 127, 127))):
        assert np.abs(rgb[pixel] - expected).max() <= 4


def test_a_broken_profile_does_not_stop_cmyk(tmp_path: Path) -> None:
    like = io.Picture(noise((4, 5, 4)), colour="cmyk", icc_profile=b"no profile")
    io.write_picture(tmp_path / "a.png", like.pixels, like)
    assert io.read_picture(tmp_path / "a.png").icc_profile is None


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
@pytest.mark.parametrize("count", [3, 4])
def test_webp_is_written_without_loss(tmp_path: Path, size, count) -> None:
    path = saved(tmp_path / "in.webp", noise((*size, count)), lossless=True, exact=True)
    assert_alike(*same_again(path))


@pytest.mark.parametrize("shape", [(9,), (4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 7)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int64", "float16", ">f4", "float64"])
def test_npy_comes_back_the_same(tmp_path: Path, shape, dtype) -> None:
    stored = np.asfortranarray(np.arange(np.prod(shape)).reshape(shape).astype(dtype))
    np.save(tmp_path / "in.npy", stored)
    picture, again = same_again(tmp_path / "in.npy")
    np.testing.assert_array_equal(picture.pixels, stored)
    assert picture.pixels.dtype.isnative and picture.pixels.flags.c_contiguous
    assert_alike(picture, again)


def test_non_finite_samples_are_let_through(tmp_path: Path) -> None:
    stored = np.array([[np.nan, np.inf], [-np.inf, 1]], np.float32)
    np.save(tmp_path / "a.npy", stored)
    tiff_file(tmp_path / "a.tif", stored)
    for name in ("a.npy", "a.tif"):
        np.testing.assert_array_equal(io.read_picture(tmp_path / name).pixels, stored)


# What goes along


@pytest.mark.parametrize("source", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("target", ["png", "jpg", "webp", "tif"])
def test_profile_exif_and_orientation_go_along(tmp_path: Path, source, target) -> None:
    pixels = np.full((16, 24, 3), 90, np.uint8)
    options = {"icc_profile": ICC, "exif": exif().tobytes()} | (
        {} if source == "webp" else {"dpi": (300, 300)}
    )
    picture = io.read_picture(saved(tmp_path / f"in.{source}", pixels, **options))
    assert io.write_picture(tmp_path / f"out.{target}", picture.pixels, picture) == ()
    again = io.read_picture(tmp_path / f"out.{target}")
    assert picture.orientation == again.orientation == 6
    assert picture.icc_profile == again.icc_profile == ICC
    if source != "webp" and target != "webp":
        assert again.dpi == pytest.approx((300, 300), abs=0.1)
    with Image.open(tmp_path / f"out.{target}") as image:
        tags = image.getexif()
        assert tags[ORIENTATION] == 6 and tags[0x010F] == "a maker"
        assert float(tags.get_ifd(EXIF_IFD)[EXPOSURE]) == 0.25
        assert tags.get_ifd(GPS_IFD)[1] == "N"
        assert ImageOps.exif_transpose(image).size == (16, 24)
    assert again.pixels.shape == pixels.shape


def test_16_bit_planar_tiff_keeps_exif_too(tmp_path: Path) -> None:
    like = io.Picture(noise((6, 5, 3), "uint16"), colour="rgb", exif=exif(8).tobytes(), icc_profile=ICC)
    io.write_picture(tmp_path / "in.tif", like.pixels, like)
    picture, again = same_again(tmp_path / "in.tif")
    np.testing.assert_array_equal(picture.pixels, like.pixels)
    assert_alike(picture, again)
    assert picture.orientation == 8 and picture.exif == again.exif


def test_broken_exif_does_not_stop_a_picture(tmp_path: Path) -> None:
    for block in (b"Exif\0\0nonsense", exif().tobytes()[:40]):
        picture = io.read_picture(saved(tmp_path / "a.jpg", noise((8, 8)), exif=block))
        assert picture.orientation in (1, 6)
        for name in ("b.png", "b.jpg", "b.tif", "b.webp"):
            io.write_picture(tmp_path / name, picture.pixels, picture, force=True)
            assert io.read_picture(tmp_path / name).pixels.shape[:2] == (8, 8)


def test_a_profile_is_dropped_where_the_colours_change(tmp_path: Path) -> None:
    like = io.Picture(noise((4, 5)), icc_profile=ICC)
    (note,) = io.write_picture(tmp_path / "a.webp", like.pixels, like)
    picture = io.read_picture(tmp_path / "a.webp")
    assert "gray became RGB" in note and picture.icc_profile is None
    np.testing.assert_array_equal(picture.pixels, np.repeat(like.pixels[..., None], 3, axis=-1))


# Conversions on writing


def test_real_numbers_are_rounded_and_clipped_to_the_source_type(tmp_path: Path) -> None:
    values = np.array([[-3.0, 0.4, 0.6, 254.5001, 300.0]])
    like = io.Picture(np.zeros((1, 5), np.uint8))
    io.write_picture(tmp_path / "a.png", values, like)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.png").pixels, [[0, 0, 1, 255, 255]])
    for dtype in ("int32", "uint32", "int64", "uint64", "int8"):
        extremes = np.array([[-1e30, 1e30]])
        io.write_picture(tmp_path / "a.npy", extremes, io.Picture(np.zeros((1, 2), dtype)), force=True)
        low, high = np.load(tmp_path / "a.npy")[0]
        assert low == np.iinfo(dtype).min and high >= np.iinfo(dtype).max - 2048
    io.write_picture(
        tmp_path / "b.npy", np.array([[0, 200]], np.uint8), io.Picture(np.zeros((1, 2), np.int8))
    )
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), [[0, 127]])


def test_nan_cannot_become_a_whole_number(tmp_path: Path) -> None:
    like = io.Picture(np.zeros((1, 2), np.uint8))
    text = the_error(NonFiniteError, io.write_picture, tmp_path / "a.png", np.array([[np.nan, 1]]), like)
    assert "1 of 2" in text and not (tmp_path / "a.png").exists()


def test_16_bits_become_8_with_a_note(tmp_path: Path) -> None:
    pixels = np.array([[[0, 65535, 257]] * 8] * 8, np.uint16)
    for name in ("a.webp", "a.jpg"):
        (note,) = io.write_picture(tmp_path / name, pixels)
        assert "16 bits became 8" in note
        assert np.abs(io.read_picture(tmp_path / name).pixels[0, 0].astype(int) - [0, 255, 1]).max() <= 2


def test_transparency_follows_the_picture(tmp_path: Path) -> None:
    alpha = np.array([[0, 255], [0, 255]], np.uint8)
    like = io.Picture(noise((2, 2)), alpha)
    large = noise((8, 8))
    io.write_picture(tmp_path / "a.png", large, like)
    enlarged = io.read_picture(tmp_path / "a.png").alpha
    assert enlarged is not None and enlarged.shape == (8, 8)
    assert (enlarged[:, 0] == 0).all() and (enlarged[:, -1] == 255).all() and 0 < enlarged[4, 3] < 255
    io.write_picture(tmp_path / "b.png", large, like, alpha="opaque")
    np.testing.assert_array_equal(io.read_picture(tmp_path / "b.png").alpha, np.full((8, 8), 255))
    (note,) = io.write_picture(tmp_path / "a.jpg", large, like)
    assert "transparency is left out" in note


def test_standard_deviations_are_written_as_float_tiff(tmp_path: Path) -> None:
    for shape in ((6, 5), (6, 5, 3), (6, 5, 7), (1, 1)):
        std = noise(shape, "float64")
        io.write_float_tiff(tmp_path / "std.tif", std, force=True)
        picture = io.read_picture(tmp_path / "std.tif")
        np.testing.assert_array_equal(picture.pixels, std.astype(np.float32))
    io.write_float_tiff(tmp_path / "std.npy", np.ones(5))
    assert io.read_picture(tmp_path / "std.npy").pixels.shape == (5,)
    assert ".tif" in the_error(FileError, io.write_float_tiff, tmp_path / "std.png", std)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "says"),
    [
        ("a.xyz", (4, 5), "uint8", ".png, .jpg, .jpeg, .tif, .tiff, .webp, .npy"),
        ("noextension", (4, 5), "uint8", ".png"),
        ("a.png", (4, 5), "float32", ".tif or .npy"),
        ("a.jpg", (4, 5), "int32", ".tif or .npy"),
        ("a.png", (4, 5, 7), "uint8", "7 channels"),
        ("a.png", (9,), "uint8", "1-D"),
        ("a.tif", (9,), "float32", "1-D"),
        ("a.webp", (1, 20000, 3), "uint8", "20000x1"),
        ("a.jpg", (70000, 1), "uint8", "1x70000"),
        ("a.tif", (0, 5), "uint8", "(0, 5)"),
        ("a.tif", (4, 5), "complex64", "complex64"),
    ],
)
def test_what_a_format_cannot_hold_is_said_before_the_run(tmp_path: Path, name, shape, dtype, says) -> None:
    early = the_error(FileError, io.check_writable, tmp_path / name, shape=shape, dtype=dtype)
    late = the_error(FileError, io.write_picture, tmp_path / name, np.zeros(shape, dtype))
    assert early == late and says in early
    assert list(tmp_path.iterdir()) == []


def test_notes_are_known_before_the_run(tmp_path: Path) -> None:
    like = io.Picture(noise((4, 5, 4), "uint16"), noise((4, 5), "uint16"), colour="cmyk")
    for name in ("a.png", "a.jpg", "a.webp", "a.tif", "a.npy"):
        early = io.check_writable(tmp_path / name, like=like)
        assert early == io.write_picture(tmp_path / name, like.pixels, like)
        assert bool(early) == (name != "a.tif")


# Masks and point spread functions


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


def test_point_spread_functions_sum_to_one(tmp_path: Path) -> None:
    kernel = np.outer([1, 2, 1], [1, 4, 1]).astype(np.float32)
    np.save(tmp_path / "a.npy", kernel)
    saved(tmp_path / "a.png", (kernel * 31).astype(np.uint8), "RGB")
    np.save(tmp_path / "b.npy", kernel[1])
    for name in ("a.npy", "a.png"):
        np.testing.assert_allclose(io.read_psf(tmp_path / name), kernel / 24, rtol=1e-6)
    np.testing.assert_allclose(io.read_psf(tmp_path / "b.npy"), [1 / 6, 4 / 6, 1 / 6])


@pytest.mark.parametrize("values", [[0.0, 0.0], [-2.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]], ids=str)
def test_a_bad_point_spread_function_is_refused(tmp_path: Path, values) -> None:
    np.save(tmp_path / "a.npy", np.array([values]))
    the_error(FileError, io.read_psf, tmp_path / "a.npy")


# Bad input


def encoded(kind: str) -> bytes:
    out = BytesIO()
    if kind == "NPY":
        np.save(out, noise((40, 50)))
    else:
        Image.fromarray(noise((40, 50, 3))).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "NPY", "BMP", "GIF"])
def test_no_truncated_file_is_read(tmp_path: Path, kind, capfd) -> None:
    data, path = encoded(kind), tmp_path / f"a.{kind.lower()}"
    cuts = sorted({1, 2, 9, 12, 20, 30, 60, *np.linspace(5, len(data) - 1, 40).astype(int)})
    for cut in cuts:
        if kind in ("BMP", "GIF") and cut < 3:
            continue  # padding or the end mark alone is missing: every pixel is there
        path.write_bytes(data[:-cut])
        the_error(FileError, io.read_picture, path)
    assert capfd.readouterr().err == ""


def test_other_libraries_cannot_make_truncated_files_pass(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG")[:-500])
    the_error(FileError, io.read_picture, tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP", "GIF", "BMP", "NPY"])
def test_flipped_bytes_never_end_in_another_error(tmp_path: Path, kind) -> None:
    data, rng = encoded(kind), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for at in rng.integers(4, min(len(data), 400), 3):
            damaged[at] = rng.integers(256)
        (tmp_path / "a").write_bytes(damaged)
        try:
            io.read_picture(tmp_path / "a")
        except BayesDipError as error:
            assert "\n" not in str(error)


def test_a_png_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded("PNG"))
    data[-14] ^= 1  # in the checksum of the last data chunk
    (tmp_path / "a.png").write_bytes(data)
    assert "checksum" in the_error(FileError, io.read_picture, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.png", b"just some text\n", "not a picture"),
        ("a.png", b"", "empty (0 bytes)"),
        ("a.npy", pickle.dumps([1, 2]), "not a picture"),
        ("a.tif", b"II*\x00\x08\x00\x00\x00\x00\x00", "damaged"),
        ("a.png", png.SIGNATURE, "damaged"),
        ("a.heic", b"\0\0\0\x18ftypheic", "PNG, JPEG, TIFF, WebP"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, name, data, says) -> None:
    (tmp_path / name).write_bytes(data)
    text = the_error(FileError, io.read_picture, tmp_path / name)
    assert says in text and text.startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([[1, None]], object), "Python objects"),
        (np.zeros((0, 5)), "no pixels"),
        (np.zeros(0), "no pixels"),
        (np.zeros((4, 5), complex), "complex128"),
        (np.array([["a"]]), "<U1"),
        (np.zeros((2, 2), [("r", "u1")]), "array of type"),
        (np.array(3.0), "0 axes"),
        (np.zeros((2, 2, 2, 2)), "4 axes"),
        (np.zeros((2, 2), "datetime64[s]"), "datetime64"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path: Path, array, says) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert says in the_error(FileError, io.read_picture, tmp_path / "a.npy")


def test_missing_files_directories_and_forbidden_files_are_refused(tmp_path: Path, monkeypatch) -> None:
    def denied(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    assert "no such file" in the_error(FileError, io.read_picture, tmp_path / "none.png")
    assert "directory" in the_error(FileError, io.read_picture, tmp_path)
    the_error(FileError, io.read_picture, "zero\0character.png")
    the_error(FileError, io.read_picture, tmp_path / "two\nlines.png")
    the_error(FileError, io.read_picture, saved(tmp_path / "a.png", noise((2, 2))) / "b.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert "regular" in the_error(FileError, io.read_picture, tmp_path / "pipe.png")
    monkeypatch.setattr(Path, "read_bytes", denied)
    assert "denied" in the_error(FileError, io.read_picture, tmp_path / "a.png")


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(noise((6, 5, 3)) // n) for n in (1, 2, 3)]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert "3 frames" in the_error(FileError, io.read_picture, tmp_path / name)
    frames[0].save(tmp_path / "rgb.tif", save_all=True, append_images=frames[1:])
    assert "3 colour pages" in the_error(FileError, io.read_picture, tmp_path / "rgb.tif")
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as writer:
        writer.write(noise((6, 5)), metadata=None)
        writer.write(noise((4, 5)), metadata=None)
    text = the_error(FileError, io.read_picture, tmp_path / "sizes.tif")
    assert "6x5" in text and "4x5" in text
    frames[0].save(tmp_path / "one.gif")
    assert io.read_picture(tmp_path / "one.gif").pixels.shape == (6, 5, 3)


def test_the_first_view_of_a_phone_jpeg_is_taken(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (40, 200))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    picture = io.read_picture(tmp_path / "a.jpg")
    assert picture.format == "JPEG" and np.abs(picture.pixels.astype(int) - 40).max() <= 2


def test_colour_models_that_are_not_handled_are_refused(tmp_path: Path) -> None:
    lab = Image.fromarray(noise((6, 5, 3))).convert("RGB")
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    ImageCms.applyTransform(lab, transform).save(tmp_path / "lab.tif")
    assert "cielab" in the_error(FileError, io.read_picture, tmp_path / "lab.tif")


def test_a_picture_too_large_for_memory_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(png.SIGNATURE + b"".join(png._packed(parts)))
    tiff_file(tmp_path / "a.tif", noise((8, 8)), compression="zlib", rowsperstrip=8)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            found = file.pages[0].tags[tag]
            struct.pack_into("<H" if found.dtype == 3 else "<I", data, found.valueoffset, 60_000)
    (tmp_path / "a.tif").write_bytes(data)
    for name in ("a.png", "a.tif"):
        the_error(ResourceError, io.read_picture, tmp_path / name)
    out = BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
    np.lib.format.write_array_header_1_0(out, header)
    (tmp_path / "a.npy").write_bytes(out.getvalue() + b"\0" * 64)
    the_error(BayesDipError, io.read_picture, tmp_path / "a.npy")


# Writing whole or not at all


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.png"
    path.write_bytes(b"what was there before")
    return path


def assert_untouched(old: Path) -> None:
    assert old.read_bytes() == b"what was there before"
    assert [file.name for file in old.parent.iterdir()] == ["old.png"]


def test_an_existing_file_is_replaced_only_by_force(old: Path) -> None:
    for refuse in (
        lambda: io.write_picture(old, noise((4, 5))),
        lambda: io.check_writable(old),
        lambda: io.atomic_write(old).__enter__(),
    ):
        assert "--force" in the_error(FileError, refuse)
    assert_untouched(old)
    io.check_writable(old, True)
    assert_untouched(old)
    io.write_picture(old, noise((4, 5)), force=True)
    np.testing.assert_array_equal(io.read_picture(old).pixels, noise((4, 5)))


def test_the_input_may_be_the_output_by_force(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", noise((4, 5)))
    picture = io.read_picture(path)
    the_error(FileError, io.write_picture, path, picture.pixels, picture)
    io.write_picture(path, 255 - picture.pixels, picture, True)
    np.testing.assert_array_equal(io.read_picture(path).pixels, 255 - noise((4, 5)))


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
def test_a_failure_in_the_middle_leaves_the_old_file(old: Path, monkeypatch, error) -> None:
    def half(self: Path, data: bytes) -> None:
        with open(self, "wb") as handle:
            handle.write(data[: len(data) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", half)
    if isinstance(error, OSError):
        assert "disk is full" in the_error(FileError, io.write_picture, old, noise((4, 5)), force=True)
    else:
        with pytest.raises(KeyboardInterrupt):
            io.write_picture(old, noise((4, 5)), force=True)
    monkeypatch.undo()
    assert_untouched(old)


def test_a_real_limit_of_the_system_leaves_the_old_file(old: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        late = the_error(FileError, io.write_picture, old, noise((90, 90)), force=True)
        early = the_error(
            FileError, io.check_writable, old.with_name("a.tif"), like=io.Picture(noise((90, 90)))
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in late and "cannot be written" in early
    assert_untouched(old)


def test_a_full_disk_is_noticed_before_the_run(old: Path, monkeypatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def unsupported(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert "disk is full" in the_error(FileError, io.check_writable, old, True)
    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    io.check_writable(old, True)
    assert_untouched(old)


def test_a_folder_that_may_not_be_written_to_is_noticed_before_the_run(old: Path, monkeypatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", denied)
    monkeypatch.setattr("builtins.open", denied)
    assert "not allowed" in the_error(FileError, io.check_writable, old, True)
    assert "not allowed" in the_error(FileError, io.write_picture, old, noise((4, 5)), force=True)
    monkeypatch.undo()
    assert_untouched(old)


def test_odd_targets_are_refused(old: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder.png"
    folder.mkdir()
    for target, says in (
        (folder, "is a directory"),
        (tmp_path / "none" / "a.png", "folder does not exist"),
        (old / "a.png", "cannot be written"),
        (tmp_path / ("n" * 300 + ".png"), "cannot be written"),
    ):
        assert says in the_error(FileError, io.check_writable, target, True)
        assert says in the_error(FileError, io.write_picture, target, noise((4, 5)), force=True)
    folder.rmdir()
    assert_untouched(old)
    with pytest.raises(FileError, match="regular file"), io.atomic_write(os.devnull, force=True):
        pass


def test_atomic_write_serves_any_file(tmp_path: Path) -> None:
    target, link = tmp_path / "report.html", tmp_path / "link.html"
    link.symlink_to(target)
    with io.atomic_write(link) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert not target.exists()
    assert link.is_symlink() and target.read_text() == "new"
    target.chmod(0o640)
    with io.atomic_write(target, force=True) as temporary:
        np.savez(temporary.open("wb"), a=np.zeros(2))
    assert target.stat().st_mode & 0o777 == 0o640
    with pytest.raises(RuntimeError, match="mine"), io.atomic_write(target, force=True):
        raise RuntimeError("mine")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.html", "report.html"]


def test_importing_io_loads_no_codec() -> None:
    code = "import sys, bayesdip.io; print([m for m in ('PIL', 'tifffile', 'torch', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_tiff_layout_of_another_picture_is_not_forced(tmp_path: Path) -> None:
    seven = io.Picture(noise((4, 5, 7)), colour="channels", tiff=io.picture.TiffLayout(extrasamples=(0,) * 6))
    io.write_picture(tmp_path / "a.tif", noise((4, 5, 3)), seven)
    io.write_picture(tmp_path / "b.tif", noise((4, 5)), seven)
    for name, shape in (("a.tif", (4, 5, 3)), ("b.tif", (4, 5))):
        np.testing.assert_array_equal(io.read_picture(tmp_path / name).pixels, noise(shape))
    assert tiff.TiffLayout().arrangement == "contiguous"
