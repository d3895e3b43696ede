"""``method="gp"`` with ``kernel="nonlocal"``: the picture explains itself, patch by patch."""

from __future__ import annotations

import torch

from bayesdip.gp.patch_posterior import fills_in, patch_posterior
from bayesdip.kernels.patches import PatchKernel
from bayesdip.measurement import Measurement
from bayesdip.monitor import Monitor, Progress
from bayesdip.posterior import Posterior, Trace
from bayesdip.settings import Settings

# By effort: how often the covariances of the patches are learnt anew, and where pixels are missing.
PASSES = {"fast": 1, "balanced": 2, "best": 3}
FILLING_PASSES = {"fast": 3, "balanced": 5, "best": 7}


def run(measurement: Measurement, kernel: PatchKernel, settings: Settings, monitor: Monitor) -> Posterior:
    """Mean and standard deviation of every pixel; there are no joint samples."""
    y = measurement.y.to(settings.device)
    filling = fills_in(y, measurement.operator, measurement.noise)
    passes = (FILLING_PASSES if filling else PASSES)[settings.effort]
    trace: Trace = {"step": [], "seconds": []}

    def watch(number: int, share: float) -> bool:
        if share == 0:
            trace["step"].append(number)
            trace["seconds"].append(monitor.elapsed)
        monitor.report(Progress("solve", number + 1, passes, monitor.elapsed, float("nan")))
        return monitor.should_stop()

    found = patch_posterior(
        y,
        measurement.operator,
        kernel,
        measurement.noise,
        passes=passes,
        monitor=watch,
    )
    return Posterior(
        mean=found.mean,
        std=found.std,
        samples=torch.empty(0, *found.mean.shape, dtype=found.mean.dtype, device=found.mean.device),
        trace=trace,
        stopped=monitor.stop_reason or "finished",
        info={"passes": found.passes, "kernel": repr(kernel), "left_to_first_estimate": found.left},
    )
