"""Multiscale denoising: the lowest frequencies come from coarser grids."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from bayesdip.patches.multiscale import SHARE, denoised, halved, resampled, with_lowest
from bayesdip.patches.nl_bayes import PATCH_VALUES, WhitenedData
from bayesdip.patches.pilot import PatchKernel


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def spectrum(picture):
    return dctn(picture.numpy(), axes=(1, 2), norm="ortho")


@pytest.mark.parametrize("shape", [(64, 48), (63, 49)])
def test_a_coarse_grid_holds_the_lowest_cosines(shape):
    fine = drawn(2, *shape)
    small = (shape[0] // 2, shape[1] // 2)
    kept = spectrum(fine)[:, : small[0], : small[1]]
    np.testing.assert_allclose(spectrum(resampled(fine, small)), kept, atol=1e-9)


def test_white_noise_of_variance_one_stays_so_on_the_coarse_grid():
    noise = WhitenedData(drawn(3, 256, 256), torch.ones(256, 256, dtype=torch.float64), None)
    half = halved(noise, noise.values)
    assert half.values.shape == (3, 128, 128)
    assert abs(float(half.values.var()) - 1) < 0.03
    neighbours = (half.values[:, 1:] * half.values[:, :-1]).mean()
    assert abs(float(neighbours)) < 0.02
    assert torch.equal(half.noise, torch.ones(128, 128, dtype=torch.float64))


def test_only_the_lowest_frequencies_come_from_the_coarse_grid():
    fine, coarse = drawn(1, 64, 64), drawn(1, 32, 32, seed=1)
    found = spectrum(with_lowest(fine, coarse))
    count = int(SHARE * 32)
    np.testing.assert_allclose(found[:, :count, :count], spectrum(coarse)[:, :count, :count], atol=1e-9)
    mask = np.ones((64, 64), dtype=bool)
    mask[:count, :count] = False
    np.testing.assert_allclose(found[:, mask], spectrum(fine)[:, mask], atol=1e-9)


def test_coarse_grids_take_slow_noise_off_a_smooth_picture():
    down, across = torch.meshgrid(*(torch.linspace(0, 3, 128, dtype=torch.float64),) * 2, indexing="ij")
    clean = 4 * torch.stack([torch.sin(down + k) * torch.cos(across) for k in range(3)])
    data = WhitenedData(clean + drawn(*clean.shape), torch.ones(128, 128, dtype=torch.float64), None)

    def error(scales):
        found = denoised(
            lambda estimate: data,
            PatchKernel(),
            1,
            lambda n, s: False,
            patch_values=PATCH_VALUES,
            scales=scales,
        )
        return float((found.mean - clean).square().mean())

    assert error(3) < 0.7 * error(1)


def test_stopping_before_the_coarse_grid_gives_the_fine_estimate():
    data = WhitenedData(drawn(1, 64, 64), torch.ones(64, 64, dtype=torch.float64), None)
    whole = denoised(lambda estimate: data, PatchKernel(), 1, lambda number, share: False, scales=1)
    stopped = denoised(lambda estimate: data, PatchKernel(), 1, lambda number, share: number > 0, scales=2)
    assert torch.equal(stopped.mean, whole.mean)
