"""The command line and the Python that the page gives for a run come to the same files, bit for bit."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bayesdip import io
from bayesdip.cli import app
from bayesdip.cli.studio_plan import plan
from bayesdip.cli.studio_run import restore
from bayesdip.errors import BayesDipError
from bayesdip.io.encoding import suffix_of
from bayesdip.studio.asked import Asked
from bayesdip.studio.looking import look, look_at_mask
from bayesdip.studio.repeating import command_of
from bayesdip.studio.sent_file import SentFile

SIDE = 32


def levels(channels=1, seed=0):
    wave = 110 + 60 * np.sin(np.arange(SIDE) / 3)[:, None] * np.cos(np.arange(SIDE + 8) / 4)
    noise = np.random.default_rng(seed).normal(0, 12, (SIDE, SIDE + 8, channels))
    return np.clip(wave[..., None] + noise, 0, 255).astype(np.uint8).squeeze()


def strokes():
    mask = np.zeros((SIDE, SIDE + 8), np.uint8)
    mask[10:12, 4:30] = 255
    return mask


def saved(array, **facts):
    return lambda path: Image.fromarray(array).save(path, **facts)


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a viewer turns it
    Image.fromarray(levels(3)).save(path, quality=90, exif=exif)


def transparent(path):
    alpha = np.where(strokes(), 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([levels(3), alpha])).save(path)


def undeclared(path):
    found = levels().astype(np.float32)
    found[3:6, 20:24] = np.nan
    np.save(path, found)


def blurred(path):
    from scipy.ndimage import gaussian_filter

    Image.fromarray(gaussian_filter(levels(), 1.2)).save(path)


def spot(path):
    place = np.arange(-4, 5)
    np.save(path, np.exp(-(place[:, None] ** 2 + place**2) / 3))


GP = {"method": "gp"}
# A task, the picture's name and how it is made, what is asked besides.
CASES = {
    "gray": ("denoise", "my photo.png", saved(levels()), {}),
    "a given level": ("denoise", "gray.png", saved(levels()), GP | {"sigma": "12"}),
    "one level for each channel": (
        "denoise",
        "rgb.webp",
        saved(levels(3), lossless=True),
        GP | {"sigma": "12,11,13"},
    ),
    "compression": ("denoise", "photo.jpg", saved(np.tile(levels(3), (3, 3, 1)), quality=30), GP),
    "sixteen bits": ("denoise", "deep.png", saved(levels().astype(np.uint16) * 200), GP | {"sigma": "AUTO"}),
    "real numbers": ("denoise", "real.tif", saved(levels().astype(np.float32) / 255), GP | {"samples": 2}),
    "no extension": ("denoise", "unnamed", lambda path: np.save(path.open("wb"), levels() / 7), GP),
    "palette": ("denoise", "few.gif", saved(levels()), GP),
    "without a standard deviation": ("denoise", "small.png", saved(levels()[:16, :16]), {"method": "map"}),
    "a mask": ("inpaint", "gray.png", saved(levels()), {"mask": strokes()}),
    "a mask with the picture's name": (
        "inpaint",
        "same.png",
        saved(levels(3)),
        GP | {"mask": strokes(), "mask_name": "same.png"},
    ),
    "most is missing": (
        "inpaint",
        "gray.png",
        saved(levels()),
        GP | {"mask": 255 - strokes(), "sigma": "auto"},
    ),
    "turned over": (
        "inpaint",
        "gray.png",
        saved(levels()),
        GP | {"mask": 255 - strokes(), "invert_mask": True},
    ),
    "turned by its camera": ("inpaint", "camera.jpg", turned, GP | {"mask": np.rot90(strokes(), 3)}),
    "transparent": ("inpaint", "sticker.png", transparent, GP),
    "transparent, and a mask": ("inpaint", "sticker.png", transparent, GP | {"mask": strokes()[::-1]}),
    "without data": ("inpaint", "field.npy", undeclared, GP),
    "enlarged": ("upscale", "tiny.bmp", saved(levels()[:16, :16]), GP | {"factor": 2, "kind": "area"}),
    "sharpened": ("deblur", "soft.tif", blurred, GP | {"psf": spot, "sigma": "2"}),
}


def sent(folder, name, make):
    path = folder / f"sent-{len(list(folder.iterdir()))}{suffix_of(name)}"
    make(path)
    return SentFile(path, name)


# The others take 1 to 10 s each.
CHEAP = ("a given level", "palette", "without data")


@pytest.mark.parametrize(
    "case", [pytest.param(name, marks=[] if name in CHEAP else pytest.mark.slow) for name in CASES]
)
def test_command_and_python_repeat_the_run(case, quick, tmp_path, monkeypatch):
    task, name, make, more = CASES[case]
    visit, run, own, other = (tmp_path / part for part in ("visit", "visit/run", "own", "other"))
    for folder in (visit, run, own, other):
        folder.mkdir(parents=True)
    file = sent(visit, name, make)
    file.facts.update(look(file.path, visit / "shown.png"))
    files, more = {"p": file}, dict(more)
    if "mask" in more:
        files["m"] = sent(visit, more.pop("mask_name", "strokes.png"), saved(more.pop("mask")))
        look_at_mask(files["m"].path, file.path, more.get("invert_mask", False), visit / "mask.png")
    if "psf" in more:
        files["k"] = sent(visit, "spot.npy", more.pop("psf"))
    given = {
        "task": task,
        "picture": "p",
        "mask": "m" if "m" in files else "",
        "psf": "k" if "k" in files else "",
    }
    asked = Asked.of(given | more, files)
    facts = restore(run, asked)
    for folder in (own, other):
        for stored, called in asked.files().values():
            (folder / called).write_bytes((visit / stored).read_bytes())
    monkeypatch.chdir(own)
    said = CliRunner().invoke(app, shlex.split(command_of(asked))[1:])
    assert said.exit_code == 0, said.output
    monkeypatch.chdir(other)
    exec(facts["python"], {})
    for folder in (own, other):
        assert same(run / asked.restored, folder / asked.restored)
        if asked.method != "map":
            assert same(run / "std.tif", folder / asked.std)


def same(one: Path, other: Path) -> bool:
    first, second = io.read_picture(one), io.read_picture(other)
    alphas = [picture.alpha if picture.alpha is not None else np.zeros(0) for picture in (first, second)]
    return (
        first.pixels.dtype == second.pixels.dtype
        and np.array_equal(first.pixels, second.pixels, equal_nan=True)
        and np.array_equal(*alphas)
    )


def test_what_will_run_is_said_and_nothing_is_written(tmp_path):
    file = sent(tmp_path, "gray.png", saved(levels()))
    asked = Asked.of({"task": "denoise", "picture": "p", "method": "gp", "sigma": "12"}, {"p": file})
    found = plan(tmp_path, asked)
    assert found["method"] == "gp" and "as asked for" in found["why"] and found["seconds"] > 0
    assert list(tmp_path.iterdir()) == [file.path]
    refused = Asked.of({"task": "denoise", "picture": "p", "sigma": "much"}, {"p": file})
    with pytest.raises(BayesDipError, match="much"):
        plan(tmp_path, refused)
