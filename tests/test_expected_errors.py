"""What a stationary process errs is told by what it leaves of the data, where these are many."""

import numpy as np
import pytest
import torch

from bayesdip.expected_errors import mean_square
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.simple_process import Likeliest


def smoothed(count, weight, noise, seed=0):
    """Independent values of variance one in noise, and their estimate by a weight of the data: what it expects, errs and misses."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(count)
    y = truth + np.sqrt(noise) * rng.standard_normal(count)
    return weight * noise, float(np.mean((weight * y - truth) ** 2)), y - weight * y


@pytest.mark.parametrize("weight", [0.1, 0.3])
def test_of_many_values_it_is_the_true_error(weight):
    noise = 4.0  # the best weight is 0.2
    expected, error, missed = smoothed(400_000, weight, noise)
    found = mean_square(expected, missed, np.full(missed.shape, noise))
    assert found == pytest.approx(error, rel=0.1)
    assert abs(np.log(found / error)) < abs(np.log(expected / error)) or found == pytest.approx(
        error, rel=0.05
    )


def test_of_few_values_it_is_what_is_expected():
    expected, _, missed = smoothed(60, 0.1, 100.0)
    assert mean_square(expected, missed, np.full(missed.shape, 100.0)) == pytest.approx(expected, rel=0.2)


def test_data_without_scatter_say_nothing():
    assert mean_square(2.0, np.zeros(5), np.ones(5)) == 2.0
    assert mean_square(0.0, np.arange(5.0), np.ones(5)) == 0.0


def test_a_picture_that_no_process_draws_has_larger_errors_than_the_process_expects():
    """A flat picture with one small bright square: the process's mean smears it out."""
    truth = torch.zeros(1, 128, 128, dtype=torch.float64)
    truth[:, 60:72, 60:72] = 2.0
    generator = torch.Generator().manual_seed(0)
    y = truth + torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    problem = Problem(y, Identity((128, 128)), Gaussian(1.0))
    likeliest = Likeliest(problem)
    claimed = float(likeliest.process.expected_square((128, 128), torch.ones(1)).sqrt())
    told = float(likeliest.std(problem)[0, 0, 0])
    error = float((likeliest.estimate(problem) - truth).square().mean().sqrt())
    assert abs(np.log(told / error)) < abs(np.log(claimed / error))
