"""Restore one input of ``benchmarks.before_after`` and measure it.

Run as a program, with the ``src`` folder to be measured first on ``PYTHONPATH``. It uses only what both versions of
the package share.
"""

from __future__ import annotations

import importlib
import pkgutil
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import convolve, gaussian_filter

import bayesdip as bd
from benchmarks import pictures
from benchmarks.measurement import answer, timed
from benchmarks.pictures import (
    Array,
    centre,
    masked_pairs,
    noisy_pairs,
    psnr,
    psnr_of_luma,
    small_pairs,
    smaller,
)

LEVEL = 0.9
# Standard deviation of the noise on the signal and the volumes, whose values lie between 0 and 1.
UNIT_NOISE = 0.1
INNER = (slice(pictures.BORDER, -pictures.BORDER),) * 2
# A quick restoration is repeated, up to so many times or seconds of the processor.
REPEATS, SECONDS = 3, 4.0


@dataclass
class Case:
    """One input with its truth: what to call, with what, and which pixels are scored.

    Attributes
    ----------
    truth : array
        uint8, or floats in 0..1.
    counted : array of bool, slices, or Ellipsis
        Where coverage is counted.
    """

    call: Any
    arguments: tuple[Any, ...]
    truth: Array
    options: dict[str, Any] = field(default_factory=dict)
    counted: Any = ...


def clean_crop(data: Path, folder: str, name: str, side: int) -> Array:
    """The centre of a picture, 8 bits."""
    pairs = {"denoise9": noisy_pairs, "inpaint11": masked_pairs}[folder](data, (name,), side)
    return next(pairs).clean


def denoise_published(data: Path, name: str, side: int) -> Case:
    """``denoise9``: the published 8-bit input, sigma 25 and clipped; sigma is estimated."""
    pair = next(noisy_pairs(data, (name,), side))
    return Case(bd.denoise, (pair.given,), pair.clean, {"channel_axis": -1})


def denoise_drawn(data: Path, name: str, side: int) -> Case:
    """``denoise9``: noise drawn with seed 0, neither clipped nor rounded; sigma is given."""
    truth = clean_crop(data, "denoise9", name, side)
    noisy = truth + 25 * np.random.default_rng(0).standard_normal(truth.shape)
    return Case(bd.denoise, (noisy, 25.0), truth, {"channel_axis": -1})


def denoise_poisson(data: Path, name: str, side: int) -> Case:
    """``denoise9``: the gray levels are mean counts."""
    truth = clean_crop(data, "denoise9", name, side)
    counts = np.random.default_rng(0).poisson(truth).astype(np.float64)
    return Case(bd.denoise, (counts,), truth, {"channel_axis": -1, "noise": bd.Poisson()})


def inpaint(data: Path, name: str, side: int) -> Case:
    """``inpaint11``: the published mask; known pixels come back, missing ones are counted for the coverage."""
    pair = next(masked_pairs(data, (name,), side))
    return Case(bd.inpaint, (pair.clean, pair.given), pair.clean, counted=pair.given)


def upscale(data: Path, name: str, side: int) -> Case:
    """``set5``: the centre, made four times smaller by Pillow's Lanczos filter; PSNR of the Y channel."""
    truth = centre(next(small_pairs(data, 4, (name,))).clean, side)
    return Case(bd.upscale, (smaller(truth, 4), 4), truth, {"channel_axis": -1})


def deblur_noisy(data: Path, name: str, side: int) -> Case:
    """Part of a picture of scikit-image, as in ``benchmarks.deblur``; sigma is given."""
    blur, sigma = pictures.BLURS[0] if name == "camera" else pictures.BLURS[1]
    truth, psf = pictures.crop(name)[:side, :side], pictures.gaussian_psf(blur)
    given = pictures.blurred(truth, psf, sigma, 0)
    return Case(bd.deblur, (given, psf), truth, {"sigma": sigma}, counted=INNER)


