"""``method="auto"``: which method suits a problem, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayesdip.damage_parts import HOLE
from bayesdip.networks.coarse_grid import deepest
from bayesdip.noise import Correlated
from bayesdip.operators import Downsample, Identity, Mask

if TYPE_CHECKING:
    from bayesdip.methods.method import Method
    from bayesdip.problem import Problem

# A small picture leaves most of the large one open, and networks fill it in each in its own way: on a
# 128x128 part of Set5's butterfly three chains of 500 steps gave 27.3 dB, each of them alone 25.4 to 26.5.
CHAINS_TO_UPSCALE = 3
# Networks that fit exact data differ more from each other than each does while it is sampled.
CHAINS_OF_EXACT = 2
# Distance of missing pixels from known ones, in pixels, from which on a network takes part in the default. On twelve parts of 128
# pixels of tuning pictures, each with a hole of 24 to 64, or of 16, which is below this, it gained 0.6 dB over patches on average (-0.9 to
# 3.3), in 25 to 55 s of one core where these take 3 (`python -m benchmarks hole-methods`).
DEEP = 12.0


@dataclass(frozen=True)
class Choice:
    """A method, and one sentence on why it was chosen.

    Attributes
    ----------
    method : Method
    why : str
    """

    method: Method
    why: str


def choose(problem: Problem, effort: str = "balanced", samples: bool = False) -> Choice:
    """The method that suits a problem, at its defaults.

    By operator and noise, as the benchmarks found (benchmarks page of the documentation).

    Parameters
    ----------
    problem : Problem
    effort : {"fast", "balanced", "best"}
    samples : bool
        Whether posterior samples are asked for: then a method that draws them.

    Returns
    -------
    Choice
    """
    from bayesdip.methods.gp import GP
    from bayesdip.methods.patches import Patches
    from bayesdip.methods.sgld import SGLD
    from bayesdip.methods.stack import Stack
    from bayesdip.patches.chain import takes_correlated
    from bayesdip.patches.stack_chain import is_taken

    operator, noise = problem.operator, problem.noise
    if isinstance(noise, Correlated) and operator.is_linear and not samples and not takes_correlated(problem):
        why = "the noise is correlated, and the data are no pixels of a picture: the Gaussian process takes its covariance"
        return Choice(GP(), why)
    if not operator.is_linear:
        return Choice(SGLD(), "the operator is not linear, and a sampled network needs only its derivative")
    pixels = isinstance(operator, Identity | Mask)
    if len(problem.grid) > 2:
        if noise.is_gaussian_like and not samples and not is_taken(problem):
            return Choice(Patches(), "in a stack of noisy slices, similar patches are found across them")
        why = "the picture is a volume, which the Gaussian process restores in closed form"
        if pixels:
            return Choice(GP(kernel="auto"), f"{why}, by the kernel with the largest evidence")
        return Choice(GP(), why)
    if not noise.is_gaussian_like:
        why = f"{noise.describe()} is far from Gaussian, and a sampled network takes its likelihood as it is"
        return Choice(Stack(), f"{why}, beside patches") if pixels else Choice(SGLD(), why)
    if not pixels:
        if samples:
            chains = CHAINS_TO_UPSCALE if isinstance(operator, Downsample) else 1
            return Choice(SGLD(chains=chains), "samples were asked for, and a sampled network draws them")
        return Choice(
            Patches(), "patches of the estimate in turns with back-projection onto the data lead here"
        )
    if isinstance(operator, Mask) and noise.is_exact and len(problem.grid) == 2 and effort != "fast":
        far = deepest(problem)
        if far >= (HOLE if effort == "best" or samples else DEEP):
            why = f"missing pixels are up to {far:.0f} pixels from known ones: there, networks on a coarser grid and patches"
            return Choice(SGLD(), f"{why}, averaged by held-out regions, are better than either")
    stack = Stack(sgld=SGLD(chains=CHAINS_OF_EXACT)) if noise.is_exact else Stack()
    if samples:
        return Choice(
            stack, "samples were asked for: patches and a sampled network, averaged by held-out error"
        )
    if effort == "best":
        return Choice(stack, "at best effort patches and a sampled network are averaged by held-out error")
    if isinstance(operator, Identity) and len(problem.grid) == 1:
        return Choice(stack, "on a noisy signal patches and a sampled network are better together than alone")
    what = "missing pixels near known ones" if isinstance(operator, Mask) else "noise"
    return Choice(Patches(), f"for {what}, groups of similar patches are quicker and better than a network")
