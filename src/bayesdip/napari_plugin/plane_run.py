"""Restore what is restored by itself, one index after the other, into arrays of the whole."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip.errors import NoResultError
from bayesdip.memory import check_memory
from bayesdip.napari_plugin.axes import Axes, Index
from bayesdip.report.facts import coverage_of
from bayesdip.report.pictures import spread_of
from bayesdip.result import Restoration
from bayesdip.snapshot import Callback, Snapshot

Array = NDArray[Any]
# Seconds between two pictures of a run that goes on, and the largest share of its time that they may take.
EVERY, SHARE = 1.0, 0.1
# Of an RGB layer; a fourth is its opacity.
COLOURS = 3


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes
    ----------
    data : array_like
        The layer's: read one index at a time.
    axes : Axes
    indices : list of Index
    restore : callable
        Restores the array of one index, which it is given with the index and a callback.
    factor : int
        By how much the grid grows.
    """

    data: Any
    axes: Axes
    indices: list[Index]
    restore: Callable[[Array, Index, Callback], Restoration]
    factor: int = 1


@dataclass(frozen=True)
class Told:
    """How far a run is: the share that is done, where it is, and how many pictures there were."""

    share: float
    text: str
    pictures: int


@dataclass
class Found:
    """What has come of a job so far.

    Attributes
    ----------
    axes : Axes
        Of the arrays: those of the job, enlarged, or of its one index.
    mean : ndarray
        In the layer's layout. Indices that are not done are as they were.
    std : ndarray of float32, or None
        One value for all colours of an RGB layer; NaN where nothing is known.
    samples : ndarray or None
        Shape (S, *mean.shape).
    done : int
        Indices that are restored.
    said : list of str
        One line for each thing to know.
    settings : list of dict
        To repeat each of the runs.
    """

    axes: Axes
    mean: Array
    std: NDArray[np.float32] | None = None
    samples: Array | None = None
    done: int = 0
    said: list[str] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)


def begin(job: Job) -> Found:
    """The arrays that a job fills, with the picture as it is.

    Raises
    ------
    ResourceError
        They do not fit in memory.
    """
    large = job.axes.enlarged(job.factor)
    axes = large.only(job.indices[0]) if len(job.indices) == 1 else large
    dtype, colours = np.dtype(job.data.dtype), job.data.shape[-1] if job.axes.is_rgb else 1
    check_memory(
        axes.pixels * (dtype.itemsize * colours + 4),
        "cpu",
        f"the result of {len(job.indices)} planes",
        "restore only what is shown, or the file itself on the command line, which needs memory for its tiles alone",
    )
    found = Found(axes, np.zeros((*axes.shape, *((colours,) if job.axes.is_rgb else ())), dtype))
    for index in job.indices:
        before = np.asarray(job.data[job.axes.place(index)])
        for axis in _in_plane(job.axes):
            before = np.repeat(before, job.factor, axis)
        found.mean[_where(found, job, index)] = before
    return found


def carry_out(job: Job, found: Found, tell: Callable[[Told], None], is_stopped: Callable[[], bool]) -> None:
    """Restore every index, until it is stopped.

    Parameters
    ----------
    job : Job
    found : Found
        From :func:`begin`; filled.
    tell : callable
        Told how far the run is, about once a second.
    is_stopped : callable
        Whether to end with the best so far.

    Raises
    ------
    BayesDipError
        What the restoration raises.
    """
    findings: dict[str, list[str]] = {}
    coverages = []
    for number, index in enumerate(job.indices):
        if is_stopped():
            break
        live = _Live(job, found, number, index, tell, is_stopped)
        plane = np.asarray(job.data[job.axes.place(index)])
        try:
            run = job.restore(plane[..., :COLOURS] if job.axes.is_rgb else plane, index, live)
        except NoResultError:
            if number == 0:
                raise
            break
        _fill(job, found, index, run)
        if run.std is not None:
            coverages.append(coverage_of(run))
        if number == 0:
            found.said.append(f"{run.method}: {run.why}")
        for finding in run.findings:
            findings.setdefault(finding.kind, []).append(finding.text)
        if run.stopped == "interrupted":
            found.said.append("stopped: the best so far")
    if found.done < len(job.indices):
        found.said.append(
            f"{found.done} of {len(job.indices)} planes were restored; the others are as they were, their uncertainty is NaN"
        )
    if len(job.indices) == 1:
        found.said += coverages
    found.said += [
        same[0]
        if len(job.indices) == 1
        else f"in {len(same)} of {len(job.indices)} planes, here the first: {same[0]}"
        for same in findings.values()
    ]


