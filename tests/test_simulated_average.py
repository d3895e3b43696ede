"""A method, the stationary process and simple estimates, averaged by the errors on a simulated picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import bayesdip as bd
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, Downsample, from_matrix
from bayesdip.problem import Problem
from bayesdip.result import Posterior
from bayesdip.simulated_average import (
    Estimate,
    averaged,
    is_told_of_edges,
    share_by_held_out,
    usual_weights,
    weights_by_errors,
    with_evidence,
)


def pictures(*errors, shape=(1, 24, 24)):
    """A truth, and pictures with independent errors of these sizes."""
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.random(shape))
    return truth, [truth + size * torch.from_numpy(rng.normal(size=shape)) for size in errors]


def blocks(shape=(24, 24), side=8):
    row, column = np.indices(shape) // side
    return (row * 100 + column).ravel()


def test_the_better_one_has_the_larger_weight():
    truth, (own, better, worse) = pictures(0.2, 0.05, 0.8)
    weights = weights_by_errors(Posterior(own), [Estimate(better), Estimate(worse)], truth, blocks())
    assert weights[0] > 0.8 and weights[1] < 0.1 and weights.sum() <= 1


def test_of_two_that_err_independently_the_average_is_the_best():
    truth, (own, other) = pictures(0.2, 0.2)
    weights = weights_by_errors(Posterior(own), [Estimate(other)], truth, blocks())
    assert weights[0] == pytest.approx(0.5, abs=0.1)


def test_the_average_has_the_average_variance_and_moves_samples():
    own = torch.zeros(1, 4, 4, dtype=torch.float64)
    samples = torch.randn(200, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    posterior = Posterior(own, std=torch.ones_like(own), samples=samples)
    process = Estimate(own + 2, 3 * torch.ones_like(own))
    found = averaged(posterior, [process, Estimate(own - 4)], np.array([0.25, 0.25]))
    assert torch.allclose(found.mean, own - 0.5)
    assert torch.allclose(found.std.square(), own + 0.5 * 1 + 0.25 * 9 + 0.25 * 17)
    assert float((found.samples.mean(0) - found.mean).abs().max()) < 1.5
    assert found.samples.std(0).mean() == pytest.approx(float(found.std.mean()), rel=0.1)
    assert averaged(posterior, [process], np.zeros(1)) is posterior


def test_the_process_counts_as_much_as_it_is_likely_that_there_are_no_edges():
    picture, weights = torch.zeros(1, 2, 2), np.array([0.4, 0.2, 0.1])
    process = Posterior(picture, info={"edgeless": 0.5})
    by_patches = Posterior(picture, process=process)
    unknown = Posterior(picture, process=Posterior(picture))
    assert not is_told_of_edges(unknown) and with_evidence(weights, unknown) is weights
    assert is_told_of_edges(by_patches)
    assert np.allclose(with_evidence(weights, by_patches), [0.45 + 0.55 * 0.4, 0.11, 0.055])
    assert np.allclose(
        with_evidence(weights, Posterior(picture, process=by_patches)), [0.22, 0.45 + 0.55 * 0.2, 0.055]
    )


def test_a_picture_without_edges_is_the_process_s_and_one_of_boxes_the_method_s():
    """By half as many random sums as pixels."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:20, :20] / 20
    boxes = np.zeros((20, 20))
    boxes[3:12, 4:13], boxes[8:17, 9:18] = 0.6, 1.0
    matrix = rng.normal(size=(200, 400))
    for truth, weight in ((0.5 + 0.4 * np.sin(5 * x) * np.cos(4 * y), 0.9), (boxes, 0.0)):
        data = matrix @ truth.ravel() + 0.05 * rng.normal(size=200)
        found = bd.restore(data, from_matrix(matrix, truth.shape), bd.Gaussian(0.05), effort="fast")
        assert found.info["weights"][0] == pytest.approx(weight, abs=0.02)


def test_half_is_the_process_s_unless_there_is_none():
    posterior = Posterior(torch.zeros(1, 2, 2))
    assert usual_weights(posterior, 1).tolist() == [0.0]
    with_process = Posterior(torch.zeros(1, 2, 2), process=posterior)
    assert usual_weights(with_process, 2).tolist() == [0.5, 0.0]
    assert usual_weights(with_process, 2, 3.0).tolist() == [0.1, 0.0]


def share(operator, own, its, sigma=0.0):
    """Of a process with these errors beside a method with those, on every fifth datum of a picture of random numbers."""
    truth, (method, process) = pictures(own, its)
    y = operator.forward(truth)
    y = y + sigma * torch.from_numpy(np.random.default_rng(1).normal(size=y.shape))
    held_out = torch.zeros(y.shape[1:], dtype=torch.bool)
    held_out.view(-1)[::5] = True
    problem = Problem(y, operator, Gaussian(sigma), held_out=held_out)
    return share_by_held_out(Posterior(method, process=Posterior(process)), problem)


def test_held_out_pixels_of_a_small_picture_tell_who_predicts_them():
    small = Downsample((24, 24), 2)
    assert share(small, 0.2, 0.2) == pytest.approx(0.5, abs=0.25)
    assert share(small, 0.05, 0.4) < 0.01 and share(small, 0.4, 0.05) > 0.99
    # Noise is in both errors alike.
    assert share(small, 0.05, 0.4, sigma=0.1) < 0.1


def test_held_out_values_of_a_blurred_picture_tell_nothing():
    assert share(Blur((24, 24), np.ones((3, 3)) / 9), 0.05, 0.4) == 1.0


def smooth_field(seed, shape=(36, 36)):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 4.0)
    return (field - field.min()) / np.ptp(field)


def psf_of(width):
    y, x = np.mgrid[-6:7, -6:7]
    psf = np.exp(-(x**2 + y**2) / (2 * width**2))
    return psf / psf.sum()


@pytest.mark.slow
def test_a_smooth_blurred_picture_is_restored_better_than_by_patches_and_its_intervals_hold():
    errors, held, told = [], [], []
    for seed in range(3):
        truth = smooth_field(seed)
        operator = bd.Blur(truth.shape, torch.from_numpy(psf_of(1.5)))
        rng = np.random.default_rng(seed)
        y = np.asarray(operator.forward(truth[None]))[0] + rng.normal(0, 0.1, truth.shape)
        found = bd.deblur(y, psf_of(1.5), sigma=0.1, effort="fast")
        errors.append(float(np.sqrt(np.mean((found.mean - truth) ** 2))))
        low, high = found.interval(0.9)
        held.append(float(((low <= truth) & (truth <= high)).mean()))
        told.append(float(found.std.mean()))
    assert np.mean(errors) < 0.035  # patches alone: 0.04 to 0.05
    assert np.mean(held) > 0.75 and np.mean(told) < 3 * np.mean(errors)


def test_what_is_rounded_is_no_surer_than_its_rounding():
    truth = 100 + 3 * smooth_field(1)
    small = np.asarray(bd.Downsample(truth.shape, 2).forward(truth[None]))[0]
    found = bd.upscale(np.rint(small).astype(np.uint8), 2, sigma=0, effort="fast")
    assert found.std.max() > 0.2
