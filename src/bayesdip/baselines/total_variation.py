"""Total variation (Rudin, Osher, Fatemi 1992), for all four tasks."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.baselines.baseline import Baseline, noise_level, task_of, to_array, to_tensor
from bayesdip.baselines.filling import filled
from bayesdip.operators import Operator
from bayesdip.problem import Problem

ITERATIONS, INNER_ITERATIONS = 60, 25
POWER_STEPS = 12
# Data without noise are fitted as if they had noise of this share of their range.
EXACT = 0.01


def total_variation(problem: Problem, value: float) -> Tensor:
    """The picture of weight ``value sigma`` on its total variation.

    Denoising is one call of scikit-image's dual algorithm (Chambolle 2004). With an operator it
    is the proximal step of an accelerated gradient method (FISTA, Beck and Teboulle 2009).
    """
    weight = value * max(noise_level(problem), EXACT)
    operator = problem.operator
    task = task_of(operator)
    data = filled(problem)
    if task == "denoise":
        return _smoothed(data, weight)
    y = torch.where(operator.observed, problem.y.cpu().double(), 0.0)
    step = 1 / _norm(operator)
    x = data if task != "upscale" else _enlarged(data, operator)
    z, inertia = x, 1.0
    for _ in range(ITERATIONS):
        nearer = z - step * operator.adjoint(operator.forward(z) - y)
        previous, x = x, _smoothed(nearer, step * weight, INNER_ITERATIONS)
        following = (1 + (1 + 4 * inertia**2) ** 0.5) / 2
        z = x + (inertia - 1) / following * (x - previous)
        inertia = following
    return x


def _smoothed(picture: Tensor, weight: float, most: int = 200) -> Tensor:
    from skimage.restoration import denoise_tv_chambolle

    smooth = denoise_tv_chambolle(  # type: ignore[no-untyped-call]
        to_array(picture), weight=weight, max_num_iter=most, channel_axis=-1
    )
    return to_tensor(smooth)


def _enlarged(small: Tensor, operator: Operator) -> Tensor:
    size = operator.input_shape
    large: Tensor = torch.nn.functional.interpolate(
        small[None], (size[0], size[1]), mode="bilinear", antialias=False
    )
    return large[0]


def _norm(operator: Operator) -> float:
    """The largest eigenvalue of ``A^T A``, by power iteration, with a margin."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, *operator.input_shape, generator=generator, dtype=torch.float64)
    for _ in range(POWER_STEPS):
        x = x / x.norm()
        x = operator.adjoint(operator.forward(x))
    return 1.05 * float(x.norm())


BASELINES = (
    Baseline(
        "tv",
        ("denoise", "inpaint", "upscale", "deblur"),
        total_variation,
        "sigma",
        (0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 1.2),
        0.7,
        "skimage.restoration.denoise_tv_chambolle",
    ),
)
