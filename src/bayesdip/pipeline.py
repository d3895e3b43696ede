"""From data in their own scale to a Restoration: units, held-out pixels, the method, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from bayesdip import arch as archs
from bayesdip import kernels, presets
from bayesdip.arch import Architecture
from bayesdip.errors import ShapeError
from bayesdip.holdout import calibrate_on, calibrated_std, choose_held_out, held_out_error, learn_from
from bayesdip.kernels.kernel import Kernel
from bayesdip.methods import registry as methods
from bayesdip.noise import Gaussian, Noise
from bayesdip.operators import Identity, Mask, Operator
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Callback, Progress
from bayesdip.result import Restoration
from bayesdip.settings import METHODS, Settings, one_of, pick_device
from bayesdip.units import Layout, Units

# The method that goes by the operator.
AUTO = "auto"


class Options(TypedDict, total=False):
    """What all restoring functions take besides the picture.

    method : {"auto", "gp", "sgld", "stack", "map", "variational", "dropout"}
        Sampled deep image prior (best), its Gaussian-process limit (instant), or one fit; to
        compare with: mean-field variational inference, Monte-Carlo dropout.
    arch : Architecture or str
        A description, or the name of one. By default the method's own choice.
    kernel : Kernel or str
        For ``gp``: a kernel, the name of one, or ``"auto"`` for the one with the largest evidence.
        By default the architecture's own.
    effort : {"fast", "balanced", "best"}
        How much work.
    time_budget : float
        Seconds; the run ends by then with the best posterior mean so far.
    seed : int
        The same seed repeats a CPU run to the bit (without a time budget).
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ...
    callback : callable
        Called with a :class:`bayesdip.Snapshot`; returning True ends the run.
    samples : int
        Posterior samples to keep; by default 16, and none for ``gp``, to which they would be most of the work.
    draws : int
        For ``gp``: posterior draws behind the standard deviation; 0 leaves it out.
    sampler : {"psgld", "sgld", "sghmc", "cyclical", "hmc", "adam-noise"}
        For ``sgld``: one of five that sample the posterior, or the recipe of the paper's code.
    temperature : float
        For every sampler but ``"adam-noise"``; 1 samples the posterior itself.
    chains : int
        For ``sgld``: how many networks are sampled at once; they share the steps of the effort.
    sample_sigma : bool
        For ``sgld``: draw the size of Gaussian noise along with the weights, starting from ``sigma``.
    optimiser : {"sgd", "sgd+average", "sgd+weight-decay", "sgd+input", "sgd+input+average"}
        For ``map``: the variants that the paper compares.
    stop : {"never", "held-out", "windowed-variance", "discrepancy", "sure"}
        For ``map``: the rule that ends the fit; by default ``"held-out"``, of exact data ``"never"``.
    preset : {"paper"}
        The network and the recipe of Cheng et al. 2019, as their code runs it: 20,000 steps on a large
        network. It decides method, arch, sampler and effort.
    """

    method: str
    arch: Architecture | str | None
    kernel: Kernel | str | None
    effort: str
    time_budget: float | None
    seed: int
    device: str
    callback: Callback | None
    samples: int | None
    draws: int | None
    sampler: str
    temperature: float
    chains: int
    sample_sigma: bool
    optimiser: str
    stop: str | None
    preset: str | None


def run_pipeline(
    data: Tensor, operator: Operator, noise: Noise, layout: Layout, options: Options
) -> Restoration:
    """Restore ``data``, float64 (C, *operator.output_shape) in their own scale."""
    progress = Progress(options.get("callback"), options.get("time_budget"))
    settings = settings_of(options, operator, noise)
    if settings.method != "gp" and len(operator.input_shape) > 2:
        raise ShapeError(
            f"the picture has a grid of {len(operator.input_shape)} axes {tuple(operator.input_shape)}: "
            "say channel_axis=-1 if the last axis holds colours; volumes are restored by method='gp' alone"
        )
    units = working_units(data, operator)
    problem = Problem(units.to_working(data), operator, noise.rescaled(units.shift, units.scale))
    held_out = choose_held_out(problem, settings.seed)
    run = methods.named(settings.method)
    calibration = held_out = None
    with progress.interruptible():
        if held_out is None:
            posterior = run(problem, settings, progress)
        elif settings.method in ("gp", "stack"):
            # They give the posterior without the held-out pixels by the way.
            posterior = run(replace(problem, held_out=held_out), settings, progress)
            if posterior.without is not None:
                held_out = held_out_error(posterior.without, problem, held_out)
                calibration = calibrate_on(posterior.without, problem, held_out, settings.seed)
        else:
            seen = replace(problem, operator=operator.with_held_out(held_out), held_out=held_out)
            posterior = run(seen, settings, progress)
            held_out = held_out_error(posterior, problem, held_out)
            calibration = calibrate_on(posterior, problem, held_out, settings.seed)
            if calibration is not None:
                posterior = learn_from(posterior, problem, held_out, calibration, settings.seed)
    posterior = put_back_known(posterior, problem)
    better = None
    if calibration is not None and posterior.std is not None:
        better = calibrated_std(posterior, problem, calibration)
    return Restoration(
        mean=layout.cast(layout.to_array(units.to_own(posterior.mean))),
        std=None if posterior.std is None else _std(posterior.std, units, layout),
        samples=layout.cast(layout.to_array(units.to_own(posterior.samples), lead=1)),
        trace=posterior.trace,
        sigma=_sigma(noise),
        held_out=None if held_out is None else held_out * units.scale,
        held_out_count=0 if held_out is None else int(held_out.sum()) * problem.channels,
        seconds=progress.elapsed,
        stopped=posterior.stopped,
        settings=settings.to_dict() | {"operator": repr(operator), "noise": noise.describe()},
        info=posterior.info,
        channel_axis=layout.channel_axis,
        calibration=None if calibration is None else calibration.rescaled(units.shift, units.scale),
        calibrated_std=None if better is None else _std(better, units, layout),
        chain=None if posterior.chain is None else posterior.chain.cpu().numpy(),
    )


def settings_of(options: Options, operator: Operator | None = None, noise: Noise | None = None) -> Settings:
    """Options as the user gave them to checked settings; names become what they name.

    ``method="auto"`` goes by the operator and the noise; without an operator, the choices are checked for ``"sgld"``.
    """
    chosen: dict[str, Any] = {k: v for k, v in options.items() if k not in ("callback", "time_budget")}
    one_of("method", chosen.setdefault("method", AUTO), (AUTO, *METHODS))
    if chosen.get("preset") is not None:
        chosen["method"] = Settings.method if chosen["method"] == AUTO else chosen["method"]
        chosen = presets.choices(chosen["preset"], chosen)
    if chosen["method"] == AUTO:
        effort = chosen.get("effort", Settings.effort)
        chosen |= (
            {"method": Settings.method}
            if operator is None
            else methods.suited(operator, effort, chosen, noise)
        )
    if chosen.get("samples") is None:
        chosen["samples"] = methods.default_samples(chosen["method"])
    chosen["arch"] = chosen.get("arch") or methods.default_architecture(chosen["method"], noise, operator)
    if isinstance(chosen["arch"], str):
        chosen["arch"] = archs.named(chosen["arch"])
    if isinstance(chosen.get("kernel"), str) and chosen["kernel"] != "auto":
        chosen["kernel"] = kernels.named(chosen["kernel"])
    chosen["device"] = pick_device(chosen.get("device", "auto"))
    return Settings(**chosen)


def working_units(data: Tensor, operator: Operator) -> Units:
    """Map the range of the observed data to 0..1.

    The shift passes through operators that keep a constant picture constant (masks, blurs
    and downsampling do); for any other the picture is only scaled.
    """
    observed = operator.observed.expand(data.shape)
    units = Units.of(data[observed])
    ones = operator.forward(torch.ones(1, *operator.input_shape, dtype=data.dtype)).expand(data.shape)
    if torch.allclose(ones[observed], torch.ones((), dtype=data.dtype), atol=1e-4):
        return units
    largest = float(data[observed].abs().max())
    gain = float(ones[observed].abs().max())
    return Units(0.0, largest / gain if largest > 0 and gain > 0 else 1.0)


def put_back_known(posterior: Posterior, problem: Problem) -> Posterior:
    """Where a pixel was seen without noise, that is its value, and nothing is uncertain."""
    noise, operator = problem.noise, problem.operator
    if not (noise.is_exact and isinstance(operator, Identity | Mask)):
        return posterior
    known = operator.observed.expand(problem.y.shape)
    y = problem.y

    def fill(picture: Tensor) -> Tensor:
        return torch.where(known, y, picture.double().cpu())

    std = None if posterior.std is None else torch.where(known, 0.0, posterior.std.double().cpu())
    return replace(posterior, mean=fill(posterior.mean), std=std, samples=fill(posterior.samples))


def _std(std: Tensor, units: Units, layout: Layout) -> np.ndarray[Any, np.dtype[np.float32]]:
    return layout.to_array(std * units.scale).astype(np.float32)


def _sigma(noise: Noise) -> tuple[float, ...] | None:
    """The standard deviation that a user would name, if there is one."""
    if not isinstance(noise, Gaussian) or isinstance(noise.sigma, Tensor):
        return None
    return noise.sigma if isinstance(noise.sigma, tuple) else (noise.sigma,)
