"""``bayesdip demo`` in a short form: its methods replaced by instant ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bayesdip import api
from bayesdip.cli import app, demo
from bayesdip.result import Restoration


@pytest.fixture
def instant(tmp_path, monkeypatch):
    """The demo without its restorations: each gives a blurred picture at once."""
    monkeypatch.chdir(tmp_path)

    def restored(picture, channel_axis=None, **options):
        mean = picture.copy()
        mean[1:-1] = (picture[:-2].astype(int) + picture[2:]) // 2
        spread = np.ones(mean.shape, np.float32)
        method = options["method"]
        method = "patches" if method == "auto" else method.name
        budgets.append((method, options["time_budget"]))
        return Restoration(
            mean=mean,
            std=spread,
            raw_std=spread,
            samples=mean[None],
            trace={"step": []},
            sigma=(25.0,),
            held_out=1.0,
            held_out_count=9,
            seconds=0.1,
            stopped=stopped[0],
            method=method,
            why=f"because {method} is quick",
            settings={"method": method, "noise": "none"},
            channel_axis=channel_axis,
        )

    budgets, stopped = [], ["finished"]
    monkeypatch.setattr(
        api, "denoise", lambda picture, sigma, noise=None, **options: restored(picture, **options)
    )
    monkeypatch.setattr(
        api, "inpaint", lambda picture, mask, sigma=0, missing=None, **options: restored(picture, **options)
    )
    restored.budgets, restored.stopped = budgets, stopped
    return restored


def run(*words):
    return CliRunner().invoke(app, ["demo", *words])


def test_the_demo_says_of_each_picture_what_ran_and_why_psnr_and_uncertainty(instant):
    result = run()
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    for scene in ("noise", "scattered", "hole"):
        place = Path("bayesdip-demo", scene)
        assert f"  {place / 'report.html'}" in lines
        assert {"report.html", "restored.png", "std.tif"} <= {path.name for path in place.iterdir()}
    assert lines.count("  method       patches: because patches is quick (chosen by --method auto)") == 2
    assert lines.count("  method       sgld: because sgld is quick") == 1
    assert sum(" dB -> " in line for line in lines) == 3
    assert sum("90% intervals hold" in line and "std 1.0 of 255" in line for line in lines) == 3
    assert sum("samples " in line for line in lines) == 1
    assert Path("bayesdip-demo/hole/sample-1.png").exists()


def test_the_demo_fits_into_three_minutes(instant):
    run()
    assert [method for method, _ in instant.budgets] == ["patches", "patches", "sgld"]
    assert [seconds for _, seconds in instant.budgets[:2]] == [demo.PATCHES] * 2
    assert instant.budgets[2][1] == pytest.approx(demo.TOTAL, abs=10)  # nothing took any time here
    assert 2 * demo.PATCHES < demo.TOTAL / 2 and demo.TOTAL < 170


def test_the_command_in_a_report_repeats_the_run(instant):
    run()
    folder = Path("bayesdip-demo/hole")
    page = Path(folder, "report.html").read_text(encoding="utf-8")
    assert f"bayesdip inpaint {folder / 'damaged.png'} -o restored.png --mask {folder / 'mask.png'}" in page
    assert "--method sgld" in page and "--seed 0" in page and f"--samples {demo.SAMPLES}" in page


def test_the_quick_demo_leaves_sgld_out(instant):
    assert run("--quick").exit_code == 0
    assert [method for method, _ in instant.budgets] == ["patches"] * 3


def test_the_demo_with_json_is_one_object(instant):
    told = json.loads(run("--json", "-o", "there").stdout)
    assert [(r["scene"], r["method"], r["task"]) for r in told["results"]] == [
        ("noise", "patches", "denoise"),
        ("scattered", "patches", "inpaint"),
        ("hole", "sgld", "inpaint"),
    ]
    assert told["schema"] == 2 and told["results"][0]["why"] == "because patches is quick"
    assert all(0 <= result["coverage"] <= 1 and result["mean_std"] == 1 for result in told["results"])


def test_the_demo_refreshes_its_own_folder_only(instant):
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious")
    refused = run("-o", "mine")
    assert refused.exit_code == 2 and "not the demo's" in refused.stderr
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.txt"]
    assert run("-o", "new", "--quick").exit_code == 0
    Path("new/notes.txt").write_text("mine too")
    assert run("-o", "new", "--quick").exit_code == 0
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
    noisy, holed, disc = demo.scenes(seed=0)
    assert noisy.original.shape == (256, 256, 3) and holed.original.shape == (256, 256)
    assert np.std(noisy.damaged - noisy.original.astype(float)) == pytest.approx(25, rel=0.05)
    assert holed.missing.mean() == pytest.approx(0.5, abs=0.02)
    rows = np.arange(256)[demo.scratch((256, 256))[:, 0]]
    assert holed.missing[rows, 0].all() and len(rows) >= demo.SCRATCH_WIDTH - 1
    np.testing.assert_array_equal(holed.damaged[~holed.missing], holed.original[~holed.missing])
    assert disc.missing.any(1).sum() == pytest.approx(demo.HOLE_WIDTH, abs=1)
    np.testing.assert_array_equal(disc.damaged[~disc.missing], disc.original[~disc.missing])
