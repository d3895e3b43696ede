"""What the summary and the page both say of intervals and of mixing."""

from __future__ import annotations

from typing import Any

from bayesdip.errors import BayesDipError
from bayesdip.result import Restoration


def coverage_of(restoration: Restoration) -> str:
    """The coverage of 90% intervals on held-out pixels; empty where nothing is known of it."""
    found = restoration.calibration
    if found is None:
        return ""
    how = "counted" if not any(restoration.sigma or (1,)) else "estimated, for their own noise hides them"
    said = (
        f"90% intervals hold {100 * found.coverage:.1f} +- {100 * found.coverage_error:.1f}% of {found.count} "
        f"held-out values ({how}); {100 * found.coverage_uncalibrated:.1f}% before std was multiplied by "
        f"{found.ratio:.2f} +- {found.ratio * found.ratio_error:.2f}"
    )
    if found.beyond > 0:
        said += f"; {100 * found.beyond:.1f}% of the missing pixels are farther from any known one: not tested there"
    return said


def mixing_of(restoration: Restoration) -> str:
    """Whether the chain has mixed; why it is not known, where a chain was run; empty without one."""
    if restoration.chain is None:
        return ""
    try:
        found = restoration.diagnostics
    except BayesDipError as error:
        return f"mixing not tested: {error}"
    if found is None:
        return (
            f"mixing not tested: {len(restoration.samples)} kept samples are too few; ask for more --samples"
        )
    return found.word


def diagnostics_of(restoration: Restoration) -> dict[str, Any] | None:
    """Plain JSON values; None without a chain, without ArviZ, or with too few samples."""
    try:
        found = restoration.diagnostics
    except BayesDipError:
        return None
    return None if found is None else found.summary()
