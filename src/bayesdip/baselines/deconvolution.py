"""Deconvolution with a known point spread function: Wiener's filter and Richardson-Lucy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from bayesdip.baselines.baseline import Baseline
from bayesdip.baselines.conversions import Floats, by_channel, filled, to_array, to_tensor
from bayesdip.operators import Blur, Compose
from bayesdip.problem import Problem

# Richardson-Lucy is for positive data: smaller values are raised to this (the range is 1).
DARKEST = 1e-3


def wiener(problem: Problem, value: float) -> Tensor:
    """The linear estimate for a prior on the Laplacian of weight ``value`` (Hunt, IEEE Trans. Comput. 1973)."""
    from skimage.restoration import wiener as deconvolve

    return _deconvolved(problem, lambda data, psf: deconvolve(data, psf, value, clip=False))  # type: ignore[no-untyped-call]


def richardson_lucy(problem: Problem, value: float) -> Tensor:
    """Expectation-maximisation for counts (Richardson 1972, Lucy 1974), stopped after ``value`` iterations."""
    from skimage.restoration import richardson_lucy as deconvolve

    return _deconvolved(
        problem,
        lambda data, psf: deconvolve(  # type: ignore[no-untyped-call]
            np.maximum(data, DARKEST), psf, num_iter=int(value), clip=False, filter_epsilon=DARKEST
        ),
    )


def _deconvolved(problem: Problem, deconvolve: Callable[[Floats, Floats], Floats]) -> Tensor:
    """Every channel by itself, continued beyond its border as the operator does."""
    operator = problem.operator.inner if isinstance(problem.operator, Compose) else problem.operator
    assert isinstance(operator, Blur)  # `Baseline.applies` has seen to it
    psf = operator.psf.numpy()
    # Ringing from the ends of the continued picture dies out within some widths of the blur.
    margins = [2 * n for n in psf.shape]
    mode = "symmetric" if operator.boundary == "reflect" else "wrap"

    def apply(channel: Floats) -> Floats:
        wide = np.pad(channel, [(m, m) for m in margins], mode=mode)  # type: ignore[call-overload]
        return np.asarray(deconvolve(wide, psf))[margins[0] : -margins[0], margins[1] : -margins[1]]

    return to_tensor(by_channel(to_array(filled(problem)), apply))


# Both grids go in steps of about three, from too rough to too smooth for the blurs of the tests.
BASELINES = (
    Baseline(
        "wiener",
        ("deblur",),
        wiener,
        "skimage.restoration.wiener",
        values=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        default=0.1,
        unit="balance",
    ),
    Baseline(
        "richardson-lucy",
        ("deblur",),
        richardson_lucy,
        "skimage.restoration.richardson_lucy",
        values=(3.0, 10.0, 30.0, 100.0),
        default=30.0,
        unit="iterations",
    ),
)
