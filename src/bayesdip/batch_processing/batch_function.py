"""``bayesdip.batch``: the functions of the library for many pictures."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesdip import api
from bayesdip.batch_processing import cluster, worker_pool
from bayesdip.batch_processing.calls import Call, OnePicture, in_memory
from bayesdip.batch_processing.folder_run import Job, Plan, Pool, run_jobs
from bayesdip.batch_processing.journal import Record
from bayesdip.batch_processing.machine import crew, threads_of_a_worker, values_of_largest
from bayesdip.batch_processing.sources import find_sources, match_masks
from bayesdip.batch_processing.worker_pool import Failure
from bayesdip.errors import BayesDipError
from bayesdip.methods import EFFORTS, NAMES, Method
from bayesdip.methods.method import one_of
from bayesdip.result import Restoration

TASKS = ("denoise", "inpaint", "upscale", "deblur")
FilePath = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class BatchItem:
    """What came of one picture of a batch.

    Attributes
    ----------
    label : str
        The path as it was given, or the place of the array.
    restoration : Restoration or None
        None where it failed, and where it went into a folder.
    output : Path or None
        The file of the restored picture.
    record : dict or None
        The picture's line in ``batch.jsonl``, where it went into a folder.
    error : str
        Why there is no result, in one line; empty where there is one.
    settings : dict
        Of a sweep: the options of this one.
    """

    label: str
    restoration: Restoration | None = None
    output: Path | None = None
    record: Record | None = None
    error: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


def batch(
    pictures: FilePath | Iterable[FilePath | ArrayLike],
    task: str = "denoise",
    *,
    output: FilePath | None = None,
    std: FilePath | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    sweep: Mapping[str, Iterable[Any]] | None = None,
    callback: Callable[[BatchItem], object] | None = None,
    **options: Any,
) -> list[BatchItem]:
    """Restore many pictures, several at the same time, each by itself.

    Every result is that of the function alone with the same options and the same number of threads, whatever the number
    of workers and the order. A picture that fails is reported in its item and stops nothing. Workers are processes that
    import the calling script: call this under ``if __name__ == "__main__":`` there.

    Parameters
    ----------
    pictures : path-like, or sequence of path-like or array_like
        Arrays; or files, folders and patterns such as ``"in/*.tif"``, which are read by `bayesdip.io`.
    task : {"denoise", "inpaint", "upscale", "deblur"}
        The function of the library.
    output : path-like, optional
        A folder for the restored pictures, under the names of the inputs (arrays: their places, ``.npy``), and for
        ``batch.jsonl``. The same call does then what is missing or changed, in its input, its options or the version.
    std : path-like, optional
        Besides ``output``: a folder for the standard deviations, as float TIFF files ``NAME_std.tif``.
    workers : int, optional
        Processes; by default as many as there are cores, pictures and memory for, and one where a graphics processor
        computes. Each has one thread, or as many as the environment variable ``OMP_NUM_THREADS`` says.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers are taken instead. They have to see the same files.
    overwrite : bool
        Replace files in the folders that no batch wrote.
    sweep : mapping of str to iterable, optional
        Values of options: every picture is restored with each combination of them. In ``output`` each has a folder of its
        own, such as ``effort=fast,seed=1``. Seeds are chains of a network by as many workers.
    callback : callable, optional
        Called with each :class:`BatchItem` as its picture ends, in whatever order.
    **options
        Those of the function: ``sigma``, ``method``, ``effort``, ``seed``, ... ``mask`` is one mask for all; a list with
        one for each picture; or a folder or a pattern of files with the names of the pictures. ``channel_axis`` is for
        arrays; files know theirs.

    Returns
    -------
    list of BatchItem
        In the order of the pictures; those of a folder or a pattern in order of their names. Of a sweep, all pictures with the
        first combination, then all with the next.

    Raises
    ------
    BayesDipError
        There is no such task or option, no picture, no worker, or no scheduler.
    FileError
        A path stands for no file, masks do not fit the pictures one to one, two outputs would be one file, an output is
        an input or exists, or another run is writing into the folder.

    Examples
    --------
    >>> items = bd.batch("in/*.tif", "denoise", output="out", effort="fast")  # doctest: +SKIP
    >>> [item.label for item in items if item.error]  # doctest: +SKIP
    """
    one_of("task", task, TASKS)
    given: list[Any] = [pictures] if isinstance(pictures, str | os.PathLike) else list(pictures)
    todo: list[OnePicture] = []
    settings: list[dict[str, Any]] = []
    for name, chosen in combinations(sweep or {}, options):
        _check_options(task, options | chosen, scheduler, workers, output, std)
        make = _from_files if _are_paths(given) else _from_arrays
        here = make(given, task, options | chosen)
        todo += [one.in_folder(name) if name else one for one in here]
        settings += [chosen] * len(here)
    if not todo:
        raise BayesDipError("no pictures were given: expected paths or arrays; give some")
    if scheduler is not None:
        todo = [one.with_absolute_paths() for one in todo]
        output, std = (None if folder is None else Path(folder).absolute() for folder in (output, std))
    pool = _pool(todo, workers, scheduler, options)
    if output is not None:
        found_items = _into_folder(
            todo, Path(output), None if std is None else Path(std), pool, overwrite, callback
        )
        return [replace(item, settings=own) for item, own in zip(found_items, settings, strict=True)]
    items: dict[int, BatchItem] = {}
    tasks = [partial(in_memory, one.call) for one in todo]
    for place, found in pool(tasks, lambda place, seconds: None):
        label = todo[place].label
        if isinstance(found, Failure):
            items[place] = BatchItem(label, error=found.text, settings=settings[place])
        else:
            items[place] = BatchItem(label, found, settings=settings[place])
        if callback is not None:
            callback(items[place])
    return [items[place] for place in range(len(todo))]


def combinations(
    sweep: Mapping[str, Iterable[Any]], options: Mapping[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Every combination of the values of a sweep, with a name that can be a folder's; one without a name where there is none.

    Raises
    ------
    BayesDipError
        An option is given twice, has no values, or two combinations have one name.
    """
    values = {name: list(each) for name, each in sweep.items()}
    for name, each in values.items():
        if name in options or name == "mask" or not each:
            raise BayesDipError(
                f"sweep has {name!r} with {len(each)} values: expected one value or more of an option that is not given besides, "
                "and no masks; change it"
            )
    found = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    names = [",".join(f"{name}={_word(value)}" for name, value in one.items()) for one in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BayesDipError(
            f"two combinations of the sweep would be called {twice!r}: expected different values; leave one out"
        )
    return list(zip(names, found, strict=True))


def _word(value: Any) -> str:
    """A value as a part of a folder's name."""
    return re.sub(r"[^\w.+-]+", "_", str(value)).strip("_")[:80]


def _are_paths(given: Sequence[Any]) -> bool:
    paths = [isinstance(one, str | os.PathLike) for one in given]
    if any(paths) and not all(paths):
        raise BayesDipError(
            "paths and arrays were given together: expected one of the two; call batch for each, or read the files with io.read_picture"
        )
    return bool(paths) and all(paths)


def _check_options(
    task: str,
    options: dict[str, Any],
    scheduler: str | None,
    workers: int | None,
    output: FilePath | None,
    std: FilePath | None,
) -> None:
    own = set(inspect.signature(getattr(api, task)).parameters) - {"image", "options"}
    known = sorted((own | set(api.Options.__annotations__)) - {"callback", "resume"})
    for name, value in options.items():
        if name not in known:
            raise BayesDipError(
                f"{name}={value!r} was given, which {task} does not have: expected one of {', '.join(known)}; leave it out, or "
                "give it to the method object it belongs to"
            )
    if isinstance(options.get("method"), str):
        one_of("method", options["method"], ("auto", *NAMES))
    if options.get("effort") is not None:
        one_of("effort", options["effort"], EFFORTS)
    if scheduler is not None and workers is not None:
        raise BayesDipError(
            "workers and scheduler were both given: the cluster has its own workers; expected one of the two, leave one out"
        )
    if std is not None and output is None:
        raise BayesDipError(
            "std was given without output: expected a folder for the pictures too; give output"
        )


def _from_files(given: Sequence[FilePath], task: str, options: dict[str, Any]) -> list[OnePicture]:
    if "channel_axis" in options:
        raise BayesDipError(
            "channel_axis was given with files, which know where their channels are: expected it with arrays; leave it out"
        )
    sources = find_sources(given)
    mask = options.get("mask")
    masks: Sequence[Any]
    if isinstance(mask, str | os.PathLike):
        masks, _ = match_masks(sources, mask)
        taken = {os.path.realpath(path) for path in masks}
        kept = [n for n, source in enumerate(sources) if os.path.realpath(source.path) not in taken]
        sources, masks = [sources[n] for n in kept], [masks[n] for n in kept]
    else:
        masks = _one_each(mask, len(sources))
    rest = {name: value for name, value in options.items() if name != "mask"}
    return [
        OnePicture(str(source.path), source.name, Call(task, source.path, one, rest))
        for source, one in zip(sources, masks, strict=True)
    ]


def _from_arrays(given: Sequence[Any], task: str, options: dict[str, Any]) -> list[OnePicture]:
    digits = len(str(max(len(given) - 1, 0)))
    masks = _one_each(options.get("mask"), len(given))
    rest = {name: value for name, value in options.items() if name != "mask"}
    return [
        OnePicture(
            f"array {n}", PurePath(f"{n:0{digits}d}.npy"), Call(task, np.asanyarray(array), mask, rest)
        )
        for n, (array, mask) in enumerate(zip(given, masks, strict=True))
    ]


def _one_each(mask: Any, count: int) -> list[Any]:
    """Masks as they were given: one for all, or a list with one for each."""
    if mask is None or isinstance(mask, str | os.PathLike):
        return [None if mask is None else Path(mask)] * count
    if not isinstance(mask, list | tuple):
        return [np.asarray(mask)] * count
    if len(mask) != count:
        raise BayesDipError(
            f"mask is a list of {len(mask)}, and there are {count} pictures: expected one for each; give as many, or one array "
            "for all"
        )
    return [Path(one) if isinstance(one, str | os.PathLike) else np.asarray(one) for one in mask]


def _pool(
    todo: Sequence[OnePicture], workers: int | None, scheduler: str | None, options: dict[str, Any]
) -> Pool:
    """Who carries out the tasks."""
    if scheduler is not None:
        threads = threads_of_a_worker()
        return lambda tasks, told: cluster.carried_out(tasks, scheduler, threads)
    files = [one.call.picture for one in todo if isinstance(one.call.picture, Path)]
    arrays = [one.call.picture.size for one in todo if not isinstance(one.call.picture, Path)]
    method = options.get("method") or "auto"
    device = method.device if isinstance(method, Method) else options.get("device") or "auto"
    name = method.name if isinstance(method, Method) else method
    growth = int(options.get("factor", 4)) ** 2 if todo[0].call.task == "upscale" else 1
    largest = growth * (max(arrays) if arrays else values_of_largest(files))
    team = crew(workers, len(todo), largest, name, device)
    limit = worker_pool.time_limit(options.get("time_budget"))
    return lambda tasks, told: worker_pool.carried_out(tasks, team.workers, team.threads, limit, told)


@dataclass
class _Teller:
    """Gives every item to the callback as it comes."""

    output: Path
    callback: Callable[[BatchItem], object] | None

    def begins(self, plan: Plan) -> None:
        """Nothing is said."""

    def told(self, job: Job, seconds: float) -> None:
        """Nothing is said."""

    def ended(self, job: Job, record: Record) -> None:
        """Pass it on."""
        if self.callback is not None:
            self.callback(_item(job, record))


def _item(job: Job, record: Record | None) -> BatchItem:
    if record is None:
        return BatchItem(
            job.label, error="it is an output of an earlier batch in this folder, and was left out"
        )
    if record["error"] is not None:
        return BatchItem(job.label, record=record, error=record["error"]["message"])
    return BatchItem(job.label, output=job.targets["output"].path, record=record)


def _into_folder(
    todo: Sequence[OnePicture],
    output: Path,
    std: Path | None,
    pool: Pool,
    overwrite: bool,
    callback: Callable[[BatchItem], object] | None,
) -> list[BatchItem]:
    jobs = [one.job(output, std) for one in todo]
    result = run_jobs(jobs, output, pool, _Teller(output, callback), overwrite)
    if result.interrupted:
        raise KeyboardInterrupt
    return [_item(job, result.records.get(job.name)) for job in jobs]
