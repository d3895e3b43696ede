"""Held-out entries: predicted without them, they get the posterior of all other entries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesdip.gp import condition, posterior
from bayesdip.gp.vecchia import vecchia_factor
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.result import Posterior

SHAPE = (24, 25)
KERNEL = Matern32(2.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_problem(missing: float, channels: int = 1) -> tuple[Tensor, Mask, Tensor]:
    """Data, their mask, and entries to hold out."""
    generator = seeded(3)
    y = torch.randn(channels, *SHAPE, generator=generator, dtype=torch.float64).cumsum(1).cumsum(2) / 10
    chance = torch.rand(SHAPE, generator=generator)
    return y, Mask(chance < missing), chance > 0.93


def both(
    y: Tensor, operator: Mask, sigma: float, held_out: Tensor, draws: int = 0, **options: float
) -> tuple[Posterior, Posterior]:
    """The posteriors without the held-out entries and with all."""
    conditioned = condition(y, operator, KERNEL, Gaussian(sigma), held_out=held_out, **options)  # type: ignore[arg-type]
    generator = seeded()
    without = conditioned.without_held_out(draws, generator)
    return without, conditioned.posterior(0, draws, generator, before=without)


@pytest.mark.parametrize(("missing", "sigma"), [(0.5, 0.0), (0.5, 0.3), (0.0, 0.6)])
def test_held_out_entries_are_predicted_as_if_they_had_not_been_there(missing: float, sigma: float) -> None:
    y, operator, held_out = a_problem(missing)
    known = {"mean": 0.4, "amplitude": 1.3, "tol": 1e-9}
    without, found = both(y, operator, sigma, held_out, **known)
    others = posterior(y, operator.with_held_out(held_out), KERNEL, Gaussian(sigma), **known)  # type: ignore[arg-type]
    everything = posterior(y, operator, KERNEL, Gaussian(sigma), **known)  # type: ignore[arg-type]
    # Without the held-out entries the solve is looser: HELD_OUT_TOLERANCE.
    torch.testing.assert_close(without.mean, others.mean, rtol=0, atol=0.01 * float(y.std()))
    torch.testing.assert_close(found.mean, everything.mean, rtol=0, atol=1e-6)
    assert found.info["iterations"] > without.info["iterations"], "those of both solves count"


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_std_without_and_with_the_held_out_entries_is_the_exact_one(sigma: float) -> None:
    y, operator, held_out = a_problem(0.5)
    known = {"mean": 0.4, "amplitude": 1.3}
    without, found = both(y, operator, sigma, held_out, draws=1500, **known)
    others = posterior(y, operator.with_held_out(held_out), KERNEL, Gaussian(sigma), exact=True, **known)  # type: ignore[arg-type]
    everything = posterior(y, operator, KERNEL, Gaussian(sigma), exact=True, **known)  # type: ignore[arg-type]
    assert without.std is not None and found.std is not None
    assert others.std is not None and everything.std is not None
    ratio = (without.std / others.std)[:, held_out]
    assert float((ratio - 1).abs().max()) < 0.1  # five Monte-Carlo errors
    assert abs(float((found.std / everything.std)[:, held_out].mean()) - 1) < 0.03


def test_draws_made_without_the_held_out_entries_are_used_again() -> None:
    y, operator, held_out = a_problem(0.5)
    without, found = both(y, operator, 0.3, held_out, draws=12)
    assert found.info["std_error"] == without.info["std_error"] == pytest.approx((2 * 12) ** -0.5)
    assert without.std is not None and found.std is not None
    torch.testing.assert_close(found.std[:, ~held_out], without.std[:, ~held_out])
    assert bool((found.std < without.std)[:, held_out].all()), "their own values make them less uncertain"


def test_channels_of_the_same_mask_and_noise_share_their_draws() -> None:
    y, operator, _ = a_problem(0.5, channels=3)
    found = posterior(y, operator, KERNEL, Gaussian(0.0), draws=12, generator=seeded())
    assert found.info["std_error"] == pytest.approx((2 * 12) ** -0.5)
    assert found.std is not None
    # Without noise the channels' standard deviations differ by their scale alone.
    ratio = (found.std[1] / found.std[0])[~operator.observed]
    assert float(ratio.std() / ratio.mean()) < 1e-4


def test_a_stop_without_the_held_out_entries_gives_what_there_is() -> None:
    y, operator, held_out = a_problem(0.5)
    conditioned = condition(
        y, operator, KERNEL, Gaussian(0.0), held_out=held_out, tol=1e-9, stop=lambda i, r: i >= 1
    )
    without = conditioned.without_held_out(8, seeded())
    assert without.info["stopped"] == "stopped" and without.info["iterations"] == 1
    assert without.std is None and bool(without.mean.isfinite().all())


def test_factor_without_its_last_entries_is_that_of_the_others() -> None:
    generator = seeded()
    seen = torch.rand(1, 5, 6, generator=generator) < 0.7
    last = (torch.rand(1, 5, 6, generator=generator) < 0.2) & seen
    table, noise = KERNEL.quadrant((5, 6)), torch.full((1, 1, 1), 0.01, dtype=torch.float64)
    whole = vecchia_factor(seen, table, noise, 90, noise, last=last)
    others = vecchia_factor(seen & ~last, table, noise, 90, noise)
    r = torch.randn(2, seen.numel(), generator=generator, dtype=torch.float64) * (seen & ~last).flatten()
    torch.testing.assert_close(whole.without(last).solve(r), others.solve(r), rtol=1e-6, atol=1e-6)
