"""The run over all tiles: what is done is kept in a folder beside the output, and goes to its name when it is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bayesdip.batch_processing.folder_run import Pool
from bayesdip.batch_processing.journal import JOURNAL, Journal, Record, open_journal
from bayesdip.batch_processing.worker_pool import Failure, Task
from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.findings import Finding
from bayesdip.io.stored import Canvas, StoredArray
from bayesdip.processes import interrupts_deferred
from bayesdip.tile_processing import survey
from bayesdip.tile_processing.kept_tile import KeptTiles
from bayesdip.tile_processing.plan import LEAST_SIDE, Plan, Tile
from bayesdip.tile_processing.tile_restoration import Known, Request
from bayesdip.tile_processing.tile_task import BlendTask, TileTask, level_tasks

REQUEST, SURVEY, WHOLE = "request", "survey", "whole"
# So many tasks are carried out here that take a tenth of a second: starting workers takes seconds.
FEW = 64


@dataclass
class Work:
    """A whole array to restore.

    Attributes
    ----------
    source, mask : StoredArray
    plan : Plan
    request : Request
    targets : dict
        Final names, by ``"output"`` and ``"std"``.
    canvases : callable
        Makes the canvases, by role, once it is known whether results are real numbers.
    asked : dict
        All that decides the result, as plain JSON values.
    pool : callable
        Carries out tasks.
    """

    source: StoredArray
    mask: StoredArray | None
    plan: Plan
    request: Request
    targets: dict[str, Path]
    canvases: Callable[[bool], dict[str, Canvas]]
    asked: dict[str, Any]
    pool: Pool
    begins: Callable[[int, int, Sequence[Finding]], None] = lambda tiles, done, findings: None
    ended: Callable[[Record], object] = lambda record: None


@dataclass
class Outcome:
    """What came of a run.

    Attributes
    ----------
    known : list of Known
        By group.
    findings : tuple of Finding
    records : dict
        Of the tiles that are done, by name.
    failures : dict
    done_before : int
        How many tiles an earlier run had done.
    """

    known: list[Known]
    findings: tuple[Finding, ...]
    records: dict[str, Record] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    done_before: int = 0


def working_folder(target: Path) -> Path:
    """Where an output is kept until it is whole."""
    return target.absolute().with_name(f".{target.name}.bayesdip-tiles")


def run(work: Work, force: bool) -> Outcome:
    """Do what is not done yet, then make the outputs whole.

    Parameters
    ----------
    work : Work
    force : bool
        Replace outputs that exist, and what was begun with another request.

    Raises
    ------
    FileError
        An output exists, or another run is at work on it.
    BayesDipError
        What was begun there was asked otherwise.
    """
    folder = working_folder(work.targets["output"])
    if not (folder / JOURNAL).exists():
        check_targets(work.targets, force)
    with open_journal(folder) as journal:
        outcome = _done(work, journal, folder, force)
    if not outcome.failures:
        for role in sorted(
            work.targets, reverse=True
        ):  # the journal lies in the output's folder, which goes last
            shutil.rmtree(_home(work, role), ignore_errors=True)
    return outcome


def _done(work: Work, journal: Journal, folder: Path, force: bool) -> Outcome:
    begun = _is_same(journal, work.asked, folder, force)
    if begun and WHOLE in journal.latest:
        outcome = surveyed(work, journal)
        outcome.records = {tile.name: journal.latest[tile.name] for tile in work.plan.tiles()}
        outcome.done_before = len(outcome.records)
        _give_names(work, journal.latest[WHOLE]["paths"], force)
        return outcome
    check_targets(work.targets, force)
    if not begun:
        _clear(work.targets, journal)
        journal.latest.clear()
        journal.add({"output": REQUEST, "files": {}, "asked": work.asked})
    outcome = surveyed(work, journal)
    canvases = work.canvases(any(known.real for known in outcome.known))
    if not begun or SURVEY not in journal.latest:
        for canvas in canvases.values():
            canvas.create()
        journal.add(
            {
                "output": SURVEY,
                "files": {},
                "calibrations": _calibrations(outcome),
                "real": [k.real for k in outcome.known],
            }
        )
    kept = KeptTiles(work.plan, canvases, folder)
    tiles = list(_to_do(work, journal, kept, outcome))
    outcome.done_before = len(outcome.records)
    work.begins(work.plan.count(), outcome.done_before, outcome.findings)
    _restore(work, tiles, journal, kept, outcome)
    if outcome.failures:
        return outcome
    blending = [BlendTask(kept, tile) for tile in work.plan.tiles() if work.plan.neighbours(tile.core)]
    _carry_out(blending, work.pool, "the borders of tiles")
    for canvas in canvases.values():
        _write_levels(canvas, work.pool)
    paths = {role: str(canvas.finish().relative_to(_home(work, role))) for role, canvas in canvases.items()}
    journal.add({"output": WHOLE, "files": {}, "paths": paths})
    _give_names(work, paths, force)
    return outcome


def _home(work: Work, role: str) -> Path:
    return working_folder(work.targets[role])


def _give_names(work: Work, paths: dict[str, str], force: bool) -> None:
    """Move the outputs that are whole to their names; a run that is killed meanwhile is gone on with here.

    Raises
    ------
    FileError
        Another program has made one of them meanwhile.
    """
    left = {role: _home(work, role) / path for role, path in paths.items()}
    left = {role: path for role, path in left.items() if path.exists()}
    check_targets({role: work.targets[role] for role in left}, force)
    with interrupts_deferred():
        for role, path in left.items():
            moved(path, work.targets[role])


def check_targets(targets: dict[str, Path], force: bool) -> None:
    """Raise unless the outputs can be written.

    Raises
    ------
    FileError
    """
    if len({path.absolute() for path in targets.values()}) < len(targets):
        raise FileError("two of the outputs are the same: expected a name for each; rename one")
    for path in targets.values():
        if not path.absolute().parent.is_dir():
            raise FileError(
                f"{one_line(path)}: its folder does not exist; an existing folder is expected: make it first"
            )
        if os.path.lexists(path) and not force:
            raise FileError(
                f"{one_line(path)}: exists already; a new name is expected: choose one, or replace it with --force "
                "(overwrite=True)"
            )


def _is_same(journal: Journal, asked: dict[str, Any], folder: Path, force: bool) -> bool:
    """Whether what was begun in the folder is what is asked now.

    Raises
    ------
    BayesDipError
        It is something else, and is not to be replaced.
    """
    there = journal.latest.get(REQUEST)
    if there is None:
        return False
    before = there.get("asked", {})
    differing = sorted(key for key in {**before, **asked} if before.get(key) != asked.get(key))
    if not differing:
        return True
    if force:
        return False
    words = ", ".join(f"{key} was {before.get(key)!r}, is {asked.get(key)!r}" for key in differing[:3])
    raise BayesDipError(
        f"{one_line(folder)} holds tiles of another request ({words[:300]}): expected the same one to go on with; repeat that, "
        "or begin anew with --force (overwrite=True)"
    )


def _clear(targets: dict[str, Path], journal: Journal) -> None:
    """Remove what an earlier run left, but not the journal, which is locked."""
    os.ftruncate(journal.descriptor, 0)
    for target in targets.values():
        folder = working_folder(target)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name == JOURNAL:
                continue
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def surveyed(work: Work, journal: Journal) -> Outcome:
    """What is known of the whole; calibrations that an earlier run found are taken from the journal."""
    channels = bool(work.plan.roles.channels)
    knowns: list[Known] = []
    findings: list[Finding] = []
    samples: list[tuple[int, survey.SampleTask]] = []
    for group in range(work.plan.groups):
        sample = survey.noise_sample(work.source, work.mask, work.plan, work.request, group)
        known, said, _ = survey.noise_of(sample, work.request, channels)
        knowns.append(known)
        findings += said
    stored = journal.latest.get(SURVEY)
    if stored is not None:
        knowns = [
            replace(known, real=real, calibration=None if facts is None else survey.from_json(facts))
            for known, facts, real in zip(knowns, stored["calibrations"], stored["real"], strict=True)
        ]
        return Outcome(knowns, _once(findings))
    for group, known in enumerate(knowns):
        sample = survey.calibration_sample(work.source, work.mask, work.plan, work.request, group)
        samples += [(group, task) for task in survey.tasks_of(sample, work.request, known, channels, group)]
    found: list[list[dict[str, Any]]] = [[] for _ in knowns]
    answers: dict[int, Any] = {}
    with closing(work.pool([task for _, task in samples], lambda place, seconds: None)) as coming:
        for place, answer in coming:
            if isinstance(answer, Failure):
                raise BayesDipError(f"a sample of the array could not be restored: {answer.text}")
            answers[place] = answer
    for place, (group, _) in enumerate(samples):
        found[group].append(answers[place])
    return Outcome(
        [survey.calibrated(known, mine) for known, mine in zip(knowns, found, strict=True)], _once(findings)
    )


def _once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each text once: channels by themselves may say the same."""
    return tuple({finding.text: finding for finding in findings}.values())


