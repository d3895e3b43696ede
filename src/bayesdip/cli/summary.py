"""What is said at the end: one screen of text, or one JSON object."""

from __future__ import annotations

import json
import math
import textwrap
from typing import TYPE_CHECKING, Any

from bayesdip import __version__
from bayesdip.errors import one_line
from bayesdip.progress import clock
from bayesdip.report.facts import coverage_of, details_of, diagnostics_of, mixing_of

if TYPE_CHECKING:
    from bayesdip.cli.restoring import Run
    from bayesdip.io import Picture

DONE = {"denoise": "denoised", "inpaint": "inpainted", "upscale": "upscaled", "deblur": "deblurred"}
WHY_ENDED = {
    "interrupted": "interrupted: this is the best result by then",
    "time budget": "ended by the time budget",
    "stopping rule": "ended by its stopping rule",
    "not converged": "ended before it converged",
}
# The schema of the JSON object; raised when a field changes its meaning or goes away.
SCHEMA = 2
# Of a line, in characters.
WIDTH = 110
NAMES = {"output": "written"}


def unit_of_fit(exact: bool) -> str:
    """What a fit of 1 stands for: of exact data, a network is asked for this share of the range."""
    from bayesdip.networks.energy import SMALLEST_SIGMA

    return f"1/{1 / SMALLEST_SIGMA:.0f} of the range" if exact else "noise level"


def as_text(run: Run) -> str:
    """The summary on one screen."""
    found = run.restoration
    rows = [
        ("picture", size_of(run.picture) + enlarged(run)),
        ("missing", missing_of(run)),
        ("noise", noise_of(run)),
        ("method", method_of(run)),
        ("why", found.why),
        ("steps", steps_of(run)),
        ("time", time_of(run)),
        ("held-out error", held_out_of(run)),
        ("uncertainty", uncertainty_of(run)),
        ("coverage", coverage_of(found)),
        ("chain", mixing_of(found)),
    ]
    lines = [f"{DONE[run.task]} {one_line(run.options.source)}"]
    for name, value in rows:
        if value:
            lines += textwrap.wrap(f"  {name:<15} {value}", WIDTH, subsequent_indent=" " * 18)
    lines += [f"  {NAMES.get(name, name):<15} {one_line(path)}" for name, path in run.files.items() if path]
    return "\n".join(lines)


def as_json(run: Run) -> str:
    """The one JSON object of ``--json``; docs/command-line.md has its schema."""
    picture = run.picture
    facts = {
        "schema": SCHEMA,
        "version": __version__,
        "task": run.task,
        "input": {
            "path": str(run.options.source),
            "format": picture.format,
            "shape": list(picture.pixels.shape),
            "dtype": str(picture.pixels.dtype),
            "bits": picture.bits,
            "colour": picture.colour,
        },
        "request": run.work.request,
        "missing": None if run.work.missing is None else int(run.work.missing.sum()),
        "sigma_estimated": run.work.sigma_estimated,
        "resumed": run.resumed,
        "files": {name: None if path is None else str(path) for name, path in run.files.items()},
        "notes": list(run.notes),
        **run.restoration.summary(),
        "diagnostics": diagnostics_of(run.restoration),
    }
    return json.dumps(plain(facts), allow_nan=False)


def plain(value: Any) -> Any:
    """The value with what JSON cannot say (NaN, infinity) made null."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def size_of(picture: Picture) -> str:
    grid = picture.grid
    pixels = f"{grid[1]} x {grid[0]} pixels" if len(grid) == 2 else f"{grid[0]} samples"
    channels = f", {picture.channels} channels" if picture.channels > 1 else ""
    alpha = " and transparency" if picture.alpha is not None else ""
    kind = "float" if picture.pixels.dtype.kind == "f" else "bit"
    return f"{pixels}{channels}{alpha}, {picture.bits}-{kind} {picture.format}"


def enlarged(run: Run) -> str:
    if run.task != "upscale":
        return ""
    grid = run.work.shape[:2]
    return f" -> {grid[1]} x {grid[0]}" if run.picture.pixels.ndim > 1 else f" -> {grid[0]}"


def missing_of(run: Run) -> str:
    missing = run.work.missing
    if missing is None:
        return ""
    return f"{int(missing.sum())} of {missing.size} pixels ({100 * missing.mean():.1f} %)"


def noise_of(run: Run) -> str:
    sigma = run.restoration.sigma
    if sigma is None:
        return str(run.restoration.settings["noise"]) + (" (estimated)" if run.work.sigma_estimated else "")
    if not any(sigma):
        return "none"
    _, clipped, levels = str(run.restoration.settings["noise"]).partition(", clipped at ")
    source = " (estimated)" if run.work.sigma_estimated else " (as given)"
    return f"sigma {numbers(sigma)}{source}{clipped}{levels}"


def method_of(run: Run) -> str:
    found = run.restoration
    said = [found.method, details_of(found)]
    said += [f"{name} {found.settings[name]}" for name in ("seed", "device") if name in found.settings]
    return ", ".join(part for part in said if part)


def steps_of(run: Run) -> str:
    info = run.restoration.info
    steps = info.get("steps", info.get("iterations"))
    if steps is None:
        return ""
    back = info.get("rollbacks", 0)
    return f"{steps}, {back} rolled back after a divergence" if back else str(steps)


def time_of(run: Run) -> str:
    said = [clock(run.restoration.seconds), WHY_ENDED.get(run.restoration.stopped, "")]
    if run.resumed:
        said.append(f"taken from {one_line(run.options.resume)}")
    return ", ".join(part for part in said if part)


def held_out_of(run: Run) -> str:
    found = run.restoration
    if found.held_out is None:
        return ""
    noise = f"; the noise alone is {numbers(found.sigma)}" if any(found.sigma or ()) else ""
    return f"{found.held_out:.4g} rms on {found.held_out_count} values kept from the method{noise}"


def uncertainty_of(run: Run) -> str:
    std, count = run.restoration.std, len(run.restoration.samples)
    if std is None:
        return "none: this method or run has no standard deviation"
    kind = "calibrated" if run.restoration.calibration else "not calibrated"
    return f"mean std {float(std.mean()):.4g}, {kind}; {count} posterior sample{'s' * (count != 1)} kept"


def numbers(values: tuple[float, ...] | None) -> str:
    return ", ".join(f"{value:.4g}" for value in values or ())
