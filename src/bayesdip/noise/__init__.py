"""Noise on the data: its likelihood, its variance, draws of it, and an estimate of its size."""

from __future__ import annotations

from bayesdip.noise.estimate import estimate_sigma
from bayesdip.noise.models import Gaussian, Noise, Poisson, PoissonGaussian

__all__ = ["Gaussian", "Noise", "Poisson", "PoissonGaussian", "estimate_sigma"]
