"""One region of an array restored, with the noise and the calibration of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bayesdip import api, no_data
from bayesdip.calibration import Calibration
from bayesdip.inputs import Inputs
from bayesdip.methods import Method
from bayesdip.no_data import Mark
from bayesdip.noise import Noise
from bayesdip.noise.impulses import find_impulses
from bayesdip.result import Restoration
from bayesdip.resuming import InUseError, going_on
from bayesdip.rim import grown

Array = NDArray[Any]
Bools = NDArray[np.bool_]
TASKS = ("denoise", "inpaint")


@dataclass(frozen=True)
class Request:
    """What is asked of every region.

    Attributes
    ----------
    task : {"denoise", "inpaint"}
    method : Method or "auto"
    options : dict
        Those that methods share: ``effort``, ``device``.
    missing : "auto", "nan", float or None
    sigma, noise, grow_mask
        As for :func:`bayesdip.inpaint`, for the whole.
    no_data : tuple of float
        Values that were found to stand for no data in the sample, so that they do in a region that holds nothing else.
    seed : int
    invert_mask : bool
        Whether the mask says what is known, and not what is missing.
    """

    task: str
    method: str | Method
    options: dict[str, Any]
    missing: Mark = "auto"
    sigma: Any = None
    noise: Noise | None = None
    grow_mask: bool = True
    no_data: tuple[float, ...] = ()
    seed: int = 0
    invert_mask: bool = False


@dataclass(frozen=True)
class Known:
    """What was found out once for all regions.

    Attributes
    ----------
    noise : Noise or None
        None where it varies from place to place, so that each region finds its own.
    method : Method
    keeps_known, shares_noise : bool
        As for :class:`bayesdip.Problem`.
    impulses : bool
        Whether there are outliers, such as hot pixels, that each region has to look for.
    grow : int
        By how many pixels the mask is grown.
    calibration : Calibration or None
        In the array's own scale.
    real : bool
        Whether results are real numbers, though the data are whole ones.
    """

    noise: Noise | None
    method: Method
    keeps_known: bool = False
    shares_noise: bool = False
    impulses: bool = False
    grow: int = 0
    calibration: Calibration | None = None
    real: bool = False


@dataclass(frozen=True)
class Restored:
    """A region's picture: mean and calibrated standard deviation, and what came of it (None where nothing was to be done)."""

    mean: Array
    std: Array
    found: Restoration | None = None


def missing_of(pixels: Array, masked: Bools | None, request: Request) -> Bools:
    """Which pixels of a region are missing: those of the mask, and those that the values themselves mark.

    Parameters
    ----------
    pixels : ndarray, shape (*grid) or (*grid, C)
    masked : ndarray of bool, of that shape, or None
    request : Request

    Returns
    -------
    ndarray of bool, of that shape
    """
    nan = request.task == "inpaint" and masked is None
    found = no_data.find(pixels, request.missing, nan=nan)[0]
    for value in request.no_data:
        found = found | (pixels == value)
    return found if masked is None else found | masked


def inputs_of(pixels: Array, gone: Bools, request: Request, known: Known | None, channels: bool) -> Inputs:
    """A region as the inputs of its task; without `known`, what the region itself shows.

    Parameters
    ----------
    pixels, gone : ndarray, shape (*grid) or (*grid, C)
    request : Request
    known : Known or None
    channels : bool
        Whether the last axis holds channels.
    """
    axis = -1 if channels else None
    noise, sigma = request.noise, request.sigma
    own = known is None or known.noise is None
    if known is not None and known.noise is not None:
        noise, sigma = known.noise, None
        if known.impulses:
            gone = gone | _impulses(pixels, gone, channels)
    given = np.ma.masked_array(np.where(gone, 0, pixels), gone) if gone.any() else pixels
    if request.task == "denoise" or not gone.any():
        inputs = Inputs.denoising(given, sigma, noise, axis, None)
    else:
        inputs = Inputs.inpainting(pixels, gone, sigma, noise, None, axis, grow_mask=False)
    if known is None or own:
        return inputs
    problem = replace(inputs.problem, keeps_known=known.keeps_known, shares_noise=known.shares_noise)
    return replace(inputs, problem=problem)


def _impulses(pixels: Array, gone: Bools, channels: bool) -> Bools:
    def planes(array: Array) -> Any:
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0) if channels else array[None]))

    found = find_impulses(planes(pixels.astype(np.float64)), planes(~gone)).every.numpy()
    return np.asarray(np.moveaxis(found, 0, -1) if channels else found[0])


def restored(
    pixels: Array,
    gone: Bools,
    request: Request,
    known: Known,
    channels: bool,
    seed: int,
    checkpoints: Path | None = None,
) -> Restored:
    """Restore a region.

    Parameters
    ----------
    pixels, gone : ndarray, shape (*grid) or (*grid, C)
        `gone` says what is missing.
    request : Request
    known : Known
    channels : bool
        Whether the last axis holds channels.
    seed : int
    checkpoints : Path, optional
        A folder for them: after it was killed, the run goes on from there.

    Returns
    -------
    Restored
        Where everything is missing, the values are as they were and their standard deviation is NaN.
    """
    if gone.all():
        return Restored(pixels, np.full(pixels.shape, np.nan, np.float32))
    if request.task == "inpaint":
        gone = _wider(gone, known.grow, channels)
        if not gone.any() and (known.keeps_known or (known.noise is not None and known.noise.is_exact)):
            return Restored(pixels, _known_std(pixels, known))
    if known.real and pixels.dtype.kind != "f":
        pixels = pixels.astype(np.float32)
    options: dict[str, Any] = {**request.options, "seed": seed, "method": known.method}
    make: Callable[[], Inputs] = lambda: inputs_of(pixels, gone, request, known, channels)  # noqa: E731

    def run(folder: Path | None) -> Restoration:
        more: Any = {**options, "resume": folder}
        return api.restored(make, more, known.calibration)

    try:
        found = run(None) if checkpoints is None else going_on(checkpoints, run, replace=True)
    except InUseError:  # by a worker that a cluster has given up
        found = run(None)
    std = found.std if found.std is not None else np.full(pixels.shape, np.nan, np.float32)
    return Restored(found.mean, std, found)


def _wider(gone: Bools, pixels: int, channels: bool) -> Bools:
    """The mask grown by so many pixels, where it is one for all channels."""
    if not pixels or not gone.any() or (channels and not (gone == gone[..., :1]).all()):
        return gone
    plane = grown(gone[..., 0] if channels else gone, pixels)
    return np.broadcast_to(plane[..., None], gone.shape) if channels else plane


def _known_std(pixels: Array, known: Known) -> Array:
    """Of pixels that come back as they are: of the noise that they keep."""
    if known.noise is None or known.noise.is_exact:
        return np.zeros(pixels.shape, np.float32)
    variance = known.noise.variance(torch.from_numpy(pixels.astype(np.float64)))
    return np.broadcast_to(variance.sqrt().numpy(), pixels.shape).astype(np.float32)
