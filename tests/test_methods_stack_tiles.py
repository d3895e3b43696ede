"""Parts of a picture put together: against the picture that they were cut from."""

from dataclasses import replace

import pytest
import torch
from bayesdip.gp.held_out import bare
from bayesdip.posterior import Posterior
from bayesdip.settings import Settings

from bayesdip import arch
from bayesdip.errors import NoResultError
from bayesdip.methods import sgld
from bayesdip.networks import tiles as parts
from bayesdip.networks.schedule import LONG
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.problem import Problem
from bayesdip.progress import Progress, Snapshot

SHAPE = (70, 100)
SETTINGS = Settings(arch=arch.skip(scales=2, width=4), method="stack", samples=2, steps=40)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "PIXELS", 32 * 32)
    monkeypatch.setattr(parts, "MARGIN", 4)


@pytest.fixture
def truth():
    return torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def seen(truth, missing=0.3):
    gone = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) < missing
    return Problem(truth.clone(), Mask(gone), Gaussian(0.1))


def otherwise(truth):
    return Posterior(
        torch.zeros_like(truth), torch.full_like(truth, 2.0), truth.new_empty((0, *truth.shape)), {}
    )


def telling_the_data(problem, settings, progress, schedule, initial_estimate=True):
    """In place of a sampled network: its "posterior" is what it was given."""
    y = problem.y
    trace = {
        "step": [1.0, 2.0],
        "seconds": [0.1, 0.2],
        "fit": [3.0, 1.0],
        "energy": [5.0, 4.0],
        "sampling": [0.0, 1.0],
    }
    snapshot = Snapshot("sampling", 2, 2, 0.2, 0.0, 1.0, mean=lambda: y)
    progress.report(snapshot)
    info = {"steps": 2, "rollbacks": 1, "sampler": "psgld"}
    samples = torch.stack([y + k for k in range(settings.samples)])
    return Posterior(
        y, torch.ones_like(y), samples, trace, progress.stop_reason or "finished", torch.zeros(2), info=info
    )


@pytest.mark.parametrize("shape", [(70, 100), (32, 32), (31, 200), (500,)])
def test_the_windows_of_all_parts_add_up_to_one_everywhere(shape):
    whole = Problem(torch.zeros(1, *shape), Mask(torch.zeros(shape, dtype=torch.bool)), Gaussian(0.1))
    total = torch.zeros(shape, dtype=torch.float64)
    for part in parts.parts_of(whole, parts.PIXELS):
        total[part] += parts.window(part, shape)
    assert torch.allclose(total, torch.ones_like(total))


def test_a_picture_of_one_part_is_not_cut():
    whole = Problem(torch.zeros(1, 40, 40), Mask(torch.zeros(40, 40, dtype=torch.bool)), Gaussian(0.1))
    assert parts.parts_of(whole, parts.PIXELS) == [(slice(0, 40), slice(0, 40))]


def test_nor_is_one_with_a_part_that_is_all_but_unknown(truth):
    assert len(parts.parts_of(seen(truth), parts.PIXELS)) == 6
    gone = torch.zeros(SHAPE, dtype=torch.bool)
    gone[:45, :45] = True
    holed = replace(seen(truth), operator=Mask(gone))
    assert parts.parts_of(holed, parts.PIXELS) == [(slice(0, 70), slice(0, 100))]


@pytest.mark.parametrize(
    ("sigma", "steps", "count", "own_steps"),
    [(0.0, LONG, 24, round(0.45 * LONG)), (0.0, LONG - 1, 6, LONG - 1), (0.1, LONG, 6, LONG)],
)
def test_long_runs_on_exact_data_have_smaller_parts_of_fewer_steps(
    truth, monkeypatch, sigma, steps, count, own_steps
):
    monkeypatch.setattr(parts, "PIXELS_OF_EXACT", 16 * 16)
    whole = replace(seen(truth), noise=Gaussian(sigma))
    found, schedule = parts.planned(whole, replace(SETTINGS, steps=steps))
    assert len(found) == count and schedule.steps == own_steps
    assert schedule.falls == (sigma == 0 and steps >= LONG)


def test_a_part_has_its_own_data_mask_and_noise(truth):
    sigma = torch.rand(SHAPE, dtype=torch.float64) + 0.1
    whole = replace(seen(truth), noise=Gaussian(sigma))
    part = (slice(10, 40), slice(50, 90))
    own = parts.cut(whole, part)
    assert torch.equal(own.y, truth[:, 10:40, 50:90])
    assert torch.equal(own.operator.observed[0], whole.operator.observed[part])
    assert torch.equal(own.noise.sigma[1], sigma[part])
    assert own.grid == (30, 40)


