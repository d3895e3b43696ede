"""``bayesdip.tiled``: pictures and stacks larger than memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesdip import __version__
from bayesdip.arrays import fingerprint
from bayesdip.batch_processing import cluster, worker_pool
from bayesdip.batch_processing.calls import described
from bayesdip.batch_processing.folder_run import Pool
from bayesdip.batch_processing.journal import Record
from bayesdip.batch_processing.machine import NETWORKS, crew, threads_of_a_worker
from bayesdip.errors import BayesDipError, FileError, one_line
from bayesdip.findings import Finding
from bayesdip.io.stored import Canvas, Description, GivenArray, StoredArray, canvas_for, open_stored
from bayesdip.methods import EFFORTS, NAMES, Method
from bayesdip.methods.method import one_of
from bayesdip.methods.registry import with_options
from bayesdip.tile_processing import survey
from bayesdip.tile_processing.plan import LEAST_SIDE, MARGINS, NETWORK_SIDES, SIDES, Plan, roles_of
from bayesdip.tile_processing.regions import check_mask_axes
from bayesdip.tile_processing.tile_restoration import TASKS, Request
from bayesdip.tile_processing.tiled_result import Tiled, summed_up
from bayesdip.tile_processing.tiled_run import Work, run, working_folder

FilePath = str | os.PathLike[str]
OPTIONS = ("sigma", "noise", "missing", "grow_mask", "method", "effort", "seed", "device")
# A terapixel is a million tiles; of more than this, which a few bytes of metadata can claim, not even a list fits into memory.
MOST_TILES = 10**7


def tiled(
    source: FilePath | ArrayLike,
    task: str = "denoise",
    *,
    output: FilePath,
    std: FilePath | None = None,
    mask: FilePath | ArrayLike | None = None,
    invert_mask: bool | None = None,
    axes: str | None = None,
    across: str | None = None,
    channels: str | None = None,
    tile: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    begins: Callable[[int, int, Sequence[Finding]], None] | None = None,
    callback: Callable[[Record], object] | None = None,
    **options: Any,
) -> Tiled:
    """Restore a picture or stack tile by tile, from and to the disk, in memory that goes with the tiles and not with it.

    Noise and calibration are found once, from a sample of regions all over the array, for each channel that is restored by
    itself. A tile sees more than it restores, and is blended with those around it where they meet. The result is the same to the
    bit on any number of workers and in any order. Run again after it was ended, it goes on from the tiles that
    are done. Workers are processes that import the calling script: call this under ``if __name__ == "__main__":`` there.

    Parameters
    ----------
    source : path-like or array_like
        An OME-Zarr (0.4 or 0.5), Zarr, OME-TIFF, BigTIFF or ImageJ hyperstack; or anything with ``shape`` and ``dtype`` that
        gives its regions by indexing, which is read by this process.
    task : {"denoise", "inpaint"}
    output : path-like
        ``.ome.zarr``, ``.zarr``, ``.ome.tif`` or ``.tif``. Sizes of pixels, names of channels and, but for ImageJ and plain Zarr,
        resolution levels are written.
    std : path-like, optional
        The same for the standard deviation of every pixel, in float32; its coarser levels are means of it.
    mask : path-like or array_like, optional
        For ``inpaint``: not zero, or 0.5 and more, is missing. It may lack axes of the array, but not rows and columns.
    invert_mask : bool, optional
        Whether zero is missing. If it is not given, a mask by which most is missing is an error.
    axes : str, optional
        Names of the axes, in order, of ``t c z y x s`` (samples of a colour), where the file does not say them.
    across : str, optional
        The axes of the pictures' grid; by default rows and columns. ``"zyx"`` restores volumes, ``"tyx"`` series.
    channels : str, optional
        The axis of channels that are restored together; by default ``"s"`` where there is one. All other axes are
        independent: each of their indices is restored by itself.
    tile : int, optional
        Side of the tiles; by default 1024 for pictures, 512 by networks.
    workers, scheduler
        As for :func:`bayesdip.batch`.
    overwrite : bool
        Replace outputs that exist, and what was begun with other options.
    begins : callable, optional
        Called with the number of tiles, those done before, and the findings, once these are known.
    callback : callable, optional
        Called with a dictionary of facts as each tile ends.
    **options
        ``sigma``, ``noise``, ``missing``, ``grow_mask``, ``method``, ``effort``, ``seed`` and ``device``, as for :func:`denoise`
        and :func:`inpaint`.

    Returns
    -------
    Tiled

    Raises
    ------
    BayesDipError
        An argument is out of its range, the axes have no names, or tiles could not be restored.
    FileError
        The source cannot be read, or an output not be written.

    Examples
    --------
    >>> bd.tiled("in.ome.zarr", "denoise", output="out.ome.zarr", std="std.ome.zarr")  # doctest: +SKIP
    """
    began = time.monotonic()
    one_of("task", task, TASKS)
    request = replace(_request(task, options), invert_mask=bool(invert_mask))
    if mask is not None and task != "inpaint":
        raise BayesDipError(
            "mask was given to denoise: expected it for task='inpaint'; leave it out, or change the task"
        )
    array = _opened(source, axes, "the array")
    masked = None if mask is None else _opened(mask, _mask_axes(mask, array.description), "the mask")
    if masked is not None:
        check_mask_axes(masked.description, array.description)
    declared = array.description.extra.get("no_data")
    if declared is not None and request.missing == "auto":
        request = replace(request, missing=declared)
    plan = _plan(array.description, request, across, channels, tile)
    request = replace(request, no_data=survey.no_data_values(array, plan, request))
    if masked is not None and invert_mask is None:
        survey.refuse_doubtful(masked, plan, request)
    targets = _targets(source, mask, output, std)
    _canvases(targets, plan, real=False)  # refuses what no format can hold, before the long part
    pool = _pool(plan, request, workers, scheduler, array)
    if scheduler is not None:
        for path in targets.values():
            if path.suffix.lower() != ".zarr":
                raise FileError(
                    f"{one_line(path)}: workers of a cluster cannot write into one file at the same time; .zarr is expected: choose "
                    "another name, or leave the scheduler out"
                )
    outcome = run(
        Work(
            array,
            masked,
            plan,
            request,
            targets,
            lambda real: _canvases(targets, plan, real),
            _asked(array, masked, plan, request, sorted(targets)),
            pool,
            begins or (lambda tiles, done, findings: None),
            callback or (lambda record: None),
        ),
        overwrite,
    )
    if outcome.failures:
        first = next(iter(outcome.failures.values()))
        raise BayesDipError(
            f"{len(outcome.failures)} of {plan.count()} tiles could not be restored, the first because: {first.text}; the others "
            "are kept: run the same again to go on from them"
        )
    return summed_up(outcome, targets, plan, time.monotonic() - began)


def _request(task: str, options: dict[str, Any]) -> Request:
    for name, value in options.items():
        if name not in OPTIONS:
            raise BayesDipError(
                f"{name}={value!r} was given, which tiles do not have: expected one of {', '.join(OPTIONS)}; leave it out, or restore "
                "the picture as a whole"
            )
    method = options.get("method") or "auto"
    if isinstance(method, str):
        one_of("method", method, ("auto", *NAMES))
    effort = options.get("effort")
    if effort is not None:
        one_of("effort", effort, EFFORTS)
    shared = {name: options[name] for name in ("effort", "device") if options.get(name) is not None}
    if isinstance(method, Method):
        method = with_options(method, **shared)
    seed = options.get("seed")
    return Request(
        task,
        method,
        shared,
        options.get("missing", "auto"),
        options.get("sigma"),
        options.get("noise"),
        options.get("grow_mask", True),
        seed=(method.seed if isinstance(method, Method) else 0) if seed is None else int(seed),
    )


def _opened(source: Any, axes: str | None, what: str) -> StoredArray:
    if isinstance(source, str | os.PathLike):
        return open_stored(source, axes)
    return GivenArray.of(source, axes, what)


def _mask_axes(mask: Any, picture: Description) -> str | None:
    """Names of the axes of a mask in memory: the array's, or those of rows and columns."""
    if isinstance(mask, str | os.PathLike):
        return None
    shape = np.shape(mask)
    if shape == picture.shape:
        return picture.names
    return "".join(name for name in picture.names if name in "yx") if len(shape) <= 2 else None


