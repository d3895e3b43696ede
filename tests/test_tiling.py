"""Tiles of a problem, and their posteriors blended, against the whole."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

import bayesdip as bd
from bayesdip.gp import posterior
from bayesdip.gp.grid_covariance import embed
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Identity, Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior
from bayesdip.tiling import Mosaic, can_be_cut, cut, tiles, window

KERNEL = Matern32(2.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked_problem(*shape: int, channels: int = 1, sigma: float = 0.05) -> Problem:
    """Half of a smooth picture's pixels."""
    clean = 0.5 + 0.2 * embed(KERNEL, shape).draw((channels,), seeded())
    y = clean + sigma * torch.randn(clean.shape, generator=seeded(2), dtype=clean.dtype)
    return Problem(y, Mask(torch.rand(shape, generator=seeded(1)) < 0.5), Gaussian(sigma))


def solved(problem: Problem, method: bd.GP) -> Posterior:
    return method.resolved(problem).fit(problem, Progress())


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 40 pixels that overlap by 16, always."""
    monkeypatch.setattr("bayesdip.methods.gp.TILE", 40)
    monkeypatch.setattr("bayesdip.methods.gp.MARGIN", 16)
    monkeypatch.setattr("bayesdip.methods.gp.available_memory", lambda device: 0)
    monkeypatch.setattr("bayesdip.methods.gp.check_memory", lambda *arguments: None)


@pytest.mark.parametrize("grid", [(100,), (50, 90), (7, 30), (20, 21, 22)])
@pytest.mark.parametrize("margin", [1, 3, 6])
def test_windows_of_all_tiles_sum_to_one(grid: tuple[int, ...], margin: int) -> None:
    total = torch.zeros(grid, dtype=torch.float64)
    for tile in tiles(grid, 16, margin):
        weight = window(tile, grid, margin)
        assert float(weight.min()) > 0 and float(weight.max()) <= 1
        total[tile] += weight
    torch.testing.assert_close(total, torch.ones_like(total))


def test_tiles_of_about_the_side_cover_the_grid_and_reach_a_margin_into_their_neighbours() -> None:
    cover = tiles((100, 40), 30, 5)
    rows, columns = ({(t[axis].start, t[axis].stop) for t in cover} for axis in (0, 1))
    assert rows == {(0, 38), (28, 72), (62, 100)}
    assert columns == {(0, 40)}
    assert sorted(cover, key=str) == sorted(
        product(*[[slice(*s) for s in sorted(r)] for r in (rows, columns)]), key=str
    )


def test_a_tile_of_a_problem_has_its_own_data_mask_and_noise() -> None:
    problem = masked_problem(20, 30, channels=2)
    sigma = torch.rand((2, 20, 30), generator=seeded(3), dtype=torch.float64)
    problem = Problem(problem.y, problem.operator, Gaussian(sigma))
    tile = (slice(3, 11), slice(20, 30))
    part = cut(problem, tile)
    assert torch.equal(part.y, problem.y[:, 3:11, 20:30])
    assert torch.equal(part.observed, problem.observed[:, 3:11, 20:30])
    assert isinstance(part.noise, Gaussian) and torch.equal(
        torch.as_tensor(part.noise.sigma), sigma[:, 3:11, 20:30]
    )


def test_a_tile_of_a_training_problem_hides_the_held_out_entries_and_its_whole_does_not() -> None:
    problem = masked_problem(20, 30)
    held_out = problem.observed[0] & (torch.rand((20, 30), generator=seeded(4)) < 0.2)
    problem = Problem(problem.y, problem.operator, problem.noise, held_out)
    tile = (slice(0, 12), slice(10, 25))
    part = cut(problem.training, tile)
    seen = problem.observed[:, 0:12, 10:25]
    assert torch.equal(part.observed, seen & ~held_out[tile])
    assert torch.equal(part.whole.observed, seen)
    assert part.held_out is not None and torch.equal(part.held_out, held_out[tile])
    assert torch.equal(cut(problem, tile).observed, seen)


def test_operators_that_mix_pixels_cannot_be_cut() -> None:
    y = torch.zeros(1, 9, 9, dtype=torch.float64)
    for operator, expected in ((Identity((9, 9)), True), (Blur((9, 9), torch.ones(3, 3) / 9), False)):
        assert can_be_cut(Problem(y, operator, Gaussian(0.1))) == expected


def test_tiles_of_one_posterior_are_blended_to_that_posterior() -> None:
    grid, cover = (40, 33), tiles((40, 33), 16, 4)
    mean, samples = torch.randn(2, *grid), torch.randn(3, 2, *grid)
    std = torch.rand(2, *grid) + 0.1

    def part(box: tuple[slice, ...]) -> Posterior:
        return Posterior(
            mean[:, *box],
            std[:, *box],
            samples[:, :, *box],
            {"step": [1]},
            info={"iterations": 2, "model": "a"},
        )

    mosaic = Mosaic(grid, 4, None, [(tile, part(tile)) for tile in cover])
    found = mosaic.posterior(len(cover), "finished")
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.std, std)
    torch.testing.assert_close(found.samples, samples)
    assert found.info == {"iterations": 2 * len(cover), "model": "a", "tiles": len(cover), "seam_error": 0.0}


def test_where_no_tile_has_come_to_the_fallback_stands() -> None:
    grid, cover = (40, 40), tiles((40, 40), 20, 4)
    fallback = Posterior(torch.zeros(1, *grid), torch.ones(1, *grid))
    first = Posterior(torch.ones(1, 24, 24), torch.full((1, 24, 24), 2.0), trace={"step": [1]})
    found = Mosaic(grid, 4, fallback, [(cover[0], first)]).posterior(len(cover), "time budget")
    assert found.std is not None and found.stopped == "time budget"
    assert bool((found.mean[0, :16, :16] == 1).all()) and bool((found.std[0, :16, :16] == 2).all())
    assert bool((found.mean[0, 24:] == 0).all()) and bool((found.std[0, 24:] == 1).all())
    across = found.mean[0, 0, 15:25]
    assert bool((across.diff() <= 0).all()), "it falls from the one to the other"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.05])
def test_a_gaussian_process_in_tiles_is_the_whole_one(channels: int, sigma: float, small_tiles: None) -> None:
    problem = masked_problem(90, 100, channels=channels, sigma=sigma)
    found = solved(problem, bd.GP(kernel=KERNEL, draws=0, effort="best"))
    mean = problem.y.where(problem.observed, 0).flatten(1).sum(1) / problem.observed.flatten(1).sum(1)
    whole = posterior(
        problem.y,
        problem.operator,
        KERNEL,
        problem.noise,
        mean=mean,
        colour=torch.tensor(found.info["colour"], dtype=torch.float64),
        tol=1e-6,
    )
    error, scale = found.mean - whole.mean, float(problem.y.std())
    assert found.info["tiles"] == 4
    assert float(error.square().mean().sqrt()) < 0.002 * scale
    # At the rim of a tile, which the blending gives little weight, the mean of the tile alone is far off.
    assert float(error.abs().max()) < 0.02 * scale
    assert float(error.square().mean().sqrt()) < found.info["seam_error"] < 0.3 * scale


def test_error_of_tiles_falls_with_their_margin(small_tiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, errors, seams = masked_problem(60, 60, sigma=0.1), [], []
    method = bd.GP(kernel=Matern32(4.0), draws=0, effort="best")
    monkeypatch.setattr("bayesdip.methods.gp.TILE", 30)
    mean = problem.y[problem.observed].mean()
    for margin in (2, 6, 14):
        monkeypatch.setattr("bayesdip.methods.gp.MARGIN", margin)
        found = solved(problem, method)
        colour = torch.tensor(found.info["colour"], dtype=torch.float64)
        known = {"mean": mean, "colour": colour, "tol": 1e-6}
        whole = posterior(problem.y, problem.operator, Matern32(4.0), problem.noise, **known)  # type: ignore[arg-type]
        errors.append(float((found.mean - whole.mean).square().mean().sqrt()))
        seams.append(found.info["seam_error"])
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    assert seams == sorted(seams, reverse=True)


def test_standard_deviations_do_not_jump_at_seams(small_tiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayesdip.methods.gp.TILE", 27)
    monkeypatch.setattr("bayesdip.methods.gp.MARGIN", 10)
    problem = masked_problem(50, 54)
    found = solved(problem, bd.GP(kernel=KERNEL, draws=100))
    colour = torch.tensor(found.info["colour"], dtype=torch.float64)
    whole = posterior(problem.y, problem.operator, KERNEL, problem.noise, colour=colour, exact=True)
    assert found.info["tiles"] == 4 and found.std is not None and whole.std is not None
    assert float((found.std / whole.std - 1).abs().max()) < 6 * found.info["std_error"]


def test_a_tile_without_data_keeps_the_mean_of_the_channels(small_tiles: None) -> None:
    problem = masked_problem(80, 80)
    missing = ~problem.observed[0]
    missing[:60, :60] = True
    problem = Problem(problem.y, Mask(missing), problem.noise)
    found = solved(problem, bd.GP(kernel=KERNEL, draws=0))
    seen: Tensor = problem.y[problem.observed]
    torch.testing.assert_close(
        found.mean[0, :20, :20], seen.mean().expand(20, 20).to(found.mean), atol=1e-6, rtol=0
    )
