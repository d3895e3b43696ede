"""The public face: what to restore, how, for how long -> Restoration."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypedDict, Unpack

from numpy.typing import ArrayLike

from bayesdip import damage, holdout, methods
from bayesdip.calibration import Calibration
from bayesdip.errors import BayesDipError, one_line
from bayesdip.findings import Finding
from bayesdip.inputs import Inputs
from bayesdip.interruption import stoppable
from bayesdip.methods import Method
from bayesdip.methods.method import one_of
from bayesdip.methods.registry import unknown_option, with_options
from bayesdip.no_data import Mark
from bayesdip.noise import Noise
from bayesdip.noise_argument import Sigma
from bayesdip.operators import Operator
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.quick_picture import quick_picture
from bayesdip.result import Restoration
from bayesdip.resuming import Stages, run_folder
from bayesdip.run_request import request_of
from bayesdip.snapshot import Callback
from bayesdip.threads import one_for_each_operation
from bayesdip.value_scale import ScaledLayout, on_likelier_scale

AUTO = "auto"
# The data may be looked at for this share of a time budget.
PREPARING = 1 / 3


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
    resume : str or path-like
        A folder for checkpoints. A run that was killed goes on from there when the same is called again, on a CPU to the
        same bits; a folder with those of another call is refused. It can be removed once the result is there. None keeps
        no checkpoints.
    """

    method: str | Method
    effort: str | None
    samples: int | None
    time_budget: float | None
    seed: int | None
    device: str | None
    callback: Callback | None
    resume: str | os.PathLike[str] | None


