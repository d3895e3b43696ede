"""Noise that is smooth, in streaks, or falls with frequency: taken for white, estimated, and with its covariance known."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import bayesdip as bd
from bayesdip.lab.results import Row
from benchmarks.holes import Pixels, pictures
from benchmarks.measurement import timed
from benchmarks.options import Options
from benchmarks.pictures import psnr
from benchmarks.results import Results, Target

Array = NDArray[np.float64]

SIDE, SIGMA, REACH, TORUS = 128, 20.0, 16, 256
# Largest mean loss against the known covariance, dB.
LOSS = 0.5


def spectra() -> dict[str, Array]:
    """Power at the frequencies of a torus."""
    f = np.fft.fftfreq(TORUS)
    row, column = f[:, None], f[None]
    length = np.hypot(row, column)
    length[0, 0] = length[0, 1]
    return {
        "smooth": np.exp(-((2 * np.pi * length) ** 2)),  # of a Gaussian filter of one pixel
        "streaks": np.exp(-((2 * np.pi * 4 * column) ** 2)) * np.ones_like(row),  # of four pixels along rows
        "1/f": 1 / length,
    }


def run(results: Results, options: Options) -> None:
    """A row for each picture, made half as large, and spectrum."""
    torch.set_num_threads(1)
    for number, (name, picture) in enumerate(pictures(options)):
        small = Image.fromarray(picture).convert("L")
        small = small.resize((small.width // 2, small.height // 2), Image.Resampling.BOX)
        side = min(options.crop or SIDE, *small.size)
        clean = np.asarray(small)[:side, :side]
        for spectrum, power in spectra().items():
            key: Row = {"picture": name, "spectrum": spectrum}
            if not results.has(**key):
                results.add(key | measured(clean, power, options, number))
    if results.rows:
        conclude(results)


def measured(clean: Pixels, power: Array, options: Options, number: int) -> Row:
    """PSNR of what was given, and of it denoised by each way of saying what the noise is."""
    known = bd.noise.Correlated.of_spectrum(power, SIGMA, REACH)
    generator = torch.Generator().manual_seed(1000 * options.seed + number)
    given = known.sample(torch.from_numpy(clean.astype(np.float64))[None], generator)[0].numpy()
    given = np.clip(np.rint(given), 0, 255)
    row: Row = {"input": psnr(given, clean)}
    ways = {
        "white": {"sigma": SIGMA},
        "known": {"noise": known},
        "estimated": {"noise": bd.noise.Correlated.estimated(given)},
        "auto": {},
    }
    with timed() as clock:
        for way, said in ways.items():
            found = bd.denoise(given, effort=options.effort, seed=options.seed, **said)
            low, high = found.interval(0.9)
            row[way] = psnr(found.mean, clean)
            row[f"coverage_{way}"] = float(((low <= clean) & (clean <= high)).mean())
            row["recognised"] = "correlated noise" in [finding.kind for finding in found.findings]
    return row | {"cpu_seconds": round(clock.cpu, 2)}


def conclude(results: Results) -> None:
    """Means of each spectrum."""
    facts: Row = {}
    targets = []
    for spectrum in spectra():
        rows = [row for row in results.rows if row["spectrum"] == spectrum]
        if not rows:
            continue
        means = {
            way: float(np.mean([row[way] for row in rows])) for way in ("white", "known", "estimated", "auto")
        }
        facts |= {f"{spectrum} {way}": round(value, 2) for way, value in means.items()}
        facts[f"{spectrum} recognised"] = sum(bool(row["recognised"]) for row in rows)
        targets.append(
            Target(f"{spectrum}: loss by the estimate, dB", means["known"] - means["estimated"], most=LOSS)
        )
    targets.append(Target("90% intervals hold, known", results.mean("coverage_known"), least=0.88, most=0.92))
    results.conclude(targets, **facts)
