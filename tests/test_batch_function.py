"""``bd.batch``: in order, the same as one by one, from arrays and from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.batch_processing.calls import described

OPTIONS = {"method": "gp", "effort": "fast"}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)


def pictures(count=3, shape=(16, 18)):
    rng = np.random.default_rng(0)
    return [(np.add.outer(*map(np.arange, shape)) + 3 * rng.normal(size=shape)).astype(np.float32)
            for _ in range(count)]  # fmt: skip


def test_arrays_come_back_in_order_as_one_by_one_and_a_bad_one_stops_nothing():
    given = [*pictures(2), np.full((6, 6), np.inf), *pictures(1, (9, 9))]
    seen = []
    items = bd.batch(given, "denoise", sigma=3, workers=2, callback=seen.append, **OPTIONS)
    assert [item.label for item in items] == [f"array {n}" for n in range(4)]
    assert sorted(item.label for item in seen) == [item.label for item in items]
    assert "NaN or infinite" in items[2].error and items[2].restoration is None
    for n in (0, 1, 3):
        alone = bd.denoise(given[n], 3, **OPTIONS)
        np.testing.assert_array_equal(items[n].restoration.mean, alone.mean)
        np.testing.assert_array_equal(items[n].restoration.std, alone.std)


def test_files_go_into_a_folder_and_are_done_once():
    Path("in").mkdir()
    masks = [np.random.default_rng(n).random((16, 18)) < 0.3 for n in range(2)]
    for n, picture in enumerate(pictures(2)):
        bd.io.write_picture(f"in/{n}.tif", picture)
    call = {"task": "inpaint", "mask": masks, "output": "out", "std": "std", "workers": 1, **OPTIONS}
    items = bd.batch("in/*.tif", **call)
    assert [item.output for item in items] == [Path("out/0.tif"), Path("out/1.tif")]
    for n, picture in enumerate(pictures(2)):
        alone = bd.inpaint(picture, masks[n], **OPTIONS)
        np.testing.assert_array_equal(bd.io.read_picture(items[n].output).pixels, alone.mean)
        np.testing.assert_array_equal(bd.io.read_picture(f"std/{n}_std.tif").pixels, alone.std)
    seen = []
    again = bd.batch("in/*.tif", callback=seen.append, **call)
    assert not seen and [item.record for item in again] == [item.record for item in items]
    bd.batch("in/*.tif", callback=seen.append, **call | {"mask": [masks[0], masks[0]]})
    assert [item.label for item in seen] == ["in/1.tif"], "its mask is another"


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ([], {}, "no pictures"),
        (["a.png", np.zeros((4, 4))], {}, "paths and arrays were given together"),
        ([np.zeros((4, 4))], {"task": "sharpen"}, "task is 'sharpen'"),
        ([np.zeros((4, 4))], {"method": "magic"}, "method is 'magic'"),
        ([np.zeros((4, 4))], {"effort": "some"}, "effort is 'some'"),
        ([np.zeros((4, 4))], {"psf": 3}, "psf=3 was given, which denoise does not have"),
        ([np.zeros((4, 4))], {"task": "inpaint", "mask": [1, 2]}, "mask is a list of 2, and there are 1"),
        ([np.zeros((4, 4))], {"std": "std"}, "std was given without output"),
        ([np.zeros((4, 4))], {"workers": 0}, "workers is 0"),
        ([np.zeros((4, 4))], {"workers": 1, "scheduler": "tcp://x:1"}, "both given"),
        ("nowhere/*.png", {}, "matches no file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(given, options, said):
    with pytest.raises(bd.BayesDipError, match=said):
        bd.batch(given, **options)


def test_options_are_described_whole_or_not_at_all():
    same = [described(bd.GP(kernel="rbf", effort=effort)) for effort in ("fast", "fast", "best")]
    assert same[0] == same[1] != same[2]
    assert described(bd.Gaussian(2.0)) != described(bd.Gaussian(3.0)) != described(bd.Laplace(3.0))
    long = np.zeros(10_000)
    assert described([long]) != described([long + (np.arange(10_000) == 5000)])
    for unknown in (lambda picture: picture, object(), bd.noise.from_log_likelihood(lambda y, mean: mean)):
        with pytest.raises(TypeError):
            described(unknown)


def test_a_sweep_restores_every_picture_with_every_combination(tmp_path):
    (picture,) = pictures(1)
    items = bd.batch(
        [picture, picture + 5], method="gp", workers=1, sweep={"sigma": [1.0, 2.0], "effort": ["fast"]}
    )
    assert [item.settings["sigma"] for item in items] == [1.0, 1.0, 2.0, 2.0]
    assert [item.restoration.sigma for item in items] == [(1.0,), (1.0,), (2.0,), (2.0,)]
    alone = bd.denoise(picture, sigma=2.0, effort="fast", method="gp")
    assert np.allclose(items[2].restoration.mean, alone.mean, atol=1e-6)
    kept = bd.batch([picture], method="gp", output=tmp_path / "out", workers=1, sweep={"sigma": [1.0, 2.0]})
    assert [item.output.relative_to(tmp_path / "out").as_posix() for item in kept] == [
        "sigma=1.0/0.npy",
        "sigma=2.0/0.npy",
    ]
    assert np.array_equal(np.load(kept[1].output).shape, picture.shape)


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"sigma": []}, "'sigma' with 0 values"),
        ({"effort": ["fast"]}, "'effort' with 1 values"),
        ({"sigma": [1.0, 1.0]}, "would be called 'sigma=1.0'"),
        ({"nope": [1]}, "nope=1 was given"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_line(sweep, words):
    with pytest.raises(bd.BayesDipError, match=words):
        bd.batch([np.zeros((4, 4))], effort="fast", sweep=sweep)
