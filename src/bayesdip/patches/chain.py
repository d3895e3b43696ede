"""The settings of a chain of group filters (:mod:`bayesdip.patches.filter_chain`) by effort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bayesdip.errors import BayesDipError
from bayesdip.noise import Correlated
from bayesdip.operators import Identity, Mask
from bayesdip.patches.group_passes import Groups
from bayesdip.patches.multiscale import COARSER_WORK
from bayesdip.patches.own_weight import work_share
from bayesdip.patches.patch_grid import JOINT_CHANNELS
from bayesdip.problem import Problem

# Least side of a picture: smaller ones have too few patches to compare.
SMALLEST = 16


@dataclass(frozen=True)
class Chain:
    """What runs, one after the other.

    Attributes
    ----------
    first : Groups
        Of linear combinations whose pilot is the data.
    filters : tuple of Groups
        Of Wiener filters.
    last : Groups or None
        Of linear combinations.
    shrunk : tuple of Groups
        Of shrinkage: each runs `rounds` times from the chain's estimate, and their results are averaged.
    rounds : int
    """

    first: Groups
    filters: tuple[Groups, ...]
    last: Groups | None = None
    shrunk: tuple[Groups, ...] = ()
    rounds: int = 6

    @property
    def is_of_correlated(self) -> bool:
        """Whether it has filters alone that know how the noise is correlated."""
        return self.last is None and not self.shrunk

    @property
    def own(self) -> list[Groups]:
        """Of each pass of the chain itself."""
        return [self.first, *self.filters, *([] if self.last is None else [self.last])]

    @property
    def passes(self) -> int:
        """Passes of the chain itself on the finest grid."""
        return len(self.own)

    def count(self, passes: int) -> int:
        """Patches of a group of its last filter after so many passes."""
        return self.own[passes - 1].count

    @property
    def stages(self) -> int:
        """That ask `stop`, before `leave_out` is looked at."""
        return self.passes + 1 + self.rounds * len(self.shrunk)

    def work(self, shape: Sequence[int], *, leave_out: bool) -> list[float]:
        """Of each stage that asks `stop`, in any unit, for a picture (C, H, W) or stack (C, Z, H, W)."""
        own = [groups.work(shape) for groups in self.own]
        rounds = [groups.work(shape, eigen=True) for groups in self.shrunk for _ in range(self.rounds)]
        stages = [*own, COARSER_WORK * sum(own), *rounds]
        return [*stages, work_share(shape) * sum(stages)] if leave_out else stages


def chain_of(effort: str, channels: int) -> Chain:
    """What runs at an effort of "fast", "balanced" or "best" on a picture of one channel, or of two or three."""
    # Gray, chosen on three to five such parts: groups of 35 in place of 50 and a search as far as 24 in place of 16 pixels brought
    # 0.04 / 0.02 dB on six others; 5x5 and 7x7 at best in place of twice 6x6 0.02 / 0.02. Colour, on six 128x128 parts: components apart
    # in place of all channels together brought 0.44 / 0.33 dB of the chain. Low-rank groups, on four: 5x5 apart 0.14 / 0.12, and
    # those of 4x4 together beside them another 0.05 / 0.02; 6x6 apart as far as 24 pixels no more, in twice the time.
    # At fast, sigma 25 / 50: references 6 pixels apart in place of 4 cost the chain 0.04 / 0.03 dB (eight gray parts) and 0.04 / 0.05
    # (four in colour) in half of the time. Four rounds by groups of 5x5 pixels as far as 12 pixels brought 0.20 / 0.19 and, apart and 4
    # pixels from each other, 0.19 / 0.21; as far as 16 pixels gray 0.01 / 0.02 less.
    shrunk: dict[str, tuple[Groups, ...]] = {}
    if channels == 1:
        shrunk["fast"] = (Groups(5, 35, radius=12),)
        shrunk["balanced"] = (Groups(6, 35, radius=24),)
        shrunk["best"] = (Groups(5, 40, step=3, radius=24), Groups(7, 90, step=3, radius=24))
    else:
        shrunk["fast"] = (Groups(5, 35, step=5, radius=12, apart=True),)
        shrunk["balanced"] = (Groups(5, 35, apart=True), Groups(4, 70, radius=24))
        shrunk["best"] = (
            Groups(5, 35, step=3, radius=24, apart=True),
            Groups(6, 35, step=3, radius=24, apart=True),
            Groups(4, 70, step=3, radius=32),
        )
    fast = effort == "fast"
    groups = partial(Groups, step=6 if fast else 4, apart=channels > 1)
    return Chain(groups(11, 18), (groups(7, 64),), groups(6, 64), shrunk[effort], 4 if fast else 6)


def chain_of_correlated(effort: str, channels: int) -> Chain:
    """What runs at an effort on a picture with correlated noise: after thresholds, Wiener filters alone, which know the noise of a patch."""
    groups = partial(Groups, step=6 if effort == "fast" else 4, apart=channels > 1)
    return Chain(groups(8, 18), (groups(7, 64), groups(7, 64)))


def takes_correlated(problem: Problem) -> bool:
    """Whether patches know what to do with the correlated noise of a problem: on pixels of a picture of one to three channels."""
    grid = problem.grid
    picture = len(grid) == 2 and min(grid) >= SMALLEST and problem.channels <= JOINT_CHANNELS
    return picture and isinstance(problem.operator, Identity | Mask)


def check_correlated(problem: Problem) -> None:
    """Raise where the noise is correlated and patches would take it for white."""
    if isinstance(problem.noise, Correlated) and not takes_correlated(problem):
        raise BayesDipError(
            f"method 'patches' was given {problem.noise.describe()}, and {problem.operator!r} on {problem.channels} channels of "
            f"{' x '.join(map(str, problem.grid))} pixels: expected a picture of 1 to {JOINT_CHANNELS} channels, at least "
            f"{SMALLEST} pixels wide, seen directly; use method='gp' or 'sgld'"
        )
