"""What the page shows of a restoration: pictures, plots and facts, as the template's variables."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.diagnostics import MIXED_BELOW
from bayesdip.errors import BayesDipError
from bayesdip.io import Picture
from bayesdip.io.picture import upright
from bayesdip.report import figures, pictures
from bayesdip.report.facts import Fact, coverage_of, facts_of, mixing_of, origin, rows
from bayesdip.report.pictures import Levels, Shown, View

if TYPE_CHECKING:
    from bayesdip.result import Restoration

_MOST_SAMPLES = 4
_DETAIL_SIDE = 96  # pixels
# A picture with one row or column of at least this length is plotted as a signal.
_SHORTEST_SIGNAL = 8
_BEFORE = {
    "denoise": "Noisy",
    "inpaint": "With missing pixels",
    "upscale": "Small",
    "deblur": "Blurred",
}


@dataclass(frozen=True)
class Subject:
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
    missing : bool array (M, N) or (M, N, C), or None
        Pixels of ``before`` that were missing, or values of them.
    """

    before: NDArray[Any]
    restoration: Restoration
    task: str
    like: Picture | None
    missing: NDArray[np.bool_] | None

    @property
    def channels_last(self) -> bool:
        """Whether there is a channel axis; it is the last one."""
        return self.restoration.channel_axis is not None

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the restored picture without its channels."""
        shape = self.restoration.mean.shape
        return shape[:-1] if self.channels_last else shape

    @property
    def is_signal(self) -> bool:
        """Whether the picture is one row, so that a plot shows more of it."""
        return len(self.grid) == 1 or (min(self.grid) == 1 and max(self.grid) >= _SHORTEST_SIGNAL)


def content_of(subject: Subject) -> dict[str, Any]:
    """Return everything that the template shows, but the title and the command."""
    restoration = subject.restoration
    trace, energy = figures.trace_plot(restoration.trace), figures.energy_plot(restoration.trace)
    return {
        "facts": [*size_facts(subject), *facts_of(restoration)],
        "findings": [finding.text for finding in restoration.findings],
        "settings": rows(restoration.settings),
        "info": rows(restoration.info),
        "origin": origin(),
        "method": restoration.method,
        "why": restoration.why.rstrip("."),
        "estimate": "estimate" if restoration.std is None else "posterior mean",
        "trace": trace and figures.show(trace),
        "is_solver": "fit" not in restoration.trace,
        "energy": energy and figures.show(energy),
        "burn_in": any(restoration.trace.get("sampling", [])),
        "coverage": coverage_of(restoration),
        "mixing": mixing_of(restoration),
        **mixing_parts(restoration),
        **(signal_parts(subject) if subject.is_signal else picture_parts(subject)),
    }


def size_facts(subject: Subject) -> list[Fact]:
    """Return the size of the picture and how much of it was missing, as name, value and remark."""
    mean, missing = subject.restoration.mean, subject.missing
    channels = f"{mean.shape[-1]} channels, " if subject.channels_last else ""
    found = [("Size", " x ".join(str(n) for n in subject.grid[::-1]), f"{channels}{mean.dtype}")]
    if missing is not None:
        what = "values" if missing.ndim == 3 else "pixels"
        found.append(("Missing", f"{100 * missing.mean():.1f} %", f"{int(missing.sum())} {what}"))
    return found


def picture_parts(subject: Subject) -> dict[str, Any]:
    """Return everything about a picture that the template shows."""
    mean = subject.restoration.mean
    view = View.of(mean, subject.channels_last, subject.like)
    after, before = view.levels(mean), before_levels(subject, view)
    opacity = (
        None
        if subject.missing is not None
        else pictures.opacity(subject.like, mean.shape[:2], view.orientation)
    )
    word = before_word(subject)
    shown = pictures.show(after, "Restored picture", alpha=opacity)
    return {
        "signal": None,
        "before": pictures.show(before, f"{word} picture", alpha=opacity),
        "after": shown,
        "before_word": word,
        "painted": subject.missing is not None,
        "shrunk": max(subject.grid) > pictures.LARGE,
        "stretched": shown.stretched,
        "shown_range": (view.low, view.high),
        "channels_said": view.channels_said,
        "samples": [
            pictures.show(view.levels(sample), f"Posterior sample {i}", pictures.SMALL)
            for i, sample in enumerate(some(subject.restoration.samples), 1)
        ],
        "kept_samples": len(subject.restoration.samples),
        "removed": removed(subject, view),
        **uncertainty_parts(subject, view, before, after),
    }


def before_word(subject: Subject) -> str:
    """Return the word for what came in."""
    return _BEFORE.get(subject.task, "Before")


def before_levels(subject: Subject, view: View) -> Levels:
    """Return what came in, at the size of what came out, missing pixels painted."""
    before = view.levels(pictures.enlarged_to(subject.before, subject.grid))
    if subject.missing is None:
        return before
    # Where some channels were seen, they are shown.
    missing = subject.missing if subject.missing.ndim < 3 else np.asarray(subject.missing.all(-1))
    return pictures.paint_missing(before, upright(missing, view.orientation))


def uncertainty_parts(subject: Subject, view: View, before: Levels, after: Levels) -> dict[str, Any]:
    """Return the map of standard deviations with its scale, and a detail of everything side by side."""
    place = pictures.detail_place(after, _DETAIL_SIDE)
    detail = [] if place is None else [(before[place], before_word(subject)), (after[place], "Restored")]
    parts: dict[str, Any] = {"uncertainty": None, "bar": None, "top": 0.0, "joined": False}
    std = subject.restoration.std
    if std is not None:
        spread = upright(pictures.spread_of(std, subject.channels_last), view.orientation)
        top = pictures.top_of(spread)
        colours = pictures.coloured(spread / top)
        parts = {
            "uncertainty": pictures.show(colours, "Standard deviation of every pixel"),
            "bar": figures.show(figures.colour_scale(top)),
            "top": top,
            "joined": subject.channels_last and std.shape[-1] > 1,
        }
        if place is not None:
            detail.append((colours[place], "Uncertainty"))
    details = [(pictures.show(levels, f"Detail, {word}", pictures.SMALL), word) for levels, word in detail]
    return parts | {"details": details, "detail_side": _DETAIL_SIDE}


def mixing_parts(restoration: Restoration) -> dict[str, Any]:
    """Return the map of R-hat with its scale, where chains were run and could be diagnosed."""
    try:
        found = restoration.diagnostics
    except BayesDipError:
        found = None
    if found is None or found.rhat.ndim != 2 or min(found.rhat.shape) < 2:
        return {"rhat": None, "rhat_bar": None, "rhat_stride": 1}
    # From perfect agreement to twice the excess at which chains count as not mixed.
    top = 2 * (MIXED_BELOW - 1)
    shown = pictures.show(
        pictures.coloured((found.rhat - 1) / top), "R-hat of the kept samples by pixel", pictures.SMALL
    )
    return {
        "rhat": shown,
        "rhat_bar": figures.show(figures.colour_scale(1 + top, 1.0)),
        "rhat_stride": found.stride,
    }


def removed(subject: Subject, view: View) -> Shown | None:
    """Return what denoising took away, in units of the noise: it should look like noise and nothing else."""
    sigma = subject.restoration.sigma
    if subject.task != "denoise" or not sigma or not all(sigma) or view.colour == "cmyk":
        return None
    difference = (subject.before.astype(np.float64) - subject.restoration.mean.astype(np.float64)) / np.array(
        sigma
    )
    if not np.isfinite(difference).all():
        return None
    window = View(view.colour, view.channels_last, -3.0, 3.0, view.orientation)
    return pictures.show(window.levels(difference), "Noisy picture less the restored one", pictures.LARGE)


def signal_parts(subject: Subject) -> dict[str, Any]:
    """Return the plot of a signal; of several channels the first is plotted."""
    restoration = subject.restoration

    def first(array: NDArray[Any], lead: int = 0) -> NDArray[np.float64]:
        array = array[..., 0] if subject.channels_last else array
        shape = (*array.shape[:lead], prod(array.shape[lead:]))  # -1 would not do without samples
        return np.asarray(array.reshape(shape), dtype=np.float64)

    mean, seen = first(restoration.mean), first(subject.before)
    if subject.missing is not None:
        seen = np.where(subject.missing.ravel(), np.nan, seen)
    factor = len(mean) / len(seen)
    places = (np.arange(len(seen), dtype=np.float64) + 0.5) * factor - 0.5
    own = restoration.std
    std = None if own is None else first(own)
    samples = first(some(restoration.samples), lead=1)
    return {
        "removed": None,
        "signal": figures.show(figures.signal_plot(mean, std, samples, (places, seen))),
        "channels_said": "the first channel"
        if subject.channels_last and restoration.mean.shape[-1] > 1
        else "",
    }


def some(samples: NDArray[Any]) -> NDArray[Any]:
    """Return a few of the samples, evenly spread from the first to the last."""
    if len(samples) <= _MOST_SAMPLES:
        return samples
    return samples[[round(i * (len(samples) - 1) / (_MOST_SAMPLES - 1)) for i in range(_MOST_SAMPLES)]]
