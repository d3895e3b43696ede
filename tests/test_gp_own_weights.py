"""The weight of a pixel's own value in a process's mean, against dense algebra."""

import pytest
import torch

from bayesdip.gp.dense import dense_covariance
from bayesdip.gp.own_weights import own_weights
from bayesdip.kernels import RBF, Matern32

COLOUR = torch.tensor([[1.0, 0.6], [0.6, 2.0]], dtype=torch.float64)


def dense(kernel, grid, noise):
    covariance = torch.kron(COLOUR, dense_covariance(kernel, grid, constant=False))
    weights = covariance @ torch.linalg.inv(covariance + noise * torch.eye(len(covariance)).to(covariance))
    return weights.diagonal().reshape(2, *grid)


@pytest.mark.parametrize("kernel", [RBF(3.0), Matern32(2.0)])
@pytest.mark.parametrize(
    ("grid", "tolerance"), [((12, 15), 1e-6), ((100,), 1e-6), ((40, 36), 0.03), ((18, 60), 0.03)]
)
@pytest.mark.parametrize("noise", [1e-3, 0.1])
def test_it_is_the_diagonal_of_the_smoother_at_borders_too(kernel, grid, tolerance, noise):
    found, exact = own_weights(kernel, COLOUR, grid, noise), dense(kernel, grid, noise)
    assert found.shape == exact.shape
    assert float(((found - exact) / exact).abs().max()) < tolerance
