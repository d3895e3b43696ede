"""Readers of picture files, arrays and checkpoints against atheris, which looks for inputs that reach new lines of them.

``--time-budget SECONDS`` says how long (300). Every input has to be read or refused in one line, within a minute, and nothing may
be written. The inputs that reach something new are kept beside the results, as few and as small as libFuzzer finds; the
next run begins with them. ``pip install atheris`` (Linux and macOS).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from bayesdip.errors import BayesDipError
from bayesdip.lab.results import Row
from benchmarks.options import Options
from benchmarks.reader_inputs import packed, sound, unpacked
from benchmarks.results import Results, Target

SECONDS = 300.0
# Of the inputs; of one of them; and of the process, in MiB.
LONGEST, PATIENCE, MEMORY = 4096, 60, 4096
# Seconds for loading, and for finding out which inputs are not needed.
BESIDES = 300
NOTED = "failures"
WORKER = "benchmarks.fuzz_readers_worker"
# What the process is ended by, by the names that libFuzzer gives to the input.
ENDINGS = {"timeout": "hangs", "oom": "takes too much memory", "crash": "ends the program"}


def run(results: Results, options: Options) -> None:
    """Fuzz, then keep what is needed of the corpus."""
    if find_spec("atheris") is None:
        raise BayesDipError(
            "atheris is not installed: expected it for this benchmark; pip install atheris (Linux and macOS)"
        )
    seconds = options.time_budget or SECONDS
    kept = None if results.file is None else results.file.with_name(f"{results.file.stem}-corpus.zip")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = sound() + (unpacked(kept) if kept is not None and kept.exists() else [])
        corpus = written(folder / "corpus", begin)
        results.add({"part": "fuzz", "seconds": seconds, **fuzzed(folder, corpus, seconds, options.seed)})
        if kept is not None:
            keep(corpus, kept)  # all of it, should what follows be cut short
            keep(merged(folder, corpus), kept)
            size = {"inputs": len(unpacked(kept)), "bytes": kept.stat().st_size}
            results.add({"part": "corpus", **size})
    rows = results.part("fuzz")
    targets = [Target("inputs that end otherwise", sum(len(row["failures"]) for row in rows), most=0)]
    totals = {
        "inputs_tried": sum(row["tried"] for row in rows),
        "seconds": sum(row["seconds"] for row in rows),
    }
    results.conclude(targets, **totals)


def saved_options(options: Options) -> Row:
    """Runs of any length stand in one file, one after the other."""
    return {}


def written(folder: Path, inputs: Iterable[bytes]) -> Path:
    """A folder with each of the inputs in a file."""
    folder.mkdir()
    for number, data in enumerate(inputs):
        (folder / f"{number:05d}").write_bytes(data)
    return folder


def fuzzed(folder: Path, corpus: Path, seconds: float, seed: int) -> Row:
    """How many inputs were tried, and which failed; the process begins again after an input that ended it."""
    until = time.monotonic() + seconds
    tried, covered, ends, ended = 0, 0, [], 0
    while (left := int(until - time.monotonic())) > 0 or not ended:
        flags = [f"-max_total_time={max(left, 1)}", f"-seed={seed + 1 + ended}", f"-max_len={LONGEST}"]
        flags += [f"-timeout={PATIENCE}", f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={folder}/"]
        said = worker(folder, corpus, [*flags, "-print_final_stats=1"], left + BESIDES)
        tried += number(r"number_of_executed_units: (\d+)", said)
        covered = max(covered, number(r"cov: (\d+)", said))
        ended += 1
        for path in [path for path in folder.iterdir() if path.name.split("-")[0] in ENDINGS]:
            ends.append({"found": ENDINGS[path.name.split("-")[0]], "input": path.read_bytes().hex()})
            path.unlink()
    noted = folder / NOTED
    lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
    return {"tried": tried, "covered": covered, "failures": [*map(json.loads, lines), *ends]}


def keep(corpus: Path, file: Path) -> None:
    """Pack the inputs of a folder; an empty one leaves the file as it is."""
    inputs = [path.read_bytes() for path in corpus.iterdir()]
    if inputs:
        packed(inputs, file)


def merged(folder: Path, corpus: Path) -> Path:
    """As few of the inputs as reach all that the corpus reaches."""
    smallest = folder / "smallest"
    smallest.mkdir()
    worker(folder, smallest, [str(corpus), "-merge=1", f"-max_len={LONGEST}"], BESIDES)
    return smallest


def worker(folder: Path, corpus: Path, flags: list[str], limit: float) -> str:
    """What the process says until it ends; libFuzzer wants a program that it can start itself."""
    root, program = Path(__file__).parent.parent, folder / "program"
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = shlex.join([sys.executable, "-m", WORKER, str(folder / NOTED)])
    program.write_text(f'#!/bin/sh\nexec {command} "$0" "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    environment = os.environ | {"PYTHONPATH": path}
    try:
        done = subprocess.run(
            [str(program), str(corpus), *flags], capture_output=True, env=environment, timeout=limit
        )
    except subprocess.TimeoutExpired as error:
        return (error.stderr or b"").decode(errors="replace")
    said = done.stderr.decode(errors="replace")
    if "number_of_executed_units" not in said and "MERGE" not in said and "Test unit written" not in said:
        raise BayesDipError(f"the fuzzer did not begin: {said.strip().splitlines()[-1:]}; see {WORKER}")
    return said


def number(pattern: str, text: str) -> int:
    """The last number that the pattern finds; 0 without one."""
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0
