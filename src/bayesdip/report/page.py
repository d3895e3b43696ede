"""The page: what is said, which pictures and plots are shown, and the one file it becomes."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdip import __version__
from bayesdip.diagnostics import MIXED_BELOW
from bayesdip.errors import BayesDipError
from bayesdip.io import Picture, atomic_write
from bayesdip.io.picture import upright
from bayesdip.progress import clock
from bayesdip.report import pictures, plots
from bayesdip.report.pictures import Levels, Shown, View
from bayesdip.report.words import coverage_of, mixing_of
from bayesdip.result import Restoration

if TYPE_CHECKING:
    from jinja2 import Template

PAGE = "report.html"
MOST_SAMPLES = 4
DETAIL_SIDE = 96
# A picture with one row or column of at least this length is plotted as a signal.
SHORTEST_SIGNAL = 8
BEFORE_WORDS = {
    "denoise": "Noisy",
    "inpaint": "With missing pixels",
    "upscale": "Small",
    "deblur": "Blurred",
}


@dataclass(frozen=True)
class Case:
    """What the page is about.

    Attributes
    ----------
    before : array
        What came in, in the file's own scale: the restored picture's shape, or smaller.
    restoration : Restoration
    task : str
        ``"denoise"``, ``"inpaint"``, ``"upscale"``, ``"deblur"``, or another word.
    like : Picture or None
        What the file said of its pixels: colours, orientation, transparency.
    missing : bool array (M, N) or None
        Pixels of ``before`` that were missing.
    """

    before: NDArray[Any]
    restoration: Restoration
    task: str
    like: Picture | None
    missing: NDArray[np.bool_] | None

    @property
    def channels_last(self) -> bool:
        return self.restoration.channel_axis is not None

    @property
    def grid(self) -> tuple[int, ...]:
        shape = self.restoration.mean.shape
        return shape[:-1] if self.channels_last else shape

    @property
    def is_signal(self) -> bool:
        return len(self.grid) == 1 or (min(self.grid) == 1 and max(self.grid) >= SHORTEST_SIGNAL)


def write_report(
    folder: str | Path,
    before: NDArray[Any],
    restoration: Restoration,
    *,
    title: str,
    task: str,
    command: str,
    force: bool = False,
    like: Picture | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> Path:
    """Write ``report.html`` into a folder: one file that needs nothing beside it, and no network.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.
    before : array, shape (M,), (M, N) or (M, N, C)
        What was restored, in its own scale; channels, if any, last.
    restoration : Restoration
        With its channels last.
    title, task, command : str
        The page's heading, the verb, and the command line that repeats the run.
    force : bool
        Replace an earlier page.
    like : Picture, optional
        The picture as it was read: its colours, orientation and transparency.
    missing : bool array, shape (M, N), optional
        True where a pixel of ``before`` was missing.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    FileError
        The page exists and ``force`` is not set, or it cannot be written.
    """
    case = Case(np.asarray(before), restoration, task, like, missing)
    html = template().render(
        title=title,
        task=task,
        command=command,
        facts=facts(case),
        settings=rows(restoration.settings),
        info=rows(restoration.info),
        origin=origin(),
        trace=plots.trace_plot(restoration.trace),
        energy=plots.energy_plot(restoration.trace),
        coverage=coverage_of(restoration),
        mixing=mixing_of(restoration),
        **mixing_parts(restoration),
        burn_in=any(restoration.trace.get("sampling", [])),
        method=restoration.settings.get("method", ""),
        **(signal_parts(case) if case.is_signal else picture_parts(case)),
    )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / PAGE, force) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return folder / PAGE


@lru_cache(maxsize=1)
def template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("bayesdip.report", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("report.html.j2")


def picture_parts(case: Case) -> dict[str, Any]:
    """Everything about a picture that the template shows."""
    mean = case.restoration.mean
    view = View.of(mean, case.channels_last, case.like)
    after, before = view.levels(mean), before_levels(case, view)
    opacity = (
        None if case.missing is not None else pictures.opacity(case.like, mean.shape[:2], view.orientation)
    )
    word = before_word(case)
    shown = pictures.show(after, "Restored picture: the posterior mean", alpha=opacity)
    return {
        "signal": None,
        "before": pictures.show(before, f"{word} picture", alpha=opacity),
        "after": shown,
        "before_word": word,
        "painted": case.missing is not None,
        "shrunk": max(case.grid) > pictures.LARGE,
        "stretched": shown.stretched,
        "shown_range": (view.low, view.high),
        "channels_said": view.channels_said,
        "samples": [
            pictures.show(view.levels(sample), f"Posterior sample {i}", pictures.SMALL)
            for i, sample in enumerate(some(case.restoration.samples), 1)
        ],
        "kept_samples": len(case.restoration.samples),
        "removed": removed(case, view),
        **uncertainty_parts(case, view, before, after),
    }


def before_word(case: Case) -> str:
    return BEFORE_WORDS.get(case.task, "Before")


def before_levels(case: Case, view: View) -> Levels:
    """What came in, at the size of what came out, missing pixels painted."""
    before = view.levels(pictures.enlarged_to(case.before, case.grid))
    if case.missing is None:
        return before
    return pictures.paint_missing(before, upright(case.missing, view.orientation))


def uncertainty_parts(case: Case, view: View, before: Levels, after: Levels) -> dict[str, Any]:
    """The map of standard deviations with its scale, and a detail of everything side by side."""
    place = pictures.detail_place(after, DETAIL_SIDE)
    detail = [] if place is None else [(before[place], before_word(case)), (after[place], "Restored")]
    parts: dict[str, Any] = {"uncertainty": None, "bar": "", "top": 0.0, "joined": False}
    std = case.restoration.best_std
    if std is not None:
        spread = upright(pictures.spread_of(std, case.channels_last), view.orientation)
        top = pictures.top_of(spread)
        colours = pictures.coloured(spread / top)
        parts = {
            "uncertainty": pictures.show(colours, "Posterior standard deviation of every pixel"),
            "bar": plots.colour_bar(top),
            "top": top,
            "joined": case.channels_last and std.shape[-1] > 1,
        }
        if place is not None:
            detail.append((colours[place], "Uncertainty"))
    details = [(pictures.show(levels, f"Detail, {word}", pictures.SMALL), word) for levels, word in detail]
    return parts | {"details": details, "detail_side": DETAIL_SIDE}


def mixing_parts(restoration: Restoration) -> dict[str, Any]:
    """The map of R-hat with its scale, where chains were run and could be diagnosed."""
    try:
        found = restoration.diagnostics
    except BayesDipError:
        found = None
    if found is None or found.rhat.ndim != 2 or min(found.rhat.shape) < 2:
        return {"rhat": None, "rhat_bar": "", "rhat_stride": 1}
    # From perfect agreement to twice the excess at which chains count as not mixed.
    top = 2 * (MIXED_BELOW - 1)
    shown = pictures.show(
        pictures.coloured((found.rhat - 1) / top), "R-hat of the kept samples by pixel", pictures.SMALL
    )
    return {"rhat": shown, "rhat_bar": plots.colour_bar(1 + top, 1.0), "rhat_stride": found.stride}


def removed(case: Case, view: View) -> Shown | None:
    """What denoising took away, in units of the noise: it should look like noise and nothing else."""
    sigma = case.restoration.sigma
    if case.task != "denoise" or not sigma or not all(sigma) or view.colour == "cmyk":
        return None
    difference = (case.before.astype(np.float64) - case.restoration.mean.astype(np.float64)) / np.array(sigma)
    if not np.isfinite(difference).all():
        return None
    window = View(view.colour, view.channels_last, -3.0, 3.0, view.orientation)
    return pictures.show(window.levels(difference), "Noisy picture less the restored one", pictures.LARGE)


def signal_parts(case: Case) -> dict[str, Any]:
    """A signal is plotted; of several channels the first."""
    restoration = case.restoration

    def first(array: NDArray[Any], lead: int = 0) -> NDArray[np.float64]:
        array = array[..., 0] if case.channels_last else array
        shape = (*array.shape[:lead], prod(array.shape[lead:]))  # -1 would not do without samples
        return np.asarray(array.reshape(shape), dtype=np.float64)

    mean, seen = first(restoration.mean), first(case.before)
    if case.missing is not None:
        seen = np.where(case.missing.ravel(), np.nan, seen)
    factor = len(mean) / len(seen)
    places = (np.arange(len(seen), dtype=np.float64) + 0.5) * factor - 0.5
    own = restoration.best_std
    std = None if own is None else first(own)
    samples = first(some(restoration.samples), lead=1)
    return {
        "removed": None,
        "signal": plots.signal_plot((places, seen), mean, std, samples),
        "signal_band": std is not None,
        "signal_samples": len(samples),
        "channels_said": "the first channel" if case.channels_last and restoration.mean.shape[-1] > 1 else "",
    }


def some(samples: NDArray[Any]) -> NDArray[Any]:
    """A few of the samples, evenly spread from the first to the last."""
    if len(samples) <= MOST_SAMPLES:
        return samples
    return samples[[round(i * (len(samples) - 1) / (MOST_SAMPLES - 1)) for i in range(MOST_SAMPLES)]]


def facts(case: Case) -> list[tuple[str, str, str]]:
    """Name, value and remark of what matters most."""
    r = case.restoration
    size = " x ".join(str(n) for n in case.grid[::-1])
    channels = f"{r.mean.shape[-1]} channels, " if case.channels_last else ""
    found = [("Size", size, f"{channels}{r.mean.dtype}")]
    if case.missing is not None:
        found.append(("Missing", f"{100 * case.missing.mean():.1f} %", f"{int(case.missing.sum())} pixels"))
    noise = ", ".join(f"{s:.4g}" for s in r.sigma or ())
    described = str(r.settings.get("noise", ""))
    found.append(
        ("Noise sigma", noise or "varies", described)
        if any(r.sigma or (1,))
        else ("Noise", "none", "data taken as exact")
    )
    arch = r.settings.get("arch", {})
    found.append(("Method", str(r.settings.get("method", "")), f"network {arch.get('name', '')!r}"))
    found.append(("Time", clock(r.seconds), r.stopped))
    if r.held_out is not None:
        found.append(
            (
                "Held-out error",
                f"{r.held_out:.4g}",
                f"rms on {r.held_out_count} values kept from the method; it contains their noise",
            )
        )
    std = r.best_std
    if std is not None:
        kind = "calibrated" if r.calibration else "not calibrated"
        found.append(
            ("Mean std", f"{float(std.mean()):.4g}", f"of the noise-free picture, in its own scale; {kind}")
        )
    if r.calibration is not None:
        coverage, error = (
            f"{100 * part:.1f}" for part in (r.calibration.coverage, r.calibration.coverage_error)
        )
        remark = (
            f"+- {error} % of held-out values; {100 * r.calibration.coverage_uncalibrated:.1f} % uncalibrated"
        )
        found.append(("In 90% intervals", f"{coverage} %", remark))
    return found


def rows(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested dict as rows of dotted names and values."""
    found = []
    for name, value in settings.items():
        if isinstance(value, dict):
            found += rows(value, f"{prefix}{name}.")
        else:
            found.append(
                (f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, default=str))
            )
    return found


def origin() -> list[tuple[str, str]]:
    """Where and with what the run was made."""

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "unknown"

    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    system = f"{platform.system()} {platform.machine()}"
    return [
        ("bayesdip", __version__),
        *((name, installed(name)) for name in ("torch", "numpy")),
        ("Python", platform.python_version()),
        ("system", system),
        ("written", now),
    ]
