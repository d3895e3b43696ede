"""Where the workers of a batch write, and keep checkpoints: beside the outputs, whose lock keeps a second run out."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from bayesdip.batch_processing.worker_pool import Tell

if TYPE_CHECKING:
    from bayesdip.batch_processing.folder_run import Job

STAGING = ".bayesdip-batch"
CHECKPOINTS = ".bayesdip-checkpoints"
Work = Callable[[dict[str, Path], Path, Tell], dict[str, Any]]


@dataclass(frozen=True)
class Target:
    """A file to be written: in which folder, and what it is called below it."""

    folder: Path
    name: PurePath

    @property
    def path(self) -> Path:
        return self.folder / self.name

    def staged(self, run: str, number: int) -> Path:
        """Where the job of that number in that run writes it."""
        return self.folder / f"{STAGING}-{run}" / str(number) / self.name.name


@dataclass(frozen=True)
class StagedTask:
    """A job as a worker gets it."""

    work: Work
    paths: dict[str, Path]
    checkpoints: Path

    def __call__(self, tell: Tell) -> dict[str, Any]:
        return self.work(self.paths, self.checkpoints, tell)


def checkpoints_of(job: Job, folder: Path) -> Path:
    """Where a worker keeps the checkpoints of a job, from run to run."""
    name = hashlib.sha256(job.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return folder.absolute() / CHECKPOINTS / name


@contextmanager
def staging(jobs: Sequence[Job], folder: Path) -> Generator[list[dict[str, Path]], None, None]:
    """Where the workers shall write the files of each job, by role: in folders that are removed at the end.

    The folders are called after that of the outputs, whose lock keeps a second run out of them; what a killed run left
    in them is removed first.
    """
    run = hashlib.sha256(os.path.realpath(folder).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    folders = {target.folder for job in jobs for target in job.targets.values()}
    paths = [
        {role: target.staged(run, number) for role, target in job.targets.items()}
        for number, job in enumerate(jobs)
    ]

    def remove() -> None:
        for place in folders:
            shutil.rmtree(place / f"{STAGING}-{run}", ignore_errors=True)

    remove()
    try:
        for path in {path.parent for of_job in paths for path in of_job.values()}:
            path.mkdir(parents=True)
        yield paths
    finally:
        remove()
