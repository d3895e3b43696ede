"""The table of inputs from the field: how a result is judged, and what the table says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks import field, field_variants, intervals, random_problems
from benchmarks.field_cases import every, source
from benchmarks.field_cases.case import RMS, Case, Check
from benchmarks.field_cases.command import Outcome
from benchmarks.options import Options
from benchmarks.regions import coverage_by_region
from benchmarks.results import Results
from PIL import Image

from bayesdip.errors import BayesDipError
from conftest import array, smooth_picture

TRUTH = 255 * smooth_picture((20, 20))
NOISE = array(20, 20)


def case(error: float, *, half: float = 0.0, findings: tuple[str, ...] = (), **options) -> Case:
    """A result with noise of that size, and intervals of that half width."""
    mean = TRUTH + error * NOISE
    restored = SimpleNamespace(
        mean=mean,
        std=None if half == 0 else np.full_like(mean, half),
        interval=lambda level: (mean - half, mean + half),
        method="patches",
        findings=[SimpleNamespace(kind=kind) for kind in findings],
    )
    given, rival = TRUTH + 10 * NOISE, TRUTH + 5 * NOISE
    options = {"measure": RMS, **options}
    return Case(
        run=lambda: restored, truth=TRUTH, given=given, rival=lambda: rival, rival_name="median", **options
    )


def test_a_result_has_to_reach_the_data_and_the_simple_method():
    size = NOISE.std()
    good, poor, bad = (case(error).measured() for error in (5, 7, 12))
    assert good["ok"] and good["result"] == pytest.approx(5 * size, rel=0.01)
    assert not poor["ok"] and "below median" in poor["why"] and "the data" not in poor["why"]
    assert not bad["ok"] and "below the data" in bad["why"]
    assert case(5.04).measured()["ok"]  # less than 0.1 dB


def test_intervals_have_to_hold_where_that_is_asked_for():
    rows = [case(1, half=half, intervals=True).measured() for half in (0.2, 1.645, 9.0)]
    assert [row["ok"] for row in rows] == [False, True, False]
    assert rows[1]["coverage"] == pytest.approx(0.9, abs=0.05)
    assert case(1, half=0.2).measured()["ok"]


def test_something_has_to_be_said_where_that_is_asked_for():
    assert not case(1, said=True).measured()["ok"]
    assert case(1, said=True, findings=("hot pixels",)).measured()["ok"]


def test_only_the_values_that_count_are_judged():
    counted = np.zeros(TRUTH.shape, bool)
    counted[0, 0] = True
    assert case(12, counted=~counted).measured()["result"] > case(1, counted=counted).measured()["result"]


def test_a_value_that_is_not_finite_is_never_good():
    assert not case(float("nan")).measured()["ok"]


@pytest.mark.parametrize(("error", "word"), [(BayesDipError("no"), "refused"), (KeyError("x"), "KeyError")])
def test_an_error_is_a_row(error, word):
    def run():
        raise error

    wrong = Case(run=run, truth=TRUTH, rival=lambda: TRUTH, rival_name="median").measured()
    assert not wrong["ok"] and word in wrong["why"]
    assert Check(run).measured()["ok"] is False


@pytest.mark.parametrize(
    ("outcome", "works", "refused"),
    [
        (Outcome(("denoise",), 0, b"", ""), True, False),
        (Outcome(("denoise",), 2, b"", "bayesdip: error: no such file\n"), False, True),
        (Outcome(("denoise",), 1, b"", "Traceback (most recent call last):\nKeyError"), False, False),
        (Outcome(("denoise",), None, b"", ""), False, False),
    ],
)
def test_a_command_works_or_is_refused_in_one_line(outcome, works, refused):
    assert (not outcome.complaints()) == works
    assert (not outcome.complaints(refused=True)) == refused


def test_every_kind_has_cases_and_the_table_shows_both_sides():
    kinds = {kind for kind, _ in every().values()}
    assert len(kinds) >= 10 and len(every()) >= 80
    rows = [{"kind": "k", "case": "c", "side": "before", "ok": False, "why": "w", "unit": "dB", "result": 7.1,
             "rival": 36.7, "rival_name": "Richardson-Lucy", "given": 32.3, "coverage": 0.2}]  # fmt: skip
    rows.append(rows[0] | {"side": "after", "ok": True, "why": "", "result": 37.0, "coverage": 0.9})
    shown = field.table(rows)
    for text in ("7.1", "37", "Richardson-Lucy", "20% → 90%", "**no** → yes"):
        assert text in shown


def test_variants_are_counted_by_case_and_those_that_fail_are_told():
    rows = [
        {"kind": "k", "case": case, "variant": number, "ok": ok, "why": "" if ok else "1 dB below median"}
        for case, number, ok in (("a", 1, True), ("a", 2, False), ("b", 1, True), ("b", 2, True))
    ]
    lines = field_variants.table(rows).splitlines()
    assert lines[2:] == [
        "| **k** | | |",
        "| a | 1 of 2 | 1 dB below median (2) |",
        "| all 2 cases | 3 of 4 | |",
    ]


def test_a_variant_has_other_parts_and_numbers_and_each_its_own(tmp_path):
    rng = np.random.default_rng(0)
    for name in "ab":
        pixels = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")

    def made():
        return (
            source.crop("camera", 5, 5, 32),
            source.crop("brick", 50, 50, 32),
            source.generator(3).random(4),
        )

    kept = made()
    try:
        found = []
        for number in (1, 2, 1):
            source.take(source.Variant(tmp_path, number))
            found.append(made())
    finally:
        source.take(None)
    for first, second, again, before in zip(*found, kept, strict=True):
        assert first.shape == before.shape and np.array_equal(first, again)
        assert not np.array_equal(first, second) and not np.array_equal(first, before)
    assert all(np.array_equal(one, other) for one, other in zip(made(), kept, strict=True))
    with pytest.raises(BayesDipError, match="holds no pictures"):
        source.Variant(tmp_path / "nothing", 1).photograph(True)


def test_random_problems_that_fail_are_in_the_table_with_their_seeds():
    rows = [
        {"seed": 1, "task": "denoise", "words": "w", "loss_db": -2.0, "against": "the data", "coverage": 0.9},
        {
            "seed": 21,
            "task": "denoise",
            "words": "w",
            "loss_db": 3.0,
            "against": "the data",
            "coverage": None,
        },
        {"seed": 22, "task": "denoise", "words": "w", "loss_db": 0.0, "against": "the data", "coverage": 0.3},
        {"seed": 23, "task": "deblur", "words": "w", "error": "KeyError: x"},
    ]
    rows = [row | {"cpu_s": 1.0, "method": "patches"} for row in rows]
    shown = random_problems.table(rows)
    assert [line.split("|")[1].strip() for line in shown.splitlines()[2:]] == ["23", "21", "22"]
    assert [target.met for target in random_problems.targets(rows)] == [False] * 4
    assert all(target.met for target in random_problems.targets(rows[:1]))


def test_coverage_is_told_by_task_and_by_region():
    rows = [
        {"task": "deblur", "coverage": 0.9, "coverage_smooth": 1.0, "coverage_textured": 0.8},
        {"task": "deblur", "coverage": 0.7, "coverage_smooth": 0.8, "coverage_textured": 0.6},
        {"task": "inpaint", "coverage": 0.95},
        {"task": "restore", "coverage": None},
    ]
    assert random_problems.by_region(rows).splitlines()[2:] == [
        "| deblur | 2 | 80% | 1 | 90% | 70% |",
        "| inpaint | 1 | 95% | 1 |  |  |",
    ]


def test_smooth_and_textured_halves_are_those_of_the_truth_whatever_the_channels():
    rng = np.random.default_rng(0)
    clean = 1e6 + np.concatenate([np.zeros((20, 20)), rng.normal(size=(20, 20))])
    held = np.concatenate([np.ones((20, 20)), np.zeros((20, 20))]).astype(bool)
    for axis in (None, 0, -1):
        shown = [part if axis is None else np.stack([part, part], axis) for part in (held, clean)]
        found = coverage_by_region(*shown, axis)
        assert found["coverage_smooth"] > 0.85 and found["coverage_textured"] < 0.15


def test_the_page_holds_the_tables_of_the_results():
    root = Path(__file__).parent.parent
    rows = Results.read(root / "benchmarks" / "results" / "field.json").rows
    page = (root / "docs" / "field.md").read_text(encoding="utf-8")
    assert field.table(rows) in page
    variants = Results.read(root / "benchmarks" / "results" / "field-variants.json").rows
    assert field_variants.table(variants) in page


@pytest.mark.slow
def test_the_benchmark_runs_a_case_of_each_sort(tmp_path):
    results = Results("field", {}, tmp_path / "field.json")
    field.run(results, Options(pictures=("differences, which see no constant", "a result in a notebook")))
    assert {row["case"] for row in results.rows} == {
        "differences, which see no constant",
        "a result in a notebook",
    }
    assert all(row["side"] == "after" and "cpu_s" in row for row in results.rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", every())
def test_what_a_case_is_held_against_is_finite(name):
    made = every()[name][1]()
    if isinstance(made, Case) and "two runs" not in made.rival_name:
        assert np.isfinite(made.figure(made.rival()))
        assert made.given is None or np.isfinite(made.figure(made.given))


def test_calibrations_are_compared_by_the_size_of_errors_and_by_what_intervals_hold():
    names = ("simulated", "bootstrap", "Stein", "Stein, noise 5% too low")
    rows = [
        {name: log for name in names} | {f"{name}_held": held for name in names}
        for log, held in ((-0.5, 0.7), (0.1, 0.9))
    ]
    assert intervals.table(rows).splitlines()[2] == "| simulated | -0.20 | 0.30 | 1 of 2 |"
