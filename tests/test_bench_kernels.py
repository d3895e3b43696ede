"""The kernel benchmark tells right rules from wrong ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks import kernels

from bayesdip.arch import LeakyReLU, skip


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "WIDTH", 64)
    monkeypatch.setattr(kernels, "GRIDS", {1: (12,)})
    monkeypatch.setattr(kernels, "LONG", {1: (32,)})


def test_right_rule_is_within_three_standard_errors() -> None:
    rows = kernels._rule_rows("leaky ReLU", LeakyReLU(0.2), 1, 60, torch.Generator().manual_seed(0))
    assert [row["form"] for row in rows] == ["exact", "stationary"]
    assert all(0 < row["deviation"] < 3 and "again_deviation" not in row for row in rows)


def test_wrong_rule_is_beyond_them_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LeakyReLU.dual
    monkeypatch.setattr(LeakyReLU, "dual", lambda self, *args: 1.1 * right(self, *args))
    rows = kernels._rule_rows("leaky ReLU", LeakyReLU(0.2), 1, 60, torch.Generator().manual_seed(0))
    assert all(row["deviation"] > 3 and row["again_deviation"] > 3 for row in rows)
    assert (
        len(
            kernels.summary([*rows, {"network": "", "deviation": 0.0, "difference": 0.0}])[
                "rules_beyond_3_twice"
            ]
        )
        == 2
    )


def test_network_row_compares_with_the_exact_covariance() -> None:
    row = kernels._network_row(skip(scales=1), (24,), 40, torch.Generator().manual_seed(1))
    assert row["deviation"] < 3.5
    assert row["difference"] < 0.1
    assert json.loads(json.dumps(row)) == row


def test_committed_result_is_of_all_rules() -> None:
    path = Path(__file__).parents[1] / "benchmarks" / "results" / "kernel.json"
    stored = json.loads(path.read_text())
    assert {row["rule"] for row in stored["rows"] if "rule" in row} == set(kernels.RULES)
    assert all(row["standard_error"] > 0 and row["deviation"] >= 0 for row in stored["rows"])
    assert not stored["summary"]["rules_beyond_3_twice"]
    assert stored["summary"] == kernels.summary(stored["rows"])
