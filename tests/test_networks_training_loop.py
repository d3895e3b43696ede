"""The loop around a stepper: what it does when a fit diverges, is interrupted, or runs out of time."""

import os
import signal

import pytest
import torch

from bayesdip.errors import BayesDipError
from bayesdip.networks.energy import Energy
from bayesdip.networks.samplers import Psgld
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import MOST_ROLLBACKS, TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress


@pytest.fixture
def target(tiny_arch):
    y = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem(y, Identity((16, 16)), Gaussian(0.1))
    return Energy.pose(problem, tiny_arch, torch.Generator().manual_seed(0), "cpu")


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
    chain = TrainingLoop(target, Progress(), 60, lambda: None)
    stepper = breaking(adam(target), 25, how)
    rate = stepper.learning_rate
    chain.advance(stepper, 1.0, "fit", pictures.append)
    assert chain.rollbacks == 1
    assert stepper.learning_rate < rate
    assert all(torch.isfinite(w).all() for w in target.weights)
    assert chain.trace["fit"][-1] < chain.trace["fit"][0]


def test_langevin_dynamics_goes_on_after_a_rollback(target):
    first = adam(target)
    chain = TrainingLoop(target, Progress(), 80, lambda: None)
    chain.advance(first, 0.5, "warm-up", lambda p: None)
    generator = torch.Generator().manual_seed(1)
    langevin = Psgld(target, generator, first.curvature(), step_size=0.02)
    langevin.temperature = 1.0
    chain.advance(breaking(langevin, 15, lambda w: w * float("nan")), 1.0, "sampling", lambda p: None)
    assert chain.rollbacks == 1 and langevin.step_size < 0.02
    assert all(torch.isfinite(u).all() for u in langevin.momentum.values)


def test_endless_divergence_is_an_error_and_no_endless_loop(target):
    stepper = adam(target)
    stepper.target.problem.y.fill_(float("nan"))
    with pytest.raises(BayesDipError, match="diverged"):
        TrainingLoop(target, Progress(), 10_000, lambda: None).advance(stepper, 1.0, "fit", lambda p: None)
    assert MOST_ROLLBACKS < 100


def test_a_callback_stops_the_run(target):
    progress = Progress(callback=lambda snapshot: snapshot.step >= 20)
    chain = TrainingLoop(target, progress, 1000, lambda: None)
    chain.advance(adam(target), 1.0, "fit", lambda p: None)
    assert chain.step == 20 and progress.stop_reason == "interrupted"


def test_ctrl_c_stops_at_the_next_step_and_the_handler_is_put_back(target):
    before = signal.getsignal(signal.SIGINT)

    def press(snapshot):
        if snapshot.step == 20:
            os.kill(os.getpid(), signal.SIGINT)

    progress = Progress(callback=press)
    chain = TrainingLoop(target, progress, 1000, lambda: None)
    with progress.interruptible():
        chain.advance(adam(target), 1.0, "fit", lambda p: None)
    assert chain.step < 40 and progress.stop_reason == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_the_time_budget_ends_the_run(target):
    progress = Progress(time_budget=0.5)
    chain = TrainingLoop(target, progress, 10_000_000, lambda: None)
    chain.advance(adam(target), 1.0, "fit", lambda p: None)
    assert progress.stop_reason == "time budget" and chain.step > 0


def test_the_cost_is_told_once_after_a_few_steps(target):
    told = []
    progress = Progress(callback=lambda p: told.append(p) if p.phase == "estimate" else None)
    TrainingLoop(target, progress, 40, lambda: None).advance(adam(target), 1.0, "fit", lambda p: None)
    assert len(told) == 1
    assert told[0].estimate.steps == 40 and told[0].estimate.seconds > 0 and told[0].estimate.memory > 0


def test_the_energy_is_minus_the_log_posterior(target):
    stepper = AdamStepper(target, torch.Generator().manual_seed(0), learning_rate=0.01, input_noise=0.0)
    picture = target.picture().detach()
    residual = (target.problem.y - picture)[target.observed]
    negative_log_likelihood = float((residual**2).sum() / (2 * target.problem.noise.sigma**2))
    prior = sum(
        float((w.detach() ** 2).sum() / (2 * s**2)) for w, s in zip(target.weights, target.stds, strict=True)
    )
    assert stepper.energy(picture) == pytest.approx(negative_log_likelihood + prior, rel=1e-4)


class Ticking(Progress):
    """A progress whose clock the test moves."""

    now, pace = 0.0, 1.0

    @property
    def elapsed(self):
        return self.now


def ticking(stepper, progress):
    """Every step of it takes the progress's pace."""
    plain = stepper.step

    def step():
        progress.now += progress.pace
        return plain()

    stepper.step = step
    return stepper


def test_the_time_left_goes_by_the_pace_of_the_present_phase(target):
    told = {}
    progress = Ticking(callback=lambda p: told.__setitem__(p.step, p.remaining))
    progress.now = 100.0  # getting ready took long, once
    chain = TrainingLoop(target, progress, 200, lambda: None)
    stepper = ticking(adam(target), progress)
    chain.advance(stepper, 0.5, "warm-up", lambda p: None)
    assert told[50] == pytest.approx(150.0) and told[100] == pytest.approx(100.0)
    progress.pace = 3.0
    chain.advance(stepper, 1.0, "sampling", lambda p: None)
    assert told[110] == pytest.approx(3 * 90.0) and told[200] == 0.0


def test_the_time_told_counts_getting_ready_once(target):
    told = []
    progress = Ticking(callback=lambda p: told.append(p.estimate) if p.estimate else None)
    progress.now = 100.0
    chain = TrainingLoop(target, progress, 200, lambda: None)
    stepper = ticking(adam(target), progress)
    chain.advance(stepper, 0.2, "warm-up", lambda p: None)
    assert [e.seconds for e in told] == [pytest.approx(101 + 199)]
