"""One baseline: what it is for, what can be tuned, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.methods.registry import Method
from bayesdip.operators import Blur, Compose, Downsample, Identity, Mask, Operator
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.settings import Settings

Floats = NDArray[np.float64]

TASKS = ("denoise", "inpaint", "upscale", "deblur")
# Modules that are not dependencies of the package, and how to get them.
GET = {
    "cv2": "OpenCV is not installed: pip install 'bayesdip[compare]'",
    "pywt": "PyWavelets is not installed: pip install 'bayesdip[compare]'",
    "bm3d": "the package bm3d is not installed: its licence allows non-commercial use only, so it is yours to add",
}


@dataclass(frozen=True)
class Baseline:
    """A classical method with one parameter.

    Attributes
    ----------
    name : str
    tasks : tuple of {"denoise", "inpaint", "upscale", "deblur"}
        What it is made for.
    function : callable
        ``function(problem, value)`` gives the picture, float64 (C, M, N), in working units.
    parameter : str
        What the value is, in words that follow it: ``"x sigma"``, ``"iterations"``.
    values : tuple of float
        What is tried when it is tuned.
    usual : float
        What one would take untuned, one of `values`.
    library : str
        Where the method comes from.
    needs : str
        A module that is not a dependency of the package; empty when there is none.
    """

    name: str
    tasks: tuple[str, ...]
    function: Callable[[Problem, float], Tensor]
    parameter: str
    values: tuple[float, ...]
    usual: float
    library: str
    needs: str = ""

    def unavailable(self) -> str:
        """Why it cannot be used here; empty when it can."""
        return GET[self.needs] if self.needs and find_spec(self.needs) is None else ""

    def describe(self, value: float) -> str:
        """Its setting in a few words."""
        return f"{value:g} {self.parameter}" if self.parameter else ""

    def applies(self, problem: Problem) -> bool:
        """Whether it is made for the problem: noisy pictures with holes are filled, then denoised."""
        task = task_of(problem.operator)
        noisy_holes = task == "inpaint" and "denoise" in self.tasks and noise_level(problem) > 0
        return task in self.tasks or noisy_holes

    def restore(self, problem: Problem, value: float) -> Tensor:
        """The restored picture, float64 (C, M, N), in working units.

        Raises
        ------
        BayesDipError
            It is not made for this problem, its library is not installed, or the library refuses.
        """
        if not self.applies(problem):
            raise BayesDipError(
                f"{self.name} is made for {' and '.join(self.tasks)}, and this is {task_of(problem.operator)}: "
                "choose another method"
            )
        if len(problem.grid) != 2:
            raise ShapeError(
                f"the picture has a grid of {len(problem.grid)} axes: {self.name} expects 2; say channel_axis"
            )
        if why := self.unavailable():
            raise BayesDipError(why)
        try:
            restored = self.function(problem, value)
        except BayesDipError:
            raise
        except Exception as error:  # another library's, of any kind: it refuses, and the others go on
            raise BayesDipError(f"{self.library} refuses: {error}") from error
        if not bool(restored.isfinite().all()):
            raise BayesDipError(f"{self.library} gave values that are not finite: choose another method")
        return restored

    def method(self, value: float | None = None) -> Method:
        """The baseline behind the signature of our methods; ``value`` by default its usual one."""
        chosen = self.usual if value is None else value

        def run(problem: Problem, settings: Settings, progress: Progress) -> Posterior:
            mean = self.restore(problem, chosen)
            return Posterior(mean, None, mean.new_empty(0, *mean.shape), {"step": []}, info={"value": chosen})

        return run


def task_of(operator: Operator) -> str:
    """Which of the four tasks a problem poses; outputs held_out from a blur or downsampling do not count."""
    inner = operator.inner if isinstance(operator, Compose) and isinstance(operator.outer, Mask) else operator
    for task, kind in (("denoise", Identity), ("inpaint", Mask), ("upscale", Downsample), ("deblur", Blur)):
        if isinstance(inner, kind):
            return task
    raise BayesDipError(
        f"{operator!r} is neither a mask, a blur nor a downsampling: no baseline is made for it; use our methods"
    )


def library(module: str) -> Any:
    """An optional module.

    Raises
    ------
    BayesDipError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BayesDipError(GET[module]) from error


def noise_level(problem: Problem) -> float:
    """Root of the mean noise variance over all channels, in working units."""
    seen = problem.operator.observed
    return float(problem.noise.variance(problem.y, seen).mean().sqrt())


def to_array(picture: Tensor) -> Floats:
    """(C, M, N) to a float64 array (M, N, C), as other libraries want it."""
    return np.ascontiguousarray(picture.detach().cpu().double().permute(1, 2, 0).numpy())


def to_tensor(array: NDArray[Any]) -> Tensor:
    """(M, N, C) to a float64 tensor (C, M, N)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=np.float64))


def by_channel(array: NDArray[Any], filtered: Callable[[NDArray[Any]], NDArray[Any]]) -> Floats:
    """Apply a filter of (M, N) arrays to every channel of (M, N, C)."""
    return np.stack([filtered(array[..., c]) for c in range(array.shape[-1])], axis=-1).astype(np.float64)
