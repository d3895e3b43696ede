"""The inputs as people have them: what came out right when it was last measured still does."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.field_cases import every
from benchmarks.field_cases.case import Case
from benchmarks.results import Results

KEPT = Path(__file__).parents[1] / "benchmarks" / "results" / "field.json"
# Processors round differently, and so may end a search elsewhere.
SLACK_DB = 0.3


@pytest.fixture(scope="module")
def kept():
    rows = Results.read(KEPT).rows
    return {row["case"]: row for row in rows if row["side"] == "after"}


@pytest.mark.slow
@pytest.mark.parametrize("name", every())
def test_a_case_comes_out_no_worse_than_it_was_measured(name, kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some cases read and write files
    case, before = every()[name][1](), kept[name]
    row = case.measured()
    if before["ok"]:
        assert row["ok"], row["why"]
    if isinstance(case, Case):
        assert case.measure.loss_db(row["result"], before["result"]) < SLACK_DB


def test_every_case_was_measured(kept):
    assert {*kept} == {*every()}
