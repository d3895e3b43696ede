"""Which method suits one's own picture: ours and classical ones, ranked without a clean picture.

The errors of all methods are estimated from the data alone (:mod:`~bayesdip.comparison.splits`), with confidence
intervals (:mod:`~bayesdip.comparison.scoring`), in rounds after which the clearly worse ones drop out
(:mod:`~bayesdip.comparison.elimination`).
"""

from __future__ import annotations

from bayesdip.comparison.ranking import Agreement, Comparison, Entry
from bayesdip.comparison.run import compare

__all__ = ["Agreement", "Comparison", "Entry", "compare"]
