"""``method="gp"`` with ``kernel="nonlocal"``: the picture explains itself, patch by patch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bayesdip.gp.held_out import twice
from bayesdip.gp.inference import posterior
from bayesdip.gp.memory import filling_memory, patches_memory
from bayesdip.operators import Identity, Mask
from bayesdip.patches.back_projection import STATIONARY, project, spread, turns_of
from bayesdip.patches.cost import Course, units_of_filling, units_of_noise, units_of_turns
from bayesdip.patches.inference import ONE_SIZE, fills_in, patch_posterior
from bayesdip.patches.patch_grid import (
    LARGE_PATCH,
    LARGEST_PATCH,
    PATCH_VALUES,
    SMALL_PATCH,
    distinct,
    side_of,
)
from bayesdip.patches.pilot import PatchKernel
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.settings import Settings

# By effort: how often the covariances of the patches are learnt anew, and where pixels are missing.
PASSES = {"fast": 2, "balanced": 3, "best": 4}
FILLING_PASSES = {"fast": 3, "balanced": 5, "best": 5}
# How far, in pixels, patches alike are looked for beyond the usual reach in noise; among filled in ones it finds false friends.
FAR = {"fast": 0, "balanced": 0, "best": 100}
# Turns of denoising and projection where the data are no pixels, and draws for the standard deviation.
TURNS = {"fast": 8, "balanced": 16, "best": 32}
DRAWS = {"fast": 8, "balanced": 16, "best": 64}
# At best, values in a patch and their weight in the mean: larger and smaller patches err differently. Small ones are no
# help against noise on a gray picture, nor where pixels of a colour picture are missing.
COLOUR_NOISE = {PATCH_VALUES: 0.7, SMALL_PATCH: 0.3}
GRAY_NOISE = {PATCH_VALUES: 0.5, LARGE_PATCH: 0.5}
GRAY_MISSING = {PATCH_VALUES: 0.4, SMALL_PATCH: 0.3, LARGE_PATCH: 0.3}
# And against noise on a colour picture, in one more pass from their mean. Such patches are of no use from the pilot on.
COLOUR_NOISE_LAST = (LARGEST_PATCH, 0.45)


def run(problem: Problem, kernel: PatchKernel, settings: Settings, progress: Progress) -> Posterior:
    """Mean and standard deviation of every pixel; there are no joint samples."""
    if isinstance(problem.operator, Identity | Mask):
        return _of_pixels(problem, kernel, settings, progress)
    return _of_other_data(problem, kernel, settings, progress)


def _of_pixels(problem: Problem, kernel: PatchKernel, settings: Settings, progress: Progress) -> Posterior:
    fills, effort = fills_in(problem.y, problem.operator, problem.noise), settings.effort
    passes, far = (FILLING_PASSES[effort], 0) if fills else (PASSES[effort], FAR[effort])
    patches = distinct(patches_of(effort, problem.channels, fills), problem.y.shape)
    larger = larger_of(effort, problem.channels, problem.grid, fills)
    size = (problem.grid, problem.channels)
    if fills:
        memory = filling_memory(*size, max(patches))
    else:
        memory = patches_memory(*size, max(patches), far)
        if larger is not None:
            memory = max(memory, patches_memory(*size, larger[0]))

    def units(passes: int) -> list[float]:
        return units_of_filling(passes, patches) if fills else units_of_noise(passes, patches, larger)

    # With the held-out pixels, filling in goes on from where it was without them: one pass is as good as all then. Taking
    # noise away does not: on smooth surfaces, estimates of estimates lose 0.1 dB.
    passes_of = [passes, 1 if fills else passes][: _runs(problem)]
    course = Course(progress, [units(count) for count in passes_of], memory)
    start: Tensor | None = None

    def once(part: Problem) -> Posterior:
        nonlocal start
        course.begin()
        found = patch_posterior(
            part.y.to(settings.device),
            part.operator,
            kernel,
            part.noise,
            passes=passes_of[course.run],
            patches=patches,
            far=far,
            larger=larger,
            start=start,
            progress=course.watch,
        )
        start = found.mean if fills else None
        facts = {
            "passes": found.passes + (sum(passes_of[: course.run]) if fills else 0),
            "left_to_first_estimate": found.left,
        }
        return _told(found.mean, found.std, course, kernel, facts)

    return twice(problem, progress, once)


def patches_of(effort: str, channels: int, fills: bool) -> Mapping[int, float]:
    """Values in a patch, and their weight in the mean, where noise is taken away or, if it `fills`, pixels are missing."""
    if effort != "best":
        return ONE_SIZE
    if channels == 1:
        return GRAY_MISSING if fills else GRAY_NOISE
    return ONE_SIZE if fills else COLOUR_NOISE


def larger_of(effort: str, channels: int, grid: tuple[int, ...], fills: bool) -> tuple[int, float] | None:
    """Values in a patch of the last pass, and its weight in the mean, if there is such a pass."""
    wide = len(grid) == 2 and min(grid) >= side_of(LARGEST_PATCH, channels)
    return COLOUR_NOISE_LAST if effort == "best" and channels > 1 and wide and not fills else None


def _of_other_data(
    problem: Problem, kernel: PatchKernel, settings: Settings, progress: Progress
) -> Posterior:
    """Of blurred or shrunken pictures."""
    turns = TURNS[settings.effort]
    draws = DRAWS[settings.effort] if settings.draws is None else settings.draws
    runs = [units_of_turns(turns, draws), units_of_turns(turns_of(turns, problem.y), draws)]
    memory = patches_memory(problem.grid, problem.channels)
    course = Course(progress, runs[: _runs(problem)], memory)
    start: Tensor | None = None

    def once(part: Problem) -> Posterior:
        nonlocal start
        course.begin()
        y, operator, noise = part.y.to(settings.device), part.operator, part.noise

        def stop(turn: int, picture: Tensor) -> bool:
            return course.watch(turn, 0.0, picture)

        found = project(y, operator, kernel, noise, turns=turns, start=start, stop=stop)
        start, std = found.mean, None
        if draws and not progress.should_stop():
            generator = torch.Generator(settings.device).manual_seed(settings.seed)
            stationary = STATIONARY.kernel(dims=len(operator.input_shape))
            process = posterior(y, operator, stationary, noise, draws=draws, generator=generator)
            if process.std is not None:
                std = spread(found.mean, process.mean, process.std)
        return _told(found.mean, std, course, kernel, {"turns": found.turns})

    return twice(problem, progress, once)


def _runs(problem: Problem) -> int:
    """Without the held-out entries, if there are some, and with all."""
    return 1 if problem.held_out is None else 2


def _told(
    mean: Tensor, std: Tensor | None, course: Course, kernel: PatchKernel, facts: dict[str, float]
) -> Posterior:
    return Posterior(
        mean=mean,
        std=std,
        samples=torch.empty(0, *mean.shape, dtype=mean.dtype, device=mean.device),
        trace=course.trace,
        stopped=course.progress.stop_reason or "finished",
        info={"kernel": repr(kernel), **facts},
    )
