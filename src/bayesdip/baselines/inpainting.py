"""Inpainting by partial differential equations. Known pixels stay as they are, noise included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.baselines.baseline import Baseline
from bayesdip.baselines.conversions import to_array, to_tensor
from bayesdip.problem import Problem

Array = NDArray[Any]

# Levels of the whole numbers that OpenCV is given: Telea's method is far off in floating point (OpenCV 5.0).
LEVELS = 65535
# Radii (pixels) that are tried: OpenCV's own example takes 3.
RADII = (1.0, 2.0, 3.0, 5.0)


def biharmonic(problem: Problem, value: float) -> Tensor:
    """Biharmonic functions in the holes (Damelin and Hoang, Int. J. Math. Math. Sci. 2018)."""
    from skimage.restoration import inpaint_biharmonic

    return _by_channel(problem, inpaint_biharmonic)


def navier_stokes(problem: Problem, value: float) -> Tensor:
    """Isophotes carried on as in fluid dynamics (Bertalmio, Bertozzi, Sapiro, CVPR 2001), within ``value`` pixels."""
    return _opencv(problem, value, "INPAINT_NS")


def telea(problem: Problem, value: float) -> Tensor:
    """Fast marching from the border inwards (Telea, J. Graphics Tools 2004), within ``value`` pixels."""
    return _opencv(problem, value, "INPAINT_TELEA")


def _opencv(problem: Problem, radius: float, flag: str) -> Tensor:
    import cv2

    def fill(data: Array, missing: Array) -> Array:
        low, span = data.min(), max(float(data.max() - data.min()), 1e-12)
        levels = np.rint((data - low) / span * LEVELS).astype(np.uint16)
        full = cv2.inpaint(levels, missing.astype(np.uint8), radius, getattr(cv2, flag))
        return np.asarray(low + span * full.astype(np.float64) / LEVELS)

    return _by_channel(problem, fill)


def _by_channel(problem: Problem, fill: Callable[[Array, Array], Array]) -> Tensor:
    """Every channel by itself, with its own missing pixels."""
    known = to_array(problem.operator.observed.expand(problem.y.shape)) > 0
    data = np.where(known, to_array(problem.y), 0.0)
    full = [fill(data[..., c], ~known[..., c]) for c in range(data.shape[-1])]
    return to_tensor(np.where(known, data, np.stack(full, axis=-1)))


BASELINES = (
    Baseline("biharmonic", ("inpaint",), biharmonic, "skimage.restoration.inpaint_biharmonic"),
    Baseline("navier-stokes", ("inpaint",), navier_stokes, "cv2.inpaint", RADII, 3.0, "pixels", needs="cv2"),
    Baseline("telea", ("inpaint",), telea, "cv2.inpaint", RADII, 3.0, "pixels", needs="cv2"),
)
