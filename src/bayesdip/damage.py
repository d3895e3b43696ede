"""Damage is restored part by part: each with what is around it as a problem of its own, and put back.

What fills in a missing pixel stands near it. So time and memory go with the damage and not with the picture, and the error of a
part is told by held-out pixels beside its own damage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bayesdip import holdout
from bayesdip.calibration import Calibration, HeldOut, averaged
from bayesdip.damage_parts import MOST, Part, damaged_parts
from bayesdip.findings import Finding
from bayesdip.holdout import Outcome
from bayesdip.interruption import Stopped, stoppable
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.quick_picture import quick_picture
from bayesdip.result import Posterior
from bayesdip.resuming import keeps_stages
from bayesdip.threads import in_order, workers
from bayesdip.tiling import joined

if TYPE_CHECKING:
    from bayesdip.methods import Method

# Pixels held out in all parts together, and at least in each of them: each costs as much as a missing one.
WANTED, FEWEST = 4000, 128


def run(method: Method, problem: Problem, progress: Progress) -> Outcome:
    """As :func:`bayesdip.holdout.run`; where an exact picture has missing pixels in parts of it alone, part by part.

    Parameters
    ----------
    method : Method
        Resolved for the problem (:meth:`Method.resolved`).
    problem : Problem
    progress : Progress

    Returns
    -------
    Outcome
        Of parts, joined: each has held-out pixels and a calibration of its own. Known pixels are as they were.

    Raises
    ------
    BayesDipError
        A system of equations could not be solved.
    """
    parts = parts_of(problem) if method.by_parts() else []
    if method.fills_time and sum(part.own.numel() for part in parts) > MOST * problem.y[0].numel():
        parts = []  # which overlap
    return restored(method, problem, parts, progress) if parts else holdout.run(method, problem, progress)


def parts_of(problem: Problem) -> list[Part]:
    """The parts of a picture around its missing pixels.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    list of Part
        Empty where the whole picture is as cheap, and where it has noise, which is taken away everywhere.
    """
    if not isinstance(problem.operator, Mask) or not problem.noise.is_exact or len(problem.grid) != 2:
        return []
    return damaged_parts((~problem.operator.observed.expand(problem.y.shape)).any(0).numpy())


@dataclass(frozen=True)
class Piece:
    """A part, and what was found of it."""

    part: Part
    outcome: Outcome

    @property
    def pixels(self) -> int:
        """Of its own that were missing."""
        return int(self.part.own.sum())


def restored(method: Method, problem: Problem, parts: Sequence[Part], progress: Progress) -> Outcome:
    """Each part as a problem of its own, put back into the picture; simple filling where none was reached.

    Parameters
    ----------
    method : Method
    problem : Problem
    parts : sequence of Part
    progress : Progress

    Returns
    -------
    Outcome
    """
    # What follows goes over the picture about as often as what came before.
    progress.keep_time(progress.elapsed)
    mean = problem.y.clone()
    for part in parts:
        _put(mean, part, quick_picture(part.of(problem))[:, part.own])
    wanted = max(FEWEST, WANTED // len(parts))
    at_once = len(parts) > 1 and workers() > 1 and not method.fills_time and not keeps_stages()
    work = _at_once if at_once else _one_by_one
    pieces = work(method, problem, parts, progress, mean, wanted)
    return joined_outcome(problem, mean, pieces, len(parts), progress.stop_reason)


def _one_by_one(
    method: Method,
    problem: Problem,
    parts: Sequence[Part],
    progress: Progress,
    mean: Tensor,
    wanted: int,
) -> list[Piece]:
    """The parts that were reached, put into the picture `mean`."""
    sizes = [part.own.numel() if method.fills_time else int(part.own.sum()) for part in parts]
    pieces: list[Piece] = []
    for number, part in enumerate(parts):
        if progress.should_stop():
            break
        begin, end = (sum(sizes[:n]) / sum(sizes) for n in (number, number + 1))

        def whole(picture: Tensor, part: Part = part) -> Tensor:
            shown = mean.clone()
            _put(shown, part, picture[:, part.own])
            return shown

        time_share = sizes[number] / sum(sizes[number:]) if method.fills_time else 1.0
        own = progress.part((begin, end), time_share=time_share, to_whole=whole)
        outcome = holdout.run(method, part.of(problem), own, wanted)
        if time_share == 1:
            progress.stop_reason = progress.stop_reason or own.stop_reason
        _put(mean, part, outcome.posterior.mean[:, part.own])
        pieces.append(Piece(part, slim(outcome, part)))
    return pieces


@dataclass
class Unheard(Progress):
    """The progress of a part in a thread of its own: it notes how far it is, and the thread that began the run tells that."""

    done: float = 0.0
    phase: str = ""

    def advance(self, done: float, phase: str, **told: Any) -> None:
        self.done, self.phase = done, phase

    def show(self, phase: str, picture: Callable[[], Tensor], steps: int = 0, **told: Any) -> None:
        self.phase = phase


def _at_once(
    method: Method,
    problem: Problem,
    parts: Sequence[Part],
    progress: Progress,
    mean: Tensor,
    wanted: int,
) -> list[Piece]:
    """The same, a thread for each of some parts: of all that is done to a part, less than half can be shared by threads."""
    owns = [Unheard(None, progress.time_left, _whole=progress) for _ in parts]
    sizes = [int(part.own.sum()) for part in parts]

    def restore(part: Part, own: Unheard) -> tuple[Tensor, Piece]:
        outcome = holdout.run(method, part.of(problem), own, wanted)
        own.done = 1.0
        return outcome.posterior.mean[:, part.own], Piece(part, slim(outcome, part))

    told = [(0.0, "")]

    def hear() -> bool:
        share = sum(size * own.done for size, own in zip(sizes, owns, strict=True)) / sum(sizes)
        now = share, next((own.phase for own in reversed(owns) if own.phase), "")
        if now != told[-1]:
            told[:] = [now]
            progress.memory = max(own.memory for own in owns) * workers()
            progress.advance(*now, mean=mean.clone)
        return progress.should_stop()

    pieces: list[Piece] = []
    tasks = [partial(restore, part, own) for part, own in zip(parts, owns, strict=True)]
    with suppress(Stopped), stoppable(hear):
        for restored_pixels, piece in in_order(tasks):
            _put(mean, piece.part, restored_pixels)
            pieces.append(piece)
    return pieces


def _put(picture: Tensor, part: Part, own: Tensor) -> None:
    """A part's own pixels, (C, n), into the picture, (C, *grid); known channels of these are what they were there."""
    picture[part.here][:, part.own] = own.to(picture)


