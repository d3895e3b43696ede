"""The benchmark of sets of noisy pictures: which runs, from where it goes on, and what it says of them."""

import numpy as np
import pytest
from benchmarks import denoise_sets
from benchmarks.options import Options
from benchmarks.results import Results
from PIL import Image

from bayesdip.errors import FileError


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
            return 128 + (1 - share) * (data - 128), np.full(data.shape, 30.0)

        return restore

    stand_ins = {m: restorer(m, 0.1 * (1 + n)) for n, m in enumerate(denoise_sets.METHODS)}
    monkeypatch.setattr(denoise_sets, "restorers", lambda: stand_ins)
    return made


def test_every_method_has_the_same_noise_and_other_pictures_have_other_noise(data):
    first, second = (
        [j for j in denoise_sets.jobs(Options(data=data, sigma=25.0)) if j.path.stem == f"set12-{n}"]
        for n in (1, 2)
    )
    flat = np.zeros((40, 48))
    noises = [denoise_sets.noisy(flat, job, 0) for job in (*first, second[0])]
    assert [job.method for job in first] == list(denoise_sets.METHODS)
    assert all(np.array_equal(noises[0], noise) for noise in noises[: len(first)])
    assert not np.array_equal(noises[0], noises[-1])
    assert noises[0].std() == pytest.approx(25, rel=0.05)


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


def test_pictures_that_some_method_lacks_take_no_part_in_the_averages():
    row = {"set": "set12", "sigma": 15.0, "cpu_seconds": 1.0}
    rows = [row | {"picture": "a", "method": m, "psnr": 30.0} for m in denoise_sets.METHODS]
    rows.append(row | {"picture": "b", "method": "fast", "psnr": 10.0})
    assert {(m["psnr"], m["pictures"]) for m in denoise_sets.averages(rows)} == {(30.0, 1)}


def test_textured_places_are_the_half_with_more_variance():
    picture = np.full((40, 40), 100.0)
    picture[:, 20:] += np.random.default_rng(0).normal(0, 20, (40, 20))
    textured = denoise_sets.is_textured(picture)
    assert textured[:, 23:].mean() > 0.8
    assert not textured[:, :17].any()


def test_a_folder_without_sets_is_one_clear_line(tmp_path):
    with pytest.raises(FileError, match="give the data folder with --data"):
        list(denoise_sets.jobs(Options(data=tmp_path)))