def denoise(
    image: ArrayLike,
    sigma: Sigma = None,
    *,
    noise: Noise | None = None,
    missing: Mark = "auto",
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Remove noise.

    Parameters
    ----------
    image : array_like, shape (M,), (M, N), or with channels
        A signal or picture; integers or real numbers of any range.
    sigma : float, tuple of float, "auto" or None
        Standard deviation of the noise in the picture's own scale, for all channels or for
        each. With None or ``"auto"``, and no ``noise``, the picture is inspected first:
        ``Restoration.sigma`` and ``findings`` say what was found. Where the picture
        shows that its noise was clipped (``noise.detect_clipping``), the likelihood knows it.
    noise : Noise, optional
        Instead of ``sigma``: another noise model, such as ``Poisson()``, in the picture's own scale.
    missing : "auto", "nan", float or None
        What marks pixels that are missing and are filled in. ``"auto"``: values that stand for no data and show it,
        such as -9999, -3.4e38 or a detector's -1; ``Restoration.findings`` says which. ``"nan"``: NaN and infinity
        besides. A number: that value, and NaN. None: every value is data.
    channel_axis : int or None
        The axis that holds channels; None when every axis is a grid axis, as in scikit-image.
    **options
        As for :class:`Options`: ``method``, ``effort``, ``samples``, ``time_budget``, ``seed``, ``device``, ``callback``, ``resume``.

    Returns
    -------
    Restoration

    Raises
    ------
    BayesDipError
        An argument is out of its range.
    NonFiniteError
        The picture holds NaN or infinity, and ``missing`` does not take them for missing.
    """
    return restored(lambda: Inputs.denoising(image, sigma, noise, channel_axis, missing), options)


def inpaint(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    sigma: Sigma = None,
    noise: Noise | None = None,
    missing: Mark = "auto",
    grow_mask: bool = True,
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Fill in missing pixels.

    Parameters
    ----------
    image : array_like, shape (M,), (M, N), or with channels
        The picture; where ``mask`` is True, its values tell only whether the mask is too narrow (``grow_mask``).
    mask : array_like of bool, shape of the grid or of the image
        True where a pixel is missing, as in ``skimage.restoration``; of real numbers, what is 0.5 or more. None: ``missing``
        says it, and NaN and infinity are missing, too.
    sigma : float, tuple of float, "auto", or None
        Noise on the known pixels, which are denoised too. With 0 they come back unchanged. ``"auto"`` estimates it.
        None: where the picture clearly is noisy, the noise is estimated and taken into account where pixels are filled
        in, and known pixels come back unchanged; ``Restoration.findings`` says so.
    noise : Noise, optional
        Instead of ``sigma``: another noise model on the known pixels.
    missing : "auto", "nan", float or None
        What marks further missing pixels in the picture itself, as in :func:`denoise`.
    grow_mask : bool
        Where pixels beside ``mask`` fit the damage in it and not the picture beyond, the mask of a picture, if it is one for
        all channels, is grown by 1 to 3 pixels, and ``Restoration.findings`` says so. False takes it as it is.
    channel_axis, **options
        As in :func:`denoise`.

    Returns
    -------
    Restoration

    Raises
    ------
    BayesDipError
        Nothing is missing, nothing is known, or an argument is out of its range.
    ShapeError
        The mask does not fit the picture.
    NonFiniteError
        A pixel is NaN or infinite that neither ``mask`` nor ``missing`` takes for missing.
    """

    def make() -> Inputs:
        inputs = Inputs.inpainting(image, mask, sigma, noise, missing, channel_axis, grow_mask)
        return on_likelier_scale(inputs) if sigma is None and noise is None else inputs

    return restored(make, options)


def upscale(
    image: ArrayLike,
    factor: int = 4,
    *,
    kind: str = "lanczos",
    sigma: Sigma = None,
    noise: Noise | None = None,
    missing: Mark = "auto",
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
    sigma : float, tuple of float, "auto", or None
        Noise on the small picture; 0 takes it for exact. ``"auto"`` estimates it. None: where the picture clearly is noisy,
        the noise is estimated and taken away, and ``Restoration.findings`` says so.
    noise : Noise, optional
        Instead of ``sigma``: another noise model.
    image, missing, channel_axis, **options
        As in :func:`denoise`.

    Returns
    -------
    Restoration
        ``mean`` is the large picture.

    Raises
    ------
    BayesDipError
        An argument is out of its range.
    NonFiniteError
        The picture holds NaN or infinity, and ``missing`` does not take them for missing.
    """
    return restored(
        lambda: Inputs.upscaling(image, factor, kind, sigma, noise, channel_axis, missing), options
    )


def deblur(
    image: ArrayLike,
    psf: ArrayLike,
    *,
    sigma: Sigma = None,
    noise: Noise | None = None,
    boundary: str = "auto",
    missing: Mark = "auto",
    channel_axis: int | None = None,
    **options: Unpack[Options],
) -> Restoration:
    """Undo a known blur.

    Parameters
    ----------
    psf : array_like
        The point spread function, with as many axes as the picture has grid axes, in any scale. It is centred, freed of a
        background, and turned over if it is black on white (:func:`bayesdip.operators.mend_psf`); ``findings`` says what
        was done. ``restore(y, Blur(shape, psf), noise)`` takes one as it is.
    sigma : float, tuple of float, "auto" or None
        Noise on the blurred picture; found out as in :func:`denoise` when None or ``"auto"``.
    noise : Noise, optional
        Instead of ``sigma``.
    boundary : {"auto", "unknown", "reflect", "periodic"}
        What the blur saw beyond the border: more of a scene (``"unknown"``), which is restored as far as the blur reaches and
        cut off; the picture reflected; or the picture again. ``"auto"`` takes the last two only where the data clearly say so.
    image, missing, channel_axis, **options
        As in :func:`denoise`.

    Returns
    -------
    Restoration

    Raises
    ------
    BayesDipError
        An argument is out of its range, or nothing stands out in the point spread function.
    ShapeError
        The point spread function does not have the axes of the picture's grid.
    NonFiniteError
        The picture holds NaN or infinity, and ``missing`` does not take them for missing.
    """
    return restored(
        lambda: Inputs.deblurring(image, psf, sigma, noise, boundary, channel_axis, missing), options
    )


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
    return restored(lambda: Inputs.restoring(y, operator, noise, channel_axis), options)


def restored(
    make: Callable[[], Inputs], options: Options, calibration: Calibration | None = None
) -> Restoration:
    """What the method makes of the inputs, in the user's layout. The time budget counts from here on.

    Parameters
    ----------
    make : callable
        Makes the inputs.
    options : Options
    calibration : Calibration, optional
        In the picture's own scale: that of a larger picture, of which this is a part, in place of its own.
    """
    progress = Progress(options.get("callback"), options.get("time_budget"))
    in_time = stoppable(progress.should_stop, lambda seconds: progress.has_time(seconds / PREPARING))
    with in_time, one_for_each_operation():
        inputs = make()
    problem, layout, units = inputs.problem, inputs.layout, inputs.problem.units
    progress.to_user = lambda picture: inputs.to_user(holdout.with_known(picture, problem))
    progress.std_to_user = std = inputs.std_to_user
    method, why = _method(problem, options)
    method.check(problem)
    method = method.resolved(problem)
    progress.method, progress.why = method.name, f"{method.summary}: {why}"
    progress.show("initial estimate", lambda: quick_picture(problem))
    folder, budget = options.get("resume"), options.get("time_budget")
    checkpoints = (
        nullcontext()
        if folder is None
        else run_folder(Path(folder), request_of(inputs, method, budget), progress)
    )
    threads = nullcontext() if method.fits_networks else one_for_each_operation()
    with checkpoints as stages, progress.interruptible(), threads:
        found = damage.run(method, problem, progress)
    if calibration is not None:
        found = holdout.recalibrated(
            found, problem, calibration.rescaled(-units.shift / units.scale, 1 / units.scale)
        )
    posterior, calibration = found.posterior, found.calibration
    inputs = inputs.keeping_fractions(posterior.mean)
    none = posterior.mean.new_empty((0, *posterior.mean.shape))
    samples = none if posterior.samples is None else posterior.samples

    restoration = Restoration(
        mean=inputs.to_user(posterior.mean),
        std=None if found.std is None else std(inputs.with_rounding(found.std, posterior.mean)),
        raw_std=None if posterior.std is None else std(posterior.std),
        samples=inputs.to_user(samples, lead=1),
        trace=posterior.trace,
        sigma=inputs.sigma,
        held_out=None if found.error is None else found.error * units.scale,
        held_out_count=found.count,
        seconds=progress.elapsed,
        stopped=progress.stop_reason or posterior.stopped,
        method=method.name,
        why=f"{method.summary}: {why}",
        settings=method.to_dict() | {"operator": repr(problem.operator), "noise": inputs.noise.describe()},
        info=posterior.info,
        channel_axis=layout.channel_axis,
        calibration=None if calibration is None else calibration.rescaled(units.shift, units.scale),
        chain=None if posterior.chain is None else posterior.chain.cpu().numpy(),
        findings=(*inputs.findings, *method.findings(problem), *found.findings, *_not_kept(stages)),
    )
    return layout.mapped_back(restoration) if isinstance(layout, ScaledLayout) else restoration


def _not_kept(stages: Stages | None) -> tuple[Finding, ...]:
    """What to say of checkpoints that could not be written."""
    if stages is None or not stages.failure:
        return ()
    text = (
        f"checkpoints could not be written to {one_line(stages.folder)} ({stages.failure}), and the run went on without them: "
        "a killed one would have begun again from the last that was written; free some space, or choose another folder"
    )
    return (Finding("no checkpoints", text, {"folder": str(stages.folder), "reason": stages.failure}),)


def _method(problem: Problem, options: Options) -> tuple[Method, str]:
    """The method that was asked for, with the options that all methods share; and why it runs."""
    asked = options.get("method", AUTO)
    called = asked.name if isinstance(asked, Method) else asked
    for name, value in options.items():
        if name not in Options.__annotations__:
            raise BayesDipError(unknown_option(called, name, value))
    shared = {name: options.get(name) for name in ("effort", "samples", "seed", "device")}
    if isinstance(asked, Method):
        return with_options(asked, **shared), "as asked for"
    if asked == AUTO:
        effort = one_of("effort", options.get("effort") or "balanced", methods.EFFORTS)
        choice = methods.choose(problem, effort, samples=bool(options.get("samples")))
        if not options.get("samples"):
            shared.pop("samples")
        return with_options(choice.method, **shared), choice.why
    one_of("method", asked, (AUTO, *methods.NAMES))
    return methods.create(asked, **shared), "as asked for"
