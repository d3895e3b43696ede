"""The lab: verdicts from measurements, runs that continue, and the page of all claims."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bayesdip.cli import app
from bayesdip.errors import BayesDipError
from bayesdip.lab import report
from bayesdip.lab.catalogue import all_claims, named
from bayesdip.lab.claim import QUICK, Claim, Size, crossed
from bayesdip.lab.claims.priors import falls_to
from bayesdip.lab.plots import curves, dots, figure_of, to_svg
from bayesdip.lab.running import run_claims
from bayesdip.lab.statistics import (
    LARGEST,
    Column,
    Criterion,
    Interval,
    above,
    ask,
    by_seed,
    level,
    over,
    verdict,
)

TINY = Size("quick", side=16, width=4, scales=1, steps=3, pictures=1, seeds=1)
NUMBERS = [*range(1, 35)]
SAVED = Path(__file__).parents[1] / "benchmarks" / "lab"
DB = Column("dB", "gain (dB)")


def run_claim(claim, size, **options):
    ((_, results, _),) = run_claims([claim], size, **options)
    return results


def synthetic(values, calls=None, **changed):
    """A claim whose ``better`` has the given values by seed, and whose ``worse`` is zero."""

    def measure(trial):
        if calls is not None:
            calls.append((trial.seed, trial["method"]))
        return {"dB": values[trial.seed] if trial["method"] == "better" else 0.0}

    facts = {
        "number": 99,
        "name": "synthetic",
        "sentence": "Better is better.",
        "source": "this test",
        "varies": "nothing",
        "measures": "nothing",
        "seconds": 0,
        "conditions": crossed(method=("better", "worse")),
        "measure": measure,
        "rules": (ask(DB, method=above("better", "worse"), least=0.0),),
        "panels": (dots(DB, "method"),),
        "columns": (DB,),
        "on_pictures": False,
        "supported": "buy the better one",
    }
    return Claim(**(facts | changed))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 1.1, 0.9], "supported"),
        ([-1.0, -1.1, -0.9], "refuted"),
        ([1.0, -1.0, 0.2], "not decided"),
        ([1.0, 1.0], "not decided"),  # two seeds are not enough, whatever they say
        ([1.0, math.nan, 1.0], "not decided"),
    ],
)
def test_verdict_follows_the_measurements(values, expected):
    found = run_claim(synthetic(values), QUICK, seeds=len(values), folder=None)
    assert found.summary["verdict"] == expected


def test_interval_is_students():
    # Of 1, 2, 3: mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653.
    i = Interval.of([1, 2, 3])
    assert (i.mean, i.seeds) == (2, 3)
    assert i.high - i.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert i.mean - i.low == pytest.approx(i.high - i.mean)


def test_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(1.0, 2.0, size=(2000, 4))
    inside = [(i := Interval.of(row)).low <= 1.0 <= i.high for row in draws]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_a_bound_within_the_interval_decides_nothing():
    i = Interval(mean=1.0, low=0.5, high=1.5, seeds=3)
    for bounds, expected in [
        ({"least": 0.4}, "supported"),
        ({"least": 1.0}, "not decided"),
        ({"least": 1.6}, "refuted"),
        ({"most": 1.6}, "supported"),
        ({"most": 0.4}, "refuted"),
        ({"least": 0.4, "most": 1.0}, "not decided"),
        ({"least": 0.4, "most": 1.6}, "supported"),
    ]:
        assert Criterion("x", i, **bounds).verdict == expected


def test_a_claim_needs_all_of_its_criteria():
    yes = Criterion("x", Interval(1, 0.9, 1.1, 3), least=0.0)
    no = Criterion("x", Interval(-1, -1.1, -0.9, 3), least=0.0)
    perhaps = Criterion("x", Interval(0, -1, 1, 3), least=0.0)
    assert verdict([yes, yes]) == "supported"
    assert verdict([yes, perhaps]) == "not decided"
    assert verdict([yes, perhaps, no]) == "refuted"
    assert verdict([]) == "not decided"


def test_differences_are_taken_seed_by_seed_over_all_pictures():
    rows = [
        {"seed": s, "picture": p, "m": m, "dB": 10 * s + (p == "b") + gain}
        for s in range(3)
        for p in "ab"
        for m, gain in (("x", 0.3), ("y", 0.0))
    ]
    i = level(rows, "dB", m=above("x", "y"))
    assert (i.low, i.high) == pytest.approx((0.3, 0.3))
    assert by_seed(rows, "dB", m="y") == {0: 0.5, 1: 10.5, 2: 20.5}


def test_a_ratio_is_taken_seed_by_seed():
    rows = [
        {"seed": s, "m": m, "n": factor * (s + 1)} for s in range(3) for m, factor in (("x", 3), ("y", 2))
    ]
    assert level(rows, "n", m=over("x", "y")).mean == pytest.approx(1.5)
    assert level(rows, "n", m="x").mean == pytest.approx(6)


def test_a_rule_says_what_it_asks_and_of_which_rows():
    rows = [
        {"seed": s, "width": w, "m": m, "dB": w + (m == "x")} for s in range(3) for w in (8, 16) for m in "xy"
    ]
    found = ask(DB, width=LARGEST, m=above("x", "y"), least=0.5)(rows)
    assert found.verdict == "supported" and found.interval.mean == 1
    assert str(found) == "gain (dB), width 16, m x above y: 1 [1, 1] (asked: at least 0.5): supported"
    assert ask(DB, width=LARGEST, m="y")(rows).interval.mean == 16


def test_a_falling_curve_is_read_between_its_points():
    assert falls_to([1.0, 0.8, 0.4, 0.0], 0.5) == pytest.approx(1.75)
    assert falls_to([1.0, 0.9], 0.5) == 2.0


def test_a_run_continues_where_it_ended_and_more_seeds_add_to_it(tmp_path):
    calls = []
    claim = synthetic([1.0, 1.1, 0.9, 1.0], calls)
    run_claim(claim, QUICK, seeds=1, folder=tmp_path)
    assert calls == [(0, "better"), (0, "worse")]
    found = run_claim(claim, QUICK, seeds=3, folder=tmp_path)
    assert len(calls) == len(found.rows) == 6
    run_claim(claim, QUICK, seeds=3, folder=tmp_path)
    assert len(calls) == 6
    saved = json.loads((tmp_path / "quick" / "99-synthetic.json").read_text())
    assert saved["summary"]["verdict"] == "supported"
    assert saved["options"]["size"]["name"] == "quick"


def test_an_interrupted_run_keeps_its_rows(tmp_path):
    claim = synthetic([1.0])  # seed 1 fails
    with pytest.raises(IndexError):
        run_claim(claim, QUICK, seeds=2, folder=tmp_path)
    calls = []
    found = run_claim(synthetic([1.0, 1.1, 0.9], calls), QUICK, seeds=3, folder=tmp_path)
    assert (0, "better") not in calls and len(found.rows) == 6


def test_rows_of_another_size_are_not_mixed_in(tmp_path):
    claim = synthetic([1.0, 1.0, 1.0])
    run_claim(claim, QUICK, seeds=1, folder=tmp_path)
    with pytest.raises(BayesDipError, match="other options"):
        run_claim(claim, dataclasses.replace(QUICK, steps=7), seeds=1, folder=tmp_path)


def test_no_seed_is_refused():
    with pytest.raises(BayesDipError, match="needs 3"):
        run_claim(synthetic([1.0]), QUICK, seeds=0, folder=None)


def test_no_job_is_refused_in_one_line():
    done = CliRunner().invoke(app, ["lab", "run", "bases", "--jobs", "0"])
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "jobs is 0" in done.stderr


def test_seeds_of_the_size_are_taken_unless_some_are_given():
    two = dataclasses.replace(QUICK, seeds=2)
    assert len(run_claim(synthetic([1.0, 1.1]), two, folder=None).rows) == 4
    assert len(run_claim(synthetic([1.0, 1.1, 0.9]), two, seeds=3, folder=None).rows) == 6


def test_saved_results_give_the_numbers_and_verdicts_of_the_published_report():
    published = (SAVED / "report.md").read_text(encoding="utf-8")
    findings = report.find(all_claims(), SAVED)
    assert [f.claim.number for f in findings] == NUMBERS
    for f in findings:
        assert f"| {f.claim.number} | {f.claim.sentence} | {f.verdict} | {f.size} |" in published
        assert all(f"- {criterion}\n" in published for criterion in f.criteria)


OWN_CLAIM = """
from bayesdip.lab.claim import Claim, crossed
from bayesdip.lab.plots import dots
from bayesdip.lab.statistics import Column, above, ask

