"""``bayesdip compare``: what it prints and writes, and one clear line for bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from bayesdip.cli import app
from bayesdip.comparison.answer import ANSWERS

QUICK = ["--methods", "tv,nlm,lanczos", "--rounds", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a noisy picture, its truth and its mask, which is the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    clean = data.camera()[60:108, 210:258]
    noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
    Image.fromarray(clean).save("truth.png")
    Image.fromarray(noisy).save("noisy.png")
    Image.fromarray((255 * (rng.random(clean.shape) < 0.4)).astype(np.uint8)).save("mask.png")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("other_size.png")
    Image.fromarray(np.zeros(clean.shape, np.uint8)).save("nothing_missing.png")
    Image.fromarray(clean.astype(np.uint16) * 257).save("deep.png")
    Path("kept.png").write_bytes(b"precious")
    Path("report").mkdir()
    Path("report/compare.html").write_text("precious")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_table_ends_with_what_to_use_and_whether_a_network_pays(here):
    result = run("compare", "noisy.png", *QUICK)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[-2].startswith("Use ") and lines[-2].endswith(".")
    assert lines[-1].startswith(
        "Should you buy the DIP? Not decided for this picture: no network was compared"
    )
    assert lines[-1].endswith(ANSWERS["noise"].words)
    assert any(line.startswith("nlm") for line in lines)
    assert any(line.startswith("lanczos") and "not applicable" in line for line in lines)
    assert "PSNR" not in result.stdout


def test_json_holds_the_ranking_and_how_it_agrees_with_the_truth(here):
    result = run("compare", "noisy.png", "--truth", "truth.png", "--sigma", "20", "--json", *QUICK)
    told = json.loads(result.stdout)
    assert told["task"] == "compare" and told["compared"] == "denoise" and told["sigma"] == [20.0]
    applied = [m for m in told["methods"] if not m["why"]]
    assert {m["name"] for m in applied} == {"tv", "nlm"} and told["best"] == applied[0]["name"]
    psnr = {m["name"]: m["quality"]["psnr"] for m in applied}
    assert told["agreement"]["best"] == max(psnr, key=psnr.get)
    assert told["agreement"]["loss"] == pytest.approx(max(psnr.values()) - psnr[told["best"]])
    assert all(m["seconds"] > 0 for m in applied)


def test_a_mask_makes_it_inpainting_and_the_report_holds_every_restoration(here):
    options = ["--methods", "telea,biharmonic", "--rounds", "1", "--report", "new", "--figure", "all.svg"]
    result = run("compare", "truth.png", "--mask", "mask.png", *options)
    assert result.exit_code == 0, result.output
    written = {path.name for path in Path("new").iterdir()}
    assert written == {"compare.html", "compare.svg", "compare.json", "telea.png", "biharmonic.png"}
    page = Path("new/compare.html").read_text()
    assert "biharmonic" in page and 'src="data:image/png' in page and "://" not in page
    assert Path("all.svg").read_text().startswith("<?xml")
    known = np.asarray(Image.open("mask.png")) < 128
    restored, clean = (np.asarray(Image.open(f)) for f in ("new/telea.png", "truth.png"))
    assert np.array_equal(restored[known], clean[known]) and not np.array_equal(restored, 0 * clean)
    assert json.loads(Path("new/compare.json").read_text())["compared"] == "inpaint"


BAD = [
    (["nope.png"], "nope.png"),
    (["kept.png"], "not a picture"),
    (["noisy.png", "--mask", "other_size.png"], "mask"),
    (["noisy.png", "--mask", "nothing_missing.png"], "nothing missing"),
    (["noisy.png", "--mask", "mask.png", "--factor", "2"], "mask and factor"),
    (["noisy.png", "--truth", "other_size.png"], "truth"),
    (["noisy.png", "--truth", "deep.png"], "uint16"),
    (["noisy.png", "--sigma", "much"], "sigma"),
    (["noisy.png", "--sigma", "0"], "sigma is 0"),
    (["noisy.png", "--methods", "magic"], "magic"),
    (["noisy.png", "--effort", "lazy"], "lazy"),
    (["noisy.png", "--factor", "1"], "factor"),
    (["noisy.png", "--figure", "kept.png"], "exists already"),
    (["noisy.png", "--figure", "figure.doc"], "figure"),
    (["noisy.png", "--report", "report"], "exists already"),
    (["other_size.png"], "16x16"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_bad_input_is_one_line_and_nothing_is_touched(here, words, said):
    before = {p: p.read_bytes() for p in here.rglob("*") if p.is_file()}
    result = run("compare", *QUICK, *words)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bayesdip: error:") and said in lines[0]
    assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file()} == before
