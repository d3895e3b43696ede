"""Damage is restored part by part, each with what is around it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import damage, damage_parts, holdout
from bayesdip.damage_parts import damaged_parts
from bayesdip.inputs import Inputs
from bayesdip.progress import Progress

PICTURE = data.astronaut()[:120, :420]
METHOD = bd.Patches(effort="fast", device="cpu")


def specks(grid=PICTURE.shape[:2]):
    """Three of them: two near each other, one at the border on the other side."""
    mask = np.zeros(grid, bool)
    mask[20:24, 30:33] = mask[40:43, 44:50] = mask[-3:, -5:] = True
    return mask


def scratch(grid=PICTURE.shape[:2]):
    """From one side of the picture to the other."""
    row, column = np.indices(grid)
    return np.abs(row - 20 - column // 5) < 2


def problem_of(mask, picture=PICTURE):
    return Inputs.inpainting(picture, mask, 0, None, "auto", -1).problem


@pytest.fixture
def small_cells(monkeypatch):
    """So that small pictures have several parts."""
    monkeypatch.setattr(damage_parts, "CELL", 96)
    monkeypatch.setattr(damage_parts, "LARGEST_PART", 200)


@pytest.mark.parametrize("mask", [specks(), scratch(), specks() | scratch(), ~specks()], ids=str)
def test_each_missing_pixel_is_in_one_part_with_a_margin_around_it(mask, small_cells, monkeypatch):
    monkeypatch.setattr(damage_parts, "FEW", 1.0)
    monkeypatch.setattr(damage_parts, "MOST", 99.0)
    parts = damaged_parts(mask)
    owned = np.zeros(mask.shape, int)
    for part in parts:
        owned[part.tile] += part.own.numpy()
        row, column = np.nonzero(part.own.numpy())
        for at, box, n in zip((row, column), part.tile, mask.shape, strict=True):
            assert at.min() >= damage_parts.MARGIN or box.start == 0
            assert box.stop - box.start - 1 - at.max() >= damage_parts.MARGIN or box.stop == n
    np.testing.assert_array_equal(owned, mask)


def test_what_hangs_together_and_is_small_and_holes_are_not_cut(small_cells):
    mask = np.zeros((300, 400), bool)
    mask[94:99, 90:120] = True  # over the corner of four cells
    mask[180:280, 100:300] = True
    owners = [np.nonzero(part.own.numpy())[0].size for part in damaged_parts(mask)]
    assert sorted(owners) == [5 * 30, 100 * 200]


def test_near_damage_is_one_part_and_damage_everywhere_none(small_cells):
    assert len(damaged_parts(specks())) == 2
    assert damaged_parts(np.random.default_rng(0).random((300, 300)) < 0.5) == []
    assert damaged_parts(np.zeros((50, 50), bool)) == []
    assert damaged_parts(scratch((64, 90))) == []


def test_parts_give_what_a_run_on_each_of_them_gives():
    problem = problem_of(specks())
    parts = damage.parts_of(problem)
    found = damage.restored(METHOD, problem, parts, Progress())
    assert len(parts) == 2
    for part in parts:
        alone = holdout.run(METHOD, part.of(problem), Progress(), wanted=damage.WANTED // 2)
        own = part.own.expand(found.posterior.mean[part.here].shape)
        assert torch.equal(found.posterior.mean[part.here][own], alone.posterior.mean[own])
        assert torch.equal(found.std[part.here][own], alone.std.float()[own])
    assert found.count == found.calibration.count


def test_known_pixels_come_back_bit_for_bit_and_are_certain():
    mask = specks()
    r = bd.inpaint(PICTURE, mask, channel_axis=-1, effort="fast", sigma=0, grow_mask=False)
    assert r.info["parts"] == 2
    np.testing.assert_array_equal(r.mean[~mask], PICTURE[~mask])
    assert not r.std[~mask].any()
    assert (r.std[mask] > 0).all()
    assert np.sqrt(np.mean((r.mean[mask] - PICTURE[mask].astype(float)) ** 2)) < 12
    places = r.calibration.held_out.places
    assert not mask.ravel()[places].any()
    values = PICTURE.reshape(-1, 3)[places].astype(float)
    error = np.abs(values - r.calibration.held_out.mean.reshape(-1, 1)).min(1)  # of one of the channels
    assert np.median(error) < 4


def test_a_scratch_over_the_whole_picture_is_as_good_in_parts_as_at_once(small_cells, monkeypatch):
    mask = scratch()
    parts = bd.inpaint(PICTURE, mask, channel_axis=-1, effort="fast", sigma=0, grow_mask=False)
    monkeypatch.setattr(damage, "parts_of", lambda problem: [])
    whole = bd.inpaint(PICTURE, mask, channel_axis=-1, effort="fast", sigma=0, grow_mask=False)
    assert parts.info["parts"] > 1
    assert "parts" not in whole.info

    def error(r):
        return np.mean((r.mean[mask] - PICTURE[mask].astype(float)) ** 2)

    assert error(parts) < 10**0.03 * error(whole)


def test_a_channel_may_lack_pixels_of_its_own():
    mask = np.zeros(PICTURE.shape, bool)
    mask[..., 1] = specks()
    r = bd.inpaint(PICTURE, mask, channel_axis=-1, effort="fast", sigma=0, grow_mask=False)
    assert r.info["parts"] == 2
    np.testing.assert_array_equal(r.mean[~mask], PICTURE[~mask])
    assert not r.std[~mask].any()
    assert (r.std[mask] > 0).all()


def test_noise_signals_and_volumes_are_restored_as_a_whole():
    mask = specks()
    exact = problem_of(mask)
    assert damage.parts_of(exact)
    noisy = Inputs.inpainting(PICTURE, mask, 10.0, None, "auto", -1).problem
    assert damage.parts_of(noisy) == []
    assert damage.parts_of(replace(exact, operator=bd.operators.Identity(exact.grid))) == []
    signal = Inputs.inpainting(PICTURE[0, :, 0], mask[41], 0, None, "auto", None).problem
    assert damage.parts_of(signal) == []


def test_a_run_that_is_stopped_says_which_parts_it_did_not_reach():
    calls = []

    def stop(snapshot):
        calls.append(snapshot)
        return len(calls) > 1

    mask = specks()
    r = bd.inpaint(PICTURE, mask, channel_axis=-1, effort="fast", sigma=0, grow_mask=False, callback=stop)
    assert r.stopped == "interrupted"
    (finding,) = [f for f in r.findings if f.kind == "parts not reached"]
    assert finding.facts["parts"] == 2
    np.testing.assert_array_equal(r.mean[~mask], PICTURE[~mask])
    assert r.std is None
    assert np.sqrt(np.mean((r.mean[mask] - PICTURE[mask].astype(float)) ** 2)) < 60


def test_progress_rises_over_the_parts_and_shows_the_whole_picture():
    shares, shown = [], []

    def note(snapshot):
        if np.isfinite(snapshot.remaining):
            shares.append(snapshot.elapsed / max(1e-9, snapshot.elapsed + snapshot.remaining))
        if snapshot.mean is not None:
            shown.append(snapshot.mean())

    bd.inpaint(PICTURE, specks(), channel_axis=-1, effort="fast", sigma=0, grow_mask=False, callback=note)
    assert shares[-1] > 0.8
    assert all(picture.shape == PICTURE.shape for picture in shown)


def test_parts_at_once_are_those_one_by_one_and_are_told_as_they_end():
    mask, found, shares = specks(), [], []
    threads = torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            progress = Progress(lambda s: shares.append((number, s.mean is not None and s.mean().shape)))  # noqa: B023
            found.append(damage.run(METHOD, problem_of(mask), progress))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    one, two = found
    assert one.posterior.info["parts"] == two.posterior.info["parts"] == 2
    assert torch.allclose(one.posterior.mean, two.posterior.mean, atol=1e-6)
    assert torch.allclose(one.std, two.std, atol=1e-6)
    assert {shape for number, shape in shares if number == 2} == {tuple(problem_of(mask).y.shape)}


def test_parts_at_once_end_when_the_callback_says_so():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        progress = Progress(lambda snapshot: True)
        outcome = damage.run(METHOD, problem_of(specks()), progress)
    finally:
        torch.set_num_threads(threads)
    assert progress.stop_reason == "interrupted"
    assert [finding.kind for finding in outcome.findings] == ["parts not reached"]
    assert outcome.posterior.mean.isfinite().all()


def test_the_same_seed_gives_the_same_bits():
    one, two = (
        bd.inpaint(PICTURE, specks(), channel_axis=-1, effort="fast", sigma=0, grow_mask=False)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.std, two.std)


@pytest.mark.parametrize(("width", "is_hole"), [(3, False), (7, False), (24, True)])
def test_what_has_no_pixel_far_from_known_ones_is_no_hole(width: int, is_hole: bool) -> None:
    """A wide scratch from border to border is cut into parts, a hole is not."""
    missing = np.zeros((64, 700), bool)
    missing[20 : 20 + width] = True
    parts = damaged_parts(missing)
    assert (len(parts) == 1) == is_hole


def test_what_is_kept_of_a_part_goes_with_its_missing_pixels(small_cells):
    problem = problem_of(specks())
    part = damage.parts_of(problem)[0]
    outcome = holdout.run(METHOD.resolved(problem), part.of(problem), Progress(), 128)
    kept = damage.slim(outcome, part)
    missing = int(part.own.sum())
    assert missing < part.own.numel() / 20
    for std in (kept.std, kept.posterior.std):
        assert std.shape == (3, missing) and std.untyped_storage().nbytes() == 4 * std.numel()
    assert kept.posterior.mean.untyped_storage().nbytes() == 0
    assert torch.equal(kept.std, outcome.std[:, part.own].float())