ERROR = Column("error", "error of the mean")


def measure(trial):
    import torch

    draws = torch.randn(trial["draws"], 10000, generator=trial.generator())
    return {"error": float(draws.mean(0).square().mean().sqrt())}


CLAIMS = [
    Claim(
        number=23,
        name="mean",
        sentence="The mean of 16 draws is nearer than one draw.",
        source="an own file",
        varies="how many draws are averaged",
        measures="the root mean square error of the mean",
        seconds=0,
        conditions=crossed(draws=(1, 16)),
        measure=measure,
        rules=(ask(ERROR, draws=above(1, 16), least=0.7, most=0.8),),
        panels=(dots(ERROR, "draws"),),
        columns=(ERROR,),
        on_pictures=False,
    )
]
"""


def test_a_claim_of_ones_own_is_one_file_outside_the_package(tmp_path):
    """Independent draws: the error of one is 1, of the mean of 16 it is 1/4."""
    file = tmp_path / "own_claim.py"
    file.write_text(OWN_CLAIM)
    (claim,) = named(str(file))
    found = run_claim(claim, QUICK, seeds=3, jobs=2, folder=tmp_path)  # worker processes find it too
    assert found.summary["verdict"] == "supported"
    assert found.summary["criteria"][0]["mean"] == pytest.approx(0.75, abs=0.03)
    report.write([claim], tmp_path)
    assert claim.sentence in (tmp_path / "report.md").read_text()


def test_a_full_run_that_was_cut_off_continues_by_the_same_command(tmp_path):
    file = tmp_path / "full_claim.py"
    file.write_text(OWN_CLAIM)
    command = ["lab", "run", str(file), "--full", "--jobs", "1", "--keep", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    kept = tmp_path / "full" / "23-mean.json"
    whole = json.loads(kept.read_text())
    kept.write_text(json.dumps(whole | {"rows": whole["rows"][:3], "summary": {}}))  # in the midst of a seed
    done = CliRunner().invoke(app, command)
    measured = [line for line in done.stderr.splitlines() if "seed" in line]
    again = json.loads(kept.read_text())
    assert done.exit_code == 0 and len(measured) == 3
    assert again["rows"][:3] == whole["rows"][:3]  # their seconds, too
    assert [row["error"] for row in again["rows"]] == [row["error"] for row in whole["rows"]]


def test_a_file_without_claims_is_refused(tmp_path):
    (tmp_path / "empty_claim.py").write_text("")
    for name, message in (("empty_claim.py", "holds no claim"), ("nowhere.py", "there is none")):
        with pytest.raises(BayesDipError, match=message):
            named(str(tmp_path / name))


def test_claims_are_found_by_number_name_and_label():
    assert named("2") == named("02") == named("scales") == named("02-scales")
    assert len(named("all")) == len(NUMBERS)
    for unknown in ("nope", "35"):
        with pytest.raises(BayesDipError, match="34-which-method"):
            named(unknown)


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.label)
def test_every_claim_is_measured_judged_and_drawn(claim, quick, tmp_path):
    if claim.name == "bm3d":
        pytest.importorskip("bm3d")
    found = run_claim(claim, TINY, seeds=1, folder=tmp_path)
    assert len(found.rows) == len(claim.conditions_at(TINY)) * max(claim.pictures_at(TINY), 1)
    for row in found.rows:
        assert all(math.isfinite(row[column.name]) for column in claim.columns)
    criteria = claim.judge(found.rows)
    assert criteria and all(math.isfinite(c.interval.mean) for c in criteria)
    assert found.summary["verdict"] == "not decided"  # of one seed
    assert "</svg>" in to_svg(claim.draw(found.rows), claim.sentence)
    assert json.loads(found.file.read_text())["rows"] == found.rows


def test_a_seed_repeats_a_row(quick):
    (claim,) = named("scales")
    untimed = {"seconds": 0, "cpu_seconds": 0}
    first, second = (run_claim(claim, TINY, seeds=1, folder=None).rows[0] for _ in range(2))
    assert {**first, **untimed} == {**second, **untimed}


def test_report_holds_every_claim_with_its_verdict_and_size(tmp_path):
    good, bad = synthetic([1.0, 1.1, 0.9]), synthetic([-1.0, -1.1, -0.9], number=98, name="other")
    unrun = synthetic([], number=97, name="third", sentence="Nobody looked.")
    run_claim(good, QUICK, seeds=3, folder=tmp_path)
    run_claim(bad, dataclasses.replace(QUICK, name="full"), seeds=3, folder=tmp_path)
    pages = report.write([unrun, bad, good], tmp_path)
    for page in pages:
        text = page.read_text()
        assert "Should you buy the DIP?" in text and "Nobody looked." in text
        assert "1 at the full size and 1 at the quick size" in text
        assert "1 supported, 1 refuted, 0 not decided" in text
        assert "Buy the better one (99)." in text
    markdown, html = (page.read_text() for page in pages)
    assert "**Supported** (quick)" in markdown and "**Refuted** (full)" in markdown
    assert "**Not run** (not run)" in markdown
    assert (tmp_path / "figures" / "99-synthetic.svg").exists()
    assert html.count('src="data:image/svg+xml') == 2 and "http" not in html  # no other file is needed


def test_full_results_take_the_place_of_quick_ones(tmp_path):
    for size in (QUICK, dataclasses.replace(QUICK, name="full")):
        run_claim(synthetic([1.0, 1.1, 0.9]), size, seeds=3, folder=tmp_path)
    (found,) = report.find([synthetic([])], tmp_path)
    assert found.size == "full"


def test_a_run_that_was_cut_short_is_reported_by_its_whole_seeds(tmp_path):
    claim = synthetic([1.0, 1.1, 0.9])  # seed 3 fails
    with pytest.raises(IndexError):
        run_claim(claim, QUICK, seeds=4, folder=tmp_path)
    file = tmp_path / "quick" / "99-synthetic.json"
    saved = json.loads(file.read_text())
    saved["rows"].append({"seed": 3, "method": "better", "dB": -50.0})  # half of a seed
    file.write_text(json.dumps(saved))
    (found,) = report.find([claim], tmp_path)
    assert found.verdict == "supported" and len(found.rows) == 6


def test_figures_are_the_same_bytes_for_the_same_rows():
    found = run_claim(synthetic([1.0, 1.1, 0.9]), QUICK, seeds=3, folder=None)
    claim = synthetic([])
    assert to_svg(claim.draw(found.rows), "t") == to_svg(claim.draw(found.rows), "t")


def test_a_figure_shows_means_intervals_and_ranges():
    line = Column("line", "a line")
    rows = [
        {"seed": s, "m": m, "dB": s + gain, "line": [s, s + gain], "steps": [10, 20]}
        for s in range(3)
        for m, gain in (("x", 5), ("y", 0))
    ]
    points, lines = figure_of((dots(DB, "m"), curves(line, "m")), rows).axes
    assert [label.get_text() for label in points.get_yticklabels()] == ["y", "x"]
    assert [float(p.lines[0].get_xdata()[0]) for p in points.containers] == [1, 6]
    low, high = (float(x) for x in points.containers[0].lines[2][0].get_segments()[0][:, 0])
    assert (high - low) / 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert [curve.get_ydata().tolist() for curve in lines.lines] == [[1, 6], [1, 1]]
    assert lines.collections[0].get_datalim(lines.transData).intervaly.tolist() == [0, 7]


def test_command_line_lists_runs_and_reports(tmp_path):
    def run(*words):
        done = CliRunner().invoke(app, ["lab", *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert len([line for line in run("list").splitlines() if " s)  " in line]) == len(NUMBERS)
    keep = ("--keep", str(tmp_path))
    assert "verdict: not decided" in run("run", "draws", "--quick", "--seeds", "1", "--jobs", "1", *keep)
    run("report", *keep)
    assert "16. Draws of a DIP" in (tmp_path / "report.md").read_text()


def test_command_line_refuses_an_unknown_claim_in_one_line():
    done = CliRunner().invoke(app, ["lab", "run", "nope"])
    assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 1


def test_help_of_the_lab_needs_no_torch():
    import subprocess
    import sys

    code = "import sys; sys.argv=['bayesdip','lab','--help']\nfrom bayesdip.cli import main\ntry: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
