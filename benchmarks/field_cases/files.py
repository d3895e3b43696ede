"""Notebooks, pipes and files: as a well-behaved program."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

import bayesdip as bd
from bayesdip.io import read_picture
from benchmarks.field_cases.case import Check
from benchmarks.field_cases.command import PROGRAM, bayesdip
from benchmarks.field_cases.simple import Array, eight_bits
from benchmarks.field_cases.source import crop, generator

KIND = "notebooks, pipes, files"
QUICK = ("--effort", "fast", "--force")


def _noisy(side: int = 48, sigma: float = 15.0) -> Array:
    rng = generator(24)
    return eight_bits(crop("astronaut", 60, 120, side) + rng.normal(0, sigma, (side, side, 3)))


def notebook() -> list[str]:
    """A result shows itself as HTML with a picture in it."""
    restored = bd.denoise(_noisy(), channel_axis=-1, effort="fast")
    html = getattr(restored, "_repr_html_", lambda: "")() or ""
    return [] if "<img" in html or "<svg" in html else ["no picture in a notebook"]


def pipes() -> list[str]:
    """``-`` reads from standard input and writes to standard output."""
    Image.fromarray(_noisy()).save("in.png")
    ended = bayesdip("denoise", "-", "-o", "-", *QUICK, given=Path("in.png").read_bytes())
    if wrong := ended.complaints():
        return wrong
    Path("out.png").write_bytes(ended.output)
    return [] if read_picture(Path("out.png")).pixels.shape == (48, 48, 3) else ["another picture came out"]


def reader_goes_away() -> list[str]:
    """``bayesdip ... --json | true``, and ``bayesdip ... 2>&1 | true``: the picture is written, quietly."""
    Image.fromarray(_noisy()).save("in.png")
    wrong = []
    for closed in ("output", "both"):
        words = [sys.executable, "-c", PROGRAM, "denoise", "in.png", "-o", f"{closed}.png", "--json", *QUICK]
        read_end, write_end = os.pipe()
        os.close(read_end)
        errors = write_end if closed == "both" else subprocess.PIPE
        ended = subprocess.run(words, stdout=write_end, stderr=errors, timeout=300, check=False)
        os.close(write_end)
        said = (ended.stderr or b"").decode(errors="replace")
        if "Traceback" in said or "BrokenPipe" in said:
            wrong.append("a traceback")
        if not Path(f"{closed}.png").exists():
            wrong.append(f"the picture was lost when the reader of {closed} went away")
    return wrong


def names() -> list[str]:
    """Spaces, letters of other alphabets, no suffix, a wrong one, capitals, percent signs."""
    picture, wrong = Image.fromarray(_noisy()), []
    for name in ("mein Bild äöü 写真 🙂.png", "UPPER.PNG", "%d.png", "noext", "wrong.jpg"):
        picture.save(name, "PNG")
        wrong += bayesdip("denoise", name, "-o", "out.png", *QUICK).complaints()
    picture.save("-dash.png")
    wrong += bayesdip("denoise", *QUICK, "-o", "out.png", "--", "-dash.png").complaints()
    picture.save("a1.png")
    picture.save("a2.png")
    return wrong + bayesdip("denoise", "a1.png", "a2.png", "-o", "out.png", *QUICK).complaints(refused=True)


def readable_files() -> list[str]:
    """Formats that are read, with the shape of the picture."""
    colour, wrong = _noisy(), []
    gray = crop("camera", 0, 0, 48).astype(np.uint16) * 200
    picture = Image.fromarray(colour)
    picture.save("one.gif")
    picture.convert("CMYK").save("cmyk.jpg", quality=95)
    picture.convert("P").save("palette.png")
    picture.convert("YCbCr").save("ycbcr.jpg")
    picture.save("a.webp", lossless=True)
    Image.fromarray(gray).save("gray16.png")
    tifffile.imwrite("big.tif", colour, bigtiff=True)
    tifffile.imwrite("predictor.tif", colour, compression="lzw", predictor=True)
    tifffile.imwrite("int16.tif", colour[..., 0].astype(np.int16) * 10 - 1024)
    tifffile.imwrite("pyramid.tif", crop("camera", 0, 0, 256), tile=(128, 128))
    for name in sorted(os.listdir()):
        try:
            read_picture(Path(name))
        except bd.BayesDipError as error:
            wrong.append(f"{name}: {str(error)[:60]}")
    return wrong


def unreadable_files() -> list[str]:
    """What is no picture, or is broken: one line that names the file."""
    broken = {
        "e.exr": b"v/1\x01" + bytes(60),
        "f.fits": b"SIMPLE  =                    T" + b" " * 2850,
        "d.dcm": bytes(128) + b"DICM" + bytes(50),
        "r.dng": b"II*\0" + bytes(40),
        "s.svg": b"<svg/>",
        "x.csv": b"1,2\n3,4\n",
        "n.nii.gz": b"\x1f\x8b\x08" + bytes(20),
        "v.mp4": bytes([0, 0, 0, 24]) + b"ftypmp42" + bytes(40),
        "p.pdf": b"%PDF-1.4\n",
        "m.mat": b"MATLAB 5.0 MAT-file" + bytes(100),
        "empty.png": b"",
    }
    wrong = []
    for name, content in broken.items():
        Path(name).write_bytes(content)
        try:
            read_picture(Path(name))
        except bd.BayesDipError as error:
            if name not in str(error) or "\n" in str(error):
                wrong.append(f"{name}: no clear line")
        else:
            wrong.append(f"{name}: taken for a picture")
    return wrong + bayesdip("denoise", "e.exr", "-o", "out.png").complaints(refused=True)


def transparency(dtype: str) -> list[str]:
    """RGBA: the alpha channel comes back unchanged, and colours hidden by it do no harm."""
    noisy = _noisy()
    alpha = np.full((48, 48, 1), 255, np.uint8)
    alpha[:8], alpha[8:16] = 0, 128
    layer = np.concatenate([np.where(alpha == 0, 0, noisy), alpha], axis=-1)
    scaled = {
        "uint8": layer,
        "uint16": layer.astype(np.uint16) * 257,
        "float32": (layer / 255).astype(np.float32),
    }
    tifffile.imwrite("in.tif", scaled[dtype], photometric="rgb", extrasamples=["unassalpha"])
    wrong = bayesdip("denoise", "in.tif", "-o", "out.tif", *QUICK).complaints()
    if wrong:
        return wrong
    out = tifffile.imread("out.tif")
    if (
        out.dtype != dtype
        or out.shape != layer.shape
        or not np.array_equal(out[..., 3], scaled[dtype][..., 3])
    ):
        return [f"transparency came back as {out.dtype} {out.shape}"]
    clean, top = crop("astronaut", 60, 120, 48), {"uint8": 255, "uint16": 65535, "float32": 1.0}[dtype]
    seen = alpha[..., 0] == 255
    before, after = (
        np.sqrt(np.mean((a[..., :3][seen] * (255 / top) - clean[seen]) ** 2)) for a in (scaled[dtype], out)
    )
    return [] if after < before else [f"rms {before:.1f} became {after:.1f}"]


def microscope_stack() -> list[str]:
    """An ImageJ hyperstack: axes, pixel size, spacing and unit are kept."""
    rng, cell = generator(4), crop("cell", 200, 200, 48).astype(np.float64)
    stack = np.stack([np.stack([400 + 8 * cell, 900 + 4 * cell[::-1]])] * 3)
    noisy = np.clip(stack + rng.normal(0, 40, stack.shape), 0, 65535).astype(np.uint16)
    tags = {"axes": "ZCYX", "spacing": 0.5, "unit": "um", "finterval": 1}
    tifffile.imwrite("in.tif", noisy, imagej=True, resolution=(10, 10), metadata=tags)
    if wrong := bayesdip("denoise", "in.tif", "-o", "out.tif", *QUICK).complaints():
        return wrong
    with tifffile.TiffFile("out.tif") as file:
        page, found = file.pages[0], file.imagej_metadata or {}
        shape, size = file.series[0].shape, page.tags["XResolution"].value
        restored = file.asarray().reshape(stack.shape) if file.asarray().size == stack.size else None
    if restored is None:
        return [f"the shape is {shape}"]
    wrong = [f"{k} became {found.get(k)}" for k in ("spacing", "unit") if found.get(k) != tags[k]]
    if abs(size[0] / size[1] - 10) > 1e-6:
        wrong.append("the pixel size was lost")
    errors = [float(np.sqrt(np.mean((a - stack) ** 2))) for a in (noisy.astype(np.float64), restored)]
    return wrong if errors[1] < errors[0] else [*wrong, f"rms {errors[0]:.1f} became {errors[1]:.1f}"]


def map_tags() -> list[str]:
    """GeoTIFF: where the pixels lie on the ground, and the no-data value, are kept; NaN is filled without a word more."""
    truth = crop("camera", 100, 150, 64).astype(np.float32)
    given = truth.copy()
    given[20:23, 10:40] = np.nan
    tags = [(33550, "d", 3, (30.0, 30.0, 0.0), True), (33922, "d", 6, (0, 0, 0, 5e5, 4e6, 0), True)]
    tifffile.imwrite("in.tif", given, extratags=[*tags, (42113, "s", 0, "nan", True)])
    ended = bayesdip("inpaint", "in.tif", "-o", "out.tif", *QUICK)
    if ended.status == 2:  # an earlier command line wants to be told
        ended = bayesdip("inpaint", "in.tif", "--missing", "nan", "-o", "out.tif", *QUICK)
    if wrong := ended.complaints():
        return wrong
    with tifffile.TiffFile("out.tif") as file:
        found, filled = file.pages[0].tags, file.asarray()
        lost = [
            str(code)
            for code, *_ in tags
            if code not in found or len(found[code].value) != len(dict_of(tags)[code])
        ]
    wrong = [f"tags lost: {', '.join(lost)}"] if lost else []
    return wrong if np.isfinite(filled).all() else [*wrong, "NaN are left"]


def dict_of(tags: list[tuple[int, str, int, tuple[float, ...], bool]]) -> dict[int, tuple[float, ...]]:
    """Values of TIFF tags by their codes."""
    return {code: value for code, _, _, value, _ in tags}


def whole_counts() -> list[str]:
    """Counts of 0 to 3 in a TIFF of 8 bits come back as numbers between, not as zeros."""
    given = generator(5).poisson(0.2, (64, 64)).astype(np.uint8)
    tifffile.imwrite("in.tif", given)
    if wrong := bayesdip("denoise", "in.tif", "-o", "out.tif", *QUICK).complaints():
        return wrong
    mean = float(tifffile.imread("out.tif").mean())
    return (
        []
        if abs(mean - given.mean()) < 0.1 * given.mean()
        else [f"a mean of {given.mean():.2f} became {mean:.2f}"]
    )


def multi_band_nan() -> list[str]:
    """NaN in some channels of a .npy, on the command line."""
    truth = crop("astronaut", 60, 120, 48).astype(np.float32)
    known = generator(0).random(truth.shape) < 0.5
    np.save("in.npy", np.where(known, truth, np.nan))
    ended = bayesdip("inpaint", "in.npy", "--missing", "nan", "-o", "out.npy", *QUICK)
    return ended.complaints() or ([] if np.isfinite(np.load("out.npy")).all() else ["NaN are left"])


CASES = {
    "a result in a notebook": lambda: Check(notebook),
    "pipes": lambda: Check(pipes),
    "a reader that goes away": lambda: Check(reader_goes_away),
    "names of files": lambda: Check(names),
    "formats that are read": lambda: Check(readable_files),
    "files that are no pictures": lambda: Check(unreadable_files),
    **{f"transparency, {d}": lambda d=d: Check(partial(transparency, d)) for d in ("uint8", "uint16", "float32")},
    "an ImageJ hyperstack": lambda: Check(microscope_stack),
    "GeoTIFF": lambda: Check(map_tags),
    "counts of 0 to 3 in 8 bits": lambda: Check(whole_counts),
    "NaN in some channels, command line": lambda: Check(multi_band_nan),
}  # fmt: skip
