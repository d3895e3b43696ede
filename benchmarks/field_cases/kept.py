"""What was good, and has to stay so; and shapes and types at the edge."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import savgol_filter

import bayesdip as bd
from benchmarks.field_cases.case import RMS, Case, Check
from benchmarks.field_cases.simple import Array, eight_bits, non_local_means
from benchmarks.field_cases.source import crop, generator

KIND = "kept good"


def heartbeat() -> Case:
    """A series of whole numbers like an ECG, noise of 12."""
    rng, n = generator(0), 600
    t = np.arange(n)
    truth = 20 * np.sin(t / 170)
    for beat in range(60, n, 170):
        truth += 25 * np.exp(-(((t - beat + 28) / 9) ** 2)) + 260 * np.exp(-(((t - beat) / 3.2) ** 2))
        truth += -70 * np.exp(-(((t - beat - 8) / 4) ** 2)) + 55 * np.exp(-(((t - beat - 55) / 18) ** 2))
    given = np.rint(truth + rng.normal(0, 12, n)).astype(np.int32)
    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        given=given,
        rival=lambda: savgol_filter(given.astype(float), 11, 3),
        rival_name="Savitzky-Golay",
        measure=RMS,
    )


def scanned_page() -> Case:
    """Text with noise of 14, 8 bits."""
    truth = crop("page", 20, 60, 96)
    given = eight_bits(truth + generator(28).normal(0, 14, truth.shape))
    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        given=given,
        rival=lambda: non_local_means(given, 14.0),
        rival_name="non-local means, sigma told",
        intervals=True,
    )


def volume() -> Case:
    """A stack of smooth slices of 16 bits with noise of 40."""
    cell = crop("cell", 200, 200, 48).astype(np.float64)
    truth = np.stack([400 + 8 * gaussian_filter(cell, abs(z - 2) + 0.3) for z in range(5)])
    noisy = truth + generator(4).normal(0, 40, truth.shape)
    given = np.clip(noisy, 0, 65535).astype(np.uint16)
    return Case(
        run=lambda: bd.denoise(given),
        truth=truth,
        given=given,
        rival=lambda: gaussian_filter(given.astype(float), (0.5, 1, 1)),
        rival_name="Gaussian filter",
        measure=RMS,
        intervals=True,
    )


SHAPES = ((1, 1), (1, 7), (2, 2), (3, 5), (8, 8), (12, 12), (16, 120), (1, 300), (3, 400))


def shapes() -> list[str]:
    """Very small and very narrow pictures: restored, or refused in one line."""
    rng, inputs = generator(20), {}
    for shape in SHAPES:
        y, x = np.mgrid[: shape[0], : shape[1]]
        noisy = 120 + 60 * np.sin(x / 9) + 10 * y + rng.normal(0, 10, shape)
        inputs[f"{shape[0]} x {shape[1]}"] = np.clip(noisy, 0, 255).astype(np.uint8)
    return tried(inputs, {})


def types() -> list[str]:
    """Constant pictures, extreme values, unusual types: restored, or refused in one line."""
    rng, ramp = generator(20), np.mgrid[:40, :40][0].astype(float)
    noise = rng.normal(size=ramp.shape)
    unit = ramp / 40 + 0.05 * noise
    inputs = {
        "constant": np.full((40, 40), 7.5),
        "zeros": np.zeros((40, 40), np.uint8),
        "bool": rng.random((40, 40)) < 0.5,
        "int32": (ramp * 1e6 - 2**30 + 1e5 * noise).astype(np.int32),
        "uint32": (ramp * 9e7 + 1e6 * noise + 1e7).astype(np.uint32),
        "large int64": (2**60 + ramp * 2**10 + 500 * noise).astype(np.int64),
        "float16": unit.astype(np.float16),
        "1e-30": unit * 1e-30,
        "1e30": unit * 1e30,
        "1e300": unit * 1e300,
        "offset": 1e7 + unit,
        "offset of float32": (1e7 + 20 * ramp + 5 * noise).astype(np.float32),
        "big-endian": (ramp * 900 + 500 * noise + 3000).astype(">i2"),
        "Fortran order": np.asfortranarray(ramp + 3 * noise),
        "objects": np.array([1, "a"], dtype=object),
        "a scalar": np.float64(3),
        "empty": np.zeros((0, 5)),
    }
    # A result may not be worse than what went in; for these the ramp is the truth.
    scales = {"1e-30": 1e-30, "1e30": 1e30, "1e300": 1e300, "float16": 1.0}
    return tried(inputs, {name: ramp / 40 * scale for name, scale in scales.items()})


def tried(inputs: dict[str, Array], truths: dict[str, Array]) -> list[str]:
    """What is wrong: an alien error, another shape, a value that is not finite, or more error than before."""
    wrong = []
    for name, given in inputs.items():
        try:
            mean = bd.denoise(given, effort="fast").mean
        except bd.BayesDipError as error:
            if "\n" in str(error):
                wrong.append(f"{name}: more than a line")
            continue
        except Exception as error:  # what is measured is whether there is one
            wrong.append(f"{name}: {type(error).__name__}")
            continue
        if mean.shape != np.shape(given) or not np.isfinite(mean.astype(float)).all():
            wrong.append(f"{name}: {mean.shape}, or not finite")
        elif name in truths:
            scale = np.abs(truths[name]).max()
            before, after = (
                np.std(a / scale - truths[name] / scale) for a in (given.astype(float), mean.astype(float))
            )
            if after > before:
                wrong.append(f"{name}: worse than what went in")
    return wrong


def read_only() -> list[str]:
    """An array that cannot be written to, and one with negative strides; neither is changed."""
    given = eight_bits(crop("camera", 0, 0, 40) + generator(0).normal(0, 20, (40, 40)))[::-1]
    given.setflags(write=False)
    kept = given.copy()
    bd.denoise(given, effort="fast")
    return [] if np.array_equal(kept, given) else ["the input was changed"]


CASES = {
    "a heartbeat of whole numbers": heartbeat,
    "a scanned page": scanned_page,
    "a stack of slices": volume,
    "very small and narrow pictures": lambda: Check(shapes),
    "unusual types": lambda: Check(types),
    "a read-only array": lambda: Check(read_only),
}