def restore(data: Path, name: str, side: int) -> Case:
    """A tenth of a blurred picture's pixels missing: the general form, with a composed operator."""
    truth = clean_crop(data, "inpaint11", name, side)
    rng, psf = np.random.default_rng(0), pictures.gaussian_psf(1.0)
    missing = rng.random(truth.shape) < 0.1
    y = convolve(truth.astype(np.float64), psf, mode="reflect") + rng.normal(0, 2, truth.shape)
    blur = bd.Blur(truth.shape, torch.from_numpy(psf))
    operator = bd.Mask(torch.from_numpy(missing), truth.shape) @ blur
    return Case(bd.restore, (np.where(missing, 0, y), operator, bd.Gaussian(2.0)), truth)


def signal(data: Path, name: str, side: int) -> Case:
    """A smooth signal with two jumps."""
    t = np.linspace(0, 1, side)
    truth = 0.5 + 0.25 * np.sin(6 * np.pi * t * t) + 0.2 * (t > 0.4) - 0.3 * (t > 0.7)
    return Case(bd.denoise, (_noisy(truth), UNIT_NOISE), truth)


def volume(data: Path, name: str, side: int) -> Case:
    """A volume with noise."""
    return Case(bd.denoise, (_noisy(_blobs(side)), UNIT_NOISE), _blobs(side))


def volume_missing(data: Path, name: str, side: int) -> Case:
    """A volume, half of it missing."""
    truth = _blobs(side)
    missing = np.random.default_rng(1).random(truth.shape) < 0.5
    return Case(bd.inpaint, (truth, missing), truth, counted=missing)


def _blobs(side: int) -> Array:
    """A volume of smoothed noise, values in 0..1."""
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((side,) * 3), 2.0)
    return (rough - rough.min()) / np.ptp(rough)


def _noisy(truth: Array) -> Array:
    return truth + UNIT_NOISE * np.random.default_rng(0).standard_normal(truth.shape)


def score(make: str, mean: Array, truth: Array) -> float:
    """PSNR in dB, values clipped: of Y for an enlarged picture, without its border for a blurred one, else of all."""
    if make == "upscale":
        return psnr_of_luma(mean, truth)
    inner = INNER if make == "deblur_noisy" else ...
    return psnr(mean[inner], truth[inner])


def measure(data: str, make: str, name: str, side: int, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Restore and score.

    Yields
    -------
    dict
        ``psnr`` in dB; ``coverage``, the share of true values inside 90% intervals, or None without intervals;
        ``cpu_s``, user and system time of the quickest call; ``wall_s``; ``peak_mib``, memory beyond that of the imports.
    """
    case: Case = globals()[make](Path(data), name, side)
    # Late imports would count as time and memory of the method.
    for module in pkgutil.walk_packages(bd.__path__, "bayesdip."):
        if module.name.split(".")[1] not in ("bench", "lab", "cli", "report", "comparison"):
            importlib.import_module(module.name)
    resident = _memory_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    spent: list[float] = []
    peak = 0.0
    while len(spent) < REPEATS and sum(spent) < SECONDS:
        before = _cpu_seconds()
        with timed() as clock:
            r = case.call(*case.arguments, **case.options, **options)
        spent.append(_cpu_seconds() - before)
        peak = peak or _memory_mib("VmHWM")
    coverage = None
    if r.std is not None:
        low, high = r.interval(LEVEL)
        coverage = float(((low <= case.truth) & (case.truth <= high))[case.counted].mean())
    yield {
        "psnr": score(make, r.mean, case.truth),
        "coverage": coverage,
        "cpu_s": round(min(spent), 2),
        "wall_s": round(clock.seconds, 2),
        "peak_mib": round(peak - resident, 1),
        "ran": getattr(r, "method", None) or r.settings["method"],
        "stopped": r.stopped,
    }


def _cpu_seconds() -> float:
    own, children = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _memory_mib(what: str) -> float:
    """``VmRSS``, memory held now, or ``VmHWM``, the most since the last reset (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {what}: expected Linux; run it there")


if __name__ == "__main__":
    torch.set_num_threads(1)
    answer(measure)
