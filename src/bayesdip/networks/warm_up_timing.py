"""What sampling a picture in parts will cost, told before it begins."""

from __future__ import annotations

import time
from math import prod

import torch

from bayesdip.methods import sgld
from bayesdip.networks.memory import BYTES_OF_A_TOLD_SAMPLE, BYTES_OF_A_VALUE, run_memory
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.tiles import PIXELS, cut, planned
from bayesdip.problem import Problem
from bayesdip.progress import Estimate
from bayesdip.settings import Settings

# Steps that are measured, beside a first one, which is slower.
STEPS = 5
# What small parts free the C library keeps in pieces that are of no use to the next: after the four parts of `montage` the
# process had 350 to 362 MiB, of which the steps of one part account for 175 and the whole picture for 24. One thread: 273, 149 and 24.
KEPT_OF_SMALL = 0.9


def rehearsed(problem: Problem, settings: Settings) -> Estimate:
    """What :func:`bayesdip.networks.tiles.run` takes: by a few steps on the first part, which are thrown away.

    Seconds without a time budget, and bytes beyond the program itself.
    """
    parts, schedule = planned(problem, settings)
    part = cut(problem, parts[0])
    energy, target, generator = sgld.posed(part, settings)
    muon = MuonStepper(target, generator, input_noise=schedule.sampled_input_noise)
    marks = [time.perf_counter()]
    for _ in range(STEPS + 1):
        muon.step()
        if generator.device.type == "cuda":
            torch.cuda.synchronize(generator.device)
        marks.append(time.perf_counter())
    one = marks[1] - marks[0] + (schedule.steps - 1) * (marks[-1] - marks[1]) / STEPS
    values = part.channels * prod(part.grid)
    memory = run_memory(
        target.network, tuple(target.code.shape[2:]), values, settings.samples, settings.chains
    )
    if len(parts) > 1:
        if generator.device.type == "cpu" and prod(part.grid) < PIXELS // 2:
            memory += round(KEPT_OF_SMALL * memory)
        # what the whole is put together from
        values = problem.channels * prod(problem.grid)
        memory += values * (BYTES_OF_A_VALUE + BYTES_OF_A_TOLD_SAMPLE * settings.samples)
    return Estimate(len(parts) * one, memory, len(parts) * schedule.steps)
