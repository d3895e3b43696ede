"""Seconds and memory: time budgets, and pictures that are large beside what is wrong with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

import bayesdip as bd
from benchmarks.field_cases.case import Check
from benchmarks.field_cases.command import bayesdip
from benchmarks.field_cases.simple import Array, eight_bits, gaussian_psf
from benchmarks.field_cases.source import crop, generator

KIND = "time budgets and large pictures"
BUDGET, FACTOR = 1.0, 1.2
# The same damage in a picture with sixteen times the pixels may take so many times the processor's time.
LARGER = 4.0


def _noisy(side: int) -> Array:
    rng = generator(26)
    return eight_bits(crop("astronaut", 0, 0, side) + rng.normal(0, 20, (side, side, 3)))


def _denoise(**options: object) -> object:
    return bd.denoise(_noisy(256), channel_axis=-1, **options)  # type: ignore[arg-type]


def _upscale(**options: object) -> object:
    return bd.upscale(_noisy(64), 4, channel_axis=-1, **options)  # type: ignore[arg-type]


def _deblur(**options: object) -> object:
    return bd.deblur(_noisy(192), gaussian_psf(1.8, 9), channel_axis=-1, **options)  # type: ignore[arg-type]


def _inpaint(**options: object) -> object:
    picture = _noisy(256)
    missing = np.zeros(picture.shape[:2], bool)
    missing[90:150, 100:160] = True
    return bd.inpaint(picture, missing, channel_axis=-1, **options)  # type: ignore[arg-type]


def kept(task: Callable[..., object]) -> list[str]:
    """One second is asked for; imports, and what is compiled once, do not count."""
    task(time_budget=BUDGET)
    begin = time.perf_counter()
    restored = task(time_budget=BUDGET)
    taken = time.perf_counter() - begin
    wrong = [] if taken <= FACTOR * BUDGET else [f"{taken:.1f} s taken for {BUDGET:g} s"]
    finite = np.isfinite(restored.mean).all()  # type: ignore[attr-defined]
    return wrong if finite else [*wrong, "the picture is not finite"]


def scratch_in_a_large_picture() -> list[str]:
    """The same scratch in 192 x 192 and in 768 x 768 pixels: time goes by the damage."""
    large = np.tile(crop("camera", 0, 128, 192), (4, 4))
    missing = np.zeros(large.shape, bool)
    missing[60:64, 40:140] = True
    spent = []
    for side in (192, 768):
        begin = time.process_time()
        bd.inpaint(large[:side, :side], missing[:side, :side])
        spent.append(time.process_time() - begin)
    factor = spent[1] / spent[0]
    return [] if factor <= LARGER else [f"{factor:.1f} times as long ({spent[0]:.1f} and {spent[1]:.1f} s)"]


def a_pixel_of_twelve_megapixels() -> list[str]:
    """One speck in 4000 x 3000 pixels, on the command line: not refused for memory, and done within a minute."""
    picture = np.tile(crop("camera", 0, 0, 500), (6, 8))
    missing = np.zeros(picture.shape, np.uint8)
    missing[10:13, 10:13] = 255
    np.save("in.npy", picture)
    np.save("mask.npy", missing)
    return bayesdip("inpaint", "in.npy", "--mask", "mask.npy", "-o", "out.npy", seconds=60).complaints()


CASES = {
    "1 s to denoise": lambda: Check(partial(kept, _denoise)),
    "1 s to enlarge": lambda: Check(partial(kept, _upscale)),
    "1 s to deblur": lambda: Check(partial(kept, _deblur)),
    "1 s to fill a hole": lambda: Check(partial(kept, _inpaint)),
    "a scratch in a larger picture": lambda: Check(scratch_in_a_large_picture),
    "a speck in 12 megapixels": lambda: Check(a_pixel_of_twelve_megapixels),
}