def slim(outcome: Outcome, part: Part) -> Outcome:
    """What is found of the part's own pixels alone, n of them, in single precision: there may be hundreds of parts.

    Standard deviations are then (C, n), samples (S, C, n); the mean is in the picture already.
    """
    posterior = outcome.posterior

    def own(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[..., part.own.to(values.device)].float()

    kept = replace(
        posterior,
        mean=posterior.mean.new_empty(0),
        std=own(posterior.std),
        samples=own(posterior.samples),
        state=None,
        without_own=None,
        process=None,
        beside=None,
    )
    return replace(outcome, posterior=kept, std=own(outcome.std))


def joined_outcome(
    problem: Problem, mean: Tensor, pieces: Sequence[Piece], parts: int, stop_reason: str
) -> Outcome:
    """What was found of the parts as one.

    Parameters
    ----------
    problem : Problem
        Of the whole picture.
    mean : Tensor, shape (C, *grid)
    pieces : sequence of Piece
    parts : int
        How many there are, those that were not reached included.
    stop_reason : str

    Returns
    -------
    Outcome
        Standard deviations where all parts have them.
    """
    unreached = parts - len(pieces)
    first = pieces[0].outcome.posterior if pieces else Posterior(mean)
    raw = [piece.outcome.posterior.std for piece in pieces]
    calibrated = [piece.outcome.std for piece in pieces]
    raw_std, std = (None if unreached else _joined_std(mean, pieces, found) for found in (raw, calibrated))
    errors = [(piece.outcome.error, piece.outcome.count) for piece in pieces]
    told = [(error, count) for error, count in errors if error is not None]
    count = sum(count for _, count in told)
    error = sqrt(sum(count * error**2 for error, count in told) / count) if count else None
    findings = joined_findings(pieces)
    if unreached:
        findings = (*findings, _unreached(unreached, parts, stop_reason))
    samples = None if unreached else _joined_samples(mean, pieces)
    posterior = replace(
        first,
        mean=mean,
        std=raw_std,
        samples=samples,
        chain=None if samples is None or first.chain is None else first.chain[: len(samples)],
        trace=joined_traces(pieces),
        stopped=stop_reason or first.stopped,
        info={**first.info, "parts": parts},
    )
    calibration = None if std is None else joined_calibration(pieces, problem.grid)
    return Outcome(posterior, std, error, count, calibration, findings)


def _joined_std(mean: Tensor, pieces: Sequence[Piece], stds: Sequence[Tensor | None]) -> Tensor | None:
    """Of the picture, zero where it is known; None where a part has none."""
    full = torch.zeros(mean.shape, dtype=torch.float32)
    for piece, std in zip(pieces, stds, strict=True):
        if std is None:
            return None
        _put(full, piece.part, std)
    return full


def _joined_samples(mean: Tensor, pieces: Sequence[Piece]) -> Tensor | None:
    """Of the picture, (S, C, *grid): in each part one of its own; None where a part has none."""
    found = [piece.outcome.posterior.samples for piece in pieces]
    count = min((0 if samples is None else len(samples) for samples in found), default=0)
    if not count:
        return None
    full = mean.float().expand(count, *mean.shape).clone()
    for piece, samples in zip(pieces, found, strict=True):
        for picture, sample in zip(full, samples if samples is not None else (), strict=False):
            _put(picture, piece.part, sample)
    return full


def joined_traces(pieces: Sequence[Piece]) -> dict[str, list[float]]:
    """Of all parts, one after the other."""
    traces = [piece.outcome.posterior.trace for piece in pieces if piece.outcome.posterior.trace]
    return joined(traces) if traces else {}


def joined_calibration(pieces: Sequence[Piece], grid: tuple[int, ...]) -> Calibration | None:
    """The calibrations of parts as one of the picture: each counts as many times as it has missing pixels.

    Standard deviations are calibrated by the part's own already. What is averaged are the coverage, and the tails by which
    intervals of other levels follow from these.

    Parameters
    ----------
    pieces : sequence of Piece
    grid : tuple of int
        Of the picture.

    Returns
    -------
    Calibration or None
        None where no part has one.
    """
    known = [(piece, piece.outcome.calibration) for piece in pieces]
    found = [(piece, calibration) for piece, calibration in known if calibration is not None]
    if not found:
        return None
    held = [_flat(calibration.held_out, piece.part, grid) for piece, calibration in found]
    together = HeldOut(
        np.concatenate([one.places for one in held]),
        *(
            np.concatenate([getattr(one, name) for one in held], axis=1)
            for name in ("mean", "std", "low", "high")
        ),
    )
    return averaged([(float(piece.pixels), calibration) for piece, calibration in found], together)


def _flat(held_out: HeldOut, part: Part, grid: tuple[int, ...]) -> HeldOut:
    """With a value of a channel each, for parts may have channels with masks of their own, and places on the whole grid."""
    channels = len(held_out.mean)
    places = np.tile(part.places(held_out.places, grid), channels)
    values = (getattr(held_out, name).reshape(1, -1) for name in ("mean", "std", "low", "high"))
    return HeldOut(places, *values)


def joined_findings(pieces: Sequence[Piece]) -> tuple[Finding, ...]:
    """Each once: that of the part with the most missing pixels stands for its kind, and says of how many parts it is told."""
    found: dict[tuple[str, object], list[tuple[int, Finding]]] = {}
    for piece in pieces:
        for finding in piece.outcome.findings:
            key = (finding.kind, finding.facts.get("where"))
            found.setdefault(key, []).append((piece.pixels, finding))
    kept = []
    for same in found.values():
        _, finding = max(same, key=lambda pair: pair[0])
        if len(pieces) > 1:
            text = f"in {len(same)} of {len(pieces)} damaged parts of the picture, here the largest: {finding.text}"
            finding = replace(finding, text=text, facts={**finding.facts, "parts": len(same)})
        kept.append(finding)
    return tuple(kept)


def _unreached(unreached: int, parts: int, stop_reason: str) -> Finding:
    why = "the time budget" if stop_reason == "time budget" else "the interruption"
    return Finding(
        "parts not reached",
        f"{why} came before {unreached} of {parts} damaged parts of the picture were reached: there missing pixels have what a "
        "simple filter gives; give it more time",
        {"unreached": unreached, "parts": parts},
    )
