"""What the page and the summary both say of a run, in words and as rows of a table."""

from __future__ import annotations

import json
import math
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bayesdip import __version__
from bayesdip.errors import BayesDipError
from bayesdip.snapshot import clock

if TYPE_CHECKING:
    from bayesdip.result import Restoration

# Name, value and remark.
Fact = tuple[str, str, str]


def what_ran_and_why(restoration: Restoration) -> str:
    """Return the name of the method that ran and the reason for it, as one phrase without a full stop."""
    return f"{restoration.method}, {restoration.why.rstrip('.')}"


def details_of(restoration: Restoration) -> str:
    """Return the method's network or kernel, where it has one, and its effort, as one phrase."""
    settings, parts = restoration.settings, []
    arch = settings.get("arch")
    if settings.get("kernel") is not None:
        parts.append(f"kernel {restoration.info.get('kernel', settings['kernel'])}")
    elif isinstance(arch, dict) and "name" in arch:
        parts.append(f"{'kernel of ' * ('kernel' in settings)}network {arch['name']!r}")
    if "effort" in settings:
        parts.append(f"effort {settings['effort']}")
    return ", ".join(parts)


def calibration_of(restoration: Restoration) -> str:
    """Return in a few words what the standard deviation rests on."""
    found = restoration.calibration
    if found is None:
        return "not calibrated"
    return f"calibrated {'by a simulated picture' if found.simulated else 'on held-out values'}"


def coverage_of(restoration: Restoration) -> str:
    """Return the coverage of 90% intervals on held-out pixels, in one sentence; empty where it is not known."""
    found = restoration.calibration
    if found is None:
        return ""
    if found.simulated:
        return (
            f"90% intervals are expected to hold {100 * found.coverage:.0f} +- {100 * found.coverage_error:.0f}% of the true values, "
            f"by {found.count} of a simulated picture restored from data like these (held-out data tell nothing of lost detail); "
            f"std was multiplied by {found.ratio:.2f}"
        )
    how = (
        "counted"
        if not any(restoration.sigma or (1,))
        else "estimated, because noise hides their true values"
    )
    said = (
        f"90% intervals hold {100 * found.coverage:.1f} +- {100 * found.coverage_error:.1f}% of {found.count} "
        f"held-out values ({how}); {100 * found.coverage_uncalibrated:.1f}% before std was multiplied by "
        f"{found.ratio:.2f} +- {found.ratio * found.ratio_error:.2f}"
    )
    if found.beyond > 0:
        said += f"; {100 * found.beyond:.1f}% of the missing pixels are farther from any known one: not tested there"
    return said


def mixing_of(restoration: Restoration) -> str:
    """Return whether the chain has mixed, or why that is not known; empty where no chain was run."""
    if restoration.chain is None:
        return ""
    try:
        found = restoration.diagnostics
    except BayesDipError as error:
        return f"mixing not tested: {error}"
    if found is None:
        count = len(restoration.samples)
        return f"mixing not tested: {count} kept samples are too few; ask for more --samples"
    return found.word


def diagnostics_of(restoration: Restoration) -> dict[str, Any] | None:
    """Return the diagnostics as plain JSON values; None without a chain, ArviZ or enough samples."""
    try:
        found = restoration.diagnostics
    except BayesDipError:
        return None
    return None if found is None else found.summary()


def run_facts(restoration: Restoration) -> list[Fact]:
    """Return name, value and remark of what matters most about a run: noise, method, time, errors."""
    r = restoration
    noise = ", ".join(f"{s:.4g}" for s in r.sigma or ())
    found = [
        ("Noise sigma", noise or "varies", str(r.settings.get("noise", "")))
        if any(r.sigma or (1,))
        else ("Noise", "none", "data taken as exact"),
        ("Method", r.method, details_of(r)),
        ("Time", clock(r.seconds), r.stopped),
    ]
    if r.held_out is not None:
        remark = f"rms on {r.held_out_count} values kept from the method; it contains their noise"
        found.append(("Held-out error", f"{r.held_out:.4g}", remark))
    if r.std is not None:
        remark = f"of the noise-free picture, in its own scale; {calibration_of(r)}"
        found.append(("Mean std", f"{float(r.std.mean()):.4g}", remark))
    return found


def facts_of(restoration: Restoration) -> list[Fact]:
    """Return the same and, where it is known, the coverage of 90% intervals."""
    found, r = run_facts(restoration), restoration
    if r.calibration is not None:
        error, before = r.calibration.coverage_error, r.calibration.coverage_uncalibrated
        values = (
            "true values, expected by a simulated picture" if r.calibration.simulated else "held-out values"
        )
        remark = f"+- {100 * error:.1f} % of {values}; {100 * before:.1f} % uncalibrated"
        found.append(("In 90% intervals", f"{100 * r.calibration.coverage:.1f} %", remark))
    return found


def rows(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a nested dict as rows of dotted names and values."""
    found = []
    for name, value in settings.items():
        if isinstance(value, dict):
            found += rows(value, f"{prefix}{name}.")
        else:
            shown = value if isinstance(value, str) else json.dumps(value, default=str)
            found.append((f"{prefix}{name}", shown))
    return found


def plain(value: Any) -> Any:
    """The value with what JSON cannot say (NaN, infinity) made null."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def origin() -> list[tuple[str, str]]:
    """Return where, when and with which versions the run was made."""

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "unknown"

    return [
        ("bayesdip", __version__),
        *((name, installed(name)) for name in ("torch", "numpy")),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
