"""The networks of a stack on the tiles of a large picture."""

from dataclasses import fields, replace

import pytest
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.holdout import split
from bayesdip.methods import stack
from bayesdip.networks.schedule import LONG
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

GRID = (70, 100)
TRUTH = torch.rand(1, *GRID, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(stack, "TILE", 32)
    monkeypatch.setattr(stack, "TILE_OF_EXACT", 16)
    monkeypatch.setattr(stack, "MARGIN", 4)


def problem(sigma=0.1, missing=None):
    if missing is None:
        missing = torch.rand(GRID, generator=torch.Generator().manual_seed(1)) < 0.3
    whole = Problem(TRUTH, Mask(missing, GRID), Gaussian(sigma))
    return replace(whole, held_out=split(whole, 0))


def stacked(given, steps=40):
    method = bd.Stack(sgld=bd.SGLD(arch=arch.skip(scales=2, width=4), steps=steps), effort="fast", samples=2)
    return method.resolved(given)


def test_a_picture_with_a_tile_that_is_all_but_unknown_is_not_cut():
    assert len(stacked(problem())._schedule_and_tiles(problem())[1]) == 6
    hole = torch.zeros(GRID, dtype=torch.bool)
    hole[:45, :45] = True
    given = problem(missing=hole)
    assert stacked(given)._schedule_and_tiles(given)[1] == [(slice(0, 70), slice(0, 100))]


@pytest.mark.parametrize(
    ("sigma", "steps", "count", "each"),
    [(0.0, 2 * LONG, 24, round(0.45 * 2 * LONG)), (0.0, LONG - 1, 6, LONG - 1), (0.1, LONG, 6, LONG)],
)
def test_long_runs_on_exact_data_have_smaller_tiles_of_fewer_steps(sigma, steps, count, each):
    given = problem(sigma)
    method = stacked(given, steps)
    schedule, cover = method._schedule_and_tiles(given)
    assert len(cover) == count and schedule.steps == each
    assert schedule.decays == (sigma == 0 and steps >= LONG)


class KnownNetwork(bd.SGLD):
    """In place of a sampled network: its posterior is the truth, and it notes what time it was given."""

    budgets: list[float | None]

    def fit_by(self, problem, progress, schedule, *, initial=True):
        self.budgets.append(progress.time_left)
        progress.advance(1.0, "sampling", step=schedule.steps, steps=schedule.steps, mean=lambda: problem.y)
        return Posterior(
            problem.y,
            torch.full_like(problem.y, 0.1),
            torch.stack([problem.y] * self.samples),
            {key: [1.0] for key in ("step", "seconds", "fit", "energy", "sampling")},
            progress.stop_reason or "finished",
            torch.zeros(self.samples, dtype=torch.int64),
            {"steps": schedule.steps, "rollbacks": 0},
        )


@pytest.fixture
def known_network(monkeypatch):
    monkeypatch.setattr(KnownNetwork, "budgets", [], raising=False)
    given = problem()
    method = stacked(given)
    options = {field.name: getattr(method.sgld, field.name) for field in fields(method.sgld)}
    return replace(method, sgld=KnownNetwork(**options)), given


def test_every_tile_has_its_share_of_the_time(known_network):
    method, given = known_network
    method.fit(given.training, Progress(time_budget=600.0))
    assert len(KnownNetwork.budgets) == 6
    # Tiles that take no time leave theirs to the later ones: a sixth, a fifth, ... of what is left.
    for n, budget in enumerate(KnownNetwork.budgets):
        assert budget == pytest.approx(KnownNetwork.budgets[-1] / (6 - n), rel=0.02)


def test_networks_that_are_right_in_every_tile_draw_the_picture_to_the_truth(known_network):
    """The data are the truth of this test: the network's weight comes from held-out pixels, which it predicts exactly."""
    method, given = known_network
    found = method.fit(given.training, Progress())
    assert float((found.mean - TRUTH).square().mean()) < 1e-3
    assert len(found.samples) == 2 and found.info["tiles"] == 6 and found.info["steps"] == 6 * 40


def test_stopped_after_a_tile_the_others_are_those_of_patches(known_network):
    method, given = known_network
    done = []

    def stop(snapshot):
        done.append(snapshot.step)
        return snapshot.step == 40

    found = method.fit(given.training, Progress(stop))
    patches = bd.Patches(effort="fast").resolved(given).fit(given.training, Progress())
    assert found.info["steps"] == 40 and len(found.samples) == 0
    assert torch.allclose(found.mean[:, 45:, 60:], patches.mean[:, 45:, 60:].to(found.mean), atol=1e-6)
    first = (found.mean - TRUTH)[:, :20, :20].square().mean()
    assert first < (patches.mean - TRUTH)[:, :20, :20].square().mean()


@pytest.mark.slow
def test_sampled_tiles_are_a_picture_of_the_whole_and_repeat_with_the_seed():
    smooth = torch.linspace(0, 1, GRID[1], dtype=torch.float64).expand(1, *GRID)
    y = Gaussian(0.1).sample(smooth, torch.Generator().manual_seed(2))
    whole = Problem(y, Mask(torch.zeros(GRID, dtype=torch.bool), GRID), Gaussian(0.1))
    given = replace(whole, held_out=split(whole, 0))
    one, again = (stacked(given, 150).fit(given.training, Progress()) for _ in range(2))
    assert one.info["tiles"] == 6 and len(one.samples) == 2
    assert float((one.mean - smooth).square().mean().sqrt()) < 0.05
    assert torch.equal(one.mean, again.mean)
