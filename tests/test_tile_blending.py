"""Where tiles meet, one goes over into the next: without a seam, to the same bits whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import bayesdip as bd
from bayesdip.batch_processing.journal import open_journal
from bayesdip.errors import BayesDipError, FileError
from bayesdip.io.stored import Axis, Description, open_stored
from bayesdip.tile_processing import kept_tile, seams, survey, tile_task, tiled_function, tiled_run
from bayesdip.tile_processing.blending import Piece, blended, smooth_step
from bayesdip.tile_processing.kept_tile import KeptTiles
from bayesdip.tile_processing.plan import Plan, roles_of
from bayesdip.tile_processing.tile_restoration import Restored
from tiled_arrays import in_process, noisy, smooth_picture

zarr = pytest.importorskip("zarr")


def plan_of(across, side=40, margin=12, **lengths):
    axes = tuple(Axis(name, length) for name, length in lengths.items())
    description = Description(axes, np.dtype(np.uint8))
    return Plan(description, roles_of(description, across), side, margin)


PLANS = [
    plan_of("x", x=130),
    plan_of("yx", c=2, y=95, x=81),
    plan_of("yx", side=32, margin=48, y=70, x=140),
    plan_of("zyx", t=2, z=45, y=40, x=83),
]


@pytest.mark.parametrize("plan", PLANS)
def test_weights_of_all_tiles_sum_to_one_and_those_that_overlap_are_neighbours(plan):
    total = np.zeros(plan.description.shape)
    cores = [tile.core for tile in plan.tiles()]
    for core in cores:
        reach = plan.reach(core)
        total[reach] += Piece(core, reach, {}).weight(reach)
        reached = np.zeros(plan.description.shape, dtype=bool)
        reached[core] = True
        meeting = [one for one in cores if one != core and reached[plan.reach(one)].any()]
        assert meeting == plan.neighbours(core)
        reached[plan.inside(core)] = False
        others = np.zeros_like(reached)
        for one in meeting:
            others[plan.reach(one)] = True
        assert not others[plan.inside(core)].any()  # there the tile stands alone
    assert np.allclose(total, 1, rtol=1e-14)


def test_a_core_is_cut_as_before():
    assert [core[0] for core in (tile.core for tile in plan_of("x", side=40, x=89).tiles())] == [
        slice(0, 40),
        slice(40, 89),
    ]
    assert plan_of("x", side=40, x=90).count() == 3 and plan_of("x", side=40, x=7).count() == 1


@pytest.mark.parametrize("value", [np.uint8(7), np.float32(0.1), 0.1, np.nan])
def test_where_all_agree_their_value_comes_back_to_the_bit(value):
    plan = PLANS[1]
    pieces = {
        str(core): Piece(core, plan.reach(core), {"output": constant(value, plan.reach(core))})
        for core in (tile.core for tile in plan.tiles())
    }
    for piece in pieces.values():
        around = [pieces[str(core)] for core in plan.neighbours(piece.core)]
        found = blended([piece, *around])["output"]
        assert found.dtype == np.asarray(value).dtype
        assert np.array_equal(found, constant(value, piece.core), equal_nan=True)


def constant(value, region):
    return np.full([s.stop - s.start for s in region], value)


def test_whole_numbers_are_rounded_and_stay_in_their_range():
    plan = plan_of("x", side=40, margin=12, x=80)
    first, second = (tile.core for tile in plan.tiles())
    assert plan.overlap == 8
    low, high = (
        Piece(core, plan.reach(core), {"output": constant(np.uint8(v), plan.reach(core))})
        for core, v in ((first, 10), (second, 255))
    )
    share = smooth_step((np.arange(32, 48) + 0.5 - 32) / 16)
    expected = np.rint(10 + 245 * share).astype(np.uint8)
    assert np.array_equal(blended([low, high])["output"][32:], expected[:8])
    assert np.array_equal(blended([high, low])["output"][:8], expected[8:])


@pytest.fixture
def by_number(monkeypatch):
    """Each tile gives the picture as it is, and a standard deviation of its own."""

    def restored(pixels, gone, request, known, channels, seed, checkpoints=None):
        level = 1 + seed % 97 / 97
        return Restored(pixels, np.full(pixels.shape, level, np.float32))

    monkeypatch.setattr(tile_task, "restored", restored)
    monkeypatch.setattr(survey, "restored", restored)
    monkeypatch.setattr(tiled_function, "_pool", lambda *args: in_process())


def whole(path: Path) -> np.ndarray:
    """All values of a stored array."""
    stored = open_stored(path)
    return stored.read(tuple(slice(0, n) for n in stored.description.shape))


@pytest.mark.parametrize(
    ("shape", "axes", "across", "tile", "margin", "ending"),
    [
        ((9000,), "x", "x", 2000, 512, ".zarr"),
        ((200, 230), "yx", None, 100, 48, ".ome.tif"),
        ((2, 150, 130), "cyx", None, 64, 48, ".ome.zarr"),
        ((90, 100, 3), "yxs", None, 48, 48, ".ome.zarr"),
        ((90, 100, 3), "yxs", None, 48, 48, ".ome.tif"),
        ((40, 70, 64), "zyx", "zyx", 32, 16, ".ome.zarr"),
    ],
)
def test_the_standard_deviation_is_that_of_the_tiles_by_smooth_ramps(
    by_number, tmp_path, shape, axes, across, tile, margin, ending
):
    picture = np.random.default_rng(0).integers(0, 60000, shape).astype(np.uint16)
    out, std = tmp_path / f"out{ending}", tmp_path / f"std{ending}"
    options = {"axes": axes, "across": across, "tile": tile, "sigma": 9, "method": "patches"}
    found = bd.tiled(picture, output=out, std=std, effort="fast", **options)
    first = 2 if ending == ".ome.zarr" and axes == "yxs" else 0  # there colours stand before rows
    mean, deviation = (np.moveaxis(whole(path), 0, first) for path in (out, std))
    assert np.array_equal(mean, picture)  # on which all tiles agree
    plan = plan_of(across or "yx", tile, margin, **dict(zip(axes, shape, strict=True)))
    assert found.tiles == plan.count() > 3
    expected, weights = np.zeros(shape), np.zeros(shape)
    for tile_ in plan.tiles():
        level = 1 + tile_task.seed_of(0, tile_task.TILE, tile_.number) % 97 / 97
        inside = np.ones(())
        for place, (core, length) in enumerate(zip(tile_.core, shape, strict=True)):
            at, line = np.arange(length) + 0.5, np.ones(length)
            if axes[place] in plan.roles.across:
                for edge, sign in ((core.start, 1), (core.stop, -1)):
                    if 0 < edge < length:
                        t = np.clip(0.5 + sign * (at - edge) / (2 * plan.overlap), 0, 1)
                        line = line * (3 * t**2 - 2 * t**3)
            else:
                line = ((at > core.start) & (at < core.stop)).astype(float)
            inside = np.multiply.outer(inside, line)
        expected, weights = expected + inside * level, weights + inside
    assert np.allclose(weights, 1)
    assert np.allclose(deviation, expected, rtol=1e-6)


def test_no_seam_is_left_where_the_standard_deviation_steps_from_tile_to_tile(by_number, tmp_path):
    side, tile = 640, 128
    picture = np.zeros((side, side), np.float32)
    std = tmp_path / "std.zarr"
    bd.tiled(picture, output=tmp_path / "out.zarr", std=std, tile=tile, sigma=9, method="patches")
    borders = list(range(tile, side, tile))
    texture = np.random.default_rng(0).normal(0, 0.01, picture.shape)
    found = seams(whole(std) + texture, borders, borders, tile)
    assert found.step < 1.05 * found.step_by_chance and found.jump < 1.05 * found.jump_by_chance
    levels = np.random.default_rng(1).uniform(1, 2, (5, 5))
    blocks = seams(np.kron(levels, np.ones((tile, tile))) + texture, borders, borders, tile)
    assert blocks.step > 10 * blocks.step_by_chance  # which the statistic sees where they are not blended


def test_parts_of_a_tile_are_blended_too(by_number, tmp_path, monkeypatch):
    monkeypatch.setattr(tile_task.TileTask, "parts", 2)
    std, picture = tmp_path / "std.zarr", np.zeros((256, 256), np.float32)

    def pool(tasks, told):
        halved = [replace(task, parts=2) if type(task).__name__ == "TileTask" else task for task in tasks]
        return in_process()(halved, told)

    monkeypatch.setattr(tiled_function, "_pool", lambda *args: pool)
    bd.tiled(picture, output=tmp_path / "out.zarr", std=std, tile=256, sigma=9, method="patches")
    values = whole(std)
    corners = [values[k, n] for k, n in product((0, -1), (0, -1))]
    assert len(set(corners)) == 4
    steps = np.abs(np.diff(values, axis=1)).max()
    assert 0 < steps < 0.05 * np.ptp(corners)


def test_a_tile_that_knows_nothing_is_not_blended(by_number):
    plan = plan_of("x", side=40, margin=12, x=120)
    first, second, third = (tile.core for tile in plan.tiles())
    reach = plan.reach(second)
    nothing = Piece(second, reach, {"std": constant(np.nan, reach)}, np.ones(56, dtype=bool))
    one, three = (
        Piece(core, plan.reach(core), {"std": constant(v, plan.reach(core))})
        for core, v in ((first, 1.0), (third, 3.0))
    )
    assert np.array_equal(blended([one, nothing])["std"], np.ones(40))
    assert np.isnan(blended([nothing, one, three])["std"]).all()
    assert np.array_equal(blended([three, nothing])["std"], np.full(40, 3.0))


@pytest.fixture
def picture():
    return noisy(smooth_picture((140, 120)), 15.0)


def restore(picture, folder, **options):
    shared = {"tile": 64, "effort": "fast", "method": "gp", "seed": 3}
    return bd.tiled(picture, output=folder / "out.zarr", std=folder / "std.ome.tif", **shared, **options)


def test_a_run_that_ends_while_it_blends_goes_on_to_the_same_bits(monkeypatch, tmp_path, picture):
    monkeypatch.setattr(tiled_function, "_pool", lambda *args: in_process())
    folders = [tmp_path / name for name in ("whole", "ended")]
    for folder in folders:
        folder.mkdir()
    restore(picture, folders[0])
    blend, done = KeptTiles.blend, []

    def half(self, core):
        if len(done) == 2:
            for canvas in self.canvases.values():  # as one that is killed while it writes
                canvas.write(0, core, np.zeros([s.stop - s.start for s in core], canvas.levels[0].dtype))
            raise KeyboardInterrupt
        blend(self, core)
        done.append(core)

    monkeypatch.setattr(KeptTiles, "blend", half)
    with pytest.raises(KeyboardInterrupt):
        restore(picture, folders[1])
    monkeypatch.setattr(KeptTiles, "blend", blend)
    found = restore(picture, folders[1])
    assert found.done_before == found.tiles - 1  # blending did not touch what the others had written
    for name in ("out.zarr", "std.ome.tif"):
        assert np.array_equal(whole(folders[0] / name), whole(folders[1] / name))


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(tiled_run, "FEW", 0)  # blending by workers too
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        restore(picture, tmp_path / str(workers), workers=workers)
    for name in ("out.zarr", "std.ome.tif"):
        assert np.array_equal(whole(tmp_path / "1" / name), whole(tmp_path / "2" / name))


def test_a_tile_whose_strips_are_lost_is_done_again(monkeypatch, tmp_path, picture):
    monkeypatch.setattr(tiled_function, "_pool", lambda *args: in_process())
    blend = KeptTiles.blend

    def lost(self, core):
        path = next((self.folder / "strips").glob("64-*.safetensors"))
        path.write_bytes(path.read_bytes()[:-9])
        blend(self, core)

    monkeypatch.setattr(KeptTiles, "blend", lost)
    with pytest.raises(BayesDipError, match=r"cannot be read .* run the same again"):
        restore(picture, tmp_path)
    monkeypatch.setattr(KeptTiles, "blend", blend)
    found = restore(picture, tmp_path)
    assert found.done_before == found.tiles - 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_run_that_ends_between_the_names_of_its_outputs_goes_on(monkeypatch, tmp_path, picture):
    monkeypatch.setattr(tiled_function, "_pool", lambda *args: in_process())
    moved, names = tiled_run.moved, []

    def only_once(path, target):
        if names:
            raise KeyboardInterrupt  # as one that is killed: nothing after it is done
        moved(path, target)
        names.append(target.name)

    monkeypatch.setattr(tiled_run, "moved", only_once)
    with pytest.raises(KeyboardInterrupt):
        restore(picture[:80, :80], tmp_path)
    monkeypatch.setattr(tiled_run, "moved", moved)
    first, second = ("out.zarr", "std.ome.tif") if names == ["out.zarr"] else ("std.ome.tif", "out.zarr")
    assert (tmp_path / first).exists() and not (tmp_path / second).exists()
    (tmp_path / second).write_bytes(b"of another program")
    with pytest.raises(FileError, match="exists already"):
        restore(picture[:80, :80], tmp_path)
    assert (tmp_path / second).read_bytes() == b"of another program"
    (tmp_path / second).unlink()
    found = restore(picture[:80, :80], tmp_path)
    assert found.done_before == found.tiles and whole(tmp_path / second).shape == (80, 80)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(by_number, monkeypatch, tmp_path, picture):
    write, written = kept_tile.write_whole, []

    def full_after_two(path, part, content):
        if len(written) >= 2:
            part.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        write(path, part, content)

    monkeypatch.setattr(kept_tile, "write_whole", full_after_two)
    with pytest.raises(BayesDipError, match=r"2 of 4 tiles could not be restored.*No space left"):
        restore(picture, tmp_path)
    assert not (tmp_path / "out.zarr").exists()
    monkeypatch.setattr(kept_tile, "write_whole", write)
    found = restore(picture, tmp_path)
    assert found.done_before == 2 and np.array_equal(whole(tmp_path / "out.zarr"), picture)


def test_a_second_run_on_one_output_is_refused(by_number, tmp_path, picture):
    with (
        open_journal(tiled_run.working_folder(tmp_path / "out.zarr")),
        pytest.raises(FileError, match="another run of bayesdip is writing there"),
    ):
        restore(picture, tmp_path)
    restore(picture, tmp_path)
