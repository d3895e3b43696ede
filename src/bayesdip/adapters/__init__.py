"""The methods of this package as parts of other libraries: a model of DeepInverse."""

from __future__ import annotations

from bayesdip.adapters.deepinv import DeepinvReconstructor

__all__ = ["DeepinvReconstructor"]
