"""The error of JPEG: each cosine coefficient of a block was rounded to a multiple of a step, which the file names.

Source: ITU-T T.81 (JPEG) and T.871 (JFIF's colours). A coefficient of a picture is taken for a Laplace variable (Lam and Goodman,
*A mathematical analysis of the DCT coefficient distributions for images*, IEEE Trans. Image Processing 2000) whose scale falls with
frequency by a power, as the spectra of pictures do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.optimize import minimize
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.noise.compression import LUMA, SIDE
from bayesdip.noise.noise import Noise

Array = NDArray[np.float64]

# JPEG's samples are moved by this, so that they lie about 0.
MIDDLE = 128.0
# Blocks that the law of the coefficients is learnt from, at most: two numbers are learnt.
MOST_BLOCKS = 20_000
# Coefficients of a block that come from this table lie at multiples of its steps, but for the rounding of the pixels to whole
# numbers: three channels, and the brightness before them, rounded by at most a half, leave a root mean square of 0.35.
ROUNDING, NOT_FROM_TABLE = 0.35, 1.0
# The mean square error of red, green and blue over that of brightness, for the coarser tables of the colours' differences. On six
# 96x96 parts of BSDS500 pictures that are no part of a test set, with half as many pixels for colours, quality 10 / 40 / 75: 1 gained
# 0.76 / 0.88 / 0.77 dB, 1.5 gained 0.78 / 0.90 / 0.84, 2 gained 0.76 / 0.84 / 0.83.
OF_COLOURS = 1.5
# The mean square error of the restored pictures over the variance that the law says: 0.49 / 0.47 / 0.57 there.
LEFT = 0.5
# Where the law says nothing at all: scales from half a level to ten times the range.
LEAST_RATIO, MOST_RATIO = 1e-4, 200.0


@dataclass(frozen=True)
class JPEG(Noise):
    """The error of a picture that was compressed as JPEG, on the 256 levels and the grid of the file.

    It is taken for white noise of the size that the table and the picture's own coefficients say, and the restored picture is moved so
    that compressing it again would give the same coefficients of brightness. Colours are restored with the brightness; their own,
    coarser tables are not used.

    Parameters
    ----------
    table : 64 numbers, or array of shape (8, 8)
        The steps of the brightness, by frequency along rows and columns, row by row, as ``Image.quantization[0]`` of Pillow.
        :func:`bayesdip.io.read_picture` gives that of a file as ``Picture.jpeg``.

    Raises
    ------
    BayesDipError
        If these are not 64 numbers of at least 1.

    Examples
    --------
    >>> import bayesdip as bd
    >>> picture = bd.io.read_picture("photo.jpg")  # doctest: +SKIP
    >>> r = bd.denoise(picture.pixels, noise=picture.jpeg, channel_axis=-1)  # doctest: +SKIP
    """

    table: Any

    def __post_init__(self) -> None:
        steps = np.asarray(self.table, dtype=float).ravel()
        if steps.size != SIDE * SIDE or not np.isfinite(steps).all() or steps.min() < 1:
            raise BayesDipError(
                f"table has {steps.size} numbers from {steps.min(initial=np.inf):g}: expected 64 of at least 1, the steps of JPEG's "
                "coefficients; give Image.quantization[0] of Pillow"
            )
        object.__setattr__(self, "table", tuple(float(step) for step in steps))

    @property
    def steps(self) -> Array:
        """The table, shape (8, 8)."""
        return np.array(self.table).reshape(SIDE, SIDE)

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """``(y - prediction)^2 / (2 v)``, v the mean variance of the error."""
        return 0.5 * (y - prediction).square() / self.variance(y)

    def variance(self, y: Tensor, observed: Tensor | None = None) -> Tensor:
        """The mean square of the error, the same for all entries; of shape (1, ...)."""
        value = mean_square_error(self._coefficients(y) / self.steps, self.steps)
        value *= OF_COLOURS if len(y) > 1 else 1.0
        return torch.full((1,) * y.ndim, value, dtype=y.dtype, device=y.device)

    def std_left(self, std: Tensor, y: Tensor) -> Tensor:
        """Larger and smaller where a method says so, and as large on average as what is left of the error."""
        mean_square = std.double().square().mean()
        return std * (LEFT * self.variance(y).mean() / mean_square).sqrt() if mean_square > 0 else std

    def consistent(self, picture: Tensor, y: Tensor) -> Tensor:
        """The nearest picture whose coefficients of brightness are rounded to those of the data.

        It is not farther from the picture before compression, whose coefficients are so rounded. Blocks that are cut by the
        border, hold values at the ends of the range, or do not come from the table are left as they are.
        """
        brightness = _brightness(picture)
        rows, columns = (n // SIDE * SIDE for n in brightness.shape)
        data, steps = self._coefficients(y), self.steps
        number = np.rint(data / steps)
        off = np.abs(data - number * steps)
        known = (np.sqrt(np.square(off).mean((2, 3))) < NOT_FROM_TABLE) & ~_hits_an_end(y, rows, columns)
        # A step of one or two levels is hardly more than the rounding: which multiple it was, is not sure.
        half = 0.5 * steps + 2 * ROUNDING * (steps < 4 * ROUNDING)
        found = dctn(_blocks(brightness[:rows, :columns]) - MIDDLE, axes=(2, 3), norm="ortho")
        moved = np.clip(found, number * steps - half, number * steps + half) - found
        change = np.zeros(brightness.shape)
        moved = idctn(moved * known[..., None, None], axes=(2, 3), norm="ortho")
        change[:rows, :columns] = moved.swapaxes(1, 2).reshape(rows, columns)
        return picture + torch.from_numpy(change).to(picture)

    def sample(self, mean: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The picture compressed: its brightness with rounded coefficients. There is no chance in it."""
        brightness = _brightness(mean)
        rows, columns = (n // SIDE * SIDE for n in brightness.shape)
        found = dctn(_blocks(brightness[:rows, :columns]) - MIDDLE, axes=(2, 3), norm="ortho")
        rounded = idctn(np.rint(found / self.steps) * self.steps - found, axes=(2, 3), norm="ortho")
        change = np.zeros(brightness.shape)
        change[:rows, :columns] = rounded.swapaxes(1, 2).reshape(rows, columns)
        return mean + torch.from_numpy(change).to(mean)

    def describe(self) -> str:
        return f"error of JPEG, steps of {min(self.table):g} to {max(self.table):g}"

    def _coefficients(self, y: Tensor) -> Array:
        """Of the brightness of whole blocks, shape (M / 8, N / 8, 8, 8)."""
        brightness = _brightness(y)
        rows, columns = (n // SIDE * SIDE for n in brightness.shape)
        if not rows or not columns:
            raise ShapeError(
                f"the picture has {brightness.shape[1]} x {brightness.shape[0]} pixels: expected a block of 8x8 at least for the error of "
                "JPEG; give sigma= instead"
            )
        found: Array = dctn(_blocks(brightness[:rows, :columns]) - MIDDLE, axes=(2, 3), norm="ortho")
        return found


def mean_square_error(numbers: Array, steps: Array) -> float:
    """The mean square of what rounding took from coefficients, by their law and what they were rounded to.

    Parameters
    ----------
    numbers : array, shape (m, n, 8, 8)
        Rounded coefficients, in steps.
    steps : array, shape (8, 8)

    Returns
    -------
    float
    """
    every = np.abs(np.rint(numbers)).reshape(-1, SIDE, SIDE)
    every = every[:: max(1, -(-len(every) // MOST_BLOCKS))]
    frequency = np.hypot(*np.indices((SIDE, SIDE)))
    frequency[0, 0] = 1.0
    count, beyond, total = len(every), (every > 0).sum(0), every.sum(0)
    moving = np.ones((SIDE, SIDE), bool)
    moving[0, 0] = False  # the mean of a block has another law

    def ratio(parameters: Any) -> Array:
        """A step over the Laplace scale, by frequency."""
        scale = np.exp(parameters[0]) * frequency ** -parameters[1]
        found: Array = np.clip(steps / scale, LEAST_RATIO, MOST_RATIO)
        return found

    def energy(parameters: Any) -> float:
        r = ratio(parameters)
        # Within half a step of 0 with probability 1 - exp(-r / 2); farther by each step, exp(-r) times as likely.
        inner = (count - beyond) * np.log(-np.expm1(-r / 2))
        outer = beyond * (-r / 2 + np.log(-np.expm1(-r))) - (total - beyond) * r
        return -float((inner + outer)[moving].sum())

    best = minimize(energy, (np.log(30.0), 1.0), method="Nelder-Mead")
    at_zero = np.where(moving, _variance_within(ratio(best.x)), 1 / 12)
    share = beyond / count
    return float((steps**2 * (share / 12 + (1 - share) * at_zero)).mean())


def _variance_within(r: Array) -> Array:
    """Of a Laplace variable within half a step of 0, in squared steps; r is the step over the scale."""
    r = np.maximum(
        r, 0.05
    )  # below, the closed form loses its digits, and the law is uniform: 1 / 12 but for 1%
    tail = np.exp(-r / 2)
    variance: Array = (2 / r**2 - tail * (0.25 + 1 / r + 2 / r**2)) / (1 - tail)
    return variance


def _brightness(y: Tensor) -> Array:
    """Of (1, M, N) or (3, M, N): (M, N), by ITU-R BT.601."""
    values = y.detach().double().cpu().numpy()
    if values.ndim != 3 or len(values) not in (1, 3):
        raise ShapeError(
            f"the picture has shape {tuple(y.shape)}, channels first: expected one or three channels of two axes for the error of "
            "JPEG; give sigma= instead"
        )
    return values[0] if len(values) == 1 else np.tensordot(LUMA, values, 1)


def _blocks(plane: Array) -> Array:
    """(M, N) to (M / 8, N / 8, 8, 8)."""
    rows, columns = (n // SIDE for n in plane.shape)
    return plane.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)


def _hits_an_end(y: Tensor, rows: int, columns: int) -> NDArray[np.bool_]:
    """Which blocks hold a value that was cut off at 0 or 255, so that their coefficients are not those of the file."""
    values = y.detach().cpu()[:, :rows, :columns]
    hit = ((values <= 0) | (values >= 255)).any(0).numpy()
    return np.asarray(_blocks(hit).any((2, 3)))
