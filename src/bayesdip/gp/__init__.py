"""Exact Gaussian-process inference on pixel grids: no matrix of pixels by pixels is ever made.

::

    r = posterior(y, operator, kernel, noise, samples=32)       # mean, std, draws
    best = choose(y, operator, noise).best                      # the kernel with the largest evidence
    r = posterior(y, operator, best.kernel, best.noise, colour=best.colour)
"""

from __future__ import annotations

from bayesdip.gp.conditioned import Conditioned, condition
from bayesdip.gp.inference import posterior
from bayesdip.gp.learning import Choice, Learnt, choose, learn

__all__ = ["Choice", "Conditioned", "Learnt", "choose", "condition", "learn", "posterior"]
