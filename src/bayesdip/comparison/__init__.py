"""What to use on one's own picture: our methods and what else there is, ranked without a clean picture."""

from __future__ import annotations

from bayesdip.comparison.result import Agreement, Comparison, Entry
from bayesdip.comparison.run import compare

__all__ = ["Agreement", "Comparison", "Entry", "compare"]
