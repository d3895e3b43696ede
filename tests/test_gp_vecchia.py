"""The Vecchia factor against the dense inverse covariance."""

from __future__ import annotations

import pytest
import torch

from bayesdip.gp.dense import dense_covariance
from bayesdip.gp.vecchia import vecchia_factor
from bayesdip.kernels import RBF, Kernel, Matern12, Matern32, RationalQuadratic
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def masked(shape: tuple[int, ...], share: float) -> torch.Tensor:
    return torch.rand(shape, generator=seeded()) >= share


def enough_for_all(shape: tuple[int, ...]) -> int:
    """A size of conditioning sets that are looked for in the whole grid."""
    axes = sum(n > 1 for n in shape)
    return (2 * max(shape) + 1) ** axes // 2 + 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (30,), (5, 6), (3, 4, 3)])
def test_factor_whose_sets_hold_all_pixels_before_is_the_inverse(shape: tuple[int, ...]) -> None:
    seen = masked(shape, 0.3)
    seen.view(-1)[0] = True
    noise = torch.rand(shape, generator=seeded(1), dtype=torch.float64)
    factor = vecchia_factor(seen[None], Matern32(2.0).quadrant(shape), noise, enough_for_all(shape), noise)
    on = seen.flatten()
    C = (dense_covariance(Matern32(2.0), shape) + noise.flatten().diag())[on][:, on]
    dense = factor.solve(torch.eye(len(on), dtype=torch.float64))
    torch.testing.assert_close(dense[on][:, on], torch.linalg.inv(C), rtol=1e-8, atol=1e-10)
    assert not bool(dense[~on].any())


def test_factor_comes_closer_in_divergence_with_larger_sets() -> None:
    seen = masked((14, 15), 0.4)
    on = seen.flatten()
    none = torch.zeros((), dtype=torch.float64)
    C = dense_covariance(Matern32(2.0), (14, 15))[on][:, on]
    divergences = []
    for count in (2, 6, 12, 24):
        factor = vecchia_factor(seen[None], Matern32(2.0).quadrant((14, 15)), none, count, none)
        product = factor.solve(torch.eye(len(on), dtype=torch.float64))[on][:, on] @ C
        # Of all factors with its pattern, the closest in divergence has this trace.
        assert float(product.trace()) == pytest.approx(len(C), rel=1e-8)
        divergences.append(-0.5 * float(torch.linalg.slogdet(product).logabsdet) / len(C))
    assert divergences == sorted(divergences, reverse=True)
    assert divergences[2] < 0.01


def test_sets_reach_into_correlated_channels() -> None:
    B = torch.tensor([[1.0, 0.8], [0.8, 1.5]], dtype=torch.float64)
    seen = masked((2, 4, 5), 0.3)
    noise = torch.full((1, 1, 1), 0.1, dtype=torch.float64)
    factor = vecchia_factor(seen, Matern32(2.0).quadrant((4, 5)), noise, enough_for_all((4, 5)), noise, B)
    on = seen.flatten()
    C = (torch.kron(B, dense_covariance(Matern32(2.0), (4, 5))) + 0.1 * torch.eye(40, dtype=torch.float64))[
        on
    ][:, on]
    dense = factor.solve(torch.eye(40, dtype=torch.float64))[on][:, on]
    torch.testing.assert_close(dense, torch.linalg.inv(C), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99, "hole"])
@pytest.mark.parametrize(
    "kernel",
    [Matern12(8.0), Matern32(2.0), Matern32(20.0), RationalQuadratic(2.0), RBF(1.5), RBF(4.0), RBF(8.0)],
    ids=lambda k: f"{type(k).__name__}({k.lengthscale})",
)
def test_a_solve_takes_fewer_than_sixty_iterations(kernel: Kernel, share: float | str) -> None:
    from bayesdip.gp import posterior
    from bayesdip.gp.grid_covariance import embed

    shape = (64, 64)
    y = 0.5 + 0.2 * embed(Matern12(10.0), shape, like=torch.zeros(())).draw((1,), seeded())
    missing = torch.zeros(shape, dtype=torch.bool)
    if isinstance(share, str):
        missing[15:45, 10:50] = True
    else:
        missing = ~masked(shape, share)
    result = posterior(y, Mask(missing), kernel, Gaussian(0.0))
    assert result.info["converged"]
    assert result.info["iterations"] <= 60
