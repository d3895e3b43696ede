"""The training loop: what it does when a fit diverges, is interrupted, or has used its share of the run."""

import os
import signal

import pytest
import torch

from bayesdip.errors import BayesDipError, NoResultError
from bayesdip.networks.energy import Energy
from bayesdip.networks.samplers import Psgld
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress


@pytest.fixture
def target(tiny_arch):
    y = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem(y, Identity((16, 16)), Gaussian(0.1))
    return Energy.of(problem, tiny_arch, torch.Generator().manual_seed(0), "cpu")


def adam(target, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return AdamStepper(target, generator, learning_rate=0.01, input_noise=0.03)


def breaking(stepper, at, how):
    """The same stepper, whose weights are ruined once after its ``at``-th step."""
    taken, plain = [0], stepper.step

    def step():
        picture = plain()
        taken[0] += 1
        if taken[0] == at:
            with torch.no_grad():
                for w in stepper.weights:
                    w.copy_(how(w))
        return picture

    stepper.step = step
    return stepper


@pytest.mark.parametrize("how", [lambda w: w * float("nan"), lambda w: torch.full_like(w, 1e30)])
def test_a_divergence_is_rolled_back_and_counted(target, how):
    pictures = []
    loop = TrainingLoop(target, Progress(), 60, lambda: None)
    stepper = breaking(adam(target), 25, how)
    rate = stepper.learning_rate
    loop.advance(stepper, 1.0, "fit", pictures.append)
    assert loop.rollbacks == 1
    assert stepper.learning_rate < rate
    assert all(torch.isfinite(w).all() for w in target.weights)
    assert loop.trace["fit"][-1] < loop.trace["fit"][0]


def test_langevin_dynamics_goes_on_after_a_rollback(target):
    loop = TrainingLoop(target, Progress(), 80, lambda: None)
    loop.advance(adam(target), 0.5, "warm-up", lambda p: None)
    curvature = [torch.full_like(w, 100.0) for w in target.weights]
    generator = torch.Generator().manual_seed(1)
    langevin = Psgld(target, generator, curvature, step_size=0.02)
    langevin.temperature = 1.0
    loop.advance(breaking(langevin, 15, lambda w: w * float("nan")), 1.0, "sampling", lambda p: None)
    assert loop.rollbacks == 1 and langevin.step_size < 0.02
    assert all(torch.isfinite(u).all() for u in langevin.momentum.values)


def test_endless_divergence_is_an_error_and_no_endless_loop(target):
    stepper = adam(target)
    stepper.target.problem.y.fill_(float("nan"))
    with pytest.raises(BayesDipError, match="diverged"):
        TrainingLoop(target, Progress(), 10_000, lambda: None).advance(stepper, 1.0, "fit", lambda p: None)


def test_a_callback_stops_the_run(target):
    progress = Progress(callback=lambda snapshot: snapshot.step >= 20)
    loop = TrainingLoop(target, progress, 1000, lambda: None)
    loop.advance(adam(target), 1.0, "fit", lambda p: None)
    assert loop.step == 20 and progress.stop_reason == "interrupted"


def test_ctrl_c_stops_at_the_next_step_and_the_handler_is_put_back(target):
    before = signal.getsignal(signal.SIGINT)

    def press(snapshot):
        if snapshot.step == 20:
            os.kill(os.getpid(), signal.SIGINT)

    progress = Progress(callback=press)
    loop = TrainingLoop(target, progress, 1000, lambda: None)
    with progress.interruptible():
        loop.advance(adam(target), 1.0, "fit", lambda p: None)
    assert loop.step < 40 and progress.stop_reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_the_energy_is_minus_the_log_posterior(target):
    stepper = AdamStepper(target, torch.Generator().manual_seed(0), learning_rate=0.01, input_noise=0.0)
    picture = target.picture().detach()
    residual = (target.problem.y - picture)[target.observed]
    negative_log_likelihood = float((residual**2).sum() / (2 * target.problem.noise.sigma**2))
    prior = sum(
        float((w.detach() ** 2).sum() / (2 * s**2)) for w, s in zip(target.weights, target.stds, strict=True)
    )
    assert stepper.energy(picture) == pytest.approx(negative_log_likelihood + prior, rel=1e-4)


class Spending(Progress):
    """A progress of which the test says how much of its time budget is spent."""

    spent = 0.0

    def budget_spent(self):
        return self.spent


def spending(stepper, progress, each):
    """Every step of it spends a share of the time budget."""
    plain = stepper.step

    def step():
        progress.spent += each
        return plain()

    stepper.step = step
    return stepper


def test_a_phase_ends_at_its_share_of_the_steps_or_of_the_time_whichever_is_first(target):
    for each, steps in ((0.0, 40), (0.05, 8)):  # 0.4 of 100 steps; 0.4 of the time in steps of a twentieth
        progress = Spending()
        loop = TrainingLoop(target, progress, 100, lambda: None)
        loop.advance(spending(adam(target), progress, each), 0.4 - 1e-9, "fit", lambda p: None)
        assert loop.step == steps
        assert loop.share == pytest.approx(0.4)


def test_the_time_of_a_part_counts_in_its_span_of_the_run(target):
    progress = Spending()
    progress.spent = 0.5
    loop = TrainingLoop(target, progress, 100, lambda: None, span=(0.6, 0.8))
    assert loop.share == pytest.approx(0.7)


def test_the_first_phase_takes_a_step_though_the_set_up_took_its_time(target):
    progress = Spending()
    progress.spent = 0.9
    loop = TrainingLoop(target, progress, 100, lambda: None)
    for phase in ("warm-up", "burn-in"):
        loop.advance(adam(target), 0.5, phase, lambda p: None)
    assert loop.step == 1


def test_the_trace_has_every_tenth_step_and_says_which_were_sampled(target):
    loop = TrainingLoop(target, Progress(), 40, lambda: None)
    stepper = adam(target)
    loop.advance(stepper, 0.5, "fit", lambda p: None)
    loop.advance(stepper, 1.0, "sampling", lambda p: None)
    assert loop.trace["step"] == [1, 10, 20, 21, 30, 40]
    assert loop.trace["sampling"] == [0, 0, 0, 1, 1, 1]


def test_a_phase_ends_when_its_rule_says_so(target):
    loop = TrainingLoop(target, Progress(), 1000, lambda: None)
    loop.advance(adam(target), 1.0, "fit", lambda p: None, lambda fits: len(fits) == 3)
    assert loop.step == 20


def test_a_callback_that_asks_for_a_picture_too_early_gets_an_error(target):
    progress = Progress(callback=lambda snapshot: snapshot.mean() is None)
    with pytest.raises(NoResultError, match="no picture yet"):
        TrainingLoop(target, progress, 20, lambda: None).advance(adam(target), 1.0, "fit", lambda p: None)
