"""Filling in: biharmonic functions, Navier-Stokes, and Telea's fast marching. Noise is not removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.baselines.baseline import Baseline, library, to_array, to_tensor
from bayesdip.problem import Problem

Array = NDArray[Any]

# OpenCV fills whole numbers well; in floating point, Telea's is far off (version 5.0).
LEVELS = 65535


def biharmonic(problem: Problem, value: float) -> Tensor:
    """Damelin and Hoang 2018: the fourth derivatives vanish in the holes."""
    from skimage.restoration import inpaint_biharmonic

    return _by_channel(
        problem,
        lambda data, gone: inpaint_biharmonic(data, gone),
    )


def navier_stokes(problem: Problem, value: float) -> Tensor:
    """Bertalmio, Bertozzi, Sapiro 2001, within ``value`` pixels."""
    return _opencv(problem, value, "INPAINT_NS")


def telea(problem: Problem, value: float) -> Tensor:
    """Telea 2004, within ``value`` pixels."""
    return _opencv(problem, value, "INPAINT_TELEA")


def _opencv(problem: Problem, radius: float, flag: str) -> Tensor:
    cv2 = library("cv2")

    def fill(data: Array, gone: Array) -> Array:
        low, span = data.min(), max(float(data.max() - data.min()), 1e-12)
        levels = np.rint((data - low) / span * LEVELS).astype(np.uint16)
        full = cv2.inpaint(levels, gone.astype(np.uint8), radius, getattr(cv2, flag))
        return np.asarray(low + span * full.astype(np.float64) / LEVELS)

    return _by_channel(problem, fill)


def _by_channel(problem: Problem, fill: Callable[[Array, Array], Array]) -> Tensor:
    """Every channel by itself, for its own missing pixels; the known ones stay."""
    known = to_array(problem.operator.observed.expand(problem.y.shape)) > 0
    data = to_array(problem.y)
    filled = [
        np.where(known[..., c], data[..., c], fill(np.where(known[..., c], data[..., c], 0), ~known[..., c]))
        for c in range(data.shape[-1])
    ]
    return to_tensor(np.stack(filled, axis=-1))


BASELINES = (
    Baseline(
        "biharmonic", ("inpaint",), biharmonic, "", (0.0,), 0.0, "skimage.restoration.inpaint_biharmonic"
    ),
    Baseline(
        "navier-stokes",
        ("inpaint",),
        navier_stokes,
        "pixels",
        (1.0, 2.0, 3.0, 5.0),
        3.0,
        "cv2.inpaint",
        needs="cv2",
    ),
    Baseline("telea", ("inpaint",), telea, "pixels", (1.0, 2.0, 3.0, 5.0), 3.0, "cv2.inpaint", needs="cv2"),
)
