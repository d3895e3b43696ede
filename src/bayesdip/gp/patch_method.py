"""``method="gp"`` with ``kernel="nonlocal"``: the picture explains itself, patch by patch."""

from __future__ import annotations

import torch
from torch import Tensor

from bayesdip.gp.hidden import twice
from bayesdip.gp.patch_noise import PATCH_VALUES, SMALL_PATCH
from bayesdip.gp.patch_posterior import fills_in, patch_posterior
from bayesdip.gp.patch_projection import STATIONARY, project, spread, turns_of
from bayesdip.gp.posterior import posterior
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor, Progress
from bayesdip.operators import Identity, Mask
from bayesdip.posterior import Posterior, Trace
from bayesdip.settings import Settings

# By effort: how often the covariances of the patches are learnt anew, and where pixels are missing.
PASSES = {"fast": 2, "balanced": 3, "best": 4}
FILLING_PASSES = {"fast": 3, "balanced": 5, "best": 7}
# Values in a patch of noisy data: the means with larger and with smaller patches err differently.
PATCHES = {"fast": (PATCH_VALUES,), "balanced": (PATCH_VALUES,), "best": (PATCH_VALUES, SMALL_PATCH)}
# Turns of denoising and projection where the data are no pixels, and draws for the standard deviation.
TURNS = {"fast": 8, "balanced": 16, "best": 32}
DRAWS = {"fast": 8, "balanced": 16, "best": 64}


def run(measurement: Measurement, kernel: PatchKernel, settings: Settings, monitor: Monitor) -> Posterior:
    """Mean and standard deviation of every pixel; there are no joint samples."""
    if isinstance(measurement.operator, Identity | Mask):
        return twice(measurement, monitor, lambda part: _of_pixels(part, kernel, settings, monitor))
    start: Tensor | None = None

    def once(part: Measurement) -> Posterior:
        nonlocal start
        found = _of_other_data(part, kernel, settings, monitor, start)
        start = found.mean
        return found

    return twice(measurement, monitor, once)


def _of_pixels(
    measurement: Measurement, kernel: PatchKernel, settings: Settings, monitor: Monitor
) -> Posterior:
    y = measurement.y.to(settings.device)
    filling = fills_in(y, measurement.operator, measurement.noise)
    passes = (FILLING_PASSES if filling else PASSES)[settings.effort]
    patches = PATCHES[settings.effort]
    total = passes if filling else (passes + 1) * len(patches)
    trace: Trace = {"step": [], "seconds": []}

    def watch(number: int, share: float) -> bool:
        if share == 0:
            _note(trace, number, monitor)
        monitor.report(Progress("solve", number + 1, total, monitor.elapsed, float("nan")))
        return monitor.should_stop()

    found = patch_posterior(
        y,
        measurement.operator,
        kernel,
        measurement.noise,
        passes=passes,
        patches=patches,
        monitor=watch,
    )
    facts = {"passes": found.passes, "left_to_first_estimate": found.left}
    return _told(found.mean, found.std, trace, kernel, monitor, facts)


def _of_other_data(
    measurement: Measurement,
    kernel: PatchKernel,
    settings: Settings,
    monitor: Monitor,
    start: Tensor | None,
) -> Posterior:
    """Of blurred or shrunken pictures."""
    y = measurement.y.to(settings.device)
    turns = TURNS[settings.effort]
    total = turns_of(turns, start)
    trace: Trace = {"step": [], "seconds": []}

    def stop(turn: int, picture: Tensor) -> bool:
        _note(trace, turn, monitor)
        monitor.report(
            Progress("solve", turn + 1, total, monitor.elapsed, float("nan"), mean=lambda: picture)
        )
        return monitor.should_stop()

    noise, operator = measurement.noise, measurement.operator
    found = project(y, operator, kernel, noise, turns=turns, start=start, stop=stop)
    std = None
    draws = DRAWS[settings.effort] if settings.draws is None else settings.draws
    if draws and not monitor.should_stop():
        generator = torch.Generator(settings.device).manual_seed(settings.seed)
        stationary = STATIONARY.kernel(dims=len(operator.input_shape))
        process = posterior(y, operator, stationary, noise, draws=draws, generator=generator)
        if process.std is not None:
            std = spread(found.mean, process.mean, process.std)
    return _told(found.mean, std, trace, kernel, monitor, {"turns": found.turns})


def _note(trace: Trace, step: int, monitor: Monitor) -> None:
    trace["step"].append(step)
    trace["seconds"].append(monitor.elapsed)


def _told(
    mean: Tensor,
    std: Tensor | None,
    trace: Trace,
    kernel: PatchKernel,
    monitor: Monitor,
    facts: dict[str, float],
) -> Posterior:
    return Posterior(
        mean=mean,
        std=std,
        samples=torch.empty(0, *mean.shape, dtype=mean.dtype, device=mean.device),
        trace=trace,
        stopped=monitor.stop_reason or "finished",
        info={"kernel": repr(kernel), **facts},
    )
