"""Many pictures into a folder: what is to be done, in which files, and the run that does it and loses nothing.

A worker writes into a folder of its own beside the outputs. This process then writes the line of the journal, and only
then moves the files to their names: a run that is killed at any moment leaves no file that the next one does not know.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bayesdip import __version__
from bayesdip.batch_processing.journal import JOURNAL, Journal, Record, digest_of, open_journal
from bayesdip.batch_processing.staging import CHECKPOINTS, StagedTask, Target, Work, checkpoints_of, staging
from bayesdip.batch_processing.worker_pool import Failure, Task
from bayesdip.errors import FileError, one_line
from bayesdip.processes import interrupts_deferred
from bayesdip.resuming import remove_checkpoints

if TYPE_CHECKING:
    from bayesdip.result import Restoration

SCHEMA = 1
OUTPUT = "output"


@dataclass(frozen=True)
class Job:
    """One picture to restore.

    Attributes
    ----------
    label : str
        The input as it was given.
    work : callable
        Picklable. Is given the paths to write to by role, a folder for checkpoints, and `Tell`; gives the facts for the record.
    inputs : tuple of Path
        The picture first, then what else is read.
    digests : dict
        Of the contents of all inputs, by role; empty where it is not known.
    targets : dict
        The files to write, by role; one is ``"output"``.
    options : dict or None
        What decides the result besides, as plain JSON values; None where it cannot be told.
    size : float
        How much work it is in comparison with the others.
    """

    label: str
    work: Work
    inputs: tuple[Path, ...]
    digests: dict[str, str]
    targets: dict[str, Target]
    options: dict[str, Any] | None
    size: float = 1.0

    @property
    def name(self) -> str:
        """The output's name in its folder: what identifies the job from run to run."""
        return self.targets[OUTPUT].name.as_posix()

    def is_done(self, journal: Journal) -> bool:
        """Whether an earlier run did just this, and its files are there."""
        record = journal.latest.get(self.name)
        if record is None or record.get("error") is not None or self.options is None:
            return False
        same = (record.get("sha256"), record.get("options"), record.get("version")) == (
            self.digests,
            self.options,
            __version__,
        )
        if not same or not all(self.digests.values()):
            return False
        there = {file["path"] for file in record["files"].values()}
        return all(
            journal.relative(target.path) in there and target.path.is_file()
            for target in self.targets.values()
        )


@dataclass
class Plan:
    """What a run found: the jobs to do, and what there is nothing to do about.

    Attributes
    ----------
    to_do : list of Job
    done : list of Job
        Done by an earlier run.
    own : list of str
        Inputs that a run in this folder wrote itself, which are left out.
    notes : list of str
    """

    to_do: list[Job] = field(default_factory=list)
    done: list[Job] = field(default_factory=list)
    own: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Watch(Protocol):
    """Is told how a run goes."""

    def begins(self, plan: Plan) -> None:
        """The work begins."""

    def told(self, job: Job, seconds: float) -> None:
        """A job said how long it will take."""

    def ended(self, job: Job, record: Record) -> None:
        """A job ended."""


@dataclass
class Result:
    """What came of a run.

    Attributes
    ----------
    plan : Plan
    records : dict
        By the name of the output: those of this run, and the latest of what was done before.
    interrupted : bool
        Whether Ctrl-C or SIGTERM ended it.
    seconds : float
    """

    plan: Plan
    records: dict[str, Record]
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> list[Record]:
        """The records of this run that hold an error."""
        mine = (self.records.get(job.name) for job in self.plan.to_do)
        return [record for record in mine if record is not None and record["error"] is not None]


Pool = Callable[[Sequence[Task], Callable[[int, float], None]], Generator[tuple[int, Any], None, None]]


def run_jobs(jobs: Sequence[Job], folder: Path, pool: Pool, watch: Watch, force: bool = False) -> Result:
    """Do what is not done yet, each file whole or not at all.

    Parameters
    ----------
    jobs : sequence of Job
    folder : Path
        Of the outputs; the journal is kept there.
    pool : callable
        Carries out tasks, such as `worker_pool.carried_out`.
    watch : Watch
    force : bool
        Replace files that no run in this folder wrote.

    Raises
    ------
    FileError
        Two jobs would write one file, a job would write an input, a file exists that is not ours, or another run is
        writing into the folder.
    """
    started = time.monotonic()
    check_targets(jobs, folder)
    with open_journal(folder) as journal:
        plan = planned(jobs, journal, force)
        if not journal.has_lock:
            plan.notes.append(
                f"the file system of {one_line(folder)} has no locks: see to it that no other run writes there meanwhile"
            )
        records = {job.name: journal.latest[job.name] for job in plan.done}
        result = Result(plan, records)
        with staging(plan.to_do, folder) as staged:
            watch.begins(plan)
            try:
                _carry_out(plan.to_do, staged, journal, pool, watch, force, records)
            except KeyboardInterrupt:
                result.interrupted = True
            for job in plan.done:  # what a run left that was killed right after such a job
                remove_checkpoints(checkpoints_of(job, folder))
            with suppress(OSError):
                (folder / CHECKPOINTS).rmdir()  # if nothing is under way
        result.seconds = time.monotonic() - started
        return result


