"""The field's inputs once more, from other photographs, other parts and other random numbers.

``--data DIR`` names a folder of photographs in colour; ``--seeds N`` how many variants of each case, ``--seed`` one less
than the number of the first. Commands and files, which are judged by how they end, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import bayesdip
from bayesdip.lab.results import Row
from benchmarks.field import restored_by
from benchmarks.field_cases import every
from benchmarks.field_cases.case import Case
from benchmarks.options import Options
from benchmarks.results import Results, Target

VARIANTS = 4


def run(results: Results, options: Options) -> None:
    """A row for each case and variant that the file does not hold yet; log the table."""
    source = options.after or Path(bayesdip.__file__).parents[1]
    try:
        for number in range(options.seed + 1, options.seed + 1 + (options.seeds or VARIANTS)):
            for kind, case in judged(options.pictures):
                key = {"kind": kind, "case": case, "variant": number}
                if results.has(**key):
                    continue
                row = restored_by(source, case, folder=str(options.folder.resolve()), number=number)
                results.add({**key, **row}, quiet=row["ok"])
    finally:  # of what there is, where it was interrupted
        conclude(results)


def judged(only: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Kind and name of the cases that are judged by a truth."""
    for case, (kind, make) in every().items():
        if (not only or case in only) and isinstance(make(), Case):
            yield kind, case


def conclude(results: Results) -> None:
    """How many are as they should be, and the table."""
    good = [row["ok"] for row in results.rows]
    share = sum(good) / max(len(good), 1)
    results.conclude([Target("cases as they should be, share", share, least=1.0)], cases=len(good))
    results.log(table(results.rows))


def saved_options(options: Options) -> Row:
    """Any variants of one folder stand in one file."""
    return {"pictures": options.folder.name}


def table(rows: list[Row]) -> str:
    """Markdown: of each case that is not always as it should be, in how many variants it is, and what is wrong in the others."""
    cases: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        cases[row["kind"], row["case"]].append(row)
    lines = ["| case | as it should be | what is wrong (variant) |", "|---|---|---|"]
    previous = None
    for (kind, case), variants in sorted(cases.items(), key=lambda entry: entry[0][0]):
        wrong = [row for row in variants if not row["ok"]]
        if not wrong:
            continue
        if kind != previous:
            lines.append(f"| **{kind}** | | |")
            previous = kind
        said = "; ".join(f"{row['why']} ({row['variant']})" for row in wrong).replace("|", "/")
        lines.append(f"| {case} | {len(variants) - len(wrong)} of {len(variants)} | {said} |")
    good = sum(row["ok"] for row in rows)
    return "\n".join([*lines, f"| all {len(cases)} cases | {good} of {len(rows)} | |"])
