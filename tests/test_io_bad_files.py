"""A bad file costs one line, never a traceback."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from bayesdip import io
from bayesdip.errors import BayesDipError, FileError, ResourceError
from picture_files import encoded, noise, png_file, saved, the_error, tiff_file


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "NPY", "BMP", "GIF"])
def test_no_truncated_file_is_read(tmp_path: Path, kind, capfd, caplog) -> None:
    data, path = encoded(kind), tmp_path / f"a.{kind.lower()}"
    cuts = sorted({1, 2, 9, 12, 20, 30, 60, *np.linspace(5, len(data) - 1, 40).astype(int)})
    for cut in cuts:
        if kind in ("BMP", "GIF") and cut < 3:
            continue  # padding or the end mark alone is missing: every pixel is there
        path.write_bytes(data[:-cut])
        the_error(FileError, io.read_picture, path)
    assert capfd.readouterr().err == "" and caplog.records == []


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
    assert "CRC" in the_error(FileError, io.read_picture, tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.png", b"just some text\n", "not a picture"),
        ("a.png", b"", "empty (0 bytes)"),
        ("a.npy", pickle.dumps([1, 2]), "not a picture"),
        ("a.tif", b"II*\x00\x08\x00\x00\x00\x00\x00", "damaged"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "damaged"),
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
    (tmp_path / "a.png").write_bytes(png_file(200_000, 200_000, 8, 2, (b"IDAT", zlib.compress(b"\0"))))
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
