"""What costs next to nothing: simple estimates, against which every method is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip import simple_process
from bayesdip.gp import kriging
from bayesdip.gp.kriging_deviation import deviation, nugget
from bayesdip.interruption import look
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
# Harmonic functions on a line or in a plane are factorised up to so many unknowns: three channels took 4 ms of processor time in
# scratches, and 40 in a hole of 140x140 pixels, where conjugate gradients took 30 and 180.
MOST_FACTORISED = 20_000
# Relative residual, and iterations, of the harmonic functions beyond.
TOLERANCE, MOST_ITERATIONS = 1e-4, 2000


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
    strong = is_strong(problem)
    if not (strong or is_small_stack(problem)):
        return Simple("a stationary process", simple_process.usual)
    process = simple_process.Likeliest(problem)
    found = Simple("a stationary process", process.estimate, std=process.std)
    return replace(found, expected_square=process.expected_square) if strong else found


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
    data, missing = _data_and_missing(problem)
    full = [fill(x, gone) if gone.any() else x for x, gone in zip(data, missing, strict=True)]
    return torch.from_numpy(np.stack(full))


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


def harmonic(y: Array, missing: Bools) -> Array:
    """The mean of the neighbours in every missing pixel: a membrane over the hole, which never leaves the known values' range."""
    look()
    if not missing.any():
        return y.copy()
    solve, known_beside = _membrane(missing.shape, np.packbits(missing).tobytes())
    right = known_beside @ y.ravel()
    full = y.copy()
    full[missing] = solve(right, float(y[~missing].mean()))
    return full


@lru_cache(maxsize=8)
def _membrane(shape: tuple[int, ...], packed: bytes) -> tuple[Callable[[Array, float], Array], Any]:
    """Of one mask: from the sums of each missing pixel's known neighbours, and a first guess, to its value; and what takes these sums.

    All channels of a picture have it, and a mask is filled in several times: the equations are factorised once.
    """
    from scipy.sparse import coo_matrix

    missing = np.unpackbits(np.frombuffer(packed, np.uint8), count=prod(shape)).reshape(shape) == 1
    places = np.argwhere(missing)
    count = len(places)
    number, flat = np.full(shape, -1), np.arange(prod(shape)).reshape(shape)
    number[missing] = np.arange(count)
    degree = np.zeros(count)
    inner, outer = [], []
    for axis in range(len(shape)):
        for step in (-1, 1):
            beside = places.copy()
            beside[:, axis] += step
            own = np.flatnonzero((beside[:, axis] >= 0) & (beside[:, axis] < shape[axis]))
            there = tuple(beside[own].T)
            degree[own] += 1
            other = number[there]
            inner.append(np.stack([own[other >= 0], other[other >= 0]]))
            outer.append(np.stack([own[other < 0], flat[there][other < 0]]))
    diagonal = np.arange(count)
    pairs, rim = np.concatenate(inner, axis=1), np.concatenate(outer, axis=1)
    values = np.concatenate([degree, np.full(pairs.shape[1], -1.0)])
    rows, columns = np.concatenate([[diagonal, diagonal], pairs], axis=1)
    matrix = coo_matrix((values, (rows, columns)), shape=(count, count)).tocsc()
    known_beside = coo_matrix((np.ones(rim.shape[1]), tuple(rim)), shape=(count, prod(shape))).tocsr()
    if len(shape) > 2 or count > MOST_FACTORISED:
        return lambda right, guess: _by_gradients(matrix, degree, right, guess), known_beside
    factorised = _banded(matrix)
    return lambda right, guess: factorised(right), known_beside


def _banded(matrix: Any) -> Callable[[Array], Array]:
    """What solves equations with a sparse positive definite matrix: Cholesky's factor of its band, which an order of its rows makes narrow.

    Not SuperLU's, whose memory is lost where another thread lets go of it than made it: 35 MB a second in a large photograph.
    """
    from scipy.linalg import cho_solve_banded, cholesky_banded
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    entries = matrix.tocoo()
    row, column = place[entries.row], place[entries.col]
    lower = row >= column
    below = (row - column)[lower]
    band = np.zeros((below.max() + 1, len(order)))
    band[below, column[lower]] = entries.data[lower]
    factor = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)

    def solve(right: Array) -> Array:
        found = np.empty_like(right)
        found[order] = cho_solve_banded((factor, True), right[order], check_finite=False)
        return found

    return solve


def _by_gradients(matrix: Any, degree: Array, right: Array, guess: float) -> Array:
    """By conjugate gradients, which need no more memory than the matrix."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import cg

    start, scaled = np.full(len(right), guess), diags(1 / degree)
    solution, _ = cg(
        matrix, right, start, rtol=TOLERANCE, maxiter=MOST_ITERATIONS, M=scaled, callback=lambda _: look()
    )
    return np.asarray(solution)


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