def _calibrations(outcome: Outcome) -> list[dict[str, Any] | None]:
    return [None if k.calibration is None else survey.to_json(k.calibration) for k in outcome.known]


def _to_do(work: Work, journal: Journal, kept: KeptTiles, outcome: Outcome) -> Iterator[Tile]:
    """The tiles that are not done; `outcome` gets the records of the others."""
    for tile in work.plan.tiles():
        record = journal.latest.get(tile.name)
        if record is not None and kept.is_whole(tile.core, record["sha256"]):
            outcome.records[tile.name] = record
        else:
            yield tile


def _restore(work: Work, tiles: list[Tile], journal: Journal, kept: KeptTiles, outcome: Outcome) -> None:
    """Restore the tiles; those for which the memory is too small once more, in ever smaller parts."""
    parts = 1
    while tiles:
        tasks = [
            TileTask(
                work.source,
                work.mask,
                work.plan,
                tile,
                work.request,
                outcome.known[tile.group],
                kept,
                parts,
            )
            for tile in tiles
        ]
        smaller = work.plan.side // (2 * parts) >= LEAST_SIDE
        too_large = []
        with closing(work.pool(tasks, lambda place, seconds: None)) as coming:
            for place, found in coming:
                name = tiles[place].name
                if isinstance(found, Failure) and found.of_memory and smaller:
                    too_large.append(tiles[place])
                elif isinstance(found, Failure):
                    outcome.failures[name] = found
                else:
                    record = {"output": name, "files": {}, **found}
                    with interrupts_deferred():
                        journal.add(record)
                    outcome.records[name] = record
                    work.ended(record)
        tiles, parts = too_large, 2 * parts


