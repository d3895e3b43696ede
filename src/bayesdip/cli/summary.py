"""What is said at the end: one screen of text, or one JSON object."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from bayesdip import __version__
from bayesdip.errors import one_line
from bayesdip.report.facts import coverage_of, diagnostics_of, mixing_of, plain, run_facts

if TYPE_CHECKING:
    from bayesdip.cli.restoring import Run
    from bayesdip.io import Picture

DONE = {"denoise": "denoised", "inpaint": "inpainted", "upscale": "upscaled", "deblur": "deblurred"}
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
    """The summary on one screen: as the report says it, and what was written where."""
    found = run.restoration
    rows = [("picture", size_of(run.picture) + enlarged(run)), ("missing", missing_of(run))]
    for name, value, remark in run_facts(found):
        estimated = "estimated: " * (name == "Noise sigma" and run.work.sigma_estimated)
        rows.append((name.lower(), f"{value} ({estimated}{remark})"))
    rows += [("found", finding.text) for finding in found.findings]
    rows += [("why", found.why), ("coverage", coverage_of(found)), ("chain", mixing_of(found))]
    lines = [f"{DONE[run.task]} {one_line(run.options.source)}"]
    for name, value in rows:
        if value:
            lines += textwrap.wrap(f"  {name:<15} {value}", WIDTH, subsequent_indent=" " * 18)
    files = {NAMES.get(name, name): path for name, path in run.files.items()}
    if run.resumed:
        files["taken from"] = files.pop("resume")
    lines += [f"  {name:<15} {one_line(path)}" for name, path in files.items() if path is not None]
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


def size_of(picture: Picture) -> str:
    grid = picture.grid
    sides = " x ".join(map(str, reversed(grid)))
    pixels = f"{sides} {'samples' if len(grid) == 1 else 'pixels' if len(grid) == 2 else 'voxels'}"
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
    what = "values" if run.picture.has_channels and missing.ndim == run.picture.pixels.ndim else "pixels"
    return f"{int(missing.sum())} of {missing.size} {what} ({100 * missing.mean():.1f} %)"
