"""Benchmarks: their rows are what they say, and a run that was cut off is taken up again."""

import json

import numpy as np
import pytest
from benchmarks.catalogue import BENCHMARKS, Request, run_benchmark
from benchmarks.pictures import psnr
from PIL import Image

from bayesdip.errors import BayesDipError
from conftest import smooth_picture

GP = {"method": "gp", "effort": "fast", "seed": 0}


@pytest.fixture
def data(tmp_path):
    """A data folder of the layout that the benchmarks read, with tiny pictures."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    for name in ("denoise9", "inpaint11", "fig6"):
        (folder / name).mkdir(parents=True)
    for i, name in enumerate(("one", "two")):
        colour = (255 * np.roll(smooth_picture((24, 24), 3), i, 0)).astype(np.uint8)
        noisy = np.clip(colour + rng.normal(0, 25, colour.shape), 0, 255).astype(np.uint8)
        Image.fromarray(colour).save(folder / "denoise9" / f"{name}.png")
        Image.fromarray(noisy).save(folder / "denoise9" / f"{name}_noisy25.png")
        mask = rng.random((24, 24)) < 0.5
        Image.fromarray(colour[..., 0]).save(folder / "inpaint11" / f"{name}.png")
        Image.fromarray((255 * mask).astype(np.uint8)).save(folder / "inpaint11" / f"{name}_missing50.png")
    np.savez(
        folder / "fig6" / "inpainting64.npz", image=smooth_picture((24, 24)).astype(np.float32), missing=mask
    )
    return folder


@pytest.mark.parametrize(
    "name", [n for n in BENCHMARKS if n in ("paper-denoise", "paper-inpaint", "figure6", "sigma")]
)
def test_rows_and_summary_are_kept_with_where_they_were_measured(name, data, tmp_path):
    file = tmp_path / "result.json"
    results = run_benchmark(name, Request(data, GP), file, lambda line: None)
    kept = json.loads(file.read_text())
    assert kept["rows"] == json.loads(json.dumps(results.rows)) and kept["rows"]
    assert kept["environment"]["versions"]["torch"] and kept["environment"]["cores"] >= 1
    if "psnr" in kept["summary"]:
        assert kept["summary"]["psnr"] == pytest.approx(np.mean([row["psnr"] for row in kept["rows"]]))


def test_a_run_is_taken_up_where_it_was_cut_off(data, tmp_path):
    file, lines = tmp_path / "result.json", []
    whole = run_benchmark("paper-inpaint", Request(data, GP), file, lines.append).rows
    kept = json.loads(file.read_text())
    kept["rows"] = kept["rows"][:1]
    file.write_text(json.dumps(kept))
    lines.clear()
    again = run_benchmark("paper-inpaint", Request(data, GP), file, lines.append).rows
    assert len(lines) == 2  # one new row, and the summary
    assert [row["psnr"] for row in again] == [row["psnr"] for row in whole]


def test_results_of_other_options_are_not_mixed(data, tmp_path):
    file = tmp_path / "result.json"
    run_benchmark("sigma", Request(data, GP), file, lambda line: None)
    before = file.read_bytes()
    with pytest.raises(BayesDipError, match="other options"):
        run_benchmark("sigma", Request(data, GP | {"seed": 9}), file, lambda line: None)
    assert file.read_bytes() == before


def test_psnr_is_that_of_scikit_image():
    from skimage.metrics import peak_signal_noise_ratio

    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (9, 9)).astype(np.uint8)
    other = rng.integers(0, 256, (9, 9)).astype(np.uint8)
    assert psnr(other, clean) == pytest.approx(peak_signal_noise_ratio(clean, other))


def test_a_missing_data_folder_is_one_clear_line(tmp_path):
    for request in (Request(None, GP), Request(tmp_path, GP)):
        with pytest.raises(BayesDipError, match="--data"):
            run_benchmark("paper-denoise", request, None, lambda line: None)
    with pytest.raises(BayesDipError, match="paper-denoise"):
        run_benchmark("nope", Request(None, GP), None, lambda line: None)
