"""The benchmark of sets of noisy pictures: which runs, from where it goes on, and what it says of them."""

import numpy as np
import pytest
from benchmarks import denoise_sets, regions
from benchmarks.options import Options
from benchmarks.results import Results
from PIL import Image

from bayesdip.errors import BayesDipError, FileError


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in (("set12", (40, 48)), ("kodak24", (40, 48, 3))):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for number in (1, 2):
            picture = rng.integers(0, 256, shape).astype(np.uint8)
            Image.fromarray(picture).save(tmp_path / "sets" / name / f"{name}-{number}.png")
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins that take part of the noise away, and say how much is left."""
    made = []

    def restorer(method, share):
        def restore(data, sigma):
            made.append(method)
            mean = 128 + (1 - share) * (data - 128)
            return mean, (mean - 50, mean + 50)

        return restore

    stand_ins = {m: restorer(m, 0.1 * (1 + n)) for n, m in enumerate(denoise_sets.METHODS)}
    monkeypatch.setattr(denoise_sets, "restorers", lambda: stand_ins)
    return made


def test_the_noise_of_a_picture_is_that_of_the_seed_whatever_else_runs(data):
    job = next(denoise_sets.jobs(Options(data=data, sigma=25.0)))
    flat = np.full((40, 48), 100.0)
    noise = 25 * np.random.default_rng(3).standard_normal(flat.shape)
    np.testing.assert_array_equal(denoise_sets.noisy(flat, job, 3), flat + noise)


def test_values_beyond_the_range_are_clipped_before_they_are_compared(data, monkeypatch):
    job = next(denoise_sets.jobs(Options(data=data, sigma=25.0)))
    clean = denoise_sets.clean_picture(job, None)
    beyond = np.where(clean > 250, 400.0, clean) + 1.0
    monkeypatch.setattr(denoise_sets, "restorers", lambda: {job.method: lambda data, sigma: (beyond, None)})
    bounded = np.where(clean > 250, 255.0, clean + 1)
    expected = 10 * np.log10(255**2 / np.mean((bounded - clean) ** 2))
    assert denoise_sets.measured(job, Options(data=data))["psnr"] == pytest.approx(expected)


def test_it_goes_on_where_it_was_left_and_says_how_long_it_takes(data, calls, tmp_path):
    file, said = tmp_path / "sets.json", []
    options = Options(data=data, sigma=25.0, pictures=("set12-1",))
    results = Results("denoise-sets", denoise_sets.saved_options(options), file, said.append)
    denoise_sets.run(results, options)
    assert len(results.rows) == len(denoise_sets.METHODS)
    assert said[0].startswith("4 runs, about ")
    calls.clear()
    again = Results("denoise-sets", denoise_sets.saved_options(options), file, said.append)
    again.load()
    denoise_sets.run(again, options)
    assert not calls
    denoise_sets.run(again, Options(data=data, sigma=25.0, pictures=("set12",)))
    assert [row["picture"] for row in again.rows].count("set12-2") == len(denoise_sets.METHODS)
    assert "| set12 | 25 | balanced | 2 |" in said[-1]


def test_methods_are_chosen_by_name_and_added_to_the_same_file(data, calls, tmp_path):
    file = tmp_path / "sets.json"
    for method in ("fast,bm3d", "balanced"):
        options = Options(data=data, sigma=25.0, pictures=("set12",), method=method)
        results = Results("denoise-sets", denoise_sets.saved_options(options), file)
        results.load()
        denoise_sets.run(results, options)
    means = denoise_sets.averages(results.rows)
    assert [(m["method"], m["pictures"]) for m in means] == [("fast", 2), ("balanced", 2), ("bm3d", 2)]
    checks = [check["what"] for check in results.summary["checks"]]
    assert "set12, sigma 25, balanced: dB above BM3D" in checks


def test_an_unknown_method_is_one_clear_line(data):
    with pytest.raises(BayesDipError, match="method is 'bm4d': expected some of fast, balanced, best, bm3d"):
        list(denoise_sets.jobs(Options(data=data, method="fast,bm4d")))


def test_the_pace_is_that_of_the_rows_where_there_are_some(data, calls):
    todo = list(denoise_sets.jobs(Options(data=data, sigma=25.0, method="fast,bm3d")))
    row = {"set": "set12", "method": "fast", "cpu_seconds": 6.0, "pixels": 2000}
    pace = denoise_sets.paces(todo, [row, row | {"set": "bsd68", "cpu_seconds": 2.0}], Options(data=data))
    assert pace["fast", False] == pytest.approx(0.002)
    assert set(pace) == {("fast", False), ("bm3d", False), ("fast", True), ("bm3d", True)}
    assert calls.count("fast") == 2


def test_published_means_are_asked_for_of_whole_sets_only():
    row = {"set": "set12", "sigma": 25.0, "method": "best", "psnr": 30.4, "cpu_seconds": 1.0}
    row |= {f"coverage90{half}": 0.9 for half in ("", "_smooth", "_textured")}
    rows = [row | {"picture": str(number)} for number in range(12)]
    asked = {target.what: target for target in denoise_sets.targets(rows)}
    assert not asked["set12, sigma 25, best: PSNR"].met
    assert "set12, sigma 25, best: PSNR" not in {target.what for target in denoise_sets.targets(rows[:11])}


def test_pictures_that_some_method_lacks_take_no_part_in_the_averages():
    row = {"set": "set12", "sigma": 15.0, "cpu_seconds": 1.0}
    rows = [row | {"picture": "a", "method": m, "psnr": 30.0} for m in denoise_sets.METHODS]
    rows.append(row | {"picture": "b", "method": "fast", "psnr": 10.0})
    assert {(m["psnr"], m["pictures"]) for m in denoise_sets.averages(rows)} == {(30.0, 1)}


def test_what_takes_long_may_be_done_on_fewer_pictures_and_is_held_against_bm3d_on_these():
    row = {"set": "cbsd68", "sigma": 15.0, "cpu_seconds": 2.0}
    rows = [row | {"picture": p, "method": "balanced", "psnr": 31.0} for p in "abc"]
    rows += [
        row | {"picture": p, "method": "bm3d", "psnr": q, "cpu_seconds": 4.0}
        for p, q in zip("abc", (30.0, 28.0, 29.0), strict=True)
    ]
    rows.append(row | {"picture": "a", "method": "best", "psnr": 30.5})
    means = {m["method"]: m for m in denoise_sets.averages(rows)}
    assert [means[m]["pictures"] for m in ("balanced", "best", "bm3d")] == [3, 1, 3]
    assert means["balanced"]["above"] == pytest.approx(2.0) and means["best"]["above"] == pytest.approx(0.5)
    assert means["balanced"]["of_its_seconds"] == pytest.approx(0.5) and "above" not in means["bm3d"]


def test_textured_places_are_the_half_with_more_variance():
    picture = np.full((40, 40), 100.0)
    picture[:, 20:] += np.random.default_rng(0).normal(0, 20, (40, 20))
    textured = regions.is_textured(picture)
    assert textured[:, 23:].mean() > 0.8
    assert not textured[:, :17].any()


def test_a_folder_without_sets_is_one_clear_line(tmp_path):
    with pytest.raises(FileError, match="give the data folder with --data"):
        list(denoise_sets.jobs(Options(data=tmp_path)))
