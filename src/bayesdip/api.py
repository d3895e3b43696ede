"""The front door: what to restore, how, for how long -> Restoration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.noise import Gaussian, Noise, detect_clipping, estimate_sigma
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator
from bayesdip.pipeline import Options, run_pipeline
from bayesdip.result import Restoration
from bayesdip.units import Layout


def denoise(
    image: ArrayLike,
    sigma: float | tuple[float, ...] | None = None,
    *,
    noise: Noise | None = None,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Remove noise.

    Parameters
    ----------
    image : array_like, shape (M,), (M, N), or with channels
        A signal or picture; integers or real numbers of any range.
    sigma : float, tuple of float, or None
        Standard deviation of the noise in the picture's own scale, for all channels or for
        each. Estimated when None; ``Restoration.sigma`` says what was used. Where the picture
        shows that its noise was clipped (``noise.detect_clipping``), the likelihood knows it.
    noise : Noise, optional
        Instead of ``sigma``: another noise model, such as ``Poisson()``, in the picture's own scale.
    channel_axis : int or None
        The axis that holds channels; None when every axis is a grid axis, as in scikit-image.
    **options
        See :class:`Options`.

    Returns
    -------
    Restoration

    Raises
    ------
    BayesDipError
        An argument is out of its range.
    NonFiniteError
        The picture holds NaN or infinity.
    """
    array, layout = _as_array(image, channel_axis)
    picture = _finite(layout.to_tensor(array))
    if noise is None:
        noise = _noise_on(picture, sigma)
    elif sigma is not None:
        raise BayesDipError("sigma and noise were both given: give one of the two")
    return run_pipeline(picture, Identity(tuple(picture.shape[1:])), noise, layout, options)


