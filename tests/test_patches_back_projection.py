"""Back-projection: blurred and downsampled pictures restored by their own patches."""

import numpy as np
import pytest
import torch
from skimage import data

import bayesdip as bd
from bayesdip.gp.conditioned import condition
from bayesdip.gp.inference import posterior
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample
from bayesdip.patches.back_projection import (
    STATIONARY,
    STD_SHARE,
    denoised_by_patches,
    local_mean,
    project,
    rule_of_thumb_std,
)


def letters():
    """A page of text: edges that repeat, 40 x 48 pixels."""
    return torch.from_numpy(data.page()[60:100, 40:88].copy())[None].double() / 255


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


def box(side):
    return torch.ones(side, side, dtype=torch.float64) / side**2


@pytest.mark.parametrize("operator", [Downsample((40, 48), 2), Blur((40, 48), box(5))])
def test_patches_restore_what_repeats_better_than_the_stationary_process(operator):
    clean = letters()
    sigma = 0.0 if isinstance(operator, Downsample) else 0.002
    generator = torch.Generator().manual_seed(0)
    y = operator.forward(clean)
    y = y + sigma * torch.randn(y.shape, dtype=y.dtype, generator=generator)
    stationary = posterior(y, operator, STATIONARY.kernel(dims=2), Gaussian(sigma)).mean
    found = project(y, operator, Gaussian(sigma), turns=4)
    assert found.info["turns"] == 4
    assert psnr(found.mean, clean) > psnr(stationary, clean) + 0.3


def test_exact_data_are_reproduced():
    operator = Downsample((40, 48), 2)
    y = operator.forward(letters())
    found = project(y, operator, Gaussian(0.0), turns=2)
    assert float((operator.forward(found.mean) - y).abs().max()) < 0.01


def test_stopped_before_the_first_turn_it_gives_the_stationary_process():
    operator = Downsample((40, 48), 2)
    y = operator.forward(letters())
    found = project(y, operator, Gaussian(0.0), turns=3, stop=lambda turn, picture: True)
    assert found.info["turns"] == 0
    wanted = posterior(y, operator, STATIONARY.kernel(dims=2), Gaussian(0.0)).mean
    assert torch.equal(found.mean, wanted)


def test_it_is_less_sure_where_patches_moved_the_picture():
    still, process = torch.full((1, 32, 32), 0.5), torch.full((1, 32, 32), 0.1)
    moved = still.clone()
    moved[:, 8:16, 8:16] += 0.3
    std = rule_of_thumb_std(moved, still, process)
    torch.testing.assert_close(std[:, 24:, 24:], STD_SHARE * process[:, 24:, 24:])
    assert float(std[0, 12, 12]) > 0.25


def test_a_flat_picture_stays_flat():
    operator = Downsample((32, 32), 2)
    y = torch.full((1, 16, 16), 0.25, dtype=torch.float64)
    found = project(y, operator, Gaussian(0.0), turns=2)
    torch.testing.assert_close(found.mean, torch.full((1, 32, 32), 0.25, dtype=torch.float64))


def test_a_signal_can_be_enlarged():
    signal = np.sign(np.sin(np.arange(40) / 3.0))
    r = bd.upscale(signal, 2, method="patches", effort="fast")
    assert r.mean.shape == (80,) and np.isfinite(r.mean).all()


def test_enlarging_goes_by_patches_unless_another_method_is_asked_for():
    small = (letters()[0, ::2, ::2].numpy() * 255).astype(np.uint8)
    r = bd.upscale(small, 2, effort="fast")
    assert r.method == "patches" and r.info["model"] == "back-projection" and r.info["turns"] == 2
    assert r.mean.shape == (40, 48) and r.mean.dtype == np.uint8
    assert r.std is not None and r.std.shape == (40, 48)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_compiled_filter_denoises_as_nl_bayes_does(channels):
    clean = (
        torch.from_numpy(data.astronaut()[30:78, 180:228].copy()).permute(2, 0, 1).double()[:channels] / 255
    )
    noisy = clean + 0.08 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    plain, fast = (denoised_by_patches(noisy, 0.08, compiled=c) for c in (False, True))
    plain_error, fast_error = (float((x - clean).square().mean().sqrt()) for x in (plain, fast))
    assert fast_error < 1.03 * plain_error
    assert fast_error < 0.5 * 0.08


def test_the_same_equations_serve_other_data_without_noise():
    operator, kernel = Downsample((24, 32), 2), STATIONARY.kernel(dims=2)
    generator = torch.Generator().manual_seed(0)
    y, other = (torch.rand(3, 12, 16, generator=generator, dtype=torch.float64) for _ in range(2))
    first = condition(y, operator, kernel, Gaussian(0.0))
    assert first.takes_other_data
    found = first.with_data(other).posterior().mean
    torch.testing.assert_close(
        found, posterior(other, operator, kernel, Gaussian(0.0)).mean, atol=2e-3, rtol=0
    )
    assert not condition(y, operator, kernel, Gaussian(0.1)).takes_other_data


def test_what_is_not_seen_is_averaged_by_itself():
    values = torch.ones(1, 12, 12, dtype=torch.float64)
    seen = torch.zeros(12, 12, dtype=torch.bool)
    seen[3:-3, 3:-3] = True
    values[:, ~seen] = 100.0
    found = local_mean(values, seen)
    assert torch.equal(found, values) and not torch.allclose(local_mean(values), values)
