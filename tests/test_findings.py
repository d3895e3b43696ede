"""Findings: kept with a restoration, and told by the report, the notebook and the summary."""

from dataclasses import replace

import numpy as np

import bayesdip as bd
from bayesdip.findings import Finding
from bayesdip.report import write_report
from bayesdip.report.notebook import notebook_html

HOT = Finding("hot pixels", "3 hot pixels <were> treated as missing", {"count": 3})


def restoration():
    noisy = np.random.default_rng(0).normal(100.0, 5.0, (16, 16))
    return replace(bd.denoise(noisy, sigma=5.0, method="gp", effort="fast"), findings=(HOT,))


def test_a_finding_survives_its_round_trip_through_json_values():
    assert Finding.from_dict(HOT.to_dict()) == HOT


def test_findings_are_saved_with_the_restoration(tmp_path):
    assert bd.Restoration.load(restoration().save(tmp_path)).findings == (HOT,)


def test_report_and_notebook_tell_what_was_found(tmp_path):
    found = restoration()
    page = write_report(tmp_path, found.mean, found, title="t", task="denoise", command="c")
    for html in (page.read_text(encoding="utf-8"), notebook_html(found)):
        assert "3 hot pixels &lt;were&gt; treated as missing." in html
