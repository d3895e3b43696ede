"""Benchmarks: rows are saved and continued, scores are right, and every benchmark can be found."""

from __future__ import annotations

import json
import math
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import before_after, random_problems, speed_curves
from benchmarks.__main__ import main, names
from benchmarks.catalogue import benchmarks, run_benchmark
from benchmarks.options import Options
from benchmarks.pictures import centre, large_hole, masked_pairs, psnr, psnr_of_luma
from benchmarks.results import Results, Target
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from bayesdip import MAP, arch, denoise
from bayesdip.errors import BayesDipError, FileError
from conftest import smooth_picture

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"


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
    np.savez(folder / "fig6" / "inpainting64.npz", image=smooth_picture((24, 24)), missing=mask)
    return folder


def test_psnr_is_that_of_scikit_image():
    rng = np.random.default_rng(0)
    clean, other = (rng.integers(0, 256, (9, 9)).astype(np.uint8) for _ in range(2))
    assert psnr(other, clean) == pytest.approx(peak_signal_noise_ratio(clean, other))
    floats = [a / 255 for a in (other, clean)]
    assert psnr(*floats) == pytest.approx(peak_signal_noise_ratio(floats[1], floats[0], data_range=1.0))
    assert psnr(other + 600.0, clean) == psnr(np.full_like(other, 255), clean)  # values are clipped


def test_psnr_of_luma_leaves_out_the_border_and_the_colours():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    other = clean.copy()
    other[:4] = 0
    other[5, 5] += 1
    y = np.array([65.481, 128.553, 24.966]) / 255
    expected = 10 * math.log10(255**2 / (((y * (other[5, 5].astype(float) - clean[5, 5])).sum()) ** 2 / 64))
    assert psnr_of_luma(other, clean) == pytest.approx(expected)


def test_crops_are_the_centre(data):
    picture = np.arange(100).reshape(10, 10)
    assert np.array_equal(centre(picture, 4), picture[3:7, 3:7])
    assert np.array_equal(centre(picture, 20), picture)
    whole, part = next(masked_pairs(data)), next(masked_pairs(data, side=16))
    assert np.array_equal(part.clean, whole.clean[4:20, 4:20])
    assert np.array_equal(part.given, whole.given[4:20, 4:20])


def test_every_saved_result_can_be_read_and_printed():
    files = sorted(RESULTS.glob("*.json"))
    assert files
    for file in files:
        lines = Results.read(file).lines()
        assert len(lines) >= 3 and all(len(line) < 2000 for line in lines), file.name


def test_every_benchmark_says_in_one_line_what_it_shows(capsys):
    assert {"paper-denoise", "gp-solve", "speed", "before-after"} <= set(benchmarks())
    assert all(about.endswith(".") for about in benchmarks().values())
    assert main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(benchmarks())


def test_a_run_that_was_cut_off_continues_from_its_file(data, tmp_path):
    file, lines = tmp_path / "result.json", []
    options = Options(data=data)
    whole = run_benchmark("sigma", options, file, lines.append).rows
    saved = json.loads(file.read_text())
    assert saved["environment"]["versions"]["torch"] and saved["environment"]["cores"] >= 1
    file.write_text(json.dumps(saved | {"rows": saved["rows"][:1]}))
    lines.clear()
    assert run_benchmark("sigma", options, file, lines.append).rows == whole
    assert len(lines) == 2  # one new row, and the summary
    before = file.read_bytes()
    with pytest.raises(BayesDipError, match="other options"):
        run_benchmark("sigma", Options(data=data, seed=9), file)
    assert file.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_signal_ends_a_benchmark_though_the_library_answers_it_itself(tmp_path, monkeypatch, capsys):
    """A run that is stopped gives its best picture: that is no measurement, and none shall follow."""
    stopped, begun = [], []

    def measured(seed, effort):
        begun.append(seed)
        signals = [signal.SIGTERM] * (seed == 1)
        send = lambda seen: seen.step > 2 and signals and signal.raise_signal(signals.pop())  # noqa: E731
        method = MAP(arch=arch.skip(scales=1, width=4, skip=2), steps=50, device="cpu")
        found = denoise(255 * smooth_picture((16, 16)), 10, method=method, callback=send)
        stopped.append(found.stopped)
        return {"seed": seed, "loss_db": 0.0, "task": "denoise", "coverage": 0.9, "words": "", "cpu_s": 0.0}

    monkeypatch.setattr(random_problems, "measured", measured)
    file = tmp_path / "result.json"
    before = signal.getsignal(signal.SIGTERM)
    assert main(["random-problems", "--seeds", "4", "--json", str(file)]) == 130
    assert stopped == ["finished", "interrupted"] and begun == [0, 1]
    saved = json.loads(file.read_text())
    assert [row["seed"] for row in saved["rows"]] == [0] and saved["summary"]["problems"] == 1
    assert "was interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before and signal.set_wakeup_fd(-1) == -1


