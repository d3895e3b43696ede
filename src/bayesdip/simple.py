"""What costs next to nothing: simple estimates, against which every method is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip import simple_process
from bayesdip.edgeless_process import EdgelessProcess, edgeless_process
from bayesdip.gp import kriging
from bayesdip.gp.kriging_deviation import deviation, nugget
from bayesdip.interruption import look
from bayesdip.membrane import filled_by, harmonic
from bayesdip.operators import Downsample, Identity, Mask
from bayesdip.operators.part import blur_of
from bayesdip.problem import Problem
from bayesdip.simple_process import is_small_stack, is_strong

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Missing pixels that hang together are solved for by a sparse factorisation up to so many; its time and memory grow
# faster than they do, the faster the more axes there are. Beyond that harmonic functions stand, which need neither.
MOST_UNKNOWNS = {2: 60_000, 3: 3_000}
# Seconds for each of them, at most, measured in holes of 50x50 to 200x200 pixels; scattered ones take a fifth of it.
SECONDS_EACH = 2e-5


def can_be_kriged(problem: Problem) -> bool:
    """Whether kriging costs little: signals, and so few known values of a picture.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    bool
    """
    known = problem.whole.observed.flatten(1).sum(1)
    few = len(problem.grid) == 1 or int(known.max()) <= kriging.MOST_KNOWN
    return few and int(problem.observed.flatten(1).sum(1).min()) >= kriging.FEWEST_KNOWN


@dataclass(frozen=True)
class Simple:
    """A simple estimate.

    Attributes
    ----------
    name : str
    estimate : callable
        From a problem to the picture, float64 (C, *grid), or None where it has no answer.
    fills : bool
        Whether it says something of missing pixels alone, and leaves observed ones as they are.
    std : callable
        From a problem to the standard deviation of the picture, (C, *grid), or None where it has none.
    noise : callable
        From a problem to the variance of the white noise that it finds on the data of each channel, (C,), or None.
    is_certain : callable
        Whether, as `estimate` has found, the evidence is for it already, before any held-out data.
    expected_square : callable
        From a problem, and the estimate of it, to the mean squared error that it expects of itself, where the noise hides that of
        the held-out data; else None.
    """

    name: str
    estimate: Callable[[Problem], Tensor | None]
    fills: bool = False
    std: Callable[[Problem], Tensor | None] = lambda problem: None
    noise: Callable[[Problem], Tensor | None] = lambda problem: None
    is_certain: Callable[[], bool] = lambda: False
    expected_square: Callable[[Problem, Tensor], float | None] = lambda problem, picture: None


def simple_estimates(problem: Problem) -> tuple[Simple, ...]:
    """The simple estimates for such data.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    tuple of Simple
        For missing pixels two or three ways to fill them in, for noise a stationary process, for a small picture bicubic
        interpolation, for a blurred one the data as they are. None for other operators.
    """
    operator = problem.whole.operator
    seen = problem.observed.flatten(1)
    if not bool(seen.any(1).all()):
        return ()
    if isinstance(operator, Downsample):
        return (Simple("bicubic interpolation", bicubic),)
    if blur_of(operator) is not None:
        return (Simple("the data as they are", data_as_they_are),)
    if isinstance(operator, Identity):
        return () if problem.noise.is_exact else (_stationary_process(problem),)
    if not isinstance(operator, Mask):
        return ()
    smooth = (_kriging(problem),) if can_be_kriged(problem) else ()
    if len(problem.grid) == 1:
        return _filler("Akima interpolation", akima), _filler("linear interpolation", linear), *smooth
    return _filler("biharmonic filling", biharmonic), _filler("harmonic filling", harmonic), *smooth


def _stationary_process(problem: Problem) -> Simple:
    name = "a stationary process"
    strong = is_strong(problem)
    if strong or is_small_stack(problem):
        likeliest = simple_process.Likeliest(problem)
        found = Simple(name, likeliest.estimate, std=likeliest.std)
        return replace(found, expected_square=likeliest.expected_square) if strong else found
    process = edgeless_process(problem)
    if process is None:
        return Simple(name, simple_process.usual)
    edgeless = EdgelessProcess(problem, process)
    return Simple(name, edgeless.estimate, std=edgeless.std, is_certain=lambda: True)


def _kriging(problem: Problem) -> Simple:
    """Each channel's kernel is learnt once, from these data, when it is asked for the first time."""
    models: list[kriging.Fitted] = []

    def channels(wanted: Problem) -> list[tuple[kriging.Fitted, Array, Bools]]:
        if not models:
            y, missing = _data_and_missing(problem)
            models.extend(kriging.learnt_from(*channel) for channel in zip(y, missing, strict=True))
        return list(zip(models, *_data_and_missing(wanted), strict=True))

    def estimate(wanted: Problem) -> Tensor:
        return torch.from_numpy(np.stack([kriging.filled(*channel) for channel in channels(wanted)]))

    def std(wanted: Problem) -> Tensor | None:
        found = [deviation(*channel) for channel in channels(wanted)]
        full = [each for each in found if each is not None]
        return torch.from_numpy(np.stack(full)) if len(full) == len(found) else None

    def noise(wanted: Problem) -> Tensor:
        return torch.tensor([nugget(*channel) for channel in channels(wanted)], dtype=torch.float64)

    def is_smooth() -> bool:
        return bool(models) and all(model.is_smooth for model in models)

    return Simple("kriging", estimate, True, std, noise, is_smooth)


