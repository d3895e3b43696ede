"""The squared error on a few noisy pixels, with less variance by a control variate."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.dct_thresholding import shrink
from bayesdip.window import window_sum

# Side of the window over which the control is averaged.
WINDOW = {1: 33, 2: 9, 3: 5}
# Of so many pixels the mean square is known to one percent of the noise's, sqrt(2 / n), without a control variate, which
# would filter the whole of a large picture.
ENOUGH = 20_000


def reduced_squares(
    residual: Tensor, y: Tensor, observed: Tensor, held_out: Tensor, mean: Tensor, sigma: float
) -> Tensor:
    """Squared residuals of held-out pixels, with most of their noise's own scatter taken off.

    A held-out pixel's ``r^2`` holds its noise squared, which scatters far more than the error that
    is sought. The noise is seen, roughly, by any other denoiser ``g`` of all data too: the control
    ``p = (y - g)^2`` scatters alike, and its mean around the pixel is known from seen pixels as
    well, for ``g`` treats held-out pixels like all others. So

        r^2 - b (p - local mean of p)

    has the expectation of ``r^2`` and, with b by regression, the least variance (the regression
    estimator of survey sampling; Cochran, *Sampling Techniques*, ch. 7).

    Parameters
    ----------
    residual : Tensor, shape (C, n)
        ``y - mean`` at the held-out pixels.
    y, mean : Tensor, shape (C, *grid)
    observed : Tensor of bool, shape (C, *grid)
        Held-out pixels are observed; what is said of an entry that is not means nothing.
    held_out : Tensor of bool, shape (*grid)
    sigma : float
        Of the noise, about.

    Returns
    -------
    Tensor, shape (C, n)
        The squared residuals themselves for `ENOUGH` pixels or more.
    """
    squares = residual.square()
    if residual.shape[1] >= ENOUGH:
        return squares
    control = (y - shrink(torch.where(observed, y, mean), sigma)).square() * observed
    level = local_sum(control) / local_sum(observed.to(control)).clamp(min=1e-9)
    excess = (control - level)[:, held_out] * observed[:, held_out]
    variance = excess.var()
    if not variance > 0:
        return squares
    slope = ((excess - excess.mean()) * (squares - squares.mean())).mean() / variance
    return squares - slope * excess


def local_sum(x: Tensor) -> Tensor:
    """Sum over a window around each entry of (C, *grid), zeros beyond the border; as long as a short axis at most."""
    width = WINDOW[x.ndim - 1]
    return window_sum(x, [min(width, n - 1 + n % 2) for n in x.shape[1:]])  # odd
