"""Inputs as people have them: what comes in, what comes out, what a simple method gives, and whether it is as it should be.

The cases are those of ``benchmarks.field_cases``, small and made there. Each runs in a process of its own with one
thread (``benchmarks.field_worker``); ``--before SRC`` measures an older version of the package on the same inputs.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import bayesdip
from bayesdip.lab.results import Row
from benchmarks.before_after import commit_of
from benchmarks.field_cases import every
from benchmarks.measurement import in_own_process
from benchmarks.options import Options
from benchmarks.results import Results, Target

# Seconds for one case; a run that takes longer is not as it should be.
LIMIT = 600.0
SIDES = ("before", "after")


def run(results: Results, options: Options) -> None:
    """Measure the cases that the file does not hold yet; log the table. ``--pictures 'A;B'`` takes cases by name."""
    try:
        measure(results, options)
    finally:  # of what there is, where it was interrupted
        conclude(results)


def measure(results: Results, options: Options) -> None:
    """A row for each case and side that the file does not hold yet."""
    own = Path(bayesdip.__file__).parents[1]
    sources = {"before": options.before, "after": options.after or own}
    for case, (kind, _) in every().items():
        if options.pictures and case not in options.pictures:
            continue
        for side in SIDES:
            source, key = sources[side], {"kind": kind, "case": case, "side": side}
            if source is None or results.has(**key):
                continue
            results.add({**key, **restored_by(source, case)})


def restored_by(source: Path, case: str, **variant: str | int) -> Row:
    """The row of a case, or of a variant (``folder`` and ``number``), by the package in a ``src`` folder, in a process of its own."""
    row = in_own_process(
        "benchmarks.field_worker", {"case": case, **variant}, LIMIT, path=(source.resolve(),), threads=1
    )
    if row.pop("failed", False):
        row["ok"] = False
    return {"commit": commit_of(source), **row}


def conclude(results: Results) -> None:
    """How many are as they should be, and the table."""
    counts = {side: [row["ok"] for row in results.rows if row["side"] == side] for side in SIDES}
    facts = {f"{side} as it should be": f"{sum(ok)} of {len(ok)}" for side, ok in counts.items() if ok}
    after = counts["after"]
    target = Target("cases as they should be, share", sum(after) / max(len(after), 1), least=1.0)
    results.conclude([target] if after else [], **facts)
    results.log(table(results.rows))


def saved_options(options: Options) -> Row:
    """Any cases and sides stand in one file."""
    return {}


def table(rows: list[Row]) -> str:
    """Markdown: a line for each case, grouped by kind; figures before and after."""
    sides: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        sides[row["kind"], row["case"]][row["side"]] = row
    lines = [
        "| case | in | simple method | before | after | 90% intervals hold | as it should be | what is wrong |",
        "|---|---|---|---|---|---|---|---|",
    ]
    previous = None
    for (kind, case), both in sorted(sides.items(), key=lambda entry: entry[0][0]):
        if kind != previous:
            lines.append(f"| **{kind}** | | | | | | | |")
            previous = kind
        before, after = both.get("before", {}), both.get("after", {})
        one = after or before
        simple = f"{_shown(one.get('rival'))} ({one['rival_name']})" if "rival_name" in one else ""
        holds = " → ".join(
            _share(row["coverage"]) for row in (before, after) if row.get("coverage") is not None
        )
        verdicts = " → ".join("yes" if row["ok"] else "**no**" for row in (before, after) if row)
        unit = {"dB": " dB", None: ""}.get(one.get("unit"), f" {one.get('unit')}")
        cells = [case + (f" ({unit.strip()})" if unit else ""), _shown(one.get("given")), simple]
        cells += [_result(before), _result(after), holds, verdicts, str(one.get("why", "")).replace("|", "/")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _result(row: Row) -> str:
    if not row:
        return ""
    return _shown(row["result"]) if "result" in row else ("good" if row["ok"] else "fails")


def _shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.4g}"


def _share(share: float) -> str:
    return f"{share:.0%}"
