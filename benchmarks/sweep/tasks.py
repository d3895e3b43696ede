"""Random problems of each task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve

import bayesdip as bd
from bayesdip.operators import from_function, from_matrix
from benchmarks.sweep.choices import Choices, arrays
from benchmarks.sweep.masks import random_mask
from benchmarks.sweep.noises import noisy, units_for
from benchmarks.sweep.problem import RandomProblem
from benchmarks.sweep.truths import Truth, Units, random_truth, random_units

Array = NDArray[Any]

FLAT = ("picture", "odd picture", "thin picture", "colour", "channels first")
FLOATS = (Units("float64", 0.0, 1.0), Units("float64", -300.0, 900.0), Units("float32", 1e-3, 2e-3))


def random_problem(choices: Choices, task: str | None = None) -> RandomProblem:
    """A problem of one of `TASKS`, or of the one that is named."""
    return TASKS[task or choices.one_of(ORDER)](choices)


def denoising(choices: Choices) -> RandomProblem:
    """Noise; sigma is estimated."""
    truth = random_truth(choices)
    last, noise = noisy(choices, truth.last)
    units = units_for(choices, noise)
    given = units.stored(units.of(truth.like(last)))
    return RandomProblem(
        task="denoise",
        words=_words(truth, units, noise),
        call=bd.denoise,
        arguments=(given,),
        options={"channel_axis": truth.channel_axis},
        truth=units.of(truth.unit),
        simple={"the data": lambda: given},
    )


def filling(choices: Choices) -> RandomProblem:
    """Missing pixels, and in half of the problems noise on the others."""
    truth, units = random_truth(choices), random_units(choices)
    last, noise = (
        noisy(choices, truth.last, ("white",)) if choices.one_of((True, False)) else (truth.last, "no noise")
    )
    given = units.stored(units.of(truth.like(last)))
    grid, channels = truth.grid, None if truth.channel_axis is None else truth.last.shape[-1]
    missing, mask = random_mask(choices, grid, channels)
    by_channel = missing.ndim > len(grid)
    shown = truth.like(missing) if by_channel else missing
    full = np.broadcast_to(missing if by_channel else missing[..., None], truth.last.shape)
    counted = truth.like(np.ascontiguousarray(full))
    blank = np.where(counted, 0, given).astype(given.dtype)
    return RandomProblem(
        task="inpaint",
        words=_words(truth, units, f"{mask}, {noise}"),
        call=bd.inpaint,
        arguments=(blank, shown),
        options={"channel_axis": truth.channel_axis},
        truth=units.of(truth.unit),
        counted=counted,
        simple={"biharmonic": lambda: units.stored(truth.like(_biharmonic(_last(blank, truth), full)))},
    )


def enlarging(choices: Choices) -> RandomProblem:
    """A picture made small by the filter that is told, in a third of the problems with noise."""
    truth, units, factor = (
        random_truth(choices, FLAT[:2] + FLAT[3:4]),
        random_units(choices),
        choices.whole(2, 3),
    )
    kind = choices.one_of(("lanczos", "bicubic", "area"))
    grid = tuple(n // factor * factor for n in truth.grid)
    large = truth.last[: grid[0], : grid[1]]
    small = bd.Downsample(grid, factor, kind).forward(np.moveaxis(large, -1, 0).copy())
    last = np.moveaxis(np.asarray(small), 0, -1)
    last, noise = (
        noisy(choices, last, ("white",)) if choices.one_of((True, False, False)) else (last, "no noise")
    )
    given = units.stored(units.of(truth.like(last)))

    def bicubic() -> Array:
        from skimage.transform import resize

        values = _last(given, truth).astype(np.float64)
        return units.stored(truth.like(resize(values, large.shape, order=3, mode="symmetric")))

    return RandomProblem(
        task="upscale",
        words=_words(truth, units, f"{kind} by {factor}, {noise}"),
        call=bd.upscale,
        arguments=(given, factor),
        options={"channel_axis": truth.channel_axis, "kind": kind},
        truth=units.of(truth.like(large)),
        simple={"bicubic": bicubic},
    )


def deblurring(choices: Choices) -> RandomProblem:
    """A Gaussian or motion blur, and a point spread function as it may be measured."""
    truth = random_truth(choices, FLAT[:2] + FLAT[3:])
    right, blur = _blur(choices)
    psf, measured = _measured(choices, right)
    soft = convolve(truth.last, right[..., None], mode="reflect")
    last, noise = noisy(choices, soft, ("white", "white", "Poisson"))
    units = units_for(choices, noise)
    given = units.stored(units.of(truth.like(last)))
    return RandomProblem(
        task="deblur",
        words=_words(truth, units, f"{blur}, PSF {measured}, {noise}"),
        call=bd.deblur,
        arguments=(given, psf),
        options={"channel_axis": truth.channel_axis},
        truth=units.of(truth.unit),
        simple={"the data": lambda: given},
    )


def _blur(choices: Choices) -> tuple[Array, str]:
    if choices.one_of((True, True, False)):
        width = choices.number(0.8, 2.0)
        y, x = np.mgrid[-6:7, -6:7]
        spread, words = np.exp(-(x**2 + y**2) / (2 * width**2)), f"Gaussian blur {width:.1f}"
    else:
        reach = choices.whole(2, 5)
        spread, words = np.zeros((13, 13)), f"motion of {2 * reach + 1} pixels"
        spread[6, 6 - reach : 7 + reach] = 1
    return spread / spread.sum(), words


def _measured(choices: Choices, right: Array) -> tuple[Array, str]:
    kind = choices.one_of(("right", "right", "off centre", "with background", "not normalised", "noisy"))
    if kind == "off centre":
        shift = (choices.whole(-3, 3), choices.whole(-3, 3))
        return np.roll(np.pad(right, 4), shift, (0, 1)), f"off centre by {shift}"
    if kind == "with background":
        return right + choices.number(0.005, 0.03) * right.max(), kind
    if kind == "noisy":
        return right + 0.005 * right.max() * arrays(choices).normal(size=right.shape), kind
    return (5e4 * right if kind == "not normalised" else right), kind


def measuring(choices: Choices) -> RandomProblem:
    """A general operator: random sums, differences, a part of the Fourier transform, or blur and mask together."""
    make: Callable[[Choices], RandomProblem] = choices.one_of(
        (_random_sums, _differences, _fourier, _blurred_holes)
    )
    return make(choices)


def _small(choices: Choices) -> tuple[Truth, Units]:
    truth = random_truth(choices, ("picture",))
    unit = truth.unit[:24, :24]
    words = " ".join([*truth.words.split()[:2], "x".join(map(str, unit.shape))])
    return Truth(unit, None, words), choices.one_of(FLOATS)


def _restoring(
    operator: Any, given: Array, sigma: float, truth: Array, words: str, simple: dict[str, Any], **more: Any
) -> RandomProblem:
    return RandomProblem(
        task="restore",
        words=words,
        call=bd.restore,
        arguments=(given, operator, bd.Gaussian(sigma)),
        truth=truth,
        simple=simple,
        **more,
    )


def _random_sums(choices: Choices) -> RandomProblem:
    truth, units = _small(choices)
    x, rng = units.of(truth.unit), arrays(choices)
    matrix = rng.normal(size=(int(choices.number(0.4, 0.9) * x.size), x.size))
    sigma = 0.01 * units.span * np.sqrt(x.size)
    given = matrix @ x.ravel() + sigma * rng.normal(size=len(matrix))

    def least_squares() -> Array:
        return np.linalg.lstsq(matrix, given, rcond=None)[0].reshape(x.shape)

    words = _words(truth, units, f"{len(matrix)} random sums")
    simple = {"least squares": least_squares}
    return _restoring(from_matrix(matrix, x.shape), given, sigma, x, words, simple)


def _differences(choices: Choices) -> RandomProblem:
    truth = random_truth(choices, ("signal",))
    units, rng = choices.one_of(FLOATS), arrays(choices)
    x = units.of(truth.unit)
    sigma = 0.01 * units.span
    matrix = np.diff(np.eye(x.size), axis=0)
    given = matrix @ x + sigma * rng.normal(size=len(matrix))
    words = _words(truth, units, "differences of neighbours")
    simple = {"least squares": lambda: np.concatenate([[0.0], np.cumsum(given)])}
    return _restoring(from_matrix(matrix), given, sigma, x, words, simple, up_to_a_constant=True)


def _fourier(choices: Choices) -> RandomProblem:
    truth, units = _small(choices)
    x, rng = units.of(truth.unit), arrays(choices)
    kept = rng.random(x.shape[1]) < choices.number(0.3, 0.7)
    kept[:2] = kept[-1:] = True
    kept = torch.from_numpy(kept)

    def forward(picture: torch.Tensor) -> torch.Tensor:
        seen = torch.fft.fft2(picture, norm="ortho")[..., kept]
        return torch.stack([seen.real, seen.imag], dim=-3)

    operator = from_function(forward, x.shape)
    clean = np.asarray(operator.forward(x[None]))[0]
    sigma = 0.01 * units.span
    given = clean + sigma * rng.normal(size=clean.shape)
    words = _words(truth, units, f"{int(kept.sum())} columns of the Fourier transform")
    simple = {"zero-filled": lambda: np.asarray(operator.adjoint(given[None]))[0]}
    return _restoring(operator, given, sigma, x, words, simple)


def _blurred_holes(choices: Choices) -> RandomProblem:
    truth, units = random_truth(choices, ("picture", "odd picture")), choices.one_of(FLOATS)
    x, (psf, blur), rng = units.of(truth.unit), _blur(choices), arrays(choices)
    missing, mask = random_mask(choices, truth.grid, None)
    sigma = 0.01 * units.span
    soft = convolve(x, psf, mode="reflect") + sigma * rng.normal(size=x.shape)
    operator = bd.Mask(torch.from_numpy(missing), x.shape) @ bd.Blur(x.shape, torch.from_numpy(psf))

    def biharmonic() -> Array:
        return _biharmonic(soft[..., None], missing[..., None])[..., 0]

    words = _words(truth, units, f"{blur}, {mask}")
    given = np.where(missing, 0, soft)
    return _restoring(operator, given, sigma, x, words, {"biharmonic": biharmonic})


def _last(values: Array, truth: Truth) -> Array:
    return values[..., None] if truth.channel_axis is None else np.moveaxis(values, truth.channel_axis, -1)


def _biharmonic(values: Array, missing: Array) -> Array:
    """Channel by channel, channels last."""
    from skimage.restoration import inpaint_biharmonic

    planes = [
        inpaint_biharmonic(values[..., c].astype(np.float64, order="C"), missing[..., c].copy(order="C"))
        for c in range(values.shape[-1])
    ]
    return np.stack(planes, axis=-1)


def _words(truth: Truth, units: Units, what: str) -> str:
    return f"{truth.words}, {units.dtype} {units.low:g}..{units.high:g}, {what}"


TASKS: dict[str, Callable[[Choices], RandomProblem]] = {
    "denoise": denoising,
    "inpaint": filling,
    "upscale": enlarging,
    "deblur": deblurring,
    "restore": measuring,
}
# How often each is drawn: what people do most comes most often.
ORDER = (
    "denoise",
    "denoise",
    "denoise",
    "inpaint",
    "inpaint",
    "inpaint",
    "upscale",
    "deblur",
    "deblur",
    "restore",
)
