"""What ended with a traceback, or with an error of another library."""

from __future__ import annotations

import numpy as np

import bayesdip as bd
from benchmarks.field_cases.case import RMS, Case, Check, psnr
from benchmarks.field_cases.measurements import Matrix
from benchmarks.field_cases.simple import eight_bits, non_local_means
from benchmarks.field_cases.source import crop, generator

KIND = "crashes"


def laplace() -> Case:
    """``noise=Laplace()`` on a picture of 64 pixels."""
    truth = crop("camera", 100, 150, 64)
    given = eight_bits(truth + generator(0).laplace(0, 10, truth.shape))
    return Case(
        run=lambda: bd.denoise(given, noise=bd.Laplace(10.0), effort="fast", time_budget=60.0),
        truth=truth,
        given=given,
        rival=lambda: non_local_means(given, 14.0),
        rival_name="non-local means",
        measure=psnr(),
    )


def complex_picture() -> list[str]:
    """A picture of complex numbers: restored, or refused in one line that says what to do."""
    rng = generator(15)
    picture = crop("camera", 0, 128, 32) / 255.0 * np.exp(0.3j)
    noisy = picture + 0.05 * (rng.normal(size=picture.shape) + 1j * rng.normal(size=picture.shape))
    try:
        restored = bd.denoise(noisy)
    except bd.BayesDipError as error:
        one_line = "\n" not in str(error)
        return [] if one_line and "complex" in str(error) else [f"the refusal is no clear line: {error}"]
    kept = np.iscomplexobj(restored.mean)
    return [] if kept else ["the imaginary part was lost without a word"]


def differences() -> Case:
    """Differences of neighbours, of a signal and so of no constant; its first value is told."""
    n = 64
    t = np.linspace(0, 1, n)
    truth = 1 + np.sin(7 * t) * t
    matrix = np.diff(np.eye(n), axis=0)
    given = matrix @ truth + generator(0).normal(0, 0.01, n - 1)
    centred = truth - truth.mean()

    def summed() -> np.ndarray:
        values = np.concatenate([[0.0], np.cumsum(given)])
        return values - values.mean()

    def run() -> object:
        restored = bd.restore(given, Matrix(matrix), bd.Gaussian(0.01))
        return _Centred(restored)

    return Case(
        run=run, truth=centred, rival=summed, rival_name="least squares", measure=RMS
    )  # fmt: skip


class _Centred:
    """A restoration whose mean counts up to a constant, which differences do not see."""

    std = None

    def __init__(self, restored: object) -> None:
        self.mean = restored.mean - restored.mean.mean()  # type: ignore[attr-defined]
        self.method = getattr(restored, "method", None) or restored.settings["method"]  # type: ignore[attr-defined]
        self.findings = getattr(restored, "findings", ())


CASES = {
    "Laplace noise": laplace,
    "a complex picture": lambda: Check(complex_picture),
    "differences, which see no constant": differences,
}
