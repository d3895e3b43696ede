"""The Monte-Carlo kernel: its sums, its standard errors, and the closed form that it tends to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bayesdip import arch
from bayesdip.errors import BayesDipError
from bayesdip.kernels import empirical
from bayesdip.kernels.monte_carlo import _pictures, autocovariance


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
    K = empirical(description, 128, 200, grid=grid, generator=seeded())
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
    description = arch.skip(scales=1, norm=False)
    runs = [empirical(description, 16, 10, grid=(16,), lags=4, generator=seeded(i)) for i in range(60)]
    scatter = torch.stack([run.table for run in runs]).std(0)
    claimed = torch.stack([run.standard_error for run in runs]).square().mean(0).sqrt()
    assert claimed[1:].numpy() == pytest.approx(scatter[1:].numpy(), rel=0.35)
    assert float(claimed[0]) < 1e-9


def test_networks_run_at_once_are_the_networks_one_by_one() -> None:
    description = arch.shuffle(scales=1, width=8, shuffled=4)
    together = _pictures(description, 1, 2, (10, 8), seeded(4))
    generator = seeded(4)
    body = description.layers(2, 2).module(description.input_depth, 2, generator)
    with torch.no_grad():
        alone = body(description.draw_input((1, description.input_depth, 6, 4), generator))
    assert torch.allclose(together, alone[:, :, 1:11], atol=1e-5)


def test_batches_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    from bayesdip.kernels import empirical as function

    description = arch.decoder(scales=1, width=4)
    module = __import__("sys").modules[function.__module__]
    monkeypatch.setattr(module, "BATCH_NUMBERS", 3 * 4 * 16)  # three networks at a time
    counts: list[int] = []
    original = module._pictures
    monkeypatch.setattr(module, "_pictures", lambda a, n, *rest: counts.append(n) or original(a, n, *rest))
    K = empirical(description, 4, 8, grid=(16,), generator=seeded())
    assert counts == [3, 3, 2]
    assert K.draws == 8
    assert float(K.table[0]) == 1.0
    assert np.isfinite(K.standard_error.numpy()).all()


@pytest.mark.parametrize("settings", [{"draws": 1}, {"lags": 16}, {"lags": -1}])
def test_estimates_that_cannot_be_made_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(BayesDipError, match="at least 2 networks"):
        empirical(arch.decoder(scales=1), 4, **{"draws": 4, **settings}, grid=(16,))