def inpaint(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    sigma: float | tuple[float, ...] = 0.0,
    missing: str | None = None,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Fill in missing pixels.

    Parameters
    ----------
    image : array_like, shape (M,), (M, N), or with channels
        The picture; its values where ``mask`` is True do not matter.
    mask : array_like of bool, shape of the grid or of the image
        True where a pixel is missing, as in ``skimage.restoration``.
    sigma : float or tuple of float
        Noise on the known pixels. With 0 they come back unchanged.
    missing : {"nan"} or None
        ``"nan"`` treats pixels that are NaN or infinite as missing, besides those of ``mask``.
    channel_axis, **options
        As in :func:`denoise`.

    Raises
    ------
    BayesDipError
        Nothing is missing, nothing is known, or an argument is out of its range.
    ShapeError
        The mask does not fit the picture.
    NonFiniteError
        A known pixel is NaN or infinite, and ``missing="nan"`` was not asked for.
    """
    if missing not in (None, "nan"):
        raise BayesDipError(f"missing is {missing!r}: expected 'nan' or None")
    array, layout = _as_array(image, channel_axis)
    picture = layout.to_tensor(array)
    gone = _missing(mask, array, layout, tuple(picture.shape[1:]))
    if missing == "nan":
        gone = gone | ~torch.isfinite(picture)
    gone = gone.expand(picture.shape) if gone.ndim == picture.ndim else gone
    if not gone.any():
        raise BayesDipError("no pixel is missing: give a mask that is True (white) where a pixel is missing")
    if gone.all():
        raise BayesDipError(
            "every pixel is missing: give a mask that is False (black) where a pixel is known"
        )
    picture = _finite(torch.where(gone, 0.0, picture))
    return run_pipeline(picture, Mask(gone, picture.shape[1:]), _gaussian(sigma), layout, options)


def upscale(
    image: ArrayLike,
    factor: int = 4,
    *,
    kind: str = "lanczos",
    sigma: float | tuple[float, ...] = 0.0,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Restore the large picture of which this is a small version.

    Parameters
    ----------
    factor : int
        Every axis becomes that many times as long.
    kind : {"lanczos", "bicubic", "area"}
        How the large picture would have been made small.
    sigma : float or tuple of float
        Noise on the small picture.
    image, channel_axis, **options
        As in :func:`denoise`.
    """
    array, layout = _as_array(image, channel_axis)
    picture = _finite(layout.to_tensor(array))
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
        raise BayesDipError(f"factor is {factor}: expected a whole number of at least 1")
    large = tuple(n * int(factor) for n in picture.shape[1:])
    return run_pipeline(picture, Downsample(large, int(factor), kind), _gaussian(sigma), layout, options)


def deblur(
    image: ArrayLike,
    psf: ArrayLike,
    *,
    sigma: float | tuple[float, ...] | None = None,
    boundary: str = "reflect",
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Undo a known blur.

    Parameters
    ----------
    psf : array_like
        The point spread function, with as many axes as the picture has grid axes; its centre
        is its middle pixel. It is divided by its sum.
    sigma : float, tuple of float, or None
        Noise on the blurred picture; estimated when None.
    boundary : {"reflect", "periodic"}
        What the blur saw beyond the border.
    image, channel_axis, **options
        As in :func:`denoise`.
    """
    array, layout = _as_array(image, channel_axis)
    picture = _finite(layout.to_tensor(array))
    spread = np.asarray(psf, dtype=np.float64)
    if not np.isfinite(spread).all() or spread.sum() <= 0:
        raise BayesDipError("psf does not have a finite, positive sum: expected the blur of one bright point")
    operator = Blur(tuple(picture.shape[1:]), torch.from_numpy(spread / spread.sum()), boundary)
    noise = _noise_on(picture, sigma)
    return run_pipeline(picture, operator, noise, layout, options)


def restore(
    y: ArrayLike,
    operator: Operator,
    noise: Noise,
    *,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Restore ``x`` from ``y = A x + noise``: the general form behind the other four.

    Parameters
    ----------
    y : array_like
        The data; without its channels its shape is ``operator.output_shape``.
    operator : Operator
        The linear map ``A``.
    noise : Noise
        The noise model, in the scale of ``y``.
    channel_axis, **options
        As in :func:`denoise`.
    """
    array, layout = _as_array(y, channel_axis)
    data = layout.to_tensor(array)
    if tuple(data.shape[1:]) != tuple(operator.output_shape):
        raise ShapeError(
            f"y has the grid {tuple(data.shape[1:])}, but the operator gives {tuple(operator.output_shape)}: "
            "make the operator for the picture's grid, and say channel_axis if y has channels"
        )
    observed = operator.observed.expand(data.shape)
    return run_pipeline(_finite(torch.where(observed, data, 0.0)), operator, noise, layout, options)


def _as_array(image: ArrayLike, channel_axis: int | None) -> tuple[np.ndarray[Any, Any], Layout]:
    array = np.asarray(image)
    return array, Layout.of(array, channel_axis)


def _finite(picture: Tensor) -> Tensor:
    bad = int((~torch.isfinite(picture)).sum())
    if bad:
        raise NonFiniteError(
            f"the picture holds {bad} value{'s' * (bad > 1)} that {'are' if bad > 1 else 'is'} NaN or infinite: "
            "inpaint with missing='nan' (on the command line --missing nan) can fill them in"
        )
    return picture


def _noise_on(picture: Tensor, sigma: float | tuple[float, ...] | None) -> Gaussian:
    """Gaussian noise, estimated where it was not told, and clipped where the picture shows that it was."""
    noise = _gaussian(estimate_sigma(picture) if sigma is None else sigma)
    return replace(noise, clipped=detect_clipping(picture)) if np.any(noise.sigma) else noise


def _gaussian(sigma: float | tuple[float, ...]) -> Gaussian:
    return Gaussian(tuple(sigma) if isinstance(sigma, tuple | list) else sigma)


def _missing(
    mask: ArrayLike | None, image: np.ndarray[Any, Any], layout: Layout, grid: tuple[int, ...]
) -> Tensor:
    """The mask as a bool tensor, shape ``grid`` or (C, *grid)."""
    if mask is None:
        return torch.zeros(grid, dtype=torch.bool)
    array = np.asarray(mask)
    if array.shape == image.shape and layout.channel_axis is not None:
        return layout.to_tensor(array.astype(bool)).bool()
    if array.shape != grid:
        raise ShapeError(
            f"the mask has shape {array.shape}, but the picture's grid is {grid}: they must be alike"
        )
    return torch.from_numpy(np.ascontiguousarray(array.astype(bool)))
