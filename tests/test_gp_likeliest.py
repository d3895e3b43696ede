"""The stationary process that is likeliest for a picture's data: what drew the picture is found again."""

import math

import numpy as np
import pytest
import torch

from bayesdip.gp.grid_covariance import embed
from bayesdip.gp.likeliest import Process, likeliest_process
from bayesdip.kernels import RBF, Matern12, Matern32, Stretched
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, Identity, Mask, from_matrix


def drawn(kernel, grid, seed=0, channels=1):
    generator = torch.Generator().manual_seed(seed)
    return embed(kernel, grid).draw((1, channels), generator)[0]


def blur(width, grid):
    y, x = np.mgrid[-6:7, -6:7]
    psf = np.exp(-(x**2 + y**2) / (2 * width**2))
    return Blur(grid, psf / psf.sum())


def observed(picture, operator, sigma, seed=1):
    y = operator.forward(picture)
    return y + sigma * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=y.dtype)


def operators(grid):
    rng = np.random.default_rng(0)
    missing = torch.from_numpy(rng.random(grid) < 0.2)
    sums = rng.normal(size=(math.prod(grid) // 2, math.prod(grid))) / 10
    return {
        "blur": blur(1.2, grid),
        "a smaller picture": Downsample(grid, 2),
        "blur with holes": Mask(missing) @ blur(1.2, grid),
        "random sums": from_matrix(sums, grid),
    }


@pytest.mark.parametrize("name", list(operators((24, 24))))
def test_the_standard_deviation_is_the_error_for_rough_and_smooth_pictures(name):
    operator, ratios = operators((24, 24))[name], []
    for seed, kernel in enumerate((Matern12(8.0), Matern32(4.0), RBF(4.0))):
        picture = drawn(kernel, (24, 24), seed)
        y = observed(picture, operator, 0.05)
        found = likeliest_process(y, operator, Gaussian(0.05))
        got = found.posterior(y, operator, Gaussian(0.05), draws=16)
        ratios.append(float((got.mean - picture).square().mean().sqrt() / got.std.square().mean().sqrt()))
    assert 0.7 < np.exp(np.mean(np.log(ratios))) < 1.4
    assert max(ratios) < 2.2 and min(ratios) > 0.45


@pytest.mark.parametrize("grid", [(24, 24), (56, 56)])
def test_smooth_pictures_are_told_from_rough_ones(grid):
    operator = blur(1.0, grid)
    names = [
        likeliest_process(observed(drawn(kernel, grid), operator, 0.02), operator, Gaussian(0.02)).name
        for kernel in (Matern12(8.0), RBF(3.0))
    ]
    assert names[0] in ("matern12", "matern32") and names[1] in ("rbf", "matern52")


@pytest.mark.parametrize("name", ["blur", "random sums"])
def test_a_picture_without_edges_is_told_from_boxes(name):
    operator = operators((24, 24))[name]
    boxes = torch.zeros(1, 24, 24, dtype=torch.float64)
    boxes[:, 4:13, 6:15], boxes[:, 9:20, 11:21] = 0.6, 1.0
    edgeless = [
        likeliest_process(observed(picture, operator, 0.01), operator, Gaussian(0.01)).edgeless
        for picture in (drawn(RBF(4.0), (24, 24)), boxes)
    ]
    assert edgeless[0] > 0.95 and edgeless[1] < 0.05


def test_channels_are_alike_as_much_as_they_are():
    common = drawn(Matern32(4.0), (20, 20))
    picture = torch.cat((common, common + 0.1 * drawn(Matern32(4.0), (20, 20), 5)))
    operator = blur(1.0, (20, 20))
    colour = likeliest_process(observed(picture, operator, 0.02), operator, Gaussian(0.02)).colour
    assert float(colour[0, 1] / (colour[0, 0] * colour[1, 1]).sqrt()) > 0.95


def test_a_flat_picture_and_a_large_one_of_any_operator_have_none():
    operator = blur(1.0, (16, 16))
    assert likeliest_process(torch.full((1, 16, 16), 3.0), operator, Gaussian(0.1)) is None
    identity = from_matrix(np.eye(40 * 40), (40, 40))
    assert likeliest_process(torch.rand(1, 1600, dtype=torch.float64), identity, Gaussian(0.1)) is None


def test_pixels_are_data_as_well():
    picture = drawn(RBF(4.0), (20, 20))
    operator = Identity((20, 20))
    y = observed(picture, operator, 0.1)
    found = likeliest_process(y, operator, Gaussian(0.1))
    mean = found.posterior(y, operator, Gaussian(0.1)).mean
    assert float((mean - picture).square().mean().sqrt()) < 0.05


def test_data_that_hardly_tell_kernels_apart_have_a_mixture_of_them():
    operator = blur(3.0, (24, 24))
    y = observed(0.3 * drawn(Matern32(3.0), (24, 24)), operator, 1.0)
    found = likeliest_process(y, operator, Gaussian(1.0))
    got = found.posterior(y, operator, Gaussian(1.0))
    assert float(got.mean.square().mean()) < float(y.square().mean())
    assert len(found.kernel.terms) > 6  # so that none can have a seventh of the probability


@pytest.mark.parametrize("grid", [(48, 48), (12, 20, 20), (400,)])
def test_the_expected_error_under_white_noise_is_that_of_drawn_pictures(grid):
    kernel, sigma, errors = Matern32(3.0), torch.tensor([0.5, 1.5]), []
    process = Process("matern32", kernel, torch.eye(2, dtype=torch.float64))
    noise = Gaussian(sigma.reshape(2, *[1] * len(grid)).double())
    for seed in range(6):
        picture = drawn(kernel, grid, seed, channels=2)
        y = observed(picture, Identity(grid), noise.sigma, seed=100 + seed)
        mean = process.posterior(y, Identity(grid), noise).mean
        errors.append((mean - picture).square().flatten(1).mean(1))
    found = process.expected_square(grid, sigma.square())
    np.testing.assert_allclose(found, torch.stack(errors).mean(0), rtol=0.15)


@pytest.mark.parametrize("sigma", [3.0, 8.0])
def test_a_picture_under_strong_noise_is_found_though_it_hardly_varies_within_a_block(sigma):
    grid, kernel, noise = (6, 48, 48), Matern32(11.0), Gaussian(sigma)
    picture = drawn(kernel, grid, seed=1)
    y = observed(picture, Identity(grid), sigma, seed=2)
    exact = Process("matern32", kernel, torch.eye(1, dtype=torch.float64))
    errors = [
        float((process.posterior(y, Identity(grid), noise).mean - picture).square().mean().sqrt())
        for process in (likeliest_process(y, Identity(grid), noise), exact)
    ]
    assert errors[0] < 1.2 * errors[1]  # 1.5 times by blocks with levels of their own, of a part


@pytest.mark.parametrize(("stretch", "alike"), [(16.0, True), (0.25, False)])
def test_how_far_a_stack_is_alike_from_frame_to_frame_is_found(stretch, alike):
    grid, noise = (8, 32, 32), Gaussian(0.5)
    y = observed(drawn(Stretched(Matern32(4.0), stretch), grid), Identity(grid), 0.5)
    found = likeliest_process(y, Identity(grid), noise)
    table = found.kernel.quadrant((5, 5, 1))[..., 0]
    along, across = (float(table[at] / table[0, 0]) for at in ((4, 0), (0, 4)))
    assert (along > 1.5 * across) if alike else (along < 0.7 * across)