def _plan(
    description: Description, request: Request, across: str | None, channels: str | None, tile: int | None
) -> Plan:
    roles = roles_of(description, across, channels)
    dims = len(roles.across)
    name = request.method.name if isinstance(request.method, Method) else request.method
    side = tile or (NETWORK_SIDES if name in NETWORKS else SIDES)[dims]
    if isinstance(side, bool) or not isinstance(side, int) or side < LEAST_SIDE:
        raise BayesDipError(f"tile is {tile}: expected a whole number of at least {LEAST_SIDE}, in pixels")
    plan = Plan(description, roles, side, MARGINS[dims])
    if plan.most() > MOST_TILES:
        raise BayesDipError(
            f"the array claims to be {' x '.join(map(str, description.shape))}, or some {plan.most():.1e} tiles: expected at most "
            f"{MOST_TILES:.0e}; cut it into several arrays, if it is not damaged"
        )
    return plan


def _targets(source: Any, mask: Any, output: FilePath, std: FilePath | None) -> dict[str, Path]:
    targets = {"output": Path(output).absolute()}
    if std is not None:
        targets["std"] = Path(std).absolute()
    inputs = [os.path.realpath(one) for one in (source, mask) if isinstance(one, str | os.PathLike)]
    for path in targets.values():
        real = os.path.realpath(path)
        for one in inputs:
            if real == one or Path(real).is_relative_to(one) or Path(one).is_relative_to(real):
                raise FileError(
                    f"{one_line(path)}: is an input, lies in one or holds one; another name is expected: choose one after -o"
                )
    return targets


