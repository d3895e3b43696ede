"""``bayesdip batch``: a verb for many pictures, by several processes or a cluster."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePath
from typing import Any

import typer

from bayesdip import __version__
from bayesdip.batch_processing import cluster, worker_pool
from bayesdip.batch_processing.folder_run import SCHEMA, Job, Pool, Result, facts_of_run, run_jobs
from bayesdip.batch_processing.journal import JOURNAL, digest_of
from bayesdip.batch_processing.machine import Crew, crew, threads_of_a_worker, values_of_largest
from bayesdip.batch_processing.sources import Source, find_sources, match_masks, output_name, std_name
from bayesdip.batch_processing.staging import Target
from bayesdip.cli.batch_display import Display, as_text
from bayesdip.cli.guard import DONE, FAILED, INTERRUPTED, TYPED
from bayesdip.cli.method import api_options, decisive
from bayesdip.cli.options import BatchOptions, MethodOptions, Options
from bayesdip.cli.outputs import check_std
from bayesdip.cli.restoring import restore
from bayesdip.cli.verbs import Prepare
from bayesdip.errors import BayesDipError, one_line
from bayesdip.io import read_psf
from bayesdip.methods import Method
from bayesdip.report import PAGE

Verb = Callable[..., Prepare]


def carry_out(verb: Verb, options: BatchOptions, own: dict[str, Any]) -> int:
    """Run a verb on many pictures and say what came of it; gives the exit code."""
    task = verb.__name__
    asked = api_options(options)
    check_std(options.std, asked["method"])
    sources, notes = _without_masks(find_sources(options.sources), own)
    masks, unused = match_masks(sources, own["mask"]) if own.get("mask") else ([], [])
    if unused:
        notes.append(f"masks that belong to no picture: {_listed(unused)}")
    if own.get("psf") is not None:
        read_psf(own["psf"])
    _check_verb(verb, options, own, masks)
    jobs = [
        _job(verb, options, own | ({"mask": masks[n]} if masks else {}), source, decisive(asked))
        for n, source in enumerate(sources)
    ]
    growth = int(own.get("factor", 1)) ** 2
    team, pool = _pool(options, [source.path for source in sources], asked["method"], growth)
    with Display(team, notes) as display:
        result = run_jobs(jobs, options.output, pool, display, options.force)
    typer.echo(_as_json(task, options, team, result) if options.json else as_text(result, options.output))
    if result.interrupted:
        raise SystemExit(INTERRUPTED)
    return FAILED if result.failed else DONE


@dataclass(frozen=True)
class FileTask:
    """What a worker does with one picture: the verb, as it is done with one alone.

    Attributes
    ----------
    verb : callable
        Prepares the verb's work: a function of a module.
    options : Options
        With the names that the files will have in the end.
    own : dict
        The verb's own options.
    command : str
        The command line, for the report.
    """

    verb: Verb
    options: Options
    own: dict[str, Any]
    command: str

    def __call__(self, paths: dict[str, Path], checkpoints: Path, tell: worker_pool.Tell) -> dict[str, Any]:
        report = paths["report"].parent if "report" in paths else None
        options = replace(
            self.options, output=paths["output"], std=paths.get("std"), report=report, force=True
        )

        try:
            prepare = self.verb(options=options, **self.own)
            run = restore(
                self.verb.__name__,
                options,
                prepare,
                self.command,
                quiet=worker_pool.passing_on(tell),
                checkpoints=checkpoints,
            )
        except BayesDipError as error:
            error.args = (self._in_the_end(str(error), paths), *error.args[1:])
            raise
        if run.restoration.stopped == "interrupted":
            worker_pool.end_this_worker()
        return facts_of_run(run.restoration, [self._in_the_end(note, paths) for note in run.notes])

    def _in_the_end(self, text: str, paths: dict[str, Path]) -> str:
        """A message with the names that the files will have."""
        for role, path in paths.items():
            text = text.replace(str(path), str(getattr(self.options, role)))
        return text


def _job(
    verb: Verb, options: BatchOptions, own: dict[str, Any], source: Source, decided: dict[str, Any]
) -> Job:
    name = output_name(source.name)
    targets = {"output": Target(options.output, name)}
    if options.std is not None:
        targets["std"] = Target(options.std, std_name(name))
    if options.report is not None:
        targets["report"] = Target(options.report, name.with_suffix("") / PAGE)
    files = {"input": source.path} | {role: own[role] for role in ("mask", "psf") if own.get(role)}
    settled = {key: value for key, value in own.items() if key not in files}
    plain: dict[str, Any] = json.loads(
        json.dumps({"task": verb.__name__, **settled, "missing": options.missing, **decided})
    )
    if options.scheduler is not None:  # the workers stand in folders of their own
        targets = {role: Target(target.folder.absolute(), target.name) for role, target in targets.items()}
        own = own | {role: path.absolute() for role, path in files.items() if role in own}
    path = source.path if options.scheduler is None else source.path.absolute()
    asked = _one_picture(options, path, targets)
    return Job(
        str(source.path),
        FileTask(verb, asked, own, shlex.join(["bayesdip", *TYPED.get()])),
        tuple(files.values()),
        {role: digest_of(file) for role, file in files.items()},
        targets,
        plain,
        _size(source.path),
    )


def _one_picture(options: MethodOptions, source: Path, targets: dict[str, Target]) -> Options:
    """The options of the verb for one picture."""
    shared = {f.name: getattr(options, f.name) for f in fields(MethodOptions)}
    paths: dict[str, Any] = {role: target.path for role, target in targets.items()}
    return Options(source=source, **paths, **shared)


def _check_verb(verb: Verb, options: BatchOptions, own: dict[str, Any], masks: Sequence[Path]) -> None:
    """Refuse now what the verb would refuse of every picture."""
    first = own | ({"mask": masks[0]} if masks else {})
    output = {"output": Target(options.output, PurePath("any.png"))}
    verb(options=_one_picture(options, Path("any.png"), output), **first)


def _without_masks(sources: list[Source], own: dict[str, Any]) -> tuple[list[Source], list[str]]:
    """The pictures that are no mask and no point spread function, where a pattern matches both; and what to say of it."""
    named = [own[role] for role in ("mask", "psf") if own.get(role)]
    others = {os.path.realpath(found.path) for path in named for found in find_sources([os.fspath(path)])}
    left_out = [source.path for source in sources if os.path.realpath(source.path) in others]
    kept = [source for source in sources if os.path.realpath(source.path) not in others]
    if not kept:
        raise BayesDipError(
            "all inputs are masks: expected pictures besides; name them before -o, and masks only after --mask"
        )
    return kept, [f"not restored, being a mask or a blur: {_listed(left_out)}"] if left_out else []


def _pool(
    options: BatchOptions, files: Sequence[Path], method: str | Method, growth: int
) -> tuple[Crew, Pool]:
    """Who does the work, and how it is given to them; results have ``growth`` times as many pixels as the files."""
    if options.scheduler is not None:
        if options.workers is not None:
            raise BayesDipError(
                "--workers and --scheduler were both given: the cluster has its own workers; expected one of the two, leave "
                "one out"
            )
        threads = threads_of_a_worker()
        count = cluster.worker_count(options.scheduler)
        none_yet = "" if count else ", which has none yet: waiting for them"
        team = Crew(count, threads, f"of the cluster at {options.scheduler}{none_yet}")

        def on_cluster(tasks: Sequence[worker_pool.Task], told: Callable[[int, float], None]) -> Any:
            return cluster.carried_out(tasks, options.scheduler or "", threads)

        return team, on_cluster
    name = method.name if isinstance(method, Method) else method
    team = crew(
        options.workers, len(files), growth * values_of_largest(files), name, options.device or "auto"
    )
    limit = worker_pool.time_limit(options.time_budget)

    def local(tasks: Sequence[worker_pool.Task], told: Callable[[int, float], None]) -> Any:
        return worker_pool.carried_out(tasks, team.workers, team.threads, limit, told)

    return team, local


def _size(path: Path) -> float:
    try:
        return float(max(1, path.stat().st_size))
    except OSError:
        return 1.0


def _listed(paths: Sequence[Path]) -> str:
    shown = ", ".join(one_line(path) for path in paths[:3])
    return f"{shown} and {len(paths) - 3} more" if len(paths) > 3 else shown


def _as_json(task: str, options: BatchOptions, team: Crew, result: Result) -> str:
    plan = result.plan
    facts = {
        "schema": SCHEMA,
        "version": __version__,
        "task": f"batch {task}",
        "folder": str(options.output),
        "journal": str(options.output / JOURNAL),
        "workers": team.workers,
        "threads": team.threads,
        "done": sum(job.name in result.records for job in plan.to_do) - len(result.failed),
        "failed": len(result.failed),
        "left_alone": len(plan.done),
        "left_out": plan.own,
        "interrupted": result.interrupted,
        "seconds": round(result.seconds, 3),
        "records": list(result.records.values()),
    }
    return json.dumps(facts, allow_nan=False)
