"""The exact posterior on a small grid, against the one by conjugate gradients and against what defines it."""

import numpy as np
import pytest
import torch

from bayesdip.errors import ResourceError
from bayesdip.gp.dense import LARGEST, dense_posterior
from bayesdip.gp.inference import posterior
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import from_matrix

KERNEL, SIGMA = Matern32(2.5), 0.2


def sums(rows=60, grid=(9, 8), seed=0):
    return from_matrix(np.random.default_rng(seed).normal(size=(rows, grid[0] * grid[1])), grid)


def test_mean_and_standard_deviation_are_those_of_conjugate_gradients():
    operator = sums()
    y = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 60)))
    amplitude = torch.tensor([1.0, 2.5], dtype=torch.float64)
    noise = torch.full_like(y, SIGMA**2)
    found = dense_posterior(y, operator, KERNEL, noise, amplitude)
    other = posterior(
        y, operator, KERNEL, Gaussian(SIGMA), amplitude=amplitude, colour=False, exact=True, tol=1e-3
    )
    assert torch.allclose(found.mean, other.mean.double(), atol=2e-3)
    assert torch.allclose(found.std, other.std.double(), rtol=1e-4)


def test_a_constant_that_no_data_see_is_zero():
    matrix = np.diff(np.eye(30), axis=0)
    y = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 29)))
    found = dense_posterior(
        y, from_matrix(matrix), KERNEL, torch.full_like(y, 0.01), torch.ones(1, dtype=torch.float64)
    )
    assert abs(float(found.mean.mean())) < float(found.mean.std())
    assert bool((found.std <= 1.0).all())


def test_too_many_data_are_refused():
    operator = sums(rows=LARGEST + 1, grid=(4, 4))
    y = torch.zeros(1, LARGEST + 1, dtype=torch.float64)
    with pytest.raises(ResourceError, match="data"):
        dense_posterior(y, operator, KERNEL, torch.ones_like(y), torch.ones(1, dtype=torch.float64))
