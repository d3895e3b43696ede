"""*Should you buy the DIP?*: one page of all claims, in Markdown and in HTML, from the saved results."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from bayesdip.lab.claim import SIZES, Claim
from bayesdip.lab.plots import to_svg
from bayesdip.lab.results import Row
from bayesdip.lab.running import read_saved
from bayesdip.lab.statistics import NOT_DECIDED, REFUTED, SUPPORTED, Criterion, level, verdict

TITLE = "Should you buy the DIP?"
NOT_RUN = "not run"
FOOTNOTE = "In brackets: 95% intervals of the mean over seeds, and over pictures where there are several, by Student's t."
Table = list[list[str]]  # the first line holds the headings


@dataclass(frozen=True)
class Finding:
    """A claim with the saved results.

    Attributes
    ----------
    claim : Claim
    size : "quick", "full" or "not run"
    saved : dict
        The result file; empty where nothing was measured.
    criteria : list of Criterion
        Judged again from the rows.
    """

    claim: Claim
    size: str
    saved: Row
    criteria: list[Criterion]

    @property
    def verdict(self) -> str:
        return verdict(self.criteria) if self.saved else NOT_RUN

    @property
    def rows(self) -> list[Row]:
        return list(self.saved.get("rows", []))

    def svg(self) -> str:
        """The figure."""
        return to_svg(self.claim.draw(self.rows), self.claim.sentence)

    def facts(self) -> list[str]:
        """What a reader must know of the experiment, then what was asked and found."""
        claim = self.claim
        known = [f"Source: {claim.source}", f"Varied: {claim.varies}", f"Measured: {claim.measures}"]
        if not self.saved:
            return known
        options, machine = self.saved["options"], self.saved["environment"]
        seeds = len({row["seed"] for row in self.rows})
        pictures = ", ".join(options["pictures"]) or "its own data"
        seconds, cpu = (sum(row[name] for row in self.rows) for name in ("seconds", "cpu_seconds"))
        return [
            *known,
            f"Size: {self.size}: {seeds} seeds; {pictures}; side {options['size']['side']}",
            f"Time: {seconds:.0f} s, {cpu:.0f} s of them on the processor, {machine['cpu']}, "
            f"threads per row: {machine['threads']}, {machine['date']}",
            *map(str, self.criteria),
            "Columns: " + "; ".join(f"{column.name}: {column.label}" for column in claim.columns),
        ]

    def table(self) -> Table:
        """Each measured column's mean over seeds with its interval, by what was varied."""
        varied = list(self.claim.conditions_at(SIZES[self.size])[0])
        conditions = dict.fromkeys(tuple(row[name] for name in varied) for row in self.rows)
        lines = [[*varied, *(column.name for column in self.claim.columns)]]
        for values in conditions:
            chosen = dict(zip(varied, values, strict=True))
            measured = (level(self.rows, column.name, **chosen) for column in self.claim.columns)
            lines.append([*map(str, values), *map(str, measured)])
        return lines


def find(claims: Sequence[Claim], folder: Path) -> list[Finding]:
    """What the folder holds of each claim."""
    findings = []
    for claim in claims:
        size, saved = read_saved(folder, claim) or (NOT_RUN, {})
        findings.append(Finding(claim, size, saved, claim.judge(saved["rows"]) if saved else []))
    return findings


def write(claims: Sequence[Claim], folder: Path) -> tuple[Path, Path]:
    """Write ``report.md`` with ``figures/*.svg``, and ``report.html``, which needs no other file.

    Parameters
    ----------
    claims : sequence of Claim
    folder : Path
        Where the results are saved, and the report is written.

    Returns
    -------
    tuple of Path
        The two pages.
    """
    findings = find(claims, folder)
    figures = {f.claim.label: f.svg() for f in findings if f.saved}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for label, svg in figures.items():
        (folder / "figures" / f"{label}.svg").write_text(svg, encoding="utf-8")
    pages = folder / "report.md", folder / "report.html"
    pages[0].write_text(_markdown(findings), encoding="utf-8")
    pages[1].write_text(_html(findings, figures), encoding="utf-8")
    return pages


def answer(findings: Sequence[Finding]) -> str:
    """One paragraph: how many claims hold, and what those that were decided mean for a buyer."""
    run = [f for f in findings if f.saved]
    if not run:
        return "Nothing was measured yet: bayesdip lab run all --quick."
    counts = Counter(f.verdict for f in run)
    sizes = " and ".join(
        f"{n} at the {size} size" for size, n in sorted(Counter(f.size for f in run).items())
    )
    lessons = (
        f"{lesson[0].upper()}{lesson[1:]} ({f.claim.number})."
        for f in run
        if (lesson := {SUPPORTED: f.claim.supported, REFUTED: f.claim.refuted}.get(f.verdict))
    )
    return " ".join(
        [
            f"Of {len(findings)} claims, {len(run)} were measured ({sizes}): {counts[SUPPORTED]} supported, "
            f"{counts[REFUTED]} refuted, {counts[NOT_DECIDED]} not decided.",
            *lessons,
        ]
    )


def overview(findings: Sequence[Finding]) -> Table:
    """All claims with their verdicts."""
    rows = [[str(f.claim.number), f.claim.sentence, f.verdict, f.size] for f in findings]
    return [["claim", "sentence", "verdict", "size"], *rows]


def _markdown(findings: Sequence[Finding]) -> str:
    blocks = [f"# {TITLE}", answer(findings), _markdown_table(overview(findings))]
    for f in findings:
        blocks += [f"## {f.claim.number}. {f.claim.sentence}", f"**{f.verdict.capitalize()}** ({f.size})"]
        blocks.append("\n".join(f"- {fact}" for fact in f.facts()))
        if f.saved:
            blocks += [f"![{f.claim.sentence}](figures/{f.claim.label}.svg)", _markdown_table(f.table())]
    return "\n\n".join([*blocks, FOOTNOTE]) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [table[0], ["---"] * len(table[0]), *table[1:]]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-size: 0.85rem; } td, th { border: 1px solid #ccc; padding: 0.2rem 0.5rem; }
.supported { color: #176b2c; } .refuted { color: #a61c1c; } .not { color: #666; } img { max-width: 100%; height: auto; }
"""


def _html(findings: Sequence[Finding], figures: dict[str, str]) -> str:
    blocks = [f"<h1>{TITLE}</h1>", f"<p>{escape(answer(findings))}</p>", _html_table(overview(findings))]
    for f in findings:
        blocks.append(f"<h2>{f.claim.number}. {escape(f.claim.sentence)}</h2>")
        blocks.append(f'<p><b class="{f.verdict.split()[0]}">{f.verdict.capitalize()}</b> ({f.size})</p>')
        blocks.append("<ul>" + "".join(f"<li>{escape(fact)}</li>" for fact in f.facts()) + "</ul>")
        if f.saved:
            svg = base64.b64encode(figures[f.claim.label].encode()).decode()
            blocks.append(f'<img alt="{escape(f.claim.sentence)}" src="data:image/svg+xml;base64,{svg}">')
            blocks.append(_html_table(f.table()))
    body = "\n".join([*blocks, f"<p>{escape(FOOTNOTE)}</p>"])
    head = f'<meta charset="utf-8"><title>{TITLE}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _html_table(table: Table) -> str:
    lines = [[f"<th>{escape(cell)}</th>" for cell in table[0]]]
    lines += [[f"<td>{escape(cell)}</td>" for cell in line] for line in table[1:]]
    return "<table>" + "".join(f"<tr>{''.join(line)}</tr>" for line in lines) + "</table>"
