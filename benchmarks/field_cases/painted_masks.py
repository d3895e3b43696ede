"""Masks as people paint them: what was painted is missing; a doubtful one is asked about."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.field_cases.case import Check
from benchmarks.field_cases.command import bayesdip
from benchmarks.field_cases.simple import Array
from benchmarks.field_cases.source import crop

KIND = "masks as people paint them"
SIDE = 96
# Of the root-mean-square error in the letters with the plain mask, another way to paint it may cost so much.
WORSE = 1.15


def letters() -> tuple[Array, Array, Array]:
    """A colour photograph, the same with letters across it, and where they stand."""
    photo = crop("astronaut", 0, 120, SIDE)
    drawing = Image.new("L", (SIDE, SIDE), 0)
    pen = ImageDraw.Draw(drawing)
    for line in range(3):
        pen.text((4 + 8 * line, 8 + 28 * line), "SAMPLE 42", fill=255, font=ImageFont.load_default(16))
    soft = np.asarray(drawing)[..., None] / 255 * 0.75
    return photo, (photo * (1 - soft) + 255 * soft).astype(np.uint8), np.asarray(drawing) > 0


def _gray(value: int, where: Array) -> Image.Image:
    return Image.fromarray(np.where(where, value, 0).astype(np.uint8))


def _on_transparent(colour: tuple[int, int, int], where: Array) -> Image.Image:
    layer = np.zeros((*where.shape, 4), np.uint8)
    layer[where] = (*colour, 255)
    return Image.fromarray(layer)


def _opaque(where: Array) -> Image.Image:
    layer = np.repeat(np.where(where, 255, 0).astype(np.uint8)[..., None], 4, -1)
    layer[..., 3] = 255
    return Image.fromarray(layer)


PAINTED: dict[str, tuple[str, Callable[[Array], Image.Image]]] = {
    "white on black": ("png", partial(_gray, 255)),
    "as JPEG": ("jpg", partial(_gray, 255)),
    "0 and 1": ("png", partial(_gray, 1)),
    "gray 100": ("png", partial(_gray, 100)),
    "gray 128": ("png", partial(_gray, 128)),
    "gray 254": ("png", partial(_gray, 254)),
    "red on transparent": ("png", partial(_on_transparent, (255, 0, 0))),
    "black on transparent": ("png", partial(_on_transparent, (0, 0, 0))),
    "opaque RGBA": ("png", _opaque),
    "1 bit": ("png", lambda where: _gray(255, where).convert("1")),
    "palette": ("png", lambda where: _gray(255, where).convert("P")),
}


def painted(name: str) -> list[str]:
    """The letters come off, as well as with the array of the mask."""
    suffix, paint = PAINTED[name]
    photo, seen, where = letters()
    Image.fromarray(seen).save("in.png")
    np.save("plain.npy", where)
    paint(where).save(f"mask.{suffix}")
    errors = []
    for mask in ("plain.npy", f"mask.{suffix}"):
        ended = bayesdip("inpaint", "in.png", "--mask", mask, "-o", "out.png", "--effort", "fast", "--force")
        if wrong := ended.complaints():
            return wrong
        filled = np.asarray(Image.open("out.png")).astype(np.float64)
        errors.append(float(np.sqrt(np.mean((filled - photo)[where] ** 2))))
    return [] if errors[1] <= WORSE * errors[0] else [f"rms {errors[1]:.1f}, with an array {errors[0]:.1f}"]


def inverted() -> list[str]:
    """Letters black, all else white: asked about in one line, or said to have been turned."""
    _, seen, where = letters()
    Image.fromarray(seen).save("in.png")
    _gray(255, ~where).save("mask.png")
    ended = bayesdip("inpaint", "in.png", "--mask", "mask.png", "-o", "out.png", "--effort", "fast")
    said = ended.errors + ended.output.decode(errors="replace")
    if "Traceback" in said or ended.status is None:
        return ended.complaints()
    return [] if "invert" in said.lower() else ["85% of the picture was filled without a word of it"]


def upright(turn: int) -> list[str]:
    """A photograph that EXIF turns, its mask drawn on what a viewer shows."""
    _, seen, _ = letters()
    missing = np.zeros((SIDE, SIDE), bool)
    missing[20:32, 50:70] = True
    if turn == 90:
        seen, missing = seen[:, : SIDE - 16], missing[:, : SIDE - 16]
    hurt = seen.copy()
    hurt[missing] = (0, 255, 0)
    tag = Image.Exif()
    tag[0x0112] = {90: 6, 180: 3, 91: 6}[turn]
    Image.fromarray(hurt).save("in.jpg", quality=97, subsampling=0, exif=tag)
    turned = np.rot90(missing, {90: -1, 180: 2, 91: -1}[turn])
    Image.fromarray((np.ascontiguousarray(turned) * 255).astype(np.uint8)).save("mask.png")
    ended = bayesdip("inpaint", "in.jpg", "--mask", "mask.png", "-o", "out.png", "--effort", "fast")
    if wrong := ended.complaints():
        return wrong
    out = np.asarray(Image.open("out.png").convert("RGB")).astype(int)
    green = ((out[..., 1] > 200) & (out[..., 0] < 80) & (out[..., 2] < 80)).sum()
    return [] if green < 10 else [f"{green} of {missing.sum()} painted pixels are still there"]


CASES = {f"a mask, {name}": lambda name=name: Check(partial(painted, name)) for name in PAINTED} | {
    "an inverted mask": lambda: Check(inverted),
    "a mask drawn upright, turned by a quarter": lambda: Check(partial(upright, 90)),
    "a mask drawn upright, turned by a half": lambda: Check(partial(upright, 180)),
    "a mask drawn upright, square, by a quarter": lambda: Check(partial(upright, 91)),
}
