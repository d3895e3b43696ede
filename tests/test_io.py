"""Picture files come back as they were: PNG, JPEG, WebP, npy, and what goes along."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bayesdip import io
from bayesdip.io.picture import as_stored, upright
from picture_files import (
    EXIF_IFD,
    EXPOSURE,
    GPS_IFD,
    ICC,
    ORIENTATION,
    SIZES,
    assert_alike,
    exif,
    noise,
    png_file,
    same_again,
    saved,
    tiff_file,
)

PNG_MODES = {1: "gray", 2: "gray with alpha", 3: "rgb", 4: "rgb with alpha"}


def png_rows(stored: np.ndarray) -> tuple[bytes, bytes]:
    """The data chunk of a PNG file, its rows not filtered."""
    lines = stored.astype(stored.dtype.newbyteorder(">"))
    return b"IDAT", zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("samples", PNG_MODES, ids=PNG_MODES.get)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_png_keeps_every_bit(tmp_path: Path, size, samples, dtype) -> None:
    stored = noise((*size, samples), dtype)
    source = tmp_path / "in.png"
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    source.write_bytes(png_file(size[1], size[0], 8 * stored.dtype.itemsize, kind, png_rows(stored)))
    picture, again = same_again(source)
    assert_alike(picture, again)
    assert picture.pixels.dtype == dtype and picture.bits == 8 * picture.pixels.dtype.itemsize
    assert (picture.alpha is not None) == (samples in (2, 4))
    parts = [picture.pixels.reshape(*size, -1)] + (
        [] if picture.alpha is None else [picture.alpha[..., None]]
    )
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), stored)


def test_other_programs_read_the_16_bit_png_we_write(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(128, 512)
    pixels = np.stack([values, values[::-1], np.roll(values, 7)], axis=-1)
    io.write_picture(
        tmp_path / "a.png", pixels, io.Picture(pixels, colour="rgb", icc_profile=ICC, dpi=(72, 72))
    )
    with Image.open(tmp_path / "a.png") as image:  # Pillow keeps the high bytes of 16-bit colour
        np.testing.assert_array_equal(np.asarray(image), pixels >> 8)
    cv2 = pytest.importorskip("cv2")
    seen = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen[..., ::-1], pixels)


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
    data = png_file(11, 13, 16, {2: 4, 3: 2, 4: 6}[count], (b"IDAT", zlib.compress(rows)), interlaced=1)
    (tmp_path / "a.png").write_bytes(data)
    picture = io.read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, pixels[..., 0] if count == 2 else pixels[..., :3])
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, pixels[..., -1])


def test_smooth_pictures_make_small_png_files(tmp_path: Path) -> None:
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
    (tmp_path / "a.png").write_bytes(png_file(6, 5, 16, 2, key, png_rows(values)))
    picture = io.read_picture(tmp_path / "a.png")
    assert picture.alpha is not None and np.argwhere(picture.alpha == 0).tolist() == [[3, 4]]
    assert picture.notes == ("the colour that the file declares transparent became an alpha channel",)
    # Four bits of gray: 5 of 15 becomes 85 of 255.
    rows = (b"IDAT", zlib.compress(b"\0\x05\x0f" + b"\0\xf0\x55"))
    (tmp_path / "b.png").write_bytes(png_file(4, 2, 4, 0, (b"tRNS", b"\0\x05"), rows))
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


def test_exif_starts_at_an_even_place_in_a_tiff(tmp_path: Path) -> None:
    like = io.Picture(noise((5, 5)), exif=exif().tobytes())  # an odd number of bytes of pixels
    io.write_picture(tmp_path / "a.tif", like.pixels, like)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[EXIF_IFD] % 2 == image.tag_v2[GPS_IFD] % 2 == 0
    assert io.read_picture(tmp_path / "a.tif").exif == like.exif


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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_as_pillow_does_and_back(orientation) -> None:
    stored = noise((4, 6, 3))
    image = Image.fromarray(stored)
    image.getexif()[ORIENTATION] = orientation
    turned = upright(stored, orientation)
    np.testing.assert_array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(as_stored(turned, orientation), stored)
