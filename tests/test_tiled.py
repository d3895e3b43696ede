"""Tiles: the same as the whole within a small part of the error, the same bits in any order, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import bayesdip as bd
from bayesdip import arch
from bayesdip.batch_processing.worker_pool import Failure
from bayesdip.errors import BayesDipError, FileError, ShapeError
from bayesdip.io.stored import open_stored
from bayesdip.resuming import stages
from bayesdip.tile_processing import seams, tiled_function
from bayesdip.tile_processing.tiled_run import working_folder
from tiled_arrays import CountingArray, in_process, noisy, smooth_picture

zarr = pytest.importorskip("zarr")
SIGMA = 15.0


def whole(path: Path) -> np.ndarray:
    """All values of a stored array."""
    stored = open_stored(path)
    return stored.read(tuple(slice(0, n) for n in stored.description.shape))


def tiled_here(monkeypatch, source, task="denoise", pool=None, **options):
    """`bd.tiled` without processes."""
    monkeypatch.setattr(tiled_function, "_pool", lambda *args: pool or in_process())
    options = {"effort": "fast", "seed": 3} | options
    return bd.tiled(source, task, **options)


@pytest.fixture(scope="module")
def clean():
    return smooth_picture((140, 140))


@pytest.fixture
def picture(clean):
    return noisy(clean, SIGMA)


def test_tiles_are_the_whole_within_a_quarter_of_its_error(monkeypatch, tmp_path, clean, picture):
    out, std = tmp_path / "out.ome.zarr", tmp_path / "std.ome.zarr"
    found = tiled_here(monkeypatch, picture, output=out, std=std, tile=64)
    alone = bd.denoise(picture, effort="fast", seed=3)
    mean, deviation = whole(out).astype(float), whole(std)
    error = np.sqrt(np.mean((alone.mean - 10 * clean) ** 2))
    assert found.tiles == 4 and found.method == "patches"
    assert np.sqrt(np.mean((mean - 10 * clean) ** 2)) < 1.03 * error
    assert np.sqrt(np.mean((mean - alone.mean) ** 2)) < 0.25 * error
    assert deviation.mean() == pytest.approx(alone.std.mean(), rel=0.15)
    inside = np.abs(mean - 10 * clean) < 1.645 * deviation
    assert 0.8 < inside.mean() < 0.99


def test_no_seam_shows(monkeypatch, tmp_path, picture):
    out, std = tmp_path / "out.ome.zarr", tmp_path / "std.ome.zarr"
    tiled_here(monkeypatch, picture, output=out, std=std, tile=48)
    borders = [48, 96]
    alone = seams(bd.denoise(picture, effort="fast", seed=3).mean, borders, borders, 48)
    found = seams(whole(out), borders, borders, 48)
    assert found.pieces == 8
    assert found.jump < 1.05 * alone.jump
    assert found.step < 1.3 * alone.step
    assert seams(whole(std), borders, borders, 48).jump < 1.3


def test_the_seam_statistic_sees_a_step_of_a_tenth_of_the_noise(picture):
    restored = bd.denoise(picture, effort="fast", seed=3).mean.astype(float)
    borders = [48, 96]
    before = seams(restored, borders, borders, 48)
    shifted = restored.copy()
    shifted[48:96] += SIGMA  # a tenth of the noise: values are tenths
    shifted[:, 96:] += SIGMA
    assert seams(shifted, borders, borders, 48).step > 1.5 * before.step


def test_an_edge_that_lies_on_a_border_is_no_seam_where_others_are_as_large():
    rng = np.random.default_rng(0)
    stripes = 50.0 * (np.arange(240) // 10 % 2)  # an edge on every border, and as many elsewhere
    picture = np.add.outer(stripes, stripes) + rng.normal(0, 1, (240, 240))
    borders = [60, 120, 180]
    found = seams(picture, borders, borders, 60)
    assert found.jump > 4 and found.step > 2.5
    assert found.jump < 1.05 * found.jump_by_chance and found.step < 1.05 * found.step_by_chance
    picture[60:120] += 40
    shifted = seams(picture, borders, borders, 60)
    assert shifted.step > 1.05 * shifted.step_by_chance


def test_truth_and_false_become_real_numbers(monkeypatch, tmp_path):
    picture = np.add.outer(np.arange(40), np.arange(40)) % 20 < 10
    picture = picture ^ (np.random.default_rng(0).random(picture.shape) < 0.02)
    tiled_here(monkeypatch, picture, output=tmp_path / "a.tif", method="gp", sigma=0.2)
    alone = bd.denoise(picture, 0.2, method="gp", effort="fast", seed=3)
    assert whole(tmp_path / "a.tif").dtype == np.float32
    assert np.abs(whole(tmp_path / "a.tif") - alone.mean).max() < 0.2


def test_metadata_that_claim_more_tiles_than_can_be_are_one_line(monkeypatch, tmp_path):
    huge = {"shape": [10**12, 10**12], "chunks": [64, 64], "dtype": "|u1", "fill_value": 0, "filters": None}
    facts = {"zarr_format": 2, "order": "C", "compressor": None, "dimension_separator": ".", **huge}
    (tmp_path / "in.zarr").mkdir()
    (tmp_path / "in.zarr" / ".zarray").write_text(json.dumps(facts))
    with pytest.raises(BayesDipError, match=r"claims to be 1000000000000 x .* tiles: expected at most"):
        tiled_here(monkeypatch, tmp_path / "in.zarr", axes="tx", output=tmp_path / "out.zarr", across="x")
    with pytest.raises(BayesDipError, match=r"claims to be"):
        tiled_here(monkeypatch, tmp_path / "in.zarr", axes="yx", output=tmp_path / "out.zarr")


def test_the_same_bits_in_any_order(monkeypatch, tmp_path, picture):
    one, other = tmp_path / "one.ome.zarr", tmp_path / "other.ome.tif"
    part = picture[:96, :80]
    tiled_here(monkeypatch, part, output=one, tile=48)
    backwards = in_process(lambda n: range(n - 1, -1, -1))
    tiled_here(monkeypatch, part, output=other, tile=48, pool=backwards)
    assert np.array_equal(whole(one), whole(other))


def test_the_same_bits_by_two_workers_and_when_one_is_killed(tmp_path, monkeypatch, picture):
    import os
    import signal
    from multiprocessing import active_children

    part, killed = picture[:96, :80], []

    def kill_one(record):
        if not killed and (workers := active_children()):
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    bd.tiled(part, output=tmp_path / "one.zarr", tile=48, effort="fast", workers=1)
    bd.tiled(part, output=tmp_path / "two.zarr", tile=48, effort="fast", workers=2, callback=kill_one)
    assert killed
    assert np.array_equal(whole(tmp_path / "one.zarr"), whole(tmp_path / "two.zarr"))


def test_an_interrupted_run_goes_on_from_the_tiles_that_are_done(monkeypatch, tmp_path, picture):
    part, out = picture[:96, :80], tmp_path / "out.ome.zarr"
    tiled_here(monkeypatch, part, output=tmp_path / "whole.ome.zarr", tile=48)
    with pytest.raises(KeyboardInterrupt):
        tiled_here(monkeypatch, part, output=out, tile=48, pool=in_process(stop_after=2))
    assert not out.exists() and working_folder(out).is_dir()
    done = []
    found = tiled_here(monkeypatch, part, output=out, tile=48, callback=lambda r: done.append(r["output"]))
    assert found.done_before == 2 and len(done) == found.tiles - 2
    assert np.array_equal(whole(out), whole(tmp_path / "whole.ome.zarr"))
    assert not working_folder(out).exists()


class KilledError(BaseException):
    """Nothing catches it."""


def test_a_tile_of_a_network_that_was_killed_goes_on_from_its_checkpoints(monkeypatch, tmp_path, picture):
    for name in ("INTERVAL", "TIMES_ITS_COST", "WORTH"):
        monkeypatch.setattr(stages, name, 0.0)
    network = bd.SGLD(arch=arch.skip(scales=1, width=6, skip=2), steps=30, samples=3, device="cpu", seed=3)
    shared = {"method": network, "tile": 32, "sigma": SIGMA, "effort": None}
    part, out = picture[:32, :48], tmp_path / "out.zarr"
    tiled_here(monkeypatch, part, output=tmp_path / "whole.zarr", **shared)
    write, read, written, resumed = stages.write_whole, stages.Stages.read, [], []

    def killed(path, part, content):
        write(path, part, content)
        written.append(path.name)
        if written.count(path.name) == 9:
            raise KilledError

    def noting(self, key, label, classes, device):
        found = read(self, key, label, classes, device)
        resumed.extend([] if found is None else [label])
        return found

    monkeypatch.setattr(stages, "write_whole", killed)
    with pytest.raises(KilledError):
        tiled_here(monkeypatch, part, output=out, **shared)
    monkeypatch.setattr(stages, "write_whole", write)
    monkeypatch.setattr(stages.Stages, "read", noting)
    assert list(working_folder(out).rglob("stage-*.safetensors"))
    tiled_here(monkeypatch, part, output=out, **shared)
    assert resumed and np.array_equal(whole(out), whole(tmp_path / "whole.zarr"))
    assert not working_folder(out).exists()


def test_a_tile_that_is_not_whole_on_the_disk_is_done_again(monkeypatch, tmp_path, picture):
    part, out = picture[:96, :80], tmp_path / "out.ome.zarr"
    with pytest.raises(KeyboardInterrupt):
        tiled_here(monkeypatch, part, output=out, tile=48, pool=in_process(stop_after=2))
    inside = zarr.open_array(str(working_folder(out) / out.name / "0"), mode="r+")
    inside[3, 3] = 0
    assert tiled_here(monkeypatch, part, output=out, tile=48).done_before == 1


def test_another_request_does_not_go_on_with_tiles_of_the_first(monkeypatch, tmp_path, picture):
    part, out = picture[:96, :80], tmp_path / "out.ome.zarr"
    with pytest.raises(KeyboardInterrupt):
        tiled_here(monkeypatch, part, output=out, tile=48, pool=in_process(stop_after=1))
    with pytest.raises(BayesDipError, match="seed was 3, is 4"):
        tiled_here(monkeypatch, part, output=out, tile=48, seed=4)
    with pytest.raises(BayesDipError, match="sample was"):
        tiled_here(monkeypatch, part + 1, output=out, tile=48)
    found = tiled_here(monkeypatch, part, output=out, tile=48, seed=4, overwrite=True)
    assert found.done_before == 0 and out.exists()


def test_memory_goes_with_the_tile_and_not_with_the_picture(monkeypatch, tmp_path):
    side, damage = 3000, (1490, 1510)
    source = CountingArray((side, side), lambda y, x: (y + 2 * x) % 200, "uint8")
    mask = CountingArray(
        (side, side),
        lambda y, x: (y % 1500 < 40) & (x > damage[0]) & (x < damage[1]),
        "uint8",
    )
    out = tmp_path / "out.zarr"
    tiled_here(monkeypatch, source, "inpaint", mask=mask, output=out, sigma=0, grow_mask=False)
    assert source.largest <= (1024 + 2 * 6 * 48) ** 2 < 0.3 * side**2
    assert source.total < 4 * side**2
    here = (slice(0, 80), slice(1400, 1600))
    read, known = open_stored(out).read(here), ~mask[here].astype(bool)
    assert np.array_equal(read[known], source[here][known])


def test_a_hole_across_tiles_is_seen_whole_by_each(monkeypatch, tmp_path, clean):
    picture = np.rint(clean).astype(np.uint8)
    gone = np.zeros(picture.shape, dtype=bool)
    gone[56:84, 55:82] = True  # over the corner of four tiles
    gone[20:130, 30:32] = True
    out = tmp_path / "out.ome.tif"
    tiled_here(
        monkeypatch, picture, "inpaint", mask=gone, output=out, std=tmp_path / "s.zarr", tile=70, sigma=0
    )
    alone = bd.inpaint(picture, gone, sigma=0, effort="fast", seed=3)
    found, std = whole(out).astype(float), whole(tmp_path / "s.zarr")
    assert np.array_equal(found[~gone], picture[~gone])
    error = np.sqrt(np.mean((found - clean)[gone] ** 2))
    assert error < 1.3 * np.sqrt(np.mean((alone.mean - clean)[gone] ** 2)) + 1
    assert not std[~gone].any() and (std[gone] > 0).all()


def test_each_channel_has_a_noise_of_its_own_and_planes_share_it(monkeypatch, tmp_path, clean):
    small = clean[:64, :64]
    levels = (5.0, 30.0)
    stack = np.stack([[noisy(small, s, seed=10 * c + z) for z in range(3)] for c, s in enumerate(levels)])
    found = tiled_here(monkeypatch, stack, output=tmp_path / "out.ome.zarr", axes="czyx")
    assert found.tiles == 6 and len(found.noise) == 2
    told = [float(words.split("sigma ")[1].split(",")[0]) for words in found.noise]
    assert told == pytest.approx([10 * s for s in levels], rel=0.15)
    mean = whole(tmp_path / "out.ome.zarr").astype(float)
    before, after = (np.sqrt(np.mean((a - 10 * small) ** 2)) for a in (stack, mean))
    assert after < 0.6 * before


def test_channels_can_be_restored_together_and_volumes_too(monkeypatch, tmp_path, clean):
    colours = np.stack([noisy(clean[:64, :64], 10, seed=s) for s in range(3)])
    found = tiled_here(monkeypatch, colours, output=tmp_path / "c.ome.zarr", axes="cyx", channels="c")
    assert found.tiles == 1
    volume = np.stack([noisy(clean[:24, :24], 10, seed=s) for s in range(8)])
    found = tiled_here(monkeypatch, volume, output=tmp_path / "v.ome.zarr", axes="zyx", across="zyx")
    assert found.tiles == 1 and found.method == "patches"
    mean = whole(tmp_path / "v.ome.zarr").astype(float)
    before, after = (np.sqrt(np.mean((a - 10 * clean[:24, :24]) ** 2)) for a in (volume, mean))
    assert after < 0.6 * before  # eight slices that are alike
    with pytest.raises(BayesDipError, match="at least 16 x 16"):
        tiled_here(
            monkeypatch, volume[:, :9], output=tmp_path / "w.zarr", axes="zyx", across="zyx", method="patches"
        )


def test_pixels_without_data_are_filled_in_or_left_where_nothing_is_known(monkeypatch, tmp_path, clean):
    picture = (clean + np.random.default_rng(0).normal(0, 8, clean.shape)).astype(np.float32)[:64]
    picture[40:44, 20:30] = -9999
    picture[:, 60:] = -9999
    out, std = tmp_path / "out.zarr", tmp_path / "std.zarr"
    found = tiled_here(monkeypatch, picture, output=out, std=std, tile=32, method="gp")
    mean, deviation = whole(out), whole(std)
    assert (mean[40:44, 20:30] > 0).all() and (deviation[40:44, 20:30] > 0).all()
    assert (mean[:, 128:] == -9999).all() and np.isnan(deviation[:, 128:]).all()
    assert "nothing known" in [finding.kind for finding in found.findings]


def test_a_request_that_cannot_be_met_is_one_line(monkeypatch, tmp_path, picture):
    out = tmp_path / "out.zarr"
    for options, error, words in (
        ({"samples": 3}, BayesDipError, "samples=3 was given, which tiles do not have"),
        ({"tile": 8}, BayesDipError, "tile is 8"),
        ({"across": "zx"}, BayesDipError, "across is 'zx', and the axes are 'yx'"),
        ({"channels": "c"}, BayesDipError, "channels is 'c'"),
        ({"mask": np.zeros((3, 3))}, BayesDipError, "mask was given to denoise"),
        ({"axes": "zyx"}, BayesDipError, "axes are 'zyx' for 2 axes"),
        ({"output": tmp_path / "a.png"}, FileError, "not written in tiles"),
        ({"output": tmp_path / "no" / "a.zarr"}, FileError, "folder does not exist"),
        ({"std": out}, FileError, "two of the outputs"),
    ):
        with pytest.raises(error, match=words):
            tiled_here(monkeypatch, picture, **({"output": out} | options))
    with pytest.raises(ShapeError, match="the mask has the axes yx of 9 x 9"):
        tiled_here(monkeypatch, picture, "inpaint", output=out, mask=np.zeros((9, 9)))
    with pytest.raises(BayesDipError, match="black on white"):
        tiled_here(monkeypatch, picture, "inpaint", output=out, mask=np.ones(picture.shape))
    with pytest.raises(BayesDipError, match="the 3 axes of 2 x 140 x 140 have no names"):
        tiled_here(monkeypatch, np.stack([picture, picture]), output=out)
    out.mkdir()
    with pytest.raises(FileError, match="exists already"):
        tiled_here(monkeypatch, picture, output=out)


def test_a_tile_that_fails_is_told_and_the_others_are_kept(monkeypatch, tmp_path, picture):
    part, out = picture[:96, :80], tmp_path / "out.zarr"
    good = in_process()

    def pool(tasks, told):
        for place, found in good(tasks, told):
            tile = type(tasks[place]).__name__ == "TileTask"
            yield place, Failure("it was too dark", "Dark") if tile and place == 1 else found

    with pytest.raises(BayesDipError, match=r"1 of \d tiles could not be restored.*too dark"):
        tiled_here(monkeypatch, part, output=out, tile=48, pool=pool)
    lines = (working_folder(out) / "batch.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["output"].startswith("tile") for line in lines) >= 3
    assert tiled_here(monkeypatch, part, output=out, tile=48).tiles >= 4


def test_a_tile_too_large_for_the_memory_is_restored_in_parts_and_said(monkeypatch, tmp_path, clean, picture):
    out, std = tmp_path / "out.zarr", tmp_path / "std.zarr"
    good = in_process()

    def pool(tasks, told):
        for place, found in good(tasks, told):
            large = type(tasks[place]).__name__ == "TileTask" and tasks[place].parts == 1
            yield place, Failure.of(MemoryError()) if large and place == 0 else found

    found = tiled_here(monkeypatch, picture, output=out, std=std, tile=128, pool=pool)
    assert [record["parts"] for record in found.records] == [2] + [1] * (found.tiles - 1)
    assert [one.kind for one in found.findings].count("small tiles") == 1
    alone = bd.denoise(picture, effort="fast", seed=3)
    error, own = (np.sqrt(np.mean((x - 10 * clean) ** 2)) for x in (alone.mean, whole(out).astype(float)))
    assert own < 1.05 * error and np.isfinite(whole(std)).all()


def test_a_tile_that_finds_no_memory_even_in_the_smallest_parts_fails(monkeypatch, tmp_path, picture):
    tried = []

    def pool(tasks, told):
        for place, found in in_process()(tasks, told):
            tile = type(tasks[place]).__name__ == "TileTask"
            tried.extend([tasks[place].parts] if tile else [])
            yield place, Failure.of(MemoryError()) if tile else found

    with pytest.raises(BayesDipError, match="the memory ran out"):
        tiled_here(monkeypatch, picture[:80, :80], output=tmp_path / "out.zarr", tile=64, pool=pool)
    assert tried[-1] > 1 and tried == sorted(tried)
