"""One fit of one network: the rule that ends it chooses the picture, and its steps are those of the optimiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import arch
from bayesdip.errors import BayesDipError
from bayesdip.networks.energy import Energy
from bayesdip.networks.optimisers import RECIPES, Evaluation, Optimisation
from bayesdip.networks.schedule import schedule_of
from bayesdip.networks.stopping import RULES, Never, Rule
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from bayesdip.result import Posterior

GRID = (16, 16)
TINY = arch.skip(scales=2, width=8, skip=2)


def noisy(sigma: float = 0.15) -> Problem:
    ramp = torch.linspace(0.2, 0.8, 16, dtype=torch.float64).expand(1, *GRID)
    y = Gaussian(sigma).sample(ramp, torch.Generator().manual_seed(0))
    return Problem(y, Identity(GRID), Gaussian(sigma))


def fit(steps: int = 40, progress: Progress | None = None, **options: str) -> Posterior:
    method = bd.MAP(arch=TINY, steps=steps, **options)  # type: ignore[arg-type]
    return method.resolved(noisy()).fit(noisy(), progress or Progress())


@pytest.mark.parametrize("stop", RULES)
def test_a_run_under_every_rule_gives_a_picture_and_says_of_which_step(stop: str) -> None:
    found = fit(stop=stop)
    assert found.mean.shape == (1, *GRID) and bool(found.mean.isfinite().all())
    assert found.std is None and found.samples is None
    assert 1 <= found.info["picture_of_step"] <= found.info["steps"] <= 40


@pytest.mark.parametrize("optimiser", RECIPES)
def test_its_picture_is_that_of_the_same_steps_by_hand(optimiser: str) -> None:
    """Twenty steps of the optimiser on a network drawn from the same seed."""
    found = fit(20, stop="never", optimiser=optimiser, precision="single")
    target = Energy.of(noisy(), TINY, torch.Generator().manual_seed(0), "cpu")
    schedule = schedule_of("balanced", 20, by_adam=True)
    own = Optimisation.begin(target, torch.Generator().manual_seed(0), RECIPES[optimiser], schedule)
    own.advance(20)
    assert torch.allclose(found.mean, own.evaluation(20).picture, atol=1e-4)
    assert found.info["steps"] == 20 and found.stopped == "finished"


def test_a_run_that_its_rule_ends_is_shorter_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class AtTwenty(Rule):
        def ended(self, evaluation: Evaluation) -> bool:
            self.keep(evaluation)
            return evaluation.step >= 20

    monkeypatch.setitem(RULES, "discrepancy", AtTwenty)
    found = fit(stop="discrepancy")
    assert found.stopped == "stopping rule" and found.info["steps"] == 20


def test_the_picture_that_the_rule_chose_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Evaluation] = []

    class First(Never):
        def ended(self, evaluation: Evaluation) -> bool:
            if not kept:
                kept.append(replace(evaluation, picture=evaluation.picture.clone()))
                self.keep(evaluation)
            return False

    monkeypatch.setitem(RULES, "never", First)
    found = fit(stop="never")
    assert torch.equal(found.mean, kept[0].picture) and found.info["picture_of_step"] == kept[0].step


def test_an_interrupted_run_gives_what_it_has() -> None:
    found = fit(1000, Progress(lambda snapshot: snapshot.step >= 20), stop="never")
    assert found.stopped == "interrupted" and found.info["steps"] == 20
    assert bool(found.mean.isfinite().all())


@pytest.mark.parametrize(("option", "value"), [("stop", "soon"), ("optimiser", "lbfgs")])
def test_an_unknown_name_is_refused_with_the_known_ones(option: str, value: str) -> None:
    with pytest.raises(BayesDipError, match="expected one of"):
        bd.MAP(**{option: value})  # type: ignore[arg-type]


def test_it_removes_noise_and_has_no_standard_deviation() -> None:
    clean = np.add.outer(np.sin(np.linspace(0, 3, 32)), np.linspace(0, 1, 32))
    noisy = clean + np.random.default_rng(0).normal(0, 0.15, clean.shape)
    r = bd.denoise(noisy, 0.15, method=bd.MAP(arch=TINY, steps=300))
    assert np.mean((r.mean - clean) ** 2) < 0.4 * 0.15**2
    assert (r.std is None and r.raw_std is None and r.samples is None) or len(r.samples) == 0