def _carry_out(
    jobs: list[Job],
    staged: list[dict[str, Path]],
    journal: Journal,
    pool: Pool,
    watch: Watch,
    force: bool,
    records: dict[str, Record],
) -> None:
    tasks = [
        StagedTask(job.work, paths, checkpoints_of(job, journal.folder))
        for job, paths in zip(jobs, staged, strict=True)
    ]
    with closing(pool(tasks, lambda place, seconds: watch.told(jobs[place], seconds))) as coming:
        for place, found in coming:
            with interrupts_deferred():
                record = finished(jobs[place], staged[place], found, journal, force)
                if record["error"] is None:
                    remove_checkpoints(tasks[place].checkpoints)
                records[jobs[place].name] = record
            watch.ended(jobs[place], record)


def planned(jobs: Sequence[Job], journal: Journal, force: bool) -> Plan:
    """What is to be done.

    Raises
    ------
    FileError
        A file that would be written exists and is not ours.
    """
    plan = Plan()
    for job in jobs:
        if job.inputs and journal.wrote(job.inputs[0]):
            plan.own.append(job.label)
        elif job.is_done(journal):
            plan.done.append(job)
        else:
            plan.to_do.append(job)
    foreign = [
        target.path
        for job in plan.to_do
        for target in job.targets.values()
        if not may_be_written(target.path, journal, force)
    ]
    if foreign:
        more = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise FileError(
            f"{one_line(foreign[0])}{more}: exists already, and was not written by a batch run of this folder; new names are "
            "expected: choose another folder, or replace files with --overwrite (overwrite=True)"
        )
    return plan


def may_be_written(path: Path, journal: Journal, force: bool) -> bool:
    """Whether the file is not there, or may be replaced."""
    if not os.path.lexists(path):
        return True
    return path.is_file() and (force or journal.wrote(path))


def check_targets(jobs: Sequence[Job], folder: Path) -> None:
    """Refuse what cannot be right whatever is there: outputs that collide, or that are inputs.

    Raises
    ------
    FileError
    """
    inputs = {os.path.realpath(path): path for job in jobs for path in job.inputs}
    seen: dict[str, Job] = {os.path.realpath(folder / JOURNAL): _JOURNAL}
    for job in jobs:
        for target in job.targets.values():
            real = os.path.realpath(target.path)
            if not Path(real).is_relative_to(os.path.realpath(target.folder)):
                raise FileError(
                    f"{one_line(target.path)}: leads out of {one_line(target.folder)}; a name inside it is expected: remove the "
                    "link, or choose another folder"
                )
            if real in inputs:
                raise FileError(
                    f"{one_line(target.path)}: is an input, and would be an output; another folder is expected: choose one after -o"
                )
            if real in seen:
                raise FileError(
                    f"{one_line(seen[real].label)} and {one_line(job.label)} would both be written to {one_line(target.path)}; "
                    "different names are expected: rename one, restore them apart, or quote a pattern such as 'in/*/*.tif', "
                    "which keeps their folders"
                )
            seen[real] = job


def finished(job: Job, staged: dict[str, Path], found: Any, journal: Journal, force: bool) -> Record:
    """Write the record of a job that ended, and move its files to their names."""
    record = {**_record_of(job), **(_error_facts(found) if isinstance(found, Failure) else found)}
    if record["error"] is None:
        foreign = [
            target.path for target in job.targets.values() if not may_be_written(target.path, journal, force)
        ]
        if foreign:
            said = f"{one_line(foreign[0])}: was made by another program meanwhile; a new name is expected: run again"
            record |= _error_facts(Failure(said, FileError.__name__))
    if record["error"] is None:
        record["files"] = {
            role: {"path": journal.relative(job.targets[role].path), "sha256": digest_of(path)}
            for role, path in staged.items()
            if path.is_file()
        }
    journal.add(record)
    try:
        for role in record["files"]:
            path = job.targets[role].path
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged[role], path)
    except OSError as error:
        record |= {"files": {}, **_error_facts(Failure.of(error))}
        journal.add(record)
    for path in staged.values():
        with suppress(OSError):
            path.unlink(missing_ok=True)
    return record


def _record_of(job: Job) -> Record:
    return {
        "schema": SCHEMA,
        "input": job.label,
        "output": job.name,
        "options": job.options,
        "version": __version__,
        "sha256": job.digests,
        "files": {},
        "error": None,
    }


def _error_facts(failure: Failure) -> dict[str, Any]:
    facts: dict[str, Any] = {"error": {"type": failure.kind, "message": failure.text}}
    return facts | ({"error": facts["error"] | {"traceback": failure.traceback}} if failure.traceback else {})


def facts_of_run(restoration: Restoration, notes: Sequence[str] = ()) -> dict[str, Any]:
    """What a record says of a restoration."""
    from bayesdip.report.facts import plain

    summary = restoration.summary()
    calibration = summary["calibration"]
    facts = {
        "seconds": summary["seconds"],
        "method": summary["method"],
        "stopped": summary["stopped"],
        "sigma": summary["sigma"],
        "held_out_rmse": summary["held_out_rmse"],
        "coverage": None if calibration is None else calibration["coverage"],
        "findings": summary["findings"],
        "notes": list(notes),
    }
    found: dict[str, Any] = plain(facts)
    return found


_JOURNAL = Job("the list of what was done", lambda paths, checkpoints, tell: {}, (), {}, {}, None)
