"""The public face: what to restore, how, for how long -> Restoration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bayesdip import holdout, methods
from bayesdip.errors import BayesDipError, NonFiniteError, ShapeError
from bayesdip.layout import Layout
from bayesdip.methods import Method
from bayesdip.noise import Gaussian, Noise, detect_clipping, estimate_sigma
from bayesdip.operators import Blur, Downsample, Identity, Mask, Operator
from bayesdip.problem import Problem
from bayesdip.progress import Callback, Progress
from bayesdip.result import Restoration

AUTO = "auto"
Level = float | tuple[float, ...]
Sigma = Level | None


class Options(TypedDict, total=False):
    """What all restoring functions take besides the picture.

    method : {"auto", "patches", "gp", "sgld", "map", "stack"} or Method
        ``"auto"`` chooses by operator and noise; ``Restoration.method`` and ``why`` say what ran. A method object
        has options of its own: ``SGLD(chains=4)``, ``GP(kernel="matern32")``.
    effort : {"fast", "balanced", "best"}
        How much work; None leaves it to the method object.
    samples : int
        Posterior samples to keep, from a method that has them; ``"auto"`` then chooses one.
    time_budget : float
        Seconds; the run ends by then with the best posterior mean so far.
    seed : int
        The same seed repeats a CPU run to the bit (without a time budget).
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    callback : callable
        Called with a :class:`bayesdip.Snapshot`; returning True ends the run.
    """

    method: str | Method
    effort: str | None
    samples: int | None
    time_budget: float | None
    seed: int | None
    device: str | None
    callback: Callback | None


def denoise(
    image: ArrayLike,
    sigma: Sigma = None,
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
        As for :class:`Options`: ``method``, ``effort``, ``samples``, ``time_budget``, ``seed``, ``device``, ``callback``.

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
    noise = _noise_of(noise, sigma, picture)
    return _restored(picture, Identity(tuple(picture.shape[1:])), noise, layout, options)


def inpaint(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    sigma: Level = 0.0,
    noise: Noise | None = None,
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
    noise : Noise, optional
        Instead of ``sigma``: another noise model on the known pixels.
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
    return _restored(picture, Mask(gone, picture.shape[1:]), _one_of_two(noise, sigma), layout, options)


def upscale(
    image: ArrayLike,
    factor: int = 4,
    *,
    kind: str = "lanczos",
    sigma: Level = 0.0,
    noise: Noise | None = None,
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
    noise : Noise, optional
        Instead of ``sigma``: another noise model.
    image, channel_axis, **options
        As in :func:`denoise`.
    """
    array, layout = _as_array(image, channel_axis)
    picture = _finite(layout.to_tensor(array))
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
        raise BayesDipError(f"factor is {factor}: expected a whole number of at least 1")
    large = tuple(n * int(factor) for n in picture.shape[1:])
    operator = Downsample(large, int(factor), kind)
    return _restored(picture, operator, _one_of_two(noise, sigma), layout, options)


