"""The lab: verdicts from problems, runs that are taken up again, and the page of all claims."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from bayesdip.cli import app
from bayesdip.errors import BayesDipError
from bayesdip.lab import report
from bayesdip.lab.catalogue import all_claims, named
from bayesdip.lab.claim import QUICK, Claim, Size, crossed
from bayesdip.lab.plots import dots, panels, to_svg
from bayesdip.lab.running import run_claims
from bayesdip.lab.statistics import Condition, Interval, by_seed, difference, falls_to, verdict

TINY = Size("quick", side=16, width=4, scales=1, steps=3, pictures=1, seeds=1)


def run_claim(claim, size, **options):
    ((_, results, _),) = run_claims([claim], size, **options)
    return results


def synthetic(values, calls=None, **changed):
    """A claim whose ``better`` has the given values by seed, and whose ``worse`` is zero."""

    def measure(task):
        if calls is not None:
            calls.append((task.seed, task["method"]))
        return {"dB": values[task.seed] if task["method"] == "better" else 0.0}

    def judge(rows):
        return [
            Condition(
                "gain, dB", difference(rows, "dB", {"method": "better"}, {"method": "worse"}), least=0.0
            )
        ]

    def draw(rows):
        figure, axes = panels(1)
        dots(axes[0], rows, "dB", "method", "dB")
        return figure

    facts = {
        "number": 99,
        "name": "synthetic",
        "sentence": "Better is better.",
        "source": "this test",
        "varies": "nothing",
        "measures": "nothing",
        "seconds": 0,
        "columns": ("dB",),
        "on_pictures": False,
        "lessons": {"supported": "buy the better one"},
    }
    return Claim(
        cells=lambda size: crossed(method=("better", "worse")),
        measure=measure,
        judge=judge,
        draw=draw,
        **(facts | changed),
    )


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
        assert Condition("x", i, **bounds).verdict == expected


def test_a_claim_needs_all_of_its_conditions():
    yes = Condition("x", Interval(1, 0.9, 1.1, 3), least=0.0)
    no = Condition("x", Interval(-1, -1.1, -0.9, 3), least=0.0)
    perhaps = Condition("x", Interval(0, -1, 1, 3), least=0.0)
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
    i = difference(rows, "dB", {"m": "x"}, {"m": "y"})
    assert (i.low, i.high) == pytest.approx((0.3, 0.3))
    assert by_seed(rows, "dB", {"m": "y"}) == {0: 0.5, 1: 10.5, 2: 20.5}


def test_a_falling_curve_is_read_between_its_points():
    assert falls_to([1.0, 0.8, 0.4, 0.0], 0.5) == pytest.approx(1.75)
    assert falls_to([1.0, 0.9], 0.5) == 2.0


def test_a_run_is_taken_up_where_it_ended_and_more_seeds_add_to_it(tmp_path):
    calls = []
    claim = synthetic([1.0, 1.1, 0.9, 1.0], calls)
    run_claim(claim, QUICK, seeds=1, folder=tmp_path)
    assert calls == [(0, "better"), (0, "worse")]
    found = run_claim(claim, QUICK, seeds=3, folder=tmp_path)
    assert len(calls) == len(found.rows) == 6
    run_claim(claim, QUICK, seeds=3, folder=tmp_path)
    assert len(calls) == 6
    kept = json.loads((tmp_path / "quick" / "99-synthetic.json").read_text())
    assert kept["summary"]["verdict"] == "supported"
    assert kept["options"]["size"]["name"] == "quick"


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


def test_all_22_claims_are_there_and_fit_into_the_hour():
    claims = all_claims()
    assert [claim.number for claim in claims] == list(range(1, 23))
    assert len({claim.name for claim in claims}) == 22
    assert sum(claim.seconds for claim in claims) <= 2 * 3600  # on two cores


def test_claims_are_found_by_number_name_and_label():
    assert named("2") == named("02") == named("scales") == named("02-scales")
    assert len(named("all")) == 22
    with pytest.raises(BayesDipError, match="scales"):
        named("nope")


@pytest.mark.parametrize("claim", all_claims(), ids=lambda claim: claim.label)
def test_every_claim_is_measured_judged_and_drawn(claim, quick):
    found = run_claim(claim, TINY, seeds=1, folder=None)
    assert len(found.rows) == len(claim.cells(TINY))
    for row in found.rows:
        assert all(math.isfinite(row[column]) for column in claim.columns)
    conditions = claim.judge(found.rows)
    assert conditions and all(math.isfinite(c.interval.mean) for c in conditions)
    assert found.summary["verdict"] == "not decided"  # of one seed
    assert "</svg>" in to_svg(claim.draw(found.rows), claim.sentence)
    json.dumps(found.to_dict())


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
    assert html.count("<svg") == 2 and "http://" not in html.replace("http://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "")


def test_report_of_all_claims_holds_each_sentence(tmp_path):
    for page in report.write(all_claims(), tmp_path):
        text = page.read_text().replace("&#x27;", "'").replace("&amp;", "&")
        assert all(claim.sentence in text for claim in all_claims())
        assert "Nothing was measured yet" in text


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
    kept = json.loads(file.read_text())
    kept["rows"].append({"seed": 3, "method": "better", "dB": -50.0})  # half of a seed
    file.write_text(json.dumps(kept))
    (found,) = report.find([claim], tmp_path)
    assert found.verdict == "supported" and len(found.rows) == 6


def test_figures_are_the_same_bytes_for_the_same_rows():
    found = run_claim(synthetic([1.0, 1.1, 0.9]), QUICK, seeds=3, folder=None)
    claim = synthetic([])
    assert to_svg(claim.draw(found.rows), "t") == to_svg(claim.draw(found.rows), "t")


def test_command_line_lists_runs_and_reports(tmp_path):
    def run(*words):
        done = CliRunner().invoke(app, ["lab", *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert len([line for line in run("list").splitlines() if " s)  " in line]) == 22
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
