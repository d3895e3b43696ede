"""Exact Gaussian-process inference on pixel grids: no matrix of pixels by pixels is ever made.

::

    r = posterior(y, operator, kernel, noise, samples=32)       # mean, std, draws
    best = choose(y, operator, noise).best                      # the kernel with the largest evidence
    r = posterior(y, operator, best.kernel, best.noise, colour=best.colour)
"""

from __future__ import annotations

from bayesdip.gp.inference import GPPosterior, posterior
from bayesdip.gp.learning import Choice, Learnt, choose, learn
from bayesdip.gp.tiled import BlockPosterior, posterior_in_blocks

__all__ = [
    "BlockPosterior",
    "Choice",
    "GPPosterior",
    "Learnt",
    "choose",
    "learn",
    "posterior",
    "posterior_in_blocks",
]