def deblur(
    image: ArrayLike,
    psf: ArrayLike,
    *,
    sigma: Sigma = None,
    noise: Noise | None = None,
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
    noise : Noise, optional
        Instead of ``sigma``: another noise model.
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
    return _restored(picture, operator, _noise_of(noise, sigma, picture), layout, options)


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
        The data, real or complex; without its channels its shape is ``operator.output_shape``.
    operator : Operator
        The map ``A``. One that acts on channels gives a picture of ``operator.input_channels`` channels, which
        stand last; one that is not linear needs ``method="sgld"`` or ``"map"``.
    noise : Noise
        The noise model, in the scale of ``y``.
    channel_axis, **options
        As in :func:`denoise`.

    Returns
    -------
    Restoration

    Raises
    ------
    BayesDipError
        An argument is out of its range, or the method cannot do this operator.
    ShapeError
        The data do not fit the operator.
    NonFiniteError
        An observed value is NaN or infinite.
    """
    array = np.asarray(y)
    if np.iscomplexobj(array):
        array, channel_axis = _pairs(array, channel_axis)
    layout = Layout.of(array, channel_axis, known=True)
    data = layout.to_tensor(array)
    channels = operator.output_channels
    if tuple(data.shape[1:]) != tuple(operator.output_shape) or channels not in (None, data.shape[0]):
        wanted = f"{tuple(operator.output_shape)}" + (
            "" if channels is None else f" with {channels} channels"
        )
        raise ShapeError(
            f"y has the grid {tuple(data.shape[1:])} with {data.shape[0]} channels, but the operator gives {wanted}: "
            "make the operator for the picture's grid, and say channel_axis if y has channels"
        )
    observed = operator.observed.expand(data.shape)
    out = layout
    if operator.input_channels is not None:
        out = Layout(None if operator.input_channels == 1 else -1, layout.dtype)
    return _restored(_finite(torch.where(observed, data, 0.0)), operator, noise, out, options)


def _restored(
    data: Tensor, operator: Operator, noise: Noise, layout: Layout, options: Options
) -> Restoration:
    """Data in their own scale, float64 (C, *operator.output_shape), to the result in the user's layout."""
    problem = Problem.from_data(data, operator, noise)
    method, why = _method(problem, options)
    method.check(problem)
    method = method.resolved(problem)
    units = problem.units

    def to_user(picture: Tensor) -> np.ndarray[Any, Any]:
        return layout.cast(layout.to_array(units.to_own(picture)))

    progress = Progress(options.get("callback"), options.get("time_budget"), to_user=to_user)
    with progress.interruptible():
        found = holdout.run(method, problem, progress)
    posterior, calibration = found.posterior, found.calibration
    samples = posterior.samples
    if samples is None:
        samples = posterior.mean.new_empty((0, *posterior.mean.shape))

    def std(own: Tensor | None) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        return None if own is None else layout.to_array(own * units.scale).astype(np.float32)

    return Restoration(
        mean=to_user(posterior.mean),
        std=std(found.std),
        raw_std=std(posterior.std),
        samples=layout.cast(layout.to_array(units.to_own(samples), lead=1)),
        trace=posterior.trace,
        sigma=_sigma(noise),
        held_out=None if found.error is None else found.error * units.scale,
        held_out_count=found.count,
        seconds=progress.elapsed,
        stopped=progress.stop_reason or posterior.stopped,
        method=method.name,
        why=f"{method.summary}: {why}",
        settings=method.to_dict() | {"operator": repr(operator), "noise": noise.describe()},
        info=posterior.info,
        channel_axis=layout.channel_axis,
        calibration=None if calibration is None else calibration.rescaled(units.shift, units.scale),
        chain=None if posterior.chain is None else posterior.chain.cpu().numpy(),
    )


def _method(problem: Problem, options: Options) -> tuple[Method, str]:
    """The method that was asked for, with the options that all methods share; and why it runs."""
    for name in options:
        if name not in Options.__annotations__:
            raise BayesDipError(
                f"{methods.unknown_option(AUTO, name, options[name])}"  # type: ignore[literal-required]
            )
    shared = {name: options.get(name) for name in ("effort", "samples", "seed", "device")}
    asked = options.get("method", AUTO)
    if isinstance(asked, Method):
        return methods.with_options(asked, **shared), "as asked for"
    if asked == AUTO:
        effort = methods.one_of("effort", options.get("effort") or "balanced", methods.EFFORTS)
        choice = methods.choose(problem, effort, samples=bool(options.get("samples")))
        if not options.get("samples"):
            shared.pop("samples")
        return methods.with_options(choice.method, **shared), choice.why
    methods.one_of("method", asked, (AUTO, *methods.NAMES))
    return methods.create(asked, **shared), "as asked for"


def _as_array(image: ArrayLike, channel_axis: int | None) -> tuple[np.ndarray[Any, Any], Layout]:
    array = np.asarray(image)
    return array, Layout.of(array, channel_axis)


def _pairs(array: np.ndarray[Any, Any], channel_axis: int | None) -> tuple[np.ndarray[Any, Any], int]:
    """Complex data as pairs of reals: real parts of all channels, then imaginary parts, on the last axis."""
    channels = array[..., None] if channel_axis is None else np.moveaxis(array, channel_axis, -1)
    return np.concatenate([channels.real, channels.imag], axis=-1), -1


def _finite(picture: Tensor) -> Tensor:
    bad = int((~torch.isfinite(picture)).sum())
    if bad:
        raise NonFiniteError(
            f"the picture holds {bad} value{'s' * (bad > 1)} that {'are' if bad > 1 else 'is'} NaN or infinite: "
            "inpaint with missing='nan' (on the command line --missing nan) can fill them in"
        )
    return picture


def _noise_of(noise: Noise | None, sigma: Sigma, picture: Tensor) -> Noise:
    """The noise that was given; else Gaussian noise of that sigma, or of the estimated one.

    Clipped where the picture shows that it was.
    """
    if noise is not None:
        return _one_of_two(noise, 0.0 if sigma is None else sigma)
    gaussian = _gaussian(estimate_sigma(picture) if sigma is None else sigma)
    return gaussian if gaussian.is_exact else replace(gaussian, clipped=detect_clipping(picture))


def _one_of_two(noise: Noise | None, sigma: Level) -> Noise:
    if noise is None:
        return _gaussian(sigma)
    if np.any(sigma):
        raise BayesDipError(f"noise={noise!r} and sigma={sigma} were both given: expected one of the two")
    return noise


def _gaussian(sigma: Level) -> Gaussian:
    return Gaussian(tuple(sigma) if isinstance(sigma, tuple | list) else sigma)


def _sigma(noise: Noise) -> tuple[float, ...] | None:
    """The standard deviation that a user would name, if there is one."""
    if not isinstance(noise, Gaussian) or isinstance(noise.sigma, Tensor):
        return None
    return noise.sigma if isinstance(noise.sigma, tuple) else (noise.sigma,)


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
