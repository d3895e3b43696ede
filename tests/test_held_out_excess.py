"""What is missed of held-out data, of a true and of a simulated picture, tells the size of errors where operators mix pixels."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip import simulation
from bayesdip.held_out_excess import FEWEST, Excess, KnownExcess, excess, size_by_excess, usual_excess
from bayesdip.noise import Gaussian
from bayesdip.operators import from_matrix
from bayesdip.problem import Problem
from bayesdip.result import Posterior

DOUBT = 0.5


def projected(error, sigma, rows=400, seed=0):
    """Random sums of a picture with noise, half of them held out, and an estimate with errors of this size."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, 64)) / 8
    truth = torch.from_numpy(rng.normal(size=(1, 8, 8)))
    operator = from_matrix(matrix, (8, 8))
    y = operator.forward(truth) + sigma * torch.from_numpy(rng.normal(size=(1, rows)))
    held_out = torch.arange(rows) % 2 == 0
    estimate = truth + error * torch.from_numpy(rng.normal(size=truth.shape))
    return Posterior(estimate), Problem(y, operator, Gaussian(sigma), held_out=held_out)


@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_the_excess_is_the_error_without_the_noise(sigma):
    posterior, problem = projected(0.3, sigma)
    found = excess(posterior, problem)
    here = problem.held_out
    truth, _ = projected(0.0, sigma)
    wrong = (
        problem.operator.forward(posterior.mean - truth.mean)[:, here].square().mean()
    )  # a matrix keeps lengths in the mean
    assert found.mean == pytest.approx(float(wrong), abs=3 * found.error)
    assert found.mean == pytest.approx(0.09, rel=0.5)


def test_one_value_that_is_missed_by_far_counts_for_little():
    posterior, problem = projected(0.3, 0.1)
    y = problem.y.clone()
    y[0, 0] += 1000.0
    usual, with_one = excess(posterior, problem), excess(posterior, replace(problem, y=y))
    assert with_one.mean == pytest.approx(usual.mean, rel=0.2)


def test_few_held_out_data_tell_nothing():
    posterior, problem = projected(0.3, 0.1, rows=2 * FEWEST - 2)
    assert excess(posterior, problem) is None


@pytest.mark.parametrize("times", [0.5, 1.0, 2.0])
def test_errors_are_as_much_larger_as_what_is_missed(times):
    size, doubt = size_by_excess(1.0, DOUBT, Excess(times**2, 1e-3), KnownExcess(1.0, 1e-3, 0.3, 1.0))
    told = 0.3 * times
    assert min(told, 1.0) < size < max(told, 1.0) and abs(math.log(size / told)) < 0.4 * abs(math.log(told))
    assert doubt < 0.3


def test_held_out_data_that_are_easier_than_the_rest_tell_little():
    told = [
        size_by_excess(1.0, DOUBT, Excess(4e-3, 1e-5), KnownExcess(1e-3, 1e-5, 0.3, usual))
        for usual in (1e-3, 1.0)
    ]
    assert abs(math.log(told[0][0] / 0.6)) < 0.2 and told[0][1] < 0.3
    assert told[1][0] == pytest.approx(1.0, rel=0.1) and told[1][1] > 0.9 * DOUBT


def test_white_errors_miss_as_much_of_random_sums_as_is_usual():
    """The mean of the squares of a row's entries, times their variance."""
    _, problem = projected(0.3, 0.1)
    usual = usual_excess(0.3, problem, 0)
    rows = problem.operator.forward(
        torch.eye(int(np.prod(problem.grid))).double().reshape(-1, 1, *problem.grid)
    )
    exact = 0.3**2 * float(rows[:, problem.held_out_entries].square().sum(0).mean())
    assert usual == pytest.approx(exact, rel=0.5)


def test_noise_that_hides_the_errors_leaves_what_was_expected():
    size, doubt = size_by_excess(1.0, DOUBT, Excess(0.1, 5.0), KnownExcess(-0.1, 5.0, 0.3, 1.0))
    assert size == pytest.approx(1.0, rel=0.1) and doubt == pytest.approx(DOUBT, rel=0.1)


def test_a_picture_that_is_simpler_than_the_simulated_one_has_narrower_intervals(monkeypatch):
    """By random sums: a picture of boxes is found better than what is made of it, and its held-out sums say so."""
    rng = np.random.default_rng(1)
    truth = np.zeros((20, 20))
    truth[3:14, 5:12], truth[8:18, 9:17] = 0.6, 1.0
    matrix = rng.normal(size=(240, truth.size))
    y = matrix @ truth.ravel() + 0.05 * rng.normal(size=240)

    def size():
        """Of the standard deviation, over that of the errors."""
        operator = from_matrix(matrix, truth.shape)
        found = bd.restore(y, operator, bd.Gaussian(0.05), effort="fast", seed=0)
        assert found.calibration.simulated
        return float(np.sqrt(np.mean(found.std**2) / np.mean((found.mean - truth) ** 2)))

    told = size()
    monkeypatch.setattr(simulation, "excess", lambda posterior, problem: None)
    assert 1 < told < 0.8 * size()