def test_bad_requests_are_one_clear_line(tmp_path, capsys):
    for words in (
        ["nope"],
        ["sigma"],
        ["sigma", "--data", str(tmp_path)],
        ["show", str(tmp_path / "no.json")],
    ):
        assert main(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(BayesDipError, match="16 pixels"):
        Options(crop=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper-denoise", "paper-inpaint", "gp-figure6"])
def test_the_smallest_benchmarks_run(name, data, tmp_path):
    file = tmp_path / "result.json"
    results = run_benchmark(name, Options(data=data, method="gp"), file)
    assert results.rows and json.loads(file.read_text())["rows"] == json.loads(json.dumps(results.rows))
    assert all(row["psnr"] > 15 for row in results.rows)
    if name != "gp-figure6":
        assert results.summary["psnr"] == pytest.approx(np.mean([row["psnr"] for row in results.rows]))
    if name == "paper-inpaint":
        assert 0 <= results.summary["coverage90"] <= 1


def test_the_large_hole_is_where_its_mask_is_white(tmp_path):
    folder = tmp_path / "large_hole"
    folder.mkdir()
    colours = np.stack([np.full((8, 12), level, np.uint8) for level in (10, 20, 30)], -1)
    Image.fromarray(colours).save(folder / "library.png")
    missing = np.zeros((8, 12), np.uint8)
    missing[2:4, 3:6] = 255
    Image.fromarray(missing).save(folder / "library_mask.png")
    pair = large_hole(tmp_path)
    assert np.array_equal(pair.clean, colours) and pair.given.sum() == 6 and pair.given[2, 3]
    assert pair.channel_axis == -1
    with pytest.raises(FileError, match="--data"):
        large_hole(folder)


def test_targets_keep_their_bounds():
    assert Target("x", 60.0, most=60).met and not Target("x", 61.0, most=60).met
    assert Target("x", 1.0, least=0.5).met and not Target("x", 0.4, least=0.5).met
    assert not Target("x", math.nan, most=1).met
    assert "missed" in str(Target("x", 2.0, most=1)) and "at most 1" in str(Target("x", 2.0, most=1))


def test_the_ratio_of_two_curves_is_that_of_the_worst_moment():
    slow = ([10.0, 20.0, 30.0, 40.0], [5.0, 6.0, 5.5, 8.0])
    quick = ([1.0, 2.0, 8.0], [4.0, 6.5, 9.0])
    found = speed_curves.least_ratio(slow, quick)  # 5 after 2 s, 6 after 2 s, 8 after 8 s
    assert found == {"ratio": 5.0, "at_quality": 5.0, "at_seconds": 10.0, "ratio_last": 5.0}
    never = speed_curves.least_ratio(([1.0, 2.0], [1.0, 3.0]), ([0.1, 0.2], [1.0, 2.0]))
    assert never["ratio"] == 0.0 and never["at_quality"] == 3.0


def test_the_table_of_two_versions_marks_what_is_beyond_its_limit():
    key = {"method": "gp", "effort": "fast", "case": "a", "seed": 0}
    was = {"side": "before", **key, "psnr": 30.0, "coverage": 0.9, "cpu_s": 2.0, "peak_mib": 100.0}
    now = was | {"side": "after", "psnr": 29.9, "coverage": 0.905, "cpu_s": 1.0, "peak_mib": 120.0}
    line = before_after.table([was, now]).splitlines()[2]
    assert "**-0.100**" in line and " +0.005 " in line and " 0.50 " in line and "**1.20**" in line


def test_names_with_commas_are_told_apart_by_semicolons():
    assert names("house,f16") == ("house", "f16")
    assert names("an old photo, in its scratches;white noise") == (
        "an old photo, in its scratches",
        "white noise",
    )
    assert names("low light, JPEG;") == ("low light, JPEG",)
