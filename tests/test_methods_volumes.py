"""Networks and operators in three dimensions."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

import bayesdip as bd
from bayesdip import memory
from bayesdip.operators import Blur

NETWORK = "skip(scales=1, width=6)"
GRID = (6, 12, 10)


@pytest.fixture(scope="module")
def volume():
    z, y, x = np.mgrid[tuple(slice(0, n) for n in GRID)]
    return 0.5 + 0.4 * np.sin(z / 2) * np.cos(y / 3) * np.sin(x / 2.5 + 1)


@pytest.fixture(scope="module")
def psf():
    found = np.random.default_rng(0).random((3, 5, 4))
    return found / found.sum()


def test_a_blur_in_three_dimensions_is_that_of_scipy_and_has_its_adjoint(volume, psf):
    blur = Blur(GRID, psf)
    found = blur.forward(torch.from_numpy(volume)[None])[0].numpy()
    np.testing.assert_allclose(found, convolve(volume, psf, mode="reflect"), atol=1e-12)
    x, y = torch.randn(2, 1, *GRID, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float((blur.forward(x) * y).sum()) == pytest.approx(float((x * blur.adjoint(y)).sum()), rel=1e-10)


@pytest.mark.parametrize(
    "method", [bd.SGLD(arch=NETWORK, steps=120, samples=3), bd.MAP(arch=NETWORK, steps=120)]
)
def test_a_network_takes_noise_from_a_volume(volume, method):
    noisy = volume + 0.2 * np.random.default_rng(1).standard_normal(GRID)
    found = bd.denoise(noisy, 0.2, method=method)
    assert found.mean.shape == GRID and found.method == method.name
    assert np.mean((found.mean - volume) ** 2) < 0.4 * 0.2**2


def test_samples_of_two_networks_of_a_blurred_volume_with_missing_voxels(volume, psf):
    blurred = convolve(volume, psf, mode="reflect") + 0.02 * np.random.default_rng(2).standard_normal(GRID)
    alone = bd.deblur(blurred, psf, sigma=0.02, method=bd.MAP(arch=NETWORK, steps=60))
    once = bd.deblur(blurred, psf, sigma=0.02, method=bd.SGLD(arch=NETWORK, steps=60))
    assert max(np.mean((found.mean - volume) ** 2) for found in (alone, once)) < 0.02
    blurred[3, 4:6, 4:6] = np.nan
    found = bd.deblur(
        blurred, psf, sigma=0.02, missing="nan", method=bd.SGLD(arch=NETWORK, steps=60, chains=2, samples=4)
    )
    assert found.samples.shape == (4, *GRID) and np.isfinite(found.mean).all() and (found.std > 0).all()


def test_the_cost_of_a_network_in_three_dimensions_is_told_before_its_steps_are_done(volume):
    told = []

    def look(snapshot):
        if snapshot.estimate is not None:
            told.append((snapshot.step, snapshot.estimate))

    bd.denoise(volume, 0.1, method=bd.SGLD(arch=NETWORK, steps=60, samples=0), callback=look)
    step, cost = told[0]
    assert step < 60 and cost.steps == 60 and cost.seconds > 0 and cost.memory > 0


def test_a_volume_that_is_too_large_for_memory_is_refused_in_one_line(volume, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 10 * 2**20)
    with pytest.raises(bd.BayesDipError, match="6 x 12 x 10 pixels") as error:
        bd.denoise(volume, 0.1, method="sgld")
    assert "\n" not in str(error.value)
