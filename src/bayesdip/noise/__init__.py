"""Noise on the data: its likelihood, its variance, draws of it, and an estimate of its size.

Noise of your own comes in by :func:`from_log_likelihood`, or as a subclass of :class:`Noise`.
"""

from __future__ import annotations

from bayesdip.noise.clipping import detect_clipping
from bayesdip.noise.correlated import Correlated
from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.gaussian import Gaussian
from bayesdip.noise.inspection import Inspection, inspect, white_noise
from bayesdip.noise.jpeg import JPEG
from bayesdip.noise.laplace import Laplace
from bayesdip.noise.log_likelihood import from_log_likelihood
from bayesdip.noise.noise import Noise
from bayesdip.noise.poisson import Poisson, PoissonGaussian
from bayesdip.noise.speckle import Speckle, estimate_looks

__all__ = [
    "JPEG",
    "Correlated",
    "Gaussian",
    "Inspection",
    "Laplace",
    "Noise",
    "Poisson",
    "PoissonGaussian",
    "Speckle",
    "detect_clipping",
    "estimate_looks",
    "estimate_sigma",
    "from_log_likelihood",
    "inspect",
    "white_noise",
]
