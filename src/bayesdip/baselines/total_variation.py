"""Total variation (Rudin, Osher, Fatemi, Physica D 1992), for all four tasks."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.baselines.baseline import Baseline, task_of
from bayesdip.baselines.conversions import filled, noise_level, to_array, to_tensor
from bayesdip.operators import Operator
from bayesdip.problem import Problem

# Gradient steps with an operator, and steps of the dual algorithm within each of them and for denoising alone.
ITERATIONS, INNER_ITERATIONS, DENOISING_ITERATIONS = 60, 25, 200
# Of the power iteration; its result is raised by MARGIN, for it comes from below.
POWER_ITERATIONS, MARGIN = 12, 1.05
# Exact data are fitted as if they had noise of this share of their range: some smoothing fills holes better.
LEAST_NOISE = 0.01


def total_variation(problem: Problem, value: float) -> Tensor:
    """The picture of weight ``value sigma`` on its total variation.

    Denoising is one call of scikit-image's dual algorithm (Chambolle, J. Math. Imaging Vis. 2004). With an
    operator it is the proximal step of an accelerated gradient method (FISTA, Beck and Teboulle, SIAM J.
    Imaging Sci. 2009).
    """
    weight = value * max(noise_level(problem), LEAST_NOISE)
    operator, data = problem.operator, filled(problem)
    task = task_of(operator)
    if task == "denoise":
        return _proximal(data, weight, DENOISING_ITERATIONS)
    y = torch.where(operator.observed, problem.y.cpu().double(), 0.0)
    step = 1 / (MARGIN * _largest_eigenvalue(operator))
    x = _enlarged(data, operator) if task == "upscale" else data
    z, inertia = x, 1.0
    for _ in range(ITERATIONS):
        gradient = operator.adjoint(operator.forward(z) - y)
        previous, x = x, _proximal(z - step * gradient, step * weight, INNER_ITERATIONS)
        following = (1 + (1 + 4 * inertia**2) ** 0.5) / 2
        z = x + (inertia - 1) / following * (x - previous)
        inertia = following
    return x


def _proximal(picture: Tensor, weight: float, iterations: int) -> Tensor:
    """The picture nearest to this one under `weight` on its total variation."""
    from skimage.restoration import denoise_tv_chambolle

    smooth = denoise_tv_chambolle(  # type: ignore[no-untyped-call]
        to_array(picture), weight=weight, max_num_iter=iterations, channel_axis=-1
    )
    return to_tensor(smooth)


def _enlarged(small: Tensor, operator: Operator) -> Tensor:
    rows, columns = operator.input_shape
    large: Tensor = torch.nn.functional.interpolate(small[None], (rows, columns), mode="bilinear")
    return large[0]


def _largest_eigenvalue(operator: Operator) -> float:
    """Of ``A^T A``, by power iteration."""
    generator = torch.Generator().manual_seed(0)
    channels = operator.input_channels or 1
    x = torch.randn(channels, *operator.input_shape, generator=generator, dtype=torch.float64)
    for _ in range(POWER_ITERATIONS):
        x = x / x.norm()
        x = operator.adjoint(operator.forward(x))
    return float(x.norm())


BASELINES = (
    Baseline(
        "tv",
        ("denoise", "inpaint", "upscale", "deblur"),
        total_variation,
        "skimage.restoration.denoise_tv_chambolle",
        # Up to what is too smooth for noise of a tenth of the range on the tests' pictures; the least are for exact data.
        values=(0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 1.2),
        default=0.7,
        unit="sigma",
    ),
)