def test_parts_that_are_known_give_the_whole(truth, monkeypatch):
    monkeypatch.setattr(sgld, "run", telling_the_data)
    heard = []
    progress = Progress(lambda snapshot: heard.append((snapshot.step, snapshot.steps, snapshot.mean())))
    found = parts.run(seen(truth), SETTINGS, progress, otherwise(truth))
    assert torch.allclose(found.mean, truth)
    assert torch.allclose(found.std, torch.ones_like(truth))
    assert torch.allclose(found.samples, torch.stack([truth, truth + 1]))
    assert found.info == {"steps": 12, "rollbacks": 6, "sampler": "psgld", "parts": 6}
    assert found.trace["fit"] == pytest.approx([3.0, 1.0]) and found.trace["energy"] == [30.0, 24.0]
    assert found.trace["step"] == [1.0, 2.0] and found.trace["sampling"] == [0.0, 1.0]
    assert [step for step, _, _ in heard] == [2, 4, 6, 8, 10, 12]
    assert {steps for _, steps, _ in heard} == {12}
    first_part = parts.parts_of(seen(truth), parts.PIXELS)[0]
    inner = (slice(None), *(slice(s.start, s.stop - 8) for s in first_part))
    assert torch.allclose(heard[0][2][inner], truth[inner])
    assert torch.allclose(heard[-1][2], truth)


def test_stopped_early_the_rest_is_as_it_was(truth, monkeypatch):
    monkeypatch.setattr(sgld, "run", telling_the_data)
    progress = Progress(lambda snapshot: snapshot.step >= 2)
    found = parts.run(seen(truth), SETTINGS, progress, otherwise(truth))
    assert found.stopped == "interrupted" and found.info["parts"] == 1
    assert torch.allclose(found.mean[:, :20, :20], truth[:, :20, :20])
    assert (found.mean[:, 45:, 60:] == 0).all() and (found.std[:, 45:, 60:] == 2).all()
    assert len(found.samples) == 0


def test_what_parts_were_without_the_hidden_pixels_is_put_together_by_itself(truth, monkeypatch):
    """And it is what a callback gets: what it says must not depend on pixels that judge it."""

    def told(problem, settings, progress, schedule, initial_estimate=True):
        found = telling_the_data(problem, settings, progress, schedule)
        return replace(found, without=bare(found.mean + 1, found.std))

    monkeypatch.setattr(sgld, "run", told)
    blind = replace(otherwise(truth), without=bare(torch.full_like(truth, 5.0), None))
    heard = []
    progress = Progress(lambda snapshot: heard.append(snapshot.mean()) or snapshot.step >= 4)
    found = parts.run(seen(truth), SETTINGS, progress, blind)
    assert torch.allclose(found.mean[:, :20, :60], truth[:, :20, :60])
    assert torch.allclose(found.without.mean[:, :20, :60], truth[:, :20, :60] + 1)
    assert (found.mean[:, 45:, :] == 0).all() and (found.without.mean[:, 45:, :] == 5).all()
    assert torch.allclose(heard[1][:, :20, :20], truth[:, :20, :20] + 1)
    assert (heard[1][:, 45:, :] == 5).all()


def test_stopped_before_the_first_picture_there_is_none(truth, monkeypatch):
    def nothing(problem, settings, progress, schedule, initial_estimate=True):
        raise NoResultError("stopped", "interrupted")

    monkeypatch.setattr(sgld, "run", nothing)
    with pytest.raises(NoResultError):
        parts.run(seen(truth), SETTINGS, Progress(), otherwise(truth))


def test_each_part_has_its_share_of_the_time(truth, monkeypatch):
    budgets = []

    def noting(problem, settings, progress, schedule, initial_estimate=True):
        budgets.append(progress.time_budget)
        return telling_the_data(problem, settings, progress, schedule)

    monkeypatch.setattr(sgld, "run", noting)
    parts.run(seen(truth), SETTINGS, Progress(time_budget=60.0), otherwise(truth))
    assert len(budgets) == 6
    assert all(9.5 < budget < 61 for budget in budgets)
    assert budgets[0] == pytest.approx(10, abs=0.5) and budgets[-1] > 55


def test_sampled_parts_are_a_picture_of_the_whole(truth):
    smooth = torch.linspace(0, 1, SHAPE[1], dtype=torch.float64).expand(1, *SHAPE)
    generator = torch.Generator().manual_seed(2)
    y = smooth + 0.1 * torch.randn(smooth.shape, generator=generator, dtype=torch.float64)
    whole = Problem(y, Mask(torch.zeros(SHAPE, dtype=torch.bool)), Gaussian(0.1))
    settings = replace(SETTINGS, steps=150)
    found = parts.run(whole, settings, Progress(), otherwise(y))
    assert found.mean.shape == y.shape and len(found.samples) == 2
    assert float((found.mean - smooth).square().mean().sqrt()) < 0.08
    again = parts.run(whole, settings, Progress(), otherwise(y))
    assert torch.equal(found.mean, again.mean)
