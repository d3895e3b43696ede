"""Holes on a coarser grid: how coarse it is, what is seen on it, and what is made of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip import arch, damage, holdout
from bayesdip.methods import choose, hole_filling
from bayesdip.methods.hole_filling import beside_networks
from bayesdip.networks import coarse_grid
from bayesdip.networks.coarse_grid import (
    BestInHoles,
    _distance,
    coarsened,
    coarseness,
    hole_schedule,
    refined,
)
from bayesdip.networks.muon import MuonStepper
from bayesdip.networks.schedule import SCHEDULES
from bayesdip.networks.setup import set_up
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.simple_comparison import _beside

GRID = (128, 160)
TINY = arch.skip(scales=2, width=8, skip=2)


def hole(grid=GRID, side=40, at=(40, 60)):
    mask = torch.zeros(grid, dtype=torch.bool)
    mask[at[0] : at[0] + side, at[1] : at[1] + side] = True
    return mask


def problem_of(missing, sigma=0.0, channels=1):
    rows = torch.linspace(0, 1, missing.shape[-2], dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 1, missing.shape[-1], dtype=torch.float64)
    picture = (0.5 + 0.4 * torch.sin(7 * rows) * torch.cos(5 * columns)).expand(channels, -1, -1).clone()
    return Problem(picture, Mask(missing, picture.shape[1:]), Gaussian(sigma))


def test_the_deeper_a_hole_the_coarser_its_grid():
    assert coarseness(problem_of(hole((256, 256), side=100, at=(80, 80)))) == 8
    assert coarseness(problem_of(hole(side=60))) == 4
    assert coarseness(problem_of(hole())) == coarseness(problem_of(hole(side=14))) == 2
    assert coarseness(problem_of(hole(side=6))) == 0
    assert coarseness(problem_of(hole(), sigma=0.1)) == 0
    scattered = torch.rand(GRID, generator=torch.Generator().manual_seed(0)) < 0.5
    assert coarseness(problem_of(scattered)) == 0


def test_no_grid_is_too_large_for_steps_to_be_enough_or_too_small_for_a_network(monkeypatch):
    monkeypatch.setattr(coarse_grid, "MOST_PIXELS", {"fast": 32 * 40, "balanced": 64 * 80})
    assert coarseness(problem_of(hole())) == 2
    assert coarseness(problem_of(hole()), "fast") == 4
    assert coarseness(problem_of(hole((70, 70), at=(10, 10)))) == 2
    assert coarseness(problem_of(hole((50, 50), side=30, at=(10, 10)))) == 1


def test_a_coarse_pixel_is_the_mean_of_what_is_known_of_its_block():
    missing = hole((8, 8), side=3, at=(1, 1))
    problem = problem_of(missing)
    coarse = coarsened(problem, 2)
    assert coarse.grid == (4, 4)
    known = problem.y[0, :2, :2][~missing[:2, :2]]  # three of four pixels
    assert coarse.y[0, 0, 0] == pytest.approx(float(known.mean()))
    assert not coarse.observed[0, 1, 1] and coarse.observed[0, 0, 0] and coarse.observed[0, 3, 3]


def test_regions_that_are_held_out_stay_so_on_a_coarser_grid():
    problem = problem_of(hole())
    problem = replace(problem, held_out=hole(at=(80, 12))).training
    coarse = coarsened(problem, 4)
    assert coarse.held_out is not None and coarse.held_out.sum() == 100
    assert torch.equal(coarse.held_out_entries[0], coarse.held_out)
    assert not coarse.observed[0][coarse.held_out].any() and coarse.whole.observed[0][coarse.held_out].all()
    assert torch.allclose(coarse.y[0, 20:30, 3:13], coarsened(problem_of(hole()), 4).y[0, 20:30, 3:13])


@pytest.mark.parametrize("grid", [(64, 80), (61, 83)])
def test_known_pixels_are_put_back_and_a_smooth_picture_comes_back(grid):
    missing = hole(grid, side=20, at=(20, 30))
    problem = problem_of(missing, channels=2)
    whole = problem_of(torch.zeros(grid, dtype=torch.bool), channels=2)
    fine = refined(coarsened(whole, 2).y, problem)
    assert fine.shape == problem.y.shape
    assert torch.equal(fine[:, ~missing], problem.y[:, ~missing])
    assert (fine - problem.y).abs().max() < 0.01


def test_the_picture_that_predicts_held_out_regions_best_is_taken():
    problem = replace(problem_of(hole()), held_out=hole(at=(80, 12))).training
    whole = problem_of(torch.zeros(GRID, dtype=torch.bool))
    best = BestInHoles(problem)
    assert best.offer(whole.y + 0.1) and best.offer(coarsened(whole, 2).y + 0.01)
    assert not best.offer(whole.y + 0.2)
    assert (best.picture - whole.y).abs().max() < 0.05


def filled(callback=None, **options):
    """A part of a picture in colour with a square hole, filled in by a tiny network; the picture, and what was missing."""
    picture, missing = data.astronaut()[40:136, 180:276], np.zeros((96, 96), bool)
    missing[30:60, 30:60] = True
    method = bd.SGLD(arch=TINY, device="cpu", **options)
    asked = {"sigma": 0, "grow_mask": False, "channel_axis": -1, "callback": callback}
    return bd.inpaint(picture, missing, method=method, **asked), picture, missing


def test_what_a_run_takes_is_told_by_the_networks_steps_and_not_by_the_patches():
    told = []
    found, _, _ = filled(steps=40, callback=lambda snapshot: told.append(snapshot.estimate))
    (estimate,) = [each for each in told if each is not None]
    assert estimate.steps == found.info["steps"]


def test_samples_of_a_hole_agree_where_pixels_are_known_and_differ_in_it():
    found, picture, missing = filled(steps=160, samples=4)
    assert found.info["coarser"] == 2 and found.info["chains"] == 4
    spread = found.samples.astype(float).std(0)
    assert spread[~missing].max() == 0 and spread[missing].mean() > 1
    np.testing.assert_array_equal(found.mean[~missing], picture[~missing])
    assert found.calibration.far is not None and (found.std[missing] > 0).all()


def fits_of_large_holes(monkeypatch, **options):
    """What `SGLD.fit` gives where the picture counts as large: of its problem, and posterior; and the result."""
    fits, fit = [], bd.SGLD.fit

    def noted(method, problem, progress):
        fits.append((problem, fit(method, problem, progress)))
        return fits[-1][1]

    monkeypatch.setattr(bd.SGLD, "fit", noted)
    monkeypatch.setattr(hole_filling, "LARGE_GRID", 2000)
    found, _, _ = filled(steps=80, samples=4, **options)
    return fits[0], found


def test_a_large_picture_has_a_network_on_its_own_grid_beside_the_coarser_ones(monkeypatch):
    (problem, best), found = fits_of_large_holes(monkeypatch)
    other, patches = best.beside, best.beside.beside
    assert {best.info["coarser"], other.info["coarser"]} == {1, 2} and patches.beside is None
    assert [each.name for each in _beside(best)][-1] == "patches" and len(_beside(best)) == 2
    regions, y = problem.held_out_entries, problem.y
    inside = regions & (torch.from_numpy(_distance(problem)) > 1)
    errors = [float((each.mean - y)[inside].square().mean()) for each in (best, other)]
    assert errors[0] < errors[1]
    assert found.info["coarser"] == best.info["coarser"]


def test_a_run_that_ends_before_the_fine_network_has_a_picture_gives_the_coarser_ones(monkeypatch):
    fitted, fit_by = [], bd.SGLD.fit_by

    def noted(method, problem, *args, **options):
        fitted.append(problem.grid)
        return fit_by(method, problem, *args, **options)

    monkeypatch.setattr(bd.SGLD, "fit_by", noted)
    (_, best), _ = fits_of_large_holes(monkeypatch, callback=lambda snapshot: len(fitted) > 1)
    assert fitted == [(48, 48), (96, 96)]
    assert best.info["coarser"] == 2 and best.beside is not None


def test_networks_whose_input_is_perturbed_do_not_put_blobs_into_a_hole():
    """With little noise on the input they go on to change what no known pixel has a say in."""
    clean = torch.from_numpy(data.astronaut()[100:164:2, 300:364:2] / 255).permute(2, 0, 1)
    missing = hole((32, 32), side=12, at=(10, 10))
    problem = Problem(torch.where(missing, 0.0, clean), Mask(missing, (32, 32)), Gaussian(0.0))
    errors = []
    usual = SCHEDULES["balanced"].of_exact()
    cases = ((12.0, 2, 1000), (24.0, 8, 1000), (24.0, 4, 10_000), (24.0, 4, 1000))
    noises = [hole_schedule(usual, *case).sampled_input_noise for case in cases]
    assert set(noises[:3]) == {usual.sampled_input_noise}
    for noise in noises[2:]:
        made = set_up(problem, arch.skip(scales=3, width=16), seed=0, device="cpu")
        muon = MuonStepper(made.target, made.generator, input_noise=noise)
        for _ in range(75):
            picture = muon.step()
        errors.append(float((picture.double() - clean)[:, missing].square().mean().sqrt()))
    assert errors[1] < 0.6 * errors[0]


def test_a_large_picture_is_sampled_around_its_hole_alone(monkeypatch):
    picture, missing = data.astronaut()[:128, :400], np.zeros((128, 400), bool)
    missing[50:74, 30:54] = True
    grids = []
    fit = bd.SGLD.fit
    monkeypatch.setattr(
        bd.SGLD, "fit", lambda self, p, progress: grids.append(p.grid) or fit(self, p, progress)
    )
    method = bd.SGLD(arch=TINY, steps=40, samples=2, device="cpu")
    found = bd.inpaint(picture, missing, method=method, sigma=0, grow_mask=False, channel_axis=-1)
    assert grids == [(88, 86)]
    assert found.samples.shape == (2, *picture.shape) and found.std[~missing].max() == 0
    np.testing.assert_array_equal(
        found.samples[:, ~missing], np.broadcast_to(picture[~missing], (2, (~missing).sum(), 3))
    )


def test_each_part_has_its_share_of_a_time_budget(monkeypatch):
    """By its pixels; a method that ends by itself may use all that is left."""
    missing = np.zeros((128, 700), bool)
    missing[50:66, 20:36] = missing[50:66, 600:632] = True
    problem = problem_of(torch.from_numpy(missing))
    parts, budgets = damage.parts_of(problem), []
    first = parts[0].own.numel() / sum(part.own.numel() for part in parts)

    def run(method, part, progress, wanted):
        budgets.append(progress.time_budget)
        return holdout.Outcome(bd.result.Posterior(part.y), None, None, 0, None)

    monkeypatch.setattr(holdout, "run", run)
    for method in (bd.SGLD(device="cpu"), bd.Patches(device="cpu")):
        damage.restored(method, problem, parts, Progress(time_budget=900.0))
    assert (
        first < 0.5
        and budgets[0] == pytest.approx(900 * first, rel=0.1)
        and budgets[1] == pytest.approx(900, rel=0.1)
    )
    assert budgets[2:] == pytest.approx([900, 900], rel=0.1)


def test_the_papers_recipe_sees_the_whole_picture_at_once():
    assert not bd.SGLD.paper().by_parts() and bd.SGLD().by_parts()


def test_a_run_that_is_stopped_before_it_samples_has_a_picture_and_a_spread():
    found, _, missing = filled(steps=300, callback=lambda snapshot: snapshot.step >= 40)
    assert found.stopped == "interrupted" and len(found.samples) == 0
    assert found.std[missing].min() > 0 and found.std[~missing].max() == 0


def test_patches_are_averaged_with_the_networks_in_a_hole_and_stand_alone_until_there_is_one():
    picture, missing = data.astronaut()[40:136, 180:276], np.zeros((96, 96), bool)
    missing[30:60, 30:60] = True
    method, options = bd.SGLD(arch=TINY, steps=60, device="cpu"), {"sigma": 0, "grow_mask": False}
    found = bd.inpaint(picture, missing, method=method, channel_axis=-1, **options)
    weights = next(f.facts["weights"] for f in found.findings if f.facts.get("where") == "far")
    assert "patches" in weights
    stopped = bd.inpaint(
        picture, missing, method=method, channel_axis=-1, callback=lambda snapshot: True, **options
    )
    assert stopped.stopped == "interrupted"
    np.testing.assert_array_equal(stopped.mean[~missing], picture[~missing])


def test_patches_of_a_hole_are_the_networks_fallback():
    problem = problem_of(hole(side=20))
    patches = bd.Patches(effort="fast", device="cpu")
    beside = beside_networks(patches, problem, Progress())
    best = BestInHoles(problem, beside)
    assert torch.equal(best.as_posterior("time budget").mean, beside.mean)
    best.offer(problem.y + 0.1)
    found = best.as_posterior("time budget")
    assert torch.equal(found.mean, best.picture) and found.beside is beside


def test_the_choice_of_the_method_goes_by_the_distance_from_known_pixels():
    assert choose(problem_of(hole(side=40))).method.name == "sgld"
    assert choose(problem_of(hole(side=40)), "fast").method.name == "patches"
    assert choose(problem_of(hole(side=16))).method.name == "patches"
    assert choose(problem_of(hole(side=16)), "best").method.name == "sgld"
    scattered = torch.rand(GRID, generator=torch.Generator().manual_seed(0)) < 0.5
    assert choose(problem_of(scattered)).method.name == "patches"
    assert choose(problem_of(scattered), "best").method.name == "stack"
