"""The benchmarks by name: modules of this package that have a function ``run``."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from bayesdip.errors import BayesDipError
from benchmarks.interruption import noticed
from benchmarks.options import Options
from benchmarks.results import Results


def benchmarks() -> dict[str, str]:
    """Name and first line of the docstring of every benchmark, found without importing it."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in module.body):
            found[path.stem.replace("_", "-")] = (ast.get_docstring(module) or "").splitlines()[0]
    return found


def run_benchmark(
    name: str, options: Options, file: Path | None = None, log: Callable[[str], None] = lambda line: None
) -> Results:
    """Run a benchmark; rows that ``file`` already holds are not measured again.

    Parameters
    ----------
    name : str
        One of `benchmarks`.
    options : Options
    file : Path or None
        Where the rows are saved.
    log : callable
        Called with one line of text for every new row.

    Returns
    -------
    Results

    Raises
    ------
    BayesDipError
        There is no such benchmark, its pictures are not there, or the file holds other results.
    KeyboardInterrupt
        Ctrl-C or SIGTERM ended it; the rows so far are in the file.
    """
    names = benchmarks()
    if name not in names:
        raise BayesDipError(f"benchmark is {name!r}: expected one of {', '.join(names)}; choose one of these")
    module = import_module(f"benchmarks.{name.replace('-', '_')}")
    saved = getattr(module, "saved_options", Options.to_dict)(options)
    results = Results(name, saved, file, log)
    results.load()
    with noticed() as results.interrupted:
        module.run(results, options)
    return results
