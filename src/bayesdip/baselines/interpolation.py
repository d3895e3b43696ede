"""Enlarging by interpolation, which knows nothing of how the picture was made small."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bayesdip.baselines.baseline import Baseline, Floats, by_channel, to_array, to_tensor
from bayesdip.baselines.filling import filled
from bayesdip.problem import Problem


def lanczos(problem: Problem, value: float) -> Tensor:
    """Three lobes."""
    return _resized(problem, "LANCZOS")


def bicubic(problem: Problem, value: float) -> Tensor:
    """Keys' cubic with a = -1/2."""
    return _resized(problem, "BICUBIC")


def _resized(problem: Problem, name: str) -> Tensor:
    from PIL import Image

    rows, columns = problem.grid

    def enlarge(channel: Floats) -> Floats:
        small = Image.fromarray(channel.astype(np.float32))
        return np.asarray(small.resize((columns, rows), Image.Resampling[name]), dtype=np.float64)

    return to_tensor(by_channel(to_array(filled(problem)), enlarge))


BASELINES = (
    Baseline("lanczos", ("upscale",), lanczos, "", (0.0,), 0.0, "PIL.Image.resize"),
    Baseline("bicubic", ("upscale",), bicubic, "", (0.0,), 0.0, "PIL.Image.resize"),
)
