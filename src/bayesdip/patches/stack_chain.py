"""Which group filters restore a stack of slices or frames: patches of several slices, whose like are searched for across slices.

The first axis of the grid is that of the slices. See :mod:`bayesdip.patches.stack_passes` for how a stack is passed over, and
:mod:`bayesdip.patches.filter_chain` for the filters.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from bayesdip.errors import BayesDipError, ShapeError
from bayesdip.findings import Finding
from bayesdip.noise import Noise
from bayesdip.operators import Identity, Mask
from bayesdip.patches.chain import SMALLEST, Chain, chain_of
from bayesdip.patches.group_passes import Groups
from bayesdip.patches.patch_grid import JOINT_CHANNELS
from bayesdip.problem import Problem

# All constants of this file were found on four stacks of 9x64x64 voxels at sigma 0.1 of a range of 1: a part of a picture of BSDS500
# (no part of a test set) that stands still, one that moves by (1.3, 0.7) pixels a frame, slices of a head by magnetic resonance, and
# smooth shapes with fine texture. Mean PSNR slice by slice 26.65 dB; with these filters 28.49, with low-rank groups 28.6.
#
# Slices searched on either side: 2 cost 0.26 dB, most of it (0.9) where the stack stands still. Patches of one slice alone: 0.55.
ACROSS = 4
# Largest lag in another slice, from where the slice before was most similar: 5 cost 0.01 dB.
LAG = 8
# The data have the single precision of the filters: their range may be so many times the noise's variance.
SINGLE_PRECISION_RANGE = 1e5
# The name of what runs.
MODEL = "chain of group filters across slices"


def stack_chain(effort: str, channels: int, across: int | None) -> Chain:
    """What runs on a stack of one to three channels.

    Parameters
    ----------
    effort : {"fast", "balanced", "best"}
    channels : int
    across : int or None
        Slices on either side that are searched; 0 restores each slice by itself, None takes `ACROSS`.
    """
    if across == 0:
        return chain_of(effort, channels)
    slices, apart = ACROSS if across is None else across, channels > 1

    def groups(side: int, count: int, depth: int, step: int = 4, radius: int = 16) -> Groups:
        return Groups(side, count, step, radius, apart, depth, slices, LAG)

    # Patches of 6x6 and of 5 slices in the Wiener filter and 5x5 in the last one cost 0.05 to 0.1 dB; groups of 96 0.04.
    chain = Chain(groups(8, 18, 5), (groups(5, 64, 3),), groups(4, 64, 3))
    # They brought 0.15 dB, in twice the time; groups of 35 cost 0.03, patches of 5x5x3 0.07.
    low_rank = {"fast": (), "balanced": (groups(4, 50, 3, radius=12),)}
    low_rank["best"] = (groups(4, 50, 3, 3, 12), groups(4, 70, 4, 3, 12))
    return replace(chain, shrunk=low_rank[effort])


def is_taken(problem: Problem) -> str:
    """Why patches do not take a stack; empty where they do.

    Parameters
    ----------
    problem : Problem
        Of three grid axes.
    """
    if not isinstance(problem.operator, Identity | Mask):
        return f"its data are those of {problem.operator!r}: expected noisy voxels of the stack itself"
    if min(problem.grid[1:]) < SMALLEST:
        return f"its slices, along the first axis, have {problem.grid[1]} x {problem.grid[2]} pixels: expected at least {SMALLEST} x {SMALLEST}"
    if problem.channels > JOINT_CHANNELS:
        return f"it has {problem.channels} channels: expected at most {JOINT_CHANNELS}"
    variance = _variance(problem.y, problem.operator, problem.noise)
    reach = float((problem.y.flatten(1).amax(1) - problem.y.flatten(1).amin(1)).square().amax())
    if not reach < 4 * SINGLE_PRECISION_RANGE * variance:
        return "there is no noise to speak of: expected a standard deviation of at least 0.2% of the range"
    return ""


def _variance(y: Tensor, operator: Identity | Mask, noise: Noise) -> float:
    """Mean variance of the noise on what was observed."""
    seen = operator.observed.to(y.device).expand(y.shape)
    return float(noise.variance(y, seen).to(y).expand(y.shape)[seen].mean())


def check_stack(problem: Problem, across: int | None) -> None:
    """Raise for a stack that patches do not take, and for `across` where there are no slices."""
    if len(problem.grid) < 3:
        if across is not None:
            raise ShapeError(
                f"across={across} was given for a grid of {len(problem.grid)} axes {problem.grid}: expected three, of which the "
                "first is that of slices; leave across out"
            )
        return
    why_not = is_taken(problem)
    if why_not:
        raise ShapeError(
            f"method 'patches' was given a stack of {' x '.join(map(str, problem.grid))}, and {why_not}; say channel_axis=-1 if the "
            "last axis holds colours, or use method='gp' for a volume"
        )


def device_of_compiled(device: str) -> str:
    """Where a stack, or a picture with correlated noise, is restored: the compiled filters run on the CPU."""
    if device not in ("auto", "cpu"):
        raise BayesDipError(
            f"device {device!r} was given for patches of a stack or with correlated noise: expected auto or cpu, where its filters run; leave it out, or "
            "use method='gp'"
        )
    return "cpu"


def across_slices(problem: Problem, across: int | None) -> tuple[Finding, ...]:
    """What to say of a stack that is restored across its slices; nothing of others."""
    if len(problem.grid) < 3 or across == 0 or problem.grid[0] == 1:
        return ()
    count = min(ACROSS if across is None else across, problem.grid[0] - 1)
    text = (
        f"the first axis is taken for {problem.grid[0]} slices or frames of {problem.grid[1]} x {problem.grid[2]}, and similar patches "
        f"are searched across {count} of them on either side; method=Patches(across=0) restores each by itself"
    )
    return (Finding("across slices", text, {"slices": problem.grid[0], "across": count}),)
