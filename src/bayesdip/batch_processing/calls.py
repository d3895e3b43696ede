"""A call of a function of the library as a task for a worker, with one picture of many."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdip import api, no_data
from bayesdip.arrays import fingerprint
from bayesdip.batch_processing.folder_run import Job, facts_of_run
from bayesdip.batch_processing.journal import digest_of
from bayesdip.batch_processing.sources import output_name, std_name
from bayesdip.batch_processing.staging import Target
from bayesdip.batch_processing.worker_pool import Tell, end_this_worker, passing_on
from bayesdip.io import Picture, holds_real_numbers, mask_of, read_picture, write_picture, write_std
from bayesdip.result import Restoration
from bayesdip.resuming import going_on


@dataclass(frozen=True)
class Call:
    """A function of the library with its picture and its options, to be called in a worker.

    Attributes
    ----------
    task : str
    picture : Path or array
    mask : Path, array or None
    options : dict
    """

    task: str
    picture: Path | NDArray[Any]
    mask: Path | NDArray[Any] | None
    options: dict[str, Any]

    def __call__(self, tell: Tell, checkpoints: Path | None = None) -> tuple[Restoration, Picture | None]:
        """The restoration, and the file that was read."""
        options, source = dict(self.options), None
        pixels: Any = self.picture
        if isinstance(self.picture, Path):
            source = read_picture(self.picture)
            pixels = source.pixels
            options["channel_axis"] = -1 if source.has_channels else None
            if source.no_data is not None and no_data.find(pixels, source.no_data)[1]:
                options.setdefault("missing", source.no_data)
        if isinstance(self.mask, Path):
            options["mask"] = mask_of(self.mask, source or Picture(pixels)).missing
        elif self.mask is not None:
            options["mask"] = self.mask
        run = partial(getattr(api, self.task), pixels, **options, callback=passing_on(tell))
        found: Restoration = (
            run()
            if checkpoints is None
            else going_on(checkpoints, lambda folder: run(resume=folder), replace=True)
        )
        if found.stopped == "interrupted":
            end_this_worker()
        return found, source


@dataclass(frozen=True)
class OnePicture:
    """A picture to restore: how it is called in messages and in a folder, and what is done."""

    label: str
    name: PurePath
    call: Call

    def in_folder(self, folder: str) -> OnePicture:
        """The same under a folder of that name."""
        return OnePicture(f"{self.label} ({folder})", PurePath(folder) / self.name, self.call)

    def with_absolute_paths(self) -> OnePicture:
        """The same for workers that stand in other folders, as those of a cluster do."""
        picture, mask = self.call.picture, self.call.mask
        picture = picture.absolute() if isinstance(picture, Path) else picture
        mask = mask.absolute() if isinstance(mask, Path) else mask
        return replace(self, call=replace(self.call, picture=picture, mask=mask))

    def job(self, output: Path, std: Path | None) -> Job:
        name = output_name(self.name)
        targets = {"output": Target(output, name)}
        if std is not None:
            targets["std"] = Target(std, std_name(name))
        parts = {"input": self.call.picture, "mask": self.call.mask}
        digests = {
            role: digest_of(part) if isinstance(part, Path) else content_of(part)
            for role, part in parts.items()
            if part is not None
        }
        try:
            settled = {"task": self.call.task, **{k: described(v) for k, v in self.call.options.items()}}
        except TypeError:
            settled = None
        files = tuple(part for part in parts.values() if isinstance(part, Path))
        size = files[0].stat().st_size if files and files[0].exists() else 1.0
        work = partial(into_files, self.call)
        return Job(self.label, work, files, digests, targets, settled, max(1.0, size))


def in_memory(call: Call, tell: Tell) -> Restoration:
    return call(tell)[0]


def into_files(call: Call, paths: dict[str, Path], checkpoints: Path, tell: Tell) -> dict[str, Any]:
    """Write what a call gives; the facts for the record."""
    found, source = call(tell, checkpoints)
    path, dtype = paths["output"], None
    if found.mean.dtype.kind == "f" and holds_real_numbers(path, source):
        dtype = found.mean.dtype
    write_picture(path, found.mean, source, force=True, dtype=dtype)
    if "std" in paths and found.std is not None:
        write_std(paths["std"], found.std, source or Picture(found.std), force=True)
    return facts_of_run(found)


def described(value: Any) -> Any:
    """An option as a JSON value that says all of it.

    Raises
    ------
    TypeError
        It holds something of which that cannot be known, such as a function.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [described(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise TypeError("an array of objects cannot be described")
        return content_of(value)
    if is_dataclass(value) and type(value).__module__.startswith("bayesdip."):
        return {
            "class": type(value).__name__,
            **{f.name: described(getattr(value, f.name)) for f in fields(value)},
        }
    raise TypeError(f"{value!r} cannot be described")


def content_of(array: Any) -> str:
    """A digest of an array, and of its mask where it has one; empty for objects, whose content is not known."""
    if array.dtype.hasobject:
        return ""
    if isinstance(array, np.ma.MaskedArray):
        return fingerprint(array.filled(0)) + fingerprint(np.ma.getmaskarray(array))
    return fingerprint(np.asarray(array))
