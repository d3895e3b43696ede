"""Restore one input of ``benchmarks.before_after`` and measure it.

Run as a program, with the ``src`` folder to be measured on ``PYTHONPATH``: a set-up comes as JSON on standard
input, the measurements go as JSON to standard output. It uses only what both versions of the package share.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter
from skimage import data as installed_pictures
from skimage.color import rgb2ycbcr

import bayesdip as bd

LEVEL = 0.9
DEBLUR_BORDER, UPSCALE_BORDER = 8, 4
# Standard deviation of the noise on the signal and the volumes, whose values lie between 0 and 1.
UNIT_NOISE = 0.1


@dataclass
class Case:
    """One input with its truth: what to call, with what, and which pixels are scored."""

    call: Any
    arguments: tuple[Any, ...]
    truth: np.ndarray
    options: dict[str, Any] = field(default_factory=dict)
    scored: Any = ...
    peak: float = 255.0
    luma: bool = False


def load(path: Path, side: int | None) -> np.ndarray:
    """A picture's centre crop."""
    picture = np.asarray(Image.open(path))
    if side is None:
        return picture
    return picture[tuple(slice((n - side) // 2, (n - side) // 2 + side) for n in picture.shape[:2])]


def denoise_published(data: Path, name: str, side: int) -> Case:
    """``denoise9``: the published 8-bit input, sigma 25 and clipped; sigma is estimated."""
    folder = data / "denoise9"
    noisy, truth = load(folder / f"{name}_noisy25.png", side), load(folder / f"{name}.png", side)
    return Case(bd.denoise, (noisy,), truth, {"channel_axis": -1})


def denoise_drawn(data: Path, name: str, side: int) -> Case:
    """``denoise9``: noise drawn with seed 0, neither clipped nor rounded; sigma is given."""
    truth = load(data / "denoise9" / f"{name}.png", side).astype(np.float64)
    noisy = truth + 25 * np.random.default_rng(0).standard_normal(truth.shape)
    return Case(bd.denoise, (noisy, 25.0), truth, {"channel_axis": -1})


def denoise_poisson(data: Path, name: str, side: int) -> Case:
    truth = load(data / "denoise9" / f"{name}.png", side).astype(np.float64)
    counts = np.random.default_rng(0).poisson(truth).astype(np.float64)
    return Case(bd.denoise, (counts,), truth, {"channel_axis": -1, "noise": bd.Poisson()})


def inpaint(data: Path, name: str, side: int) -> Case:
    """``inpaint11``: the published mask; known pixels come back, missing ones are counted for the coverage."""
    folder = data / "inpaint11"
    truth, mask = load(folder / f"{name}.png", side), load(folder / f"{name}_missing50.png", side) > 127
    return Case(bd.inpaint, (truth, mask), truth, scored=mask)


def upscale(data: Path, name: str, side: int) -> Case:
    """``set5``: made four times smaller by Pillow's Lanczos filter; PSNR of the Y channel."""
    truth = load(data / "set5" / f"{name}.png", side)
    small = np.asarray(Image.fromarray(truth).resize((side // 4, side // 4), Image.Resampling.LANCZOS))
    return Case(bd.upscale, (small, 4), truth, {"channel_axis": -1}, luma=True)


def deblur(data: Path, name: str, side: int) -> Case:
    """Part of a picture of scikit-image, blurred and noisy as in ``benchmarks.blurred``; sigma is given."""
    (top, left), blur, sigma = {"camera": ((80, 200), 1.6, 2.0), "coins": ((60, 60), 2.5, 5.0)}[name]
    truth = getattr(installed_pictures, name)()[top : top + side, left : left + side]
    psf = _gaussian(blur)
    blurred = convolve(truth.astype(np.float64), psf, mode="reflect")
    blurred += np.random.default_rng(0).normal(0, sigma, truth.shape)
    given = np.clip(blurred.round(), 0, 255).astype(np.uint8)
    inside = (slice(DEBLUR_BORDER, -DEBLUR_BORDER),) * 2
    return Case(bd.deblur, (given, psf), truth, {"sigma": sigma}, scored=inside)


def restore(data: Path, name: str, side: int) -> Case:
    """A tenth of a blurred picture's pixels missing: the general form, with a composed operator."""
    truth = load(data / "inpaint11" / f"{name}.png", side).astype(np.float64)
    rng, psf = np.random.default_rng(0), _gaussian(1.0)
    missing = rng.random(truth.shape) < 0.1
    y = convolve(truth, psf, mode="reflect") + rng.normal(0, 2, truth.shape)
    blur = bd.Blur(truth.shape, torch.from_numpy(psf))
    operator = bd.Mask(torch.from_numpy(missing), truth.shape) @ blur
    return Case(bd.restore, (np.where(missing, 0, y), operator, bd.Gaussian(2.0)), truth)


def signal(data: Path, name: str, side: int) -> Case:
    """A smooth signal with two jumps."""
    t = np.linspace(0, 1, side)
    truth = 0.5 + 0.25 * np.sin(6 * np.pi * t * t) + 0.2 * (t > 0.4) - 0.3 * (t > 0.7)
    return Case(bd.denoise, (_noisy(truth), UNIT_NOISE), truth, peak=1.0)


def volume(data: Path, name: str, side: int) -> Case:
    return Case(bd.denoise, (_noisy(_blobs(side)), UNIT_NOISE), _blobs(side), peak=1.0)


def volume_missing(data: Path, name: str, side: int) -> Case:
    truth = _blobs(side)
    missing = np.random.default_rng(1).random(truth.shape) < 0.5
    return Case(bd.inpaint, (truth, missing), truth, scored=missing, peak=1.0)


def _gaussian(blur: float) -> np.ndarray:
    """A point spread function on 13 x 13 pixels, which sums to one."""
    point = np.zeros((13, 13))
    point[6, 6] = 1.0
    psf = gaussian_filter(point, blur)
    return psf / psf.sum()


def _blobs(side: int) -> np.ndarray:
    """A volume of smoothed noise, values in 0..1."""
    rough = gaussian_filter(np.random.default_rng(0).standard_normal((side,) * 3), 2.0)
    return (rough - rough.min()) / np.ptp(rough)


def _noisy(truth: np.ndarray) -> np.ndarray:
    return truth + UNIT_NOISE * np.random.default_rng(0).standard_normal(truth.shape)


def psnr(case: Case, mean: np.ndarray) -> float:
    """In dB, values clipped to the range of the picture; all pixels but the border of ``scored``."""
    if case.luma:
        inside = (slice(UPSCALE_BORDER, -UPSCALE_BORDER),) * 2
        error = (rgb2ycbcr(mean)[..., 0] - rgb2ycbcr(case.truth)[..., 0])[inside]
    else:
        error = np.clip(mean.astype(np.float64), 0, case.peak) - case.truth
        error = error[case.scored] if isinstance(case.scored, tuple) else error
    return float(10 * np.log10(case.peak**2 / np.mean(error**2)))


def measure(data: str, make: str, name: str, side: int, options: dict[str, Any]) -> dict[str, Any]:
    """Restore and score.

    Returns
    -------
    dict
        ``psnr`` in dB; ``coverage``, the share of true values inside 90% intervals, or None without intervals;
        ``cpu_s``, user and system time of the call; ``wall_s``; ``peak_mib``, memory beyond that of the imports.
    """
    case: Case = globals()[make](Path(data), name, side)
    # Late imports would count as time and memory of the method.
    for module in pkgutil.walk_packages(bd.__path__, "bayesdip."):
        if module.name.split(".")[1] not in ("bench", "lab", "cli", "report", "comparison"):
            importlib.import_module(module.name)
    resident = _memory_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    begun, spent = time.perf_counter(), _cpu_seconds()
    r = case.call(*case.arguments, **case.options, **options)
    wall, spent = time.perf_counter() - begun, _cpu_seconds() - spent
    coverage = None
    if r.std is not None:
        low, high = r.interval(LEVEL)
        coverage = float(((low <= case.truth) & (case.truth <= high))[case.scored].mean())
    return {
        "psnr": psnr(case, r.mean),
        "coverage": coverage,
        "cpu_s": round(spent, 2),
        "wall_s": round(wall, 2),
        "peak_mib": round(_memory_mib("VmHWM") - resident, 1),
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
    print(json.dumps(measure(**json.load(sys.stdin))), flush=True)
