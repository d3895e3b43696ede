"""``python -m benchmarks NAME``: run a benchmark; ``list`` names them, ``show FILE`` prints a result."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bayesdip.errors import BayesDipError
from benchmarks.catalogue import benchmarks, run_benchmark
from benchmarks.options import EFFORTS, Options
from benchmarks.results import Results

INTERRUPTED = 130  # what a shell gives


def parser() -> argparse.ArgumentParser:
    """One option for each field of `Options`, which has the defaults."""
    made = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, argument_default=argparse.SUPPRESS
    )
    made.add_argument("name", help="which benchmark; or list, or show")
    made.add_argument("files", nargs="*", type=Path, default=[], help="for show: JSON files")
    made.add_argument("--json", type=Path, metavar="FILE", help="save the rows here, and continue from it")
    made.add_argument("--data", type=Path, metavar="DIR", help="folder with the pictures")
    made.add_argument("--method", metavar="NAME", help="what restores the pictures: auto")
    made.add_argument("--kernel", metavar="NAME", help="for gp: auto, matern32, ...")
    made.add_argument("--effort", choices=EFFORTS, help="how much work: fast")
    made.add_argument("--time-budget", type=float, metavar="SECONDS", help="for each picture")
    made.add_argument("--seed", type=int, help="of everything random: 0")
    made.add_argument(
        "--pictures",
        type=names,
        metavar="A,B",
        help="only these pictures, cases or seeds; A;B has names with commas",
    )
    made.add_argument("--sides", type=numbers, metavar="N,M", help="only these sides, in pixels")
    made.add_argument("--sigma", type=float, metavar="S", help="for paper-denoise: give the noise level")
    made.add_argument("--crop", type=int, metavar="N", help="for the paper's tables: the centre N x N pixels")
    made.add_argument(
        "--before", type=Path, metavar="SRC", help="for before-after, field: the older src folder"
    )
    made.add_argument(
        "--after", type=Path, metavar="SRC", help="for before-after, field: the newer src folder"
    )
    made.add_argument(
        "--seeds", type=int, metavar="N", help="for before-after, random-problems, scale: how many"
    )
    return made


def names(text: str) -> tuple[str, ...]:
    """``a,b`` as a tuple; ``a, b;c`` too, for names that have commas: one such name is ``a, b;``."""
    return tuple(part for part in text.split(";" if ";" in text else ",") if part)


def numbers(text: str) -> tuple[int, ...]:
    """``128,256`` as a tuple."""
    return tuple(map(int, names(text)))


def main(words: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    given = vars(parser().parse_args(words))
    name, files, file = given.pop("name"), given.pop("files"), given.pop("json", None)
    try:
        if name == "list":
            for each, about in benchmarks().items():
                print(f"{each:18s} {about}")
        elif name == "show":
            for shown in files:
                print("\n".join(Results.read(shown).lines()))
        else:
            results = run_benchmark(name, Options(**given), file, lambda line: print(line, flush=True))
            print(json.dumps(results.environment))
    except BayesDipError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = f": its rows so far are in {file}, and the same command goes on" if file else ""
        print(f"benchmarks: {name} was interrupted{kept}", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
