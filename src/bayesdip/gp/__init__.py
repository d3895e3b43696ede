"""Exact Gaussian-process inference on pixel grids: no matrix of pixels by pixels is ever made."""

from __future__ import annotations

from bayesdip.gp.posterior import GPPosterior, posterior

__all__ = ["GPPosterior", "posterior"]