def _filler(name: str, fill: Callable[[Array, Bools], Array]) -> Simple:
    return Simple(name, lambda problem: filled(problem, fill), fills=True)


def filled(problem: Problem, fill: Callable[[Array, Bools], Array]) -> Tensor:
    """The data filled in channel by channel, each with its own missing entries: (C, *operator.output_shape)."""
    data, missing = (torch.from_numpy(part) for part in _data_and_missing(problem))
    return filled_by(fill, data, missing)


def _data_and_missing(problem: Problem) -> tuple[Array, Bools]:
    missing = ~problem.observed.cpu().numpy()
    return np.where(missing, 0.0, problem.y.double().cpu().numpy()), missing


def data_as_they_are(problem: Problem) -> Tensor:
    """The data, (C, *operator.output_shape); harmonic functions where they are not observed."""
    return filled(problem, harmonic)


def bicubic(problem: Problem) -> Tensor:
    """Bicubic interpolation of the small picture, (C, *grid)."""
    from scipy.ndimage import zoom

    small = data_as_they_are(problem).numpy()
    factors = [n / m for n, m in zip(problem.grid, small.shape[1:], strict=True)]
    large = [zoom(x, factors, order=3, mode="nearest", grid_mode=True) for x in small]
    return torch.from_numpy(np.stack(large))


def linear(y: Array, missing: Bools) -> Array:
    """Straight lines between the known values of a signal; its ends stay constant."""
    at = np.arange(len(y))
    return np.interp(at, at[~missing], y[~missing])


def akima(y: Array, missing: Bools) -> Array:
    """Piecewise cubics that do not overshoot (Akima, J. ACM 1970); beyond the ends constant."""
    from scipy.interpolate import Akima1DInterpolator

    at, known = np.arange(len(y)), np.flatnonzero(~missing)
    if len(known) < 2:
        return linear(y, missing)
    inside = np.clip(at, known[0], known[-1])
    return np.asarray(Akima1DInterpolator(known, y[known])(inside))


def biharmonic(y: Array, missing: Bools) -> Array:
    """Biharmonic functions (Damelin and Hoang, Int. J. Math. Math. Sci. 2018); harmonic ones where a hole is very large."""
    from scipy.ndimage import label
    from skimage.restoration import inpaint_biharmonic

    numbers, _ = label(missing, np.ones((3,) * y.ndim, dtype=int))
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    large = sizes > MOST_UNKNOWNS[y.ndim]
    rest = large[numbers]
    if rest.any():
        y = harmonic(y, missing)
    if rest.all() or not (missing & ~rest).any():
        return y
    look(SECONDS_EACH * float((missing & ~rest).sum()))
    return np.asarray(inpaint_biharmonic(y, missing & ~rest), dtype=np.float64)
