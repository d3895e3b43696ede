"""*Should you buy the DIP?*: one page of all claims, in Markdown and in HTML, from what was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.results import Row

from bayesdip.lab.claim import SIZES, Claim
from bayesdip.lab.plots import to_svg
from bayesdip.lab.running import read_kept
from bayesdip.lab.statistics import NOT_DECIDED, REFUTED, SUPPORTED, Condition, Interval, level, verdict

TITLE = "Should you buy the DIP?"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Finding:
    """A claim with what was kept of it.

    Attributes
    ----------
    size : "quick", "full" or "not run"
    kept : dict
        The result file; empty where nothing was measured.
    conditions : list of Condition
        Judged again from the rows.
    """

    claim: Claim
    size: str
    kept: Row
    conditions: list[Condition]

    @property
    def verdict(self) -> str:
        return verdict(self.conditions) if self.kept else NOT_RUN

    @property
    def rows(self) -> list[Row]:
        return list(self.kept.get("rows", []))


def find(claims: Sequence[Claim], folder: Path) -> list[Finding]:
    """What the folder holds of each claim."""
    findings = []
    for claim in claims:
        kept = read_kept(folder, claim)
        if kept is None:
            findings.append(Finding(claim, NOT_RUN, {}, []))
        else:
            findings.append(Finding(claim, kept[0], kept[1], claim.judge(kept[1]["rows"])))
    return findings


def write(claims: Sequence[Claim], folder: Path) -> tuple[Path, Path]:
    """Write ``report.md`` with ``figures/*.svg``, and ``report.html``, which needs no other file."""
    findings = find(claims, folder)
    figures = {f.claim.label: to_svg(f.claim.draw(f.rows), f.claim.sentence) for f in findings if f.kept}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for label, svg in figures.items():
        (folder / "figures" / f"{label}.svg").write_text(svg, encoding="utf-8")
    pages = folder / "report.md", folder / "report.html"
    pages[0].write_text(markdown(findings), encoding="utf-8")
    pages[1].write_text(html(findings, figures), encoding="utf-8")
    return pages


def answer(findings: Sequence[Finding]) -> str:
    """One paragraph: how many claims hold, and what those that were decided mean for a buyer."""
    run = [f for f in findings if f.kept]
    if not run:
        return "Nothing was measured yet: bayesdip lab run all --quick."
    counts = Counter(f.verdict for f in run)
    sizes = Counter(f.size for f in run)
    size_text = " and ".join(f"{n} at the {size} size" for size, n in sorted(sizes.items()))
    told = (
        f"Of {len(findings)} claims, {len(run)} were measured ({size_text}): {counts[SUPPORTED]} supported, "
        f"{counts[REFUTED]} refuted, {counts[NOT_DECIDED]} not decided."
    )
    lessons = [
        f"{lesson[0].upper()}{lesson[1:]} ({f.claim.number})."
        for f in run
        if (lesson := f.claim.lessons.get(f.verdict))
    ]
    return " ".join([told, *lessons])


def table(finding: Finding) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: each measured column's mean over seeds with its interval, by what was varied."""
    claim, rows = finding.claim, finding.rows
    size = SIZES[finding.size]
    varied = list(claim.cells(size)[0])
    cells = list(dict.fromkeys(tuple(row[name] for name in varied) for row in rows))
    lines = []
    for cell in cells:
        where = dict(zip(varied, cell, strict=True))
        lines.append([*map(str, cell), *(str(level(rows, column, **where)) for column in claim.columns)])
    return [*varied, *claim.columns], lines


def facts(finding: Finding) -> list[tuple[str, str]]:
    """What a reader must know of a problem, as (name, value)."""
    claim = finding.claim
    told = [("Source", claim.source), ("Varied", claim.varies), ("Measured", claim.measures)]
    if finding.kept:
        options, where = finding.kept["options"], finding.kept["environment"]
        seeds = len({row["seed"] for row in finding.rows})
        pictures = ", ".join(options["pictures"]) or "its own data"
        side = options["size"]["side"]
        told.append(("Size", f"{finding.size}: {seeds} seeds; {pictures}; side {side}"))
        seconds, busy = (sum(row[name] for row in finding.rows) for name in ("seconds", "cpu_seconds"))
        machine = f"{where['cpu']}, {_threads(where['threads'])}, {where['date']}"
        told.append(("Took", f"{seconds:.0f} s, {busy:.0f} s of them of a processor's time, on {machine}"))
    return told


def _threads(count: int) -> str:
    return "1 thread a row" if count == 1 else f"{count} threads"


def sentence(condition: Condition) -> str:
    i: Interval = condition.interval
    return f"{condition.what}: {i} (asked: {condition.asked}): {condition.verdict}"


def markdown(findings: Sequence[Finding]) -> str:
    lines = [f"# {TITLE}", "", answer(findings), "", *_table_lines(*overview(findings)), ""]
    for f in findings:
        lines += [
            f"## {f.claim.number}. {f.claim.sentence}",
            "",
            f"**{f.verdict.capitalize()}** ({f.size})",
            "",
        ]
        lines += [f"- {name}: {value}" for name, value in facts(f)] + [""]
        if f.kept:
            lines += [f"- {sentence(c)}" for c in f.conditions] + [""]
            lines += [f"![{f.claim.sentence}](figures/{f.claim.label}.svg)", "", *_table_lines(*table(f)), ""]
    lines.append("In brackets: 95% intervals of the mean over seeds, by Student's t.")
    return "\n".join(lines) + "\n"


def overview(findings: Sequence[Finding]) -> tuple[list[str], list[list[str]]]:
    rows = [[str(f.claim.number), f.claim.sentence, f.verdict, f.size] for f in findings]
    return ["claim", "sentence", "verdict", "size"], rows


def _table_lines(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-size: 0.85rem; } td, th { border: 1px solid #ccc; padding: 0.2rem 0.5rem; }
.supported { color: #176b2c; } .refuted { color: #a61c1c; } .not { color: #666; } svg { max-width: 100%; height: auto; }
"""


def html(findings: Sequence[Finding], figures: dict[str, str]) -> str:
    body = [f"<h1>{TITLE}</h1>", f"<p>{escape(answer(findings))}</p>", _html_table(*overview(findings))]
    for f in findings:
        body.append(f"<h2>{f.claim.number}. {escape(f.claim.sentence)}</h2>")
        body.append(f'<p><b class="{f.verdict.split()[0]}">{f.verdict.capitalize()}</b> ({f.size})</p>')
        body.append(_html_list(f"{name}: {value}" for name, value in facts(f)))
        if f.kept:
            body.append(_html_list(sentence(c) for c in f.conditions))
            body.append(_inline(figures[f.claim.label], f.claim.label))
            body.append(_html_table(*table(f)))
    body.append("<p>In brackets: 95% intervals of the mean over seeds, by Student's t.</p>")
    head = f'<meta charset="utf-8"><title>{TITLE}</title><style>{STYLE}</style>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _inline(svg: str, label: str) -> str:
    """The figure within the page: without its XML head, its names made its own."""
    for attribute in ('id="', "url(#", 'href="#'):
        svg = svg.replace(attribute, f"{attribute}{label}-")
    return svg[svg.index("<svg") :]


def _html_list(items: Any) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _html_table(heads: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    lines = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"
