"""Optimisers and stopping rules: each does what it is named after, and takes the picture that it should."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesdip import arch
from bayesdip.errors import BayesDipError
from bayesdip.networks.energy import Energy
from bayesdip.networks.optimisers import RECIPES, Evaluation, Optimisation
from bayesdip.networks.schedule import SCHEDULES
from bayesdip.networks.stopping import (
    Discrepancy,
    HeldOut,
    Lowest,
    Never,
    Rule,
    Sure,
    WindowedVariance,
    default_rule,
)
from bayesdip.noise import Gaussian, Poisson
from bayesdip.operators import Downsample, Identity, Mask
from bayesdip.problem import Problem

GRID = (16, 16)
TINY = arch.skip(scales=2, width=8, skip=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(sigma: float = 0.15) -> Problem:
    ramp = torch.linspace(0.2, 0.8, 16, dtype=torch.float64).expand(1, *GRID)
    return Problem(Gaussian(sigma).sample(ramp, seeded()), Identity(GRID), Gaussian(sigma))


def begin(problem: Problem, recipe: str = "sgd+input+average") -> Optimisation:
    target = Energy.of(problem, TINY, seeded(), "cpu")
    return Optimisation.begin(target, seeded(), RECIPES[recipe], SCHEDULES["fast"])


def evaluations(values: list[Tensor], fits: list[float] | None = None, every: int = 10) -> list[Evaluation]:
    fits = fits or [2.0] * len(values)
    return [Evaluation(every * (i + 1), v, f, v) for i, (v, f) in enumerate(zip(values, fits, strict=True))]


def watch(rule: Rule, seen: list[Evaluation]) -> int | None:
    """The step at which the rule says to stop."""
    return next((evaluation.step for evaluation in seen if rule.ended(evaluation)), None)


# --- recipes ---------------------------------------------------------------------------------------


def test_without_averaging_the_result_is_the_latest_picture() -> None:
    fit = begin(noisy(), "sgd")
    fit.advance(5)
    evaluation = fit.evaluation(5)
    torch.testing.assert_close(evaluation.picture, evaluation.latest)
    averaged = begin(noisy(), "sgd+average")
    averaged.advance(5)
    assert not torch.allclose(averaged.evaluation(5).picture, evaluation.latest)
    torch.testing.assert_close(averaged.evaluation(5).latest, evaluation.latest)  # the same fit


def test_input_noise_changes_the_steps_and_is_off_without_it() -> None:
    assert RECIPES["sgd"].stepper(begin(noisy()).target, seeded(), SCHEDULES["fast"]).input_noise == 0
    assert begin(noisy()).stepper.input_noise == SCHEDULES["fast"].input_noise


def test_weight_decay_is_the_papers_for_the_mean_squared_error() -> None:
    """Our loss is the squared error over 2 sigma^2, so the same balance needs the decay over 2 sigma^2."""
    stepper = begin(noisy(0.1), "sgd+weight-decay").stepper
    assert stepper.adam.param_groups[0]["weight_decay"] == pytest.approx(5e-8 / (2 * 0.1**2))
    assert begin(noisy(0.1), "sgd").stepper.adam.param_groups[0]["weight_decay"] == 0


def test_two_fits_from_the_same_seeds_are_the_same() -> None:
    one, two = begin(noisy()), begin(noisy())
    one.advance(7)
    two.advance(7)
    assert torch.equal(one.evaluation(7).picture, two.evaluation(7).picture)


# --- rules on runs that are made up ------------------------------------------------------------------


def test_lowest_waits_its_patience_and_gives_the_picture_of_the_minimum() -> None:
    class Size(Lowest):
        def figure(self, evaluation: Evaluation) -> float:
            return float(evaluation.picture.mean())

    values = [torch.full((1, 4), v) for v in (5.0, 3.0, 4.0, 2.0, 6.0, 7.0, 8.0, 9.0, 1.0)]
    rule = Size(patience=30)
    assert watch(rule, evaluations(values)) == 70
    assert rule.step == 40 and rule.picture is not None and float(rule.picture[0, 0]) == 2.0


def test_discrepancy_stops_at_the_first_fit_at_the_noise_level() -> None:
    rule = Discrepancy()
    values = [torch.full((1, 4), float(i)) for i in range(4)]
    assert watch(rule, evaluations(values, [1.5, 1.01, 0.99, 0.5])) == 30 and rule.step == 30


def test_never_ends_no_run_and_chooses_no_picture() -> None:
    rule = Never()
    assert watch(rule, evaluations([torch.zeros(1, 4)] * 5, [0.1] * 5)) is None and rule.picture is None


def test_windowed_variance_finds_where_pictures_change_least() -> None:
    """Pictures move fast, then slowly around step 500, then fast again."""
    pace = torch.tensor([abs(step - 500) / 500 for step in range(0, 1000, 10)])
    generator = seeded()
    values = [p * torch.randn(1, 500, generator=generator) for p in pace]
    rule = WindowedVariance(patience=200)
    stopped = watch(rule, evaluations(values))
    assert stopped == rule.step + 200 and 500 <= rule.step <= 620  # the window evaluations back


def test_windowed_variance_is_the_sum_over_pixels_of_the_variance_in_the_window() -> None:
    generator = seeded()
    values = [torch.randn(1, 40, generator=generator) for _ in range(40)]
    rule = WindowedVariance(window=100, start=100)
    figures = [rule.figure(evaluation) for evaluation in evaluations(values)]
    assert all(figure is None for figure in figures[:19])
    expected = torch.stack(values[29:40]).var(0, correction=0).sum()
    assert figures[-1] == pytest.approx(float(expected))


# --- held-out pixels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", [Identity(GRID), Mask(torch.arange(256).view(GRID) % 2 == 0)])
def test_held_out_pixels_are_kept_from_the_fit_and_alone_are_scored(operator: Identity | Mask) -> None:
    problem = Problem(noisy().y, operator, Gaussian(0.15))
    rule = HeldOut(share=0.1)
    seen = rule.hold_out(problem, seeded())
    held_out = rule.held_out
    assert held_out is not None
    known = operator.observed.expand(1, *GRID)[0]
    assert bool(known[held_out].all()) and int(held_out.sum()) == round(0.1 * int(known.sum()))
    assert not bool(seen.operator.observed.expand(1, *GRID)[0][held_out].any())
    other = torch.where(held_out, problem.y, 9.0)
    assert rule.figure(Evaluation(10, other, 1.0, other)) == 0.0
    assert rule.figure(Evaluation(10, other + 0.5, 1.0, other)) == pytest.approx(0.25)


def test_held_out_needs_a_pixel_to_hold_out() -> None:
    one = Problem(torch.zeros(1, 1, 2), Mask(torch.tensor([[True, False]])), Gaussian(0.1))
    with pytest.raises(BayesDipError, match="held-out"):
        HeldOut().hold_out(one, seeded())


# --- SURE --------------------------------------------------------------------------------------------


class Shrink:
    """A stand-in for a fit that is linear: ``f(y) = c y``, whose divergence is c a pixel."""

    def __init__(self, y: Tensor, factor: float) -> None:
        self.y, self.factor = y, factor

    def advance(self, step: int) -> None: ...

    def evaluation(self, step: int) -> Evaluation:
        return Evaluation(step, self.factor * self.y, 1.0, self.factor * self.y)


@pytest.mark.parametrize("factor", [0.2, 0.7, 1.0])
def test_sure_of_a_linear_estimate_is_its_true_mean_squared_error(factor: float) -> None:
    clean = torch.rand(1, 200, 200, generator=seeded(1), dtype=torch.float64)
    noise = Gaussian(0.3)
    y = noise.sample(clean, seeded(2))
    target = Energy.of(Problem(y, Identity((200, 200)), noise), TINY, seeded(), "cpu")
    rule = Sure()
    rule.begin(target, lambda other: Shrink(other.y, factor))  # type: ignore[arg-type, return-value]
    estimate = factor * target.problem.y
    found = rule.figure(Evaluation(10, estimate, 1.0, estimate))
    assert found == pytest.approx(float((estimate - clean).square().mean()), abs=2e-3)


def test_sure_leaves_out_pixels_that_were_clipped_or_not_seen() -> None:
    clean = torch.rand(1, 200, 200, generator=seeded(1), dtype=torch.float64)
    noise = Gaussian(0.3, clipped=(0.0, 1.0))
    y = noise.sample(clean, seeded(2))
    gone = torch.rand(200, 200, generator=seeded(3)) < 0.3
    target = Energy.of(Problem(y, Mask(gone), noise), TINY, seeded(), "cpu")
    rule = Sure()
    rule.begin(target, lambda other: Shrink(other.y, 1.0))  # type: ignore[arg-type, return-value]
    counted = rule.seen[0]
    assert not bool((counted & gone).any()) and not bool((counted & ((y <= 0) | (y >= 1))[0]).any())
    found = rule.figure(Evaluation(10, target.problem.y, 1.0, target.problem.y))
    assert found == pytest.approx(0.3**2, rel=0.02)  # the noise itself: no residual, divergence 1


@pytest.mark.parametrize(
    ("operator", "noise"), [(Downsample((32, 32), 2), Gaussian(0.1)), (Identity(GRID), Poisson(0.01))]
)
def test_sure_says_where_it_does_not_hold(operator: Identity | Downsample, noise: Gaussian | Poisson) -> None:
    target = Energy.of(Problem(noisy().y, operator, noise), TINY, seeded(), "cpu")
    with pytest.raises(BayesDipError, match="held-out"):
        Sure().begin(target, begin)


@pytest.mark.slow
def test_a_fit_overfits_and_held_out_pixels_notice() -> None:
    rule: Rule = HeldOut(patience=150)
    problem = noisy(0.3)
    clean = torch.linspace(0.2, 0.8, 16).expand(1, *GRID)
    fit = begin(rule.hold_out(problem, seeded()), "sgd")
    errors: dict[int, float] = {}
    for step in range(10, 601, 10):
        fit.advance(step)
        evaluation = fit.evaluation(step)
        errors[step] = float((evaluation.picture - clean).square().mean())
        rule.ended(evaluation)
    assert errors[600] > 1.5 * min(errors.values())
    assert errors[rule.step] < 0.8 * errors[600]


def test_noisy_data_have_a_rule_by_default_and_exact_data_none() -> None:
    assert default_rule(noisy()) == "held-out"
    assert default_rule(noisy(0.0)) == "never"
    few = Mask(torch.arange(256).view(GRID) >= 50)
    assert default_rule(Problem(noisy().y, few, Gaussian(0.1))) == "discrepancy"