def _canvases(targets: dict[str, Path], plan: Plan, real: bool) -> dict[str, Canvas]:
    """What is written: the picture like the source, and the standard deviation in single precision."""
    description = plan.description
    if (real and description.dtype.kind != "f") or description.dtype.kind == "b":
        description = replace(description, dtype=np.dtype(np.float32))
    kinds = {"output": description, "std": replace(description, dtype=np.dtype(np.float32), extra={})}
    return {
        role: canvas_for(path, working_folder(path) / path.name, kinds[role], plan.chunk)
        for role, path in targets.items()
    }


def _asked(
    array: StoredArray, mask: StoredArray | None, plan: Plan, request: Request, roles: list[str]
) -> dict[str, Any]:
    """All that decides the result, so that tiles of different requests never come together."""
    sample = survey.noise_sample(array, mask, plan, request, 0)
    facts: dict[str, Any] = {
        "version": __version__,
        "task": request.task,
        "source": f"{array.description.kind} {array.description.names} {array.description.shape} {array.description.dtype}",
        "state": array.state(),
        "sample": fingerprint(np.concatenate(sample.pixels)) + fingerprint(np.concatenate(sample.gone)),
        "mask": None if mask is None else f"{mask.description.names} {mask.description.shape} {mask.state()}",
        "across": plan.roles.across,
        "channels": plan.roles.channels,
        "tile": plan.side,
        "margin": plan.margin,
        "outputs": roles,
        "method": request.method.to_dict() if isinstance(request.method, Method) else request.method,
        **{name: value for name, value in request.options.items() if name != "device"},
        "missing": request.missing,
        "grow_mask": request.grow_mask,
        "invert_mask": request.invert_mask,
        "seed": request.seed,
    }
    for name in ("sigma", "noise"):
        try:
            facts[name] = described(getattr(request, name))
        except TypeError:
            facts[name] = repr(getattr(request, name))
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def _pool(
    plan: Plan, request: Request, workers: int | None, scheduler: str | None, array: StoredArray
) -> Pool:
    if scheduler is not None:
        if workers is not None:
            raise BayesDipError(
                "workers and scheduler were both given: the cluster has its own workers; expected one of the two, leave one out"
            )
        if isinstance(array, GivenArray):
            raise BayesDipError(
                "scheduler was given with an array in memory: expected a file that all workers see; write it as Zarr first"
            )
        threads, address = threads_of_a_worker(), scheduler
        return lambda tasks, told: cluster.carried_out(tasks, address, threads)
    name = request.method.name if isinstance(request.method, Method) else request.method
    window = prod(
        axis.length
        if axis.name in plan.roles.channels
        else min(axis.length, plan.side + 2 * plan.margin)
        if axis.name in plan.roles.across
        else 1
        for axis in plan.description.axes
    )
    team = crew(workers, plan.count(), window, name, request.options.get("device") or "auto")
    return lambda tasks, told: worker_pool.carried_out(tasks, team.workers, team.threads, None, told)
