"""Masks as people paint them: what was painted is missing, and a doubtful one is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from bayesdip import io
from bayesdip.errors import FileError
from picture_files import ORIENTATION, saved, the_error

SIZE = (96, 80)
RED, BLACK, WHITE = (255, 0, 0), (0, 0, 0), (255, 255, 255)


def stroke(image: Image.Image, colour: object) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).line([(10, 12), (80, 40), (30, 70)], fill=colour, width=6)
    return image


STROKE = np.asarray(stroke(Image.new("L", SIZE), 255)) > 0


@pytest.fixture
def photo(tmp_path: Path) -> Image.Image:
    image = Image.fromarray(skimage.data.astronaut()[60:140, 120:216])
    image.save(tmp_path / "photo.png")
    return image


def mask(folder: Path, image: Image.Image, name: str = "mask.png", **options: object) -> io.Mask:
    image.save(folder / name, **options)
    return io.mask_of(folder / name, io.read_picture(folder / "photo.png"))


@pytest.mark.parametrize(
    ("mode", "ground", "paint"),
    [
        ("L", 0, 255), ("L", 0, 100), ("L", 0, 20), ("L", 100, 255), ("1", 0, 1),
        ("RGBA", (0, 0, 0, 0), (*RED, 255)), ("RGBA", (0, 0, 0, 0), (*BLACK, 255)),
        ("RGBA", (255, 255, 255, 0), (10, 200, 90, 255)), ("RGBA", (0, 0, 0, 0), (*RED, 90)),
        ("RGB", BLACK, RED), ("RGB", WHITE, RED), ("RGB", BLACK, (0, 90, 0)), ("RGBA", (*BLACK, 255), (*WHITE, 255)),
    ],
)  # fmt: skip
def test_strokes_of_any_colour_are_missing(tmp_path, photo, mode, ground, paint) -> None:
    found = mask(tmp_path, stroke(Image.new(mode, SIZE, ground), paint))
    np.testing.assert_array_equal(found.missing, STROKE)


def test_two_brushes_count_both(tmp_path, photo) -> None:
    image = stroke(Image.new("L", SIZE), 255)
    ImageDraw.Draw(image).rectangle([60, 60, 75, 70], fill=100)
    np.testing.assert_array_equal(mask(tmp_path, image).missing, np.asarray(image) > 0)


@pytest.mark.parametrize("top", [255, 90])
@pytest.mark.parametrize("kind", ["gray", "transparent"])
def test_soft_strokes_are_taken_with_their_edges_and_a_pixel_more(tmp_path, photo, kind, top) -> None:
    soft = stroke(Image.new("L", SIZE), top).filter(ImageFilter.GaussianBlur(1.5))
    image = soft
    if kind == "transparent":
        image = Image.new("RGBA", SIZE, RED)
        image.putalpha(soft)
    found = mask(tmp_path, image)
    assert found.missing[np.asarray(soft) > 0.1 * top].all()
    assert not found.missing[np.asarray(ImageOps.invert(soft).filter(ImageFilter.MinFilter(5))) == 255].any()
    assert "soft mask" in [finding.kind for finding in found.findings]


@pytest.mark.parametrize("quality", [40, 60, 90])
def test_traces_of_jpeg_are_not_paint(tmp_path, photo, quality) -> None:
    found = mask(tmp_path, stroke(Image.new("L", SIZE), 255), "mask.jpg", quality=quality)
    assert (found.missing != STROKE).sum() <= 2 and not found.findings


@pytest.mark.parametrize("quality", [40, 60, 90])
def test_soft_strokes_are_taken_with_their_edges_from_a_jpeg_too(tmp_path, photo, quality) -> None:
    soft = stroke(Image.new("L", SIZE), 255).filter(ImageFilter.GaussianBlur(1.5))
    found = mask(tmp_path, soft, "mask.jpg", quality=quality)
    assert found.missing[np.asarray(soft) > 0.1 * 255].all()
    assert "soft mask" in [finding.kind for finding in found.findings]


@pytest.mark.parametrize(("name", "colour"), [("a.png", RED), ("a.png", BLACK), ("a.jpg", (0, 255, 0))])
def test_strokes_on_a_copy_of_the_picture_are_found(tmp_path, photo, name, colour) -> None:
    found = mask(tmp_path, stroke(photo, colour), name)
    assert found.missing[STROKE].mean() > 0.99
    assert found.missing.sum() < (1.1 if name == "a.png" else 2) * STROKE.sum()
    assert "copy of the picture" in found.findings[0].text


def test_a_night_sky_is_not_taken_for_a_copy_of_its_mask(tmp_path) -> None:
    sky = np.zeros((80, 96), np.uint8)
    sky[::16, ::16] = 255
    saved(tmp_path / "photo.png", sky)
    soft = stroke(Image.new("L", SIZE), 255).filter(ImageFilter.GaussianBlur(1))
    found = mask(tmp_path, soft)
    assert "copy" not in " ".join(finding.text for finding in found.findings)
    assert not found.missing[::16, ::16][np.asarray(soft)[::16, ::16] == 0].all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_scattered_pixels_are_taken_as_they_are(tmp_path, photo, name, share) -> None:
    missing = np.random.default_rng(0).random(SIZE[::-1]) < share
    found = mask(tmp_path, Image.fromarray((255 * missing).astype(np.uint8)), name)
    assert (found.missing == missing).mean() > 0.999


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_an_inverted_mask_is_asked_about(tmp_path, photo, name) -> None:
    stroke(Image.new("L", SIZE, 255), 0).save(tmp_path / name)
    picture = io.read_picture(tmp_path / "photo.png")
    text = the_error(FileError, io.mask_of, tmp_path / name, picture)
    assert "--invert-mask" in text and "--no-invert-mask" in text and "%" in text
    inverted = io.mask_of(tmp_path / name, picture, invert=True).missing
    assert (inverted == STROKE).mean() > 0.97
    np.testing.assert_array_equal(io.mask_of(tmp_path / name, picture, invert=False).missing, ~inverted)


def test_a_picture_that_shows_its_damage_needs_no_question(tmp_path, photo) -> None:
    damaged = np.asarray(photo).copy()
    damaged[:, 40:] = 0
    saved(tmp_path / "photo.png", damaged)
    missing = np.zeros(SIZE[::-1], np.uint8)
    missing[:, 40:] = 255
    assert mask(tmp_path, Image.fromarray(missing)).missing.mean() > 0.5


def test_a_mask_for_each_channel(tmp_path, photo) -> None:
    picture = io.read_picture(tmp_path / "photo.png")
    seen = np.zeros((80, 96, 3), bool)
    seen[::2, ::2, 0] = seen[::2, 1::2, 1] = seen[1::2, ::2, 1] = seen[1::2, 1::2, 2] = True
    np.save(tmp_path / "m.npy", ~seen)
    saved(tmp_path / "m.png", (255 * ~seen).astype(np.uint8))
    tifffile.imwrite(tmp_path / "m.tif", (~seen).astype(np.uint8), photometric="rgb")
    for name in ("m.npy", "m.png", "m.tif"):
        found = io.mask_of(tmp_path / name, picture)
        np.testing.assert_array_equal(found.missing, ~seen, err_msg=name)
        assert "each channel" in found.findings[0].text
    np.save(tmp_path / "m.npy", np.repeat(STROKE[..., None], 3, -1))  # alike in all: one for all
    np.testing.assert_array_equal(io.mask_of(tmp_path / "m.npy", picture).missing, STROKE)


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_square_mask_is_taken_as_drawn_on_the_picture_as_shown(tmp_path, orientation) -> None:
    stored = Image.fromarray(skimage.data.astronaut()[60:124, 120:184])
    stored.getexif()[ORIENTATION] = orientation
    missing = np.zeros((64, 64), np.uint8)
    missing[5:12, 20:50] = 255
    as_stored = Image.fromarray(missing)
    as_stored.getexif()[ORIENTATION] = orientation
    stored.save(tmp_path / "photo.png", exif=stored.getexif())
    shown = ImageOps.exif_transpose(as_stored)
    found = mask(tmp_path, Image.fromarray(np.asarray(shown)))
    np.testing.assert_array_equal(found.missing, missing > 0)
    assert f"EXIF orientation {orientation}" in found.findings[-1].text
    np.save(tmp_path / "m.npy", missing > 0)  # an array knows nothing of viewers
    picture = io.read_picture(tmp_path / "photo.png")
    np.testing.assert_array_equal(io.mask_of(tmp_path / "m.npy", picture).missing, missing > 0)
    as_stored.save(tmp_path / "own.png", exif=as_stored.getexif())
    np.testing.assert_array_equal(io.mask_of(tmp_path / "own.png", picture).missing, missing > 0)


def test_damage_that_the_picture_shows_tells_how_a_mask_lies(tmp_path) -> None:
    missing = np.zeros((64, 64), bool)
    missing[5:12, 20:50] = True
    damaged = skimage.data.astronaut()[60:124, 120:184].copy()
    damaged[missing] = 255
    stored = Image.fromarray(damaged)
    stored.getexif()[ORIENTATION] = 3
    stored.save(tmp_path / "photo.png", exif=stored.getexif())
    found = mask(tmp_path, Image.fromarray((255 * missing).astype(np.uint8)))
    np.testing.assert_array_equal(found.missing, missing)
    assert "shows the damage" in found.findings[-1].text


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_another_photograph_is_refused(tmp_path, photo, mode) -> None:
    other = Image.fromarray(skimage.data.coffee()[100:180, 200:296]).convert(mode)
    with pytest.raises(FileError, match="looks like a photograph") as refused:
        mask(tmp_path, other)
    assert "\n" not in str(refused.value)
