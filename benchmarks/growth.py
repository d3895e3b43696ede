"""Time and memory of training by size and number of pictures, with a figure.

A few steps at each size, each in a process of its own; the first that fails ends its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from bayesdip import arch as archs
from bayesdip.lab.results import Row
from bayesdip.methods.method import pick_device
from bayesdip.networks import precision
from bayesdip.networks.checkpointing import add_checkpoints
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.samplers import Psgld
from benchmarks.gp_growth import log_log
from benchmarks.measurement import answer, in_own_process, peak_bytes, timed_on
from benchmarks.options import Options
from benchmarks.picture_batch import Batch
from benchmarks.results import Results, of_part
from benchmarks.roofline import colour_energy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDES = (64, 128, 256, 512, 1024, 2048)
PICTURES = (1, 2, 4, 8, 16, 32, 64)
BATCH_SIDE = 64
# The default network of noisy data.
ARCH = "skip(scales=3, width=32)"
SMALL = archs.shuffle(scales=1, width=4, skip=2, shuffled=2)
# Seconds after which a fit is given up.
LIMITS = {"fast": 60.0, "balanced": 300.0, "best": 1800.0}
LABELS = {"plain": "activations kept", "sparing": "activations recomputed"}
STEPS = 6


def run(results: Results, options: Options) -> None:
    """Three lines of sizes, and the figure."""
    limit, device = LIMITS[options.effort], pick_device("auto")
    for mode in LABELS:
        sizes = [
            {"part": "sides", "mode": mode, "side": side, "pictures": 1} for side in options.sides or SIDES
        ]
        _climb(results, sizes, device, limit, options.seed)
    counts = [{"part": "pictures", "mode": "plain", "side": BATCH_SIDE, "pictures": k} for k in PICTURES]
    _climb(results, counts, device, limit, options.seed)
    results.conclude(arch=ARCH, device=device)
    results.draw(growth_figure, "-plot")


def _climb(results: Results, line: Sequence[Row], device: str, limit: float, seed: int) -> None:
    for key in line:
        if not results.has(**key):
            arguments = {"side": key["side"], "pictures": key["pictures"], "device": device}
            arguments |= {"sparing": key["mode"] == "sparing", "seed": seed}
            row = in_own_process("benchmarks.growth", arguments, limit)
            results.add(key | {"arch": ARCH, "device": device} | row)
        if results.has(**key, failed=True):
            return


def growth_figure(rows: list[Row]) -> Figure:
    """Seconds a step above, memory below; over the side on the left, over the pictures on the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for column, (part, x) in zip(axes.T, (("sides", "side"), ("pictures", "pictures")), strict=True):
        done = [row for row in of_part(rows, part) if not row.get("failed")]
        for mode, label in LABELS.items():
            line = [row for row in done if row["mode"] == mode]
            places = [row[x] for row in line]
            if line:
                column[0].plot(places, [row["seconds"] for row in line], "o-", label=label)
                column[1].plot(places, [row["peak_bytes"] / 2**20 for row in line], "o-", label=label)
        log_log(column, sorted({row[x] for row in done}))
    axes[0, 0].set_ylabel("seconds a step")
    axes[1, 0].set(ylabel="peak memory (MiB)", xlabel="side of one picture (pixels)")
    axes[1, 1].set_xlabel(f"pictures of {BATCH_SIDE} x {BATCH_SIDE} at once")
    axes[0, 0].legend(fontsize=8)
    figure.suptitle("One training step")
    return figure


def measure(side: int, pictures: int, sparing: bool, device: str, seed: int) -> Iterator[Row]:
    """Time and memory of fitting colour pictures of that side, each with a network of its own.

    Yields
    ------
    dict
        ``seconds`` of the quickest step but the first, ``first`` of the first, ``peak_bytes`` above
        what the process had after a small fit.
    """
    _fit(SMALL, 16, 1, False, device, seed)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    before = _peak(device)
    first, *others = _fit(archs.named(ARCH), side, pictures, sparing, device, seed)
    yield {"seconds": min(others), "first": first, "peak_bytes": _peak(device) - before}


def _fit(
    arch: archs.Architecture, side: int, pictures: int, sparing: bool, device: str, seed: int
) -> list[float]:
    """Seconds of each of the steps; then one of Langevin dynamics, with a good state to go back to."""
    energies = [colour_energy(arch, side, device, seed + k) for k in range(pictures)]
    for energy in energies:
        precision.lower(energy.network, precision.fastest(device))
        if sparing:
            add_checkpoints(energy.network)
    target = energies[0] if pictures == 1 else Batch.together(energies)
    generator = torch.Generator(device).manual_seed(seed)
    stepper = MuonStepper(target, generator, input_noise=1 / 30)
    seconds = [timed_on(device, stepper.step) for _ in range(STEPS)]
    good = stepper.snapshot()
    curvature, bases = stepper.curvature()
    Psgld(target, generator, curvature, step_size=0.01, bases=bases).step()
    del good
    return seconds


def _peak(device: str) -> int:
    return peak_bytes() if device == "cpu" else int(torch.cuda.max_memory_allocated(device))


if __name__ == "__main__":
    answer(measure)
