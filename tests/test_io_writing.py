"""Pictures are written whole or not at all, and what a format cannot hold is said first."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bayesdip import io
from bayesdip.errors import FileError, NonFiniteError
from picture_files import noise, saved, the_error


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


def test_exif_too_long_for_jpeg_is_left_out_with_a_note(tmp_path: Path) -> None:
    like = io.Picture(noise((8, 8)), exif=b"Exif\0\0" + bytes(70_000))
    (note,) = io.write_picture(tmp_path / "a.jpg", like.pixels, like)
    assert "EXIF block is left out" in note and io.read_picture(tmp_path / "a.jpg").exif is None


def test_standard_deviations_keep_every_bit(tmp_path: Path) -> None:
    for shape in ((6, 5), (6, 5, 3), (6, 5, 7), (1, 1)):
        std = noise(shape, "float32")
        io.write_picture(tmp_path / "std.tif", std, force=True)
        np.testing.assert_array_equal(io.read_picture(tmp_path / "std.tif").pixels, std)


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
    with open(old, "rb") as reader:
        io.write_picture(old, noise((4, 5)), force=True)
        assert reader.read() == b"what was there before"  # renamed over, not written over
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
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in late
    assert_untouched(old)


def test_a_full_disk_is_noticed_before_the_run(old: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3000))
    like = io.Picture(noise((60, 60)))
    assert "disk is full" in the_error(FileError, io.check_writable, old.with_name("a.tif"), like=like)
    io.check_writable(old.with_name("a.png"), like=like)  # compressed, it may be smaller
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
