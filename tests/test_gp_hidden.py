"""Hidden data: what is said of them without them is what a posterior of the others says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bayesdip.errors import NoResultError
from bayesdip.gp import posterior
from bayesdip.gp.held_out import bare, twice
from bayesdip.gp.vecchia import local_inverse
from bayesdip.kernels import Matern32
from bayesdip.noise import Gaussian
from bayesdip.operators import Mask
from bayesdip.posterior import Posterior
from bayesdip.problem import Problem
from bayesdip.progress import Progress

SHAPE = (24, 25)
KERNEL = Matern32(2.0)


def a_system(missing: float, channels: int = 1) -> tuple[Tensor, Mask, Tensor]:
    """Data, their mask, and entries to hide."""
    generator = torch.Generator().manual_seed(3)
    y = torch.randn(channels, *SHAPE, generator=generator, dtype=torch.float64).cumsum(1).cumsum(2) / 10
    chance = torch.rand(SHAPE, generator=generator)
    return y, Mask(chance < missing), (chance > 0.93)


@pytest.mark.parametrize(("missing", "sigma"), [(0.5, 0.0), (0.5, 0.3), (0.0, 0.6)])
def test_hidden_entries_are_predicted_as_if_they_had_not_been_there(missing: float, sigma: float) -> None:
    y, operator, held_out = a_system(missing)
    known = {"mean": 0.4, "amplitude": 1.3, "tol": 1e-9}
    found = posterior(y, operator, KERNEL, Gaussian(sigma), held_out=held_out, **known)
    others = posterior(y, operator.with_held_out(held_out), KERNEL, Gaussian(sigma), **known)
    everything = posterior(y, operator, KERNEL, Gaussian(sigma), **known)
    assert found.mean_without is not None
    # The error on held-out entries is solved for less tightly than the mean.
    torch.testing.assert_close(found.mean_without, others.mean, rtol=0, atol=0.01 * float(y.std()))
    torch.testing.assert_close(found.mean, everything.mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_their_deviation_without_and_with_their_own_value_is_the_exact_one(sigma: float) -> None:
    y, operator, held_out = a_system(0.5)
    known = {"mean": 0.4, "amplitude": 1.3}
    generator = torch.Generator().manual_seed(0)
    drawn = posterior(
        y, operator, KERNEL, Gaussian(sigma), held_out=held_out, draws=1500, generator=generator, **known
    )
    others = posterior(y, operator.with_held_out(held_out), KERNEL, Gaussian(sigma), exact=True, **known)
    everything = posterior(y, operator, KERNEL, Gaussian(sigma), exact=True, **known)
    assert drawn.std is not None and drawn.std_without is not None
    assert others.std is not None and everything.std is not None
    ratio = (drawn.std_without / others.std)[:, held_out]
    assert float((ratio - 1).abs().max()) < 0.1  # five Monte-Carlo errors
    assert abs(float((drawn.std / everything.std)[:, held_out].mean()) - 1) < 0.03


def test_channels_that_are_alike_share_their_draws() -> None:
    y, operator, _ = a_system(0.5, channels=3)
    generator = torch.Generator().manual_seed(0)
    found = posterior(y, operator, KERNEL, Gaussian(0.0), draws=12, generator=generator)
    assert found.std_error == pytest.approx((2 * 12) ** -0.5)
    assert found.std is not None
    # Without noise the channels' deviations differ by their scale alone.
    ratio = (found.std[1] / found.std[0])[~operator.observed]
    assert float(ratio.std() / ratio.mean()) < 1e-4


def test_the_factor_without_its_last_entries_is_that_of_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    seen = torch.rand(1, 12, 13, generator=generator) < 0.7
    last = (torch.rand(1, 12, 13, generator=generator) < 0.2) & seen
    table, noise = KERNEL.quadrant((12, 13)), torch.full((1, 1, 1), 0.01, dtype=torch.float64)
    whole = local_inverse(seen, table, noise, 300, noise, last=last)
    others = local_inverse(seen & ~last, table, noise, 300, noise)
    r = torch.randn(2, seen.numel(), generator=generator, dtype=torch.float64) * (seen & ~last).flatten()
    torch.testing.assert_close(whole.without(last).apply(r), others.apply(r), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("raises", [False, True])
def test_stopped_with_all_entries_it_gives_what_it_had_without_the_hidden_ones(raises: bool) -> None:
    """The second run's first estimates are worse than the first run's last."""
    y, operator, held_out = a_system(0.5)
    problem = Problem(y, operator, Gaussian(0.0), held_out=held_out)
    progress = Progress()
    seen: list[Problem] = []

    def once(part: Problem) -> Posterior:
        seen.append(part)
        if len(seen) == 2:
            progress.stop_reason = "interrupted"
            if raises:
                raise NoResultError("stopped")
        return bare(torch.full_like(y, float(len(seen))), torch.ones_like(y))

    found = twice(problem, progress, once)
    assert bool((found.mean == 1).all()) and found.stopped == "interrupted"
    assert found.without is not None and found.without.std is not None
    assert (
        not seen[0].operator.observed[..., held_out].any() and seen[1].operator.observed[..., held_out].any()
    )