class _Live:
    """The callback of one index: passes on how far it is, and the picture so far."""

    def __init__(
        self,
        job: Job,
        found: Found,
        number: int,
        index: Index,
        tell: Callable[[Told], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._job, self._found, self._index = job, found, index
        self._tell, self._is_stopped = tell, is_stopped
        count = len(job.indices)
        self._before, self._count = number, count
        self._name = f"{', '.join(job.axes.said(index))} ({number + 1} of {count}): " if count > 1 else ""
        self._shown, self._cost, self._pictures, self._part = -math.inf, 0.0, 0, 0.0

    def __call__(self, snapshot: Snapshot) -> bool:
        now = time.monotonic()
        if snapshot.mean is not None and now - self._shown >= max(EVERY, self._cost / SHARE):
            self._pictures += 1
            _put(self._job, self._found, self._index, snapshot.mean())
            self._shown = time.monotonic()
            self._cost = self._shown - now
        whole = snapshot.elapsed + snapshot.remaining
        if math.isfinite(whole) and whole > 0:
            self._part = max(self._part, snapshot.elapsed / whole)  # a bar that goes back says nothing
        self._tell(
            Told((self._before + self._part) / self._count, self._name + snapshot.phase, self._pictures)
        )
        return self._is_stopped()


def _fill(job: Job, found: Found, index: Index, run: Restoration) -> None:
    _put(job, found, index, run.mean)
    where = _where(found, job, index)
    if run.std is not None:
        if found.std is None:
            found.std = np.full(found.axes.shape, np.nan, np.float32)
        found.std[where] = spread_of(run.std, True) if job.axes.is_rgb else run.std
    if len(run.samples):
        if found.samples is None:
            check_memory(
                len(run.samples) * found.mean.nbytes, "cpu", f"{len(run.samples)} samples", "ask for fewer"
            )
            found.samples = np.stack([found.mean] * len(run.samples))
        colours = slice(COLOURS) if job.axes.is_rgb else slice(None)
        found.samples[(slice(None), *where)][..., colours] = run.samples
    found.done += 1
    found.settings.append(run.settings)


def _put(job: Job, found: Found, index: Index, mean: Array) -> None:
    """Into the array of the whole, which becomes real where its levels would be too coarse for the result.

    Colours stay whole numbers, because napari takes real ones for shares of white, and opacity stays as it is.
    """
    if mean.dtype.kind == "f" and found.mean.dtype.kind != "f":
        if job.axes.is_rgb:
            ends = np.iinfo(found.mean.dtype)
            mean = np.clip(np.rint(mean), ends.min, ends.max)
        else:
            found.mean = found.mean.astype(mean.dtype)
    found.mean[_where(found, job, index)][..., : COLOURS if job.axes.is_rgb else None] = mean


def _where(found: Found, job: Job, index: Index) -> tuple[int | slice, ...]:
    return found.axes.place((0,) * len(index) if len(job.indices) == 1 else index)


def _in_plane(axes: Axes) -> list[int]:
    """The grid's axes in the array of one index."""
    kept = [axis for axis in range(len(axes.shape)) if axis not in axes.independent]
    return [kept.index(axis) for axis in axes.grid]
