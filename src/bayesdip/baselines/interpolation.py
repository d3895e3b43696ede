"""Enlarging by interpolation, without knowledge of how the picture was made small."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bayesdip.baselines.baseline import Baseline
from bayesdip.baselines.conversions import Floats, by_channel, filled, to_array, to_tensor
from bayesdip.problem import Problem


def lanczos(problem: Problem, value: float) -> Tensor:
    """Windowed sinc with three lobes (Duchon, J. Appl. Meteorol. 1979)."""
    return _resized(problem, "LANCZOS")


def bicubic(problem: Problem, value: float) -> Tensor:
    """Cubic convolution with a = -1/2 (Keys, IEEE Trans. ASSP 1981)."""
    return _resized(problem, "BICUBIC")


def _resized(problem: Problem, name: str) -> Tensor:
    from PIL import Image

    rows, columns = problem.grid

    def enlarge(channel: Floats) -> Floats:
        small = Image.fromarray(channel.astype(np.float32))
        return np.asarray(small.resize((columns, rows), Image.Resampling[name]), dtype=np.float64)

    return to_tensor(by_channel(to_array(filled(problem)), enlarge))


BASELINES = (
    Baseline("lanczos", ("upscale",), lanczos, "PIL.Image.resize"),
    Baseline("bicubic", ("upscale",), bicubic, "PIL.Image.resize"),
)
