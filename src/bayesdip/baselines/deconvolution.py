"""Undoing a known blur: Wiener's filter and Richardson-Lucy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from bayesdip.baselines.baseline import Baseline, Floats, by_channel, to_array, to_tensor
from bayesdip.baselines.filling import filled
from bayesdip.errors import BayesDipError
from bayesdip.operators import Blur, Compose
from bayesdip.problem import Problem

# Richardson-Lucy is for light: data below this are raised to it.
DARKEST = 1e-3


def wiener(problem: Problem, value: float) -> Tensor:
    """The linear estimate for a prior on the Laplacian, of weight ``value``."""
    from skimage.restoration import wiener as skimage_wiener

    return _deblurred(
        problem,
        lambda data, psf: skimage_wiener(data, psf, value, clip=False),  # type: ignore[no-untyped-call]
    )


def richardson_lucy(problem: Problem, value: float) -> Tensor:
    """Expectation-maximisation for counts, stopped after ``value`` iterations."""
    from skimage.restoration import richardson_lucy as skimage_richardson_lucy

    return _deblurred(
        problem,
        lambda data, psf: skimage_richardson_lucy(  # type: ignore[no-untyped-call]
            np.maximum(data, DARKEST), psf, num_iter=int(value), clip=False, filter_epsilon=DARKEST
        ),
    )


def _deblurred(problem: Problem, deconvolve: Callable[[Floats, Floats], Floats]) -> Tensor:
    """Every channel by itself, continued beyond its border as the operator has it."""
    operator = problem.operator.inner if isinstance(problem.operator, Compose) else problem.operator
    if not isinstance(operator, Blur):
        raise BayesDipError(f"{operator!r} is no blur: expected one with a known point spread function")
    psf = operator.psf.numpy()
    # Ringing from the ends of the continued picture dies out within some widths of the blur.
    margins = [2 * n for n in psf.shape]
    mode = "symmetric" if operator.boundary == "reflect" else "wrap"

    def apply(channel: Floats) -> Floats:
        wide = np.pad(channel, [(m, m) for m in margins], mode=mode)  # type: ignore[call-overload]
        return np.asarray(deconvolve(wide, psf))[margins[0] : -margins[0], margins[1] : -margins[1]]

    return to_tensor(by_channel(to_array(filled(problem)), apply))


BASELINES = (
    Baseline(
        "wiener",
        ("deblur",),
        wiener,
        "balance",
        (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        0.1,
        "skimage.restoration.wiener",
    ),
    Baseline(
        "richardson-lucy",
        ("deblur",),
        richardson_lucy,
        "iterations",
        (3.0, 10.0, 30.0, 100.0),
        30.0,
        "skimage.restoration.richardson_lucy",
    ),
)
