"""A GPyTorch model with a kernel of bayesdip against our own posterior and a dense one."""

from __future__ import annotations

import pytest
import torch

from bayesdip import arch
from bayesdip.errors import BayesDipError
from bayesdip.kernels import Matern32

gpytorch = pytest.importorskip("gpytorch")
from bayesdip.kernels.gpytorch_kernel import GridKernel  # noqa: E402


def pixels(*grid: int) -> torch.Tensor:
    return torch.cartesian_prod(*[torch.arange(n) for n in grid]).reshape(-1, len(grid)).double()


def test_grid_kernel_is_the_kernel_at_the_lags_of_pixels() -> None:
    kernel = arch.skip(scales=2).kernel()
    x = pixels(4, 5)
    K = GridKernel(kernel)(x, x[3:9]).to_dense()
    table = kernel.quadrant((4, 5))
    for i in (0, 7, 19):
        for j in range(6):
            s, t = (x[i] - x[3 + j]).abs().long().tolist()
            assert float(K[i, j]) == float(table[s, t])
    scaled = GridKernel(kernel, spacing=0.25)(x / 4).to_dense()
    assert torch.equal(scaled, GridKernel(kernel)(x).to_dense())
    assert GridKernel(kernel)(x, diag=True).tolist() == [1.0] * 20


def test_grid_kernel_agrees_with_gpytorchs_own_matern() -> None:
    x = pixels(6, 6)
    theirs = gpytorch.kernels.MaternKernel(nu=1.5).double()
    theirs.lengthscale = 2.0
    assert torch.allclose(GridKernel(Matern32(2.0))(x).to_dense(), theirs(x).to_dense(), atol=1e-6)


def test_exact_model_predicts_missing_pixels_as_the_dense_posterior_does() -> None:
    class Model(gpytorch.models.ExactGP):  # type: ignore[misc]
        def __init__(self, x: torch.Tensor, y: torch.Tensor, likelihood: object) -> None:
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(GridKernel(arch.skip(scales=1).kernel()))

        def forward(self, x: torch.Tensor) -> object:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    generator = torch.Generator().manual_seed(0)
    x = pixels(7, 8)
    seen = torch.rand(56, generator=generator) < 0.6
    y = torch.randn(56, generator=generator, dtype=torch.float64)
    likelihood = gpytorch.likelihoods.GaussianLikelihood().double()
    likelihood.noise = 0.1
    model = Model(x[seen], y[seen], likelihood).double()
    model.covar_module.outputscale = 2.0
    model.eval()
    with torch.no_grad():
        predicted = model(x)
    K = 2.0 * GridKernel(arch.skip(scales=1).kernel())(x).to_dense()
    data = K[seen][:, seen] + 0.1 * torch.eye(int(seen.sum()), dtype=torch.float64)
    expected = K[:, seen] @ torch.linalg.solve(data, y[seen])
    variance = (K - K[:, seen] @ torch.linalg.solve(data, K[seen])).diagonal()
    assert predicted.mean.numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    assert predicted.variance.detach().numpy() == pytest.approx(variance.detach().numpy(), abs=1e-3)
    loss = -gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model.train())(model(x[seen]), y[seen])
    loss.backward()
    assert float(model.covar_module.raw_outputscale.grad.abs()) > 0, "its variance can be learnt"


def test_coordinates_between_pixels_are_refused() -> None:
    with pytest.raises(BayesDipError, match="whole pixels"):
        GridKernel(Matern32(2.0))(pixels(3, 3), pixels(3, 3) + 0.5).to_dense()
    with pytest.raises(BayesDipError, match="spacing"):
        GridKernel(Matern32(2.0), spacing=0.0)
