"""The Monte-Carlo kernel: its sums, its standard errors, and the closed form that it tends to."""

from __future__ import annotations

import pytest
import torch

from bayesdip import arch
from bayesdip.errors import BayesDipError
from bayesdip.kernels import autocovariance, monte_carlo_kernel


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_autocovariance_is_the_mean_over_pairs_of_pixels() -> None:
    f = torch.randn(2, 5, 6, generator=seeded(), dtype=torch.float64)
    table = autocovariance(f, (3, 6))
    assert table.shape == (2, 3, 6)
    for s, t in [(0, 0), (2, 1), (1, 5), (0, 3)]:
        forward = (f[:, : 5 - s, : 6 - t] * f[:, s:, t:]).mean((1, 2))
        backward = (f[:, : 5 - s, t:] * f[:, s:, : 6 - t]).mean((1, 2))
        assert table[:, s, t].numpy() == pytest.approx(((forward + backward) / 2).numpy())


@pytest.mark.parametrize("grid", [(24,), (12, 10)])
def test_estimate_tends_to_the_exact_covariance_of_the_same_grid(grid: tuple[int, ...]) -> None:
    description = arch.skip(scales=1, width=128, upsample="transposed")
    K = description.monte_carlo_kernel(grid, 200, generator=seeded())
    expected = description.exact_covariance(grid).averaged(K.table.shape)
    variance = expected.flatten()[0]
    deviation = (K.table - expected / variance).abs()
    assert float(K.standard_error.max()) < 0.025
    assert bool((deviation <= 4 * K.standard_error + 1e-3).all())
    assert K.variance == pytest.approx(float(variance), rel=0.05)
    assert K.window_mean == pytest.approx(
        float(description.exact_covariance(grid).matrix.mean() / variance), rel=0.3
    )


def test_standard_error_is_the_scatter_of_repeated_estimates() -> None:
    description = arch.skip(scales=1, norm=False, width=16)
    runs = [description.monte_carlo_kernel((16,), 10, lags=4, generator=seeded(i)) for i in range(60)]
    scatter = torch.stack([run.table for run in runs]).std(0)
    claimed = torch.stack([run.standard_error for run in runs]).square().mean(0).sqrt()
    assert claimed[1:].numpy() == pytest.approx(scatter[1:].numpy(), rel=0.35)
    assert float(claimed[0]) < 1e-9


def test_networks_run_at_once_are_the_networks_one_by_one() -> None:
    description = arch.shuffle(scales=1, width=8, shuffled=4)
    together = description.prior_samples(1, (10, 8), 2, seeded(4))
    generator = seeded(4)
    body = description.layers(2, 2).module(description.input_depth, 2, generator)
    with torch.no_grad():
        alone = body(description.latent_input.draw((6, 4), generator=generator))
    assert torch.allclose(together, alone[:, :, 1:11], atol=1e-5)


def test_kernel_of_known_pictures_is_their_covariance() -> None:
    """White noise smoothed by (1, 1): covariance 2 at lag 0, 1 at lag 1 and 0 beyond."""
    generator, asked = seeded(), []

    def draw(count: int) -> torch.Tensor:
        asked.append(count)
        noise = torch.randn(count, 4, 41, generator=generator)
        return noise[..., 1:] + noise[..., :-1]

    K = monte_carlo_kernel(draw, 250, (40,), lags=5, batch=100)
    assert asked == [100, 100, 50]
    expected = torch.tensor([1, 0.5, 0, 0, 0, 0])
    assert bool(((K.table - expected).abs() <= 4 * K.standard_error + 1e-12).all())
    assert 0 < float(K.standard_error.max()) < 0.01
    assert K.variance == pytest.approx(2, rel=0.03)
    assert K.window_mean == pytest.approx((2 * 40 + 2 * 39) / 40**2 / 2, rel=0.15)


@pytest.mark.parametrize("settings", [{"networks": 1}, {"lags": 16}, {"lags": -1}])
def test_estimates_that_cannot_be_made_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(BayesDipError, match="at least 2 samples"):
        arch.decoder(scales=1, width=4).monte_carlo_kernel((16,), **{"networks": 4, **settings})