def _write_levels(canvas: Canvas, pool: Pool) -> None:
    """The coarser resolution levels, each from the one before."""
    for level in range(1, len(canvas.levels)):
        _carry_out(level_tasks(canvas, level), pool, f"resolution level {level}")


def _carry_out(tasks: Sequence[Task], pool: Pool, what: str) -> None:
    """Short tasks, which may be done again: here, where they are few.

    Raises
    ------
    BayesDipError
        One failed.
    """
    if len(tasks) <= FEW:
        for task in tasks:
            task(lambda seconds: None)
        return
    with closing(pool(tasks, lambda place, seconds: None)) as coming:
        for _, found in coming:
            if isinstance(found, Failure):
                raise BayesDipError(f"{what} could not be written: {found.text}")


def moved(path: Path, target: Path) -> None:
    """Give a file or folder its final name; what was there before goes when the new one is there."""
    before = target.with_name(f".{target.name}.{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}.before")
    if os.path.lexists(target):
        os.replace(target, before)
    try:
        os.replace(path, target)
    except OSError:
        if os.path.lexists(before):
            os.replace(before, target)
        raise
    if before.is_dir() and not before.is_symlink():
        shutil.rmtree(before, ignore_errors=True)
    elif os.path.lexists(before):
        before.unlink()
