"""``bayesdip demo`` in a short form: its methods replaced by instant ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bayesdip.cli import app, demo
from bayesdip.result import Restoration


@pytest.fixture
def instant(tmp_path, monkeypatch):
    """The demo without its restorations: each gives a blurred picture at once."""
    monkeypatch.chdir(tmp_path)

    def restore(self, **options):
        mean = self.original.copy()
        mean[1:-1] = (mean[:-2].astype(int) + mean[2:]) // 2
        spread = np.ones(mean.shape, np.float32)
        axis = -1 if mean.ndim == 3 else None
        settings = {
            "method": options["method"],
            "arch": {"name": "none"},
            "noise": "none",
            "seed": options["seed"],
        }
        budgets.append((options["method"], options["time_budget"]))
        return Restoration(
            mean, spread, mean[None], {"step": []}, (25.0,), 1.0, 9, 0.1, stopped[0], settings, {}, axis
        )

    budgets, stopped = [], ["finished"]
    monkeypatch.setattr(demo.Scene, "restore", restore)
    restore.budgets, restore.stopped = budgets, stopped
    return restore


def run(*words):
    return CliRunner().invoke(app, ["demo", *words])


def test_the_demo_says_psnr_before_and_after_for_each_method_and_picture(instant):
    result = run()
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("gp ") >= 2 and result.stdout.count("sgld ") >= 2
    assert "PSNR before" in result.stdout and "bayesdip-demo" in result.stdout
    for task in ("denoise", "inpaint"):
        for method in ("gp", "sgld"):
            place = Path("bayesdip-demo", task, method)
            assert str(place / "report.html") in result.stdout
            assert {path.name for path in place.iterdir()} == {"report.html", "restored.png", "std.tif"}


def test_the_demo_fits_into_three_minutes(instant):
    run()
    assert [method for method, _ in instant.budgets] == ["gp", "gp", "sgld", "sgld"]
    assert instant.budgets[2][1] == pytest.approx(0.6 * demo.TOTAL, abs=10)
    assert instant.budgets[3][1] == pytest.approx(demo.TOTAL, abs=10)  # nothing took any time here
    assert 2 * demo.GP_AT_MOST < demo.TOTAL < 170


def test_the_quick_demo_leaves_sgld_out(instant):
    assert run("--quick").exit_code == 0
    assert [method for method, _ in instant.budgets] == ["gp", "gp"]


def test_the_demo_with_json_is_one_object(instant):
    told = json.loads(run("--json", "-o", "there").stdout)
    assert [(r["method"], r["task"]) for r in told["results"]] == [
        ("gp", "denoise"), ("gp", "inpaint"), ("sgld", "denoise"), ("sgld", "inpaint"),
    ]  # fmt: skip
    assert all(result["psnr_after"] > result["psnr_before"] for result in told["results"])


def test_the_demo_refreshes_its_own_folder_only(instant):
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious")
    refused = run("-o", "mine")
    assert refused.exit_code == 2 and "not the demo's" in refused.stderr
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.txt"]
    assert run("-o", "new").exit_code == 0
    Path("new/notes.txt").write_text("mine too")
    assert run("-o", "new").exit_code == 0
    assert Path("new/notes.txt").read_text() == "mine too"


def test_the_demo_refuses_a_place_that_cannot_be_a_folder(instant):
    Path("file").write_text("precious")
    for place in ("file", "file/there", "/proc/there"):
        result = run("-o", place)
        assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert Path("file").read_text() == "precious"


def test_an_interrupted_demo_ends_with_what_it_has(instant):
    instant.stopped[0] = "interrupted"
    result = run()
    assert result.exit_code == 0 and "interrupted" in result.stdout
    assert len(instant.budgets) == 1


def test_the_scenes_are_damaged_as_they_say():
    noisy, holed = demo.scenes(seed=0)
    assert noisy.original.shape == (256, 256, 3) and holed.original.shape == (512, 512)
    assert np.std(noisy.damaged - noisy.original.astype(float)) == pytest.approx(25, rel=0.05)
    assert holed.missing.mean() == pytest.approx(0.5, abs=0.02)
    rows = np.arange(512)[demo.scratch((512, 512))[:, 0]]
    assert holed.missing[rows, 0].all() and len(rows) >= demo.SCRATCH_WIDTH - 1
    np.testing.assert_array_equal(holed.damaged[~holed.missing], holed.original[~holed.missing])


def test_psnr_is_20_db_at_an_error_of_25_and_a_half():
    flat = np.full((5, 5), 100, np.uint8)
    assert demo.psnr(flat, np.zeros((5, 5), np.uint8)) == pytest.approx(20 * np.log10(2.55))
    assert demo.psnr(flat, flat) == float("inf")
