"""``bayesdip bench``: measure, and keep what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import typer
from benchmarks.catalogue import BENCHMARKS, Request, run_benchmark

from bayesdip.pipeline import Options


def list_benchmarks() -> None:
    for name, benchmark in BENCHMARKS.items():
        typer.echo(f"{name:15s} {benchmark.shows}")


def run(
    name: str,
    data: Path | None,
    file: Path | None,
    options: dict[str, Any],
    pictures: str,
    sigma: float | None,
    crop: int | None,
) -> None:
    """Rows go to standard output as they come, the whole result to ``file``."""
    only = tuple(part for part in pictures.split(",") if part)
    results = run_benchmark(name, Request(data, cast(Options, options), only, sigma, crop), file, typer.echo)
    typer.echo(json.dumps(results.environment))
    if file is not None:
        typer.echo(f"kept in {file}")
