"""Networks are fitted to a first picture before the fit to indirect data."""

import numpy as np
import pytest
import torch

import bayesdip as bd
from bayesdip.networks.prefit import SHARE, prefit, with_picture
from bayesdip.networks.running_averages import Thinned
from bayesdip.networks.sampling import Summary, warm_up
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import set_up
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur, from_matrix
from bayesdip.problem import Problem
from bayesdip.progress import Progress
from conftest import smooth_picture

GRID = (32, 32)


def blurred(sigma=0.02):
    clean = torch.from_numpy(smooth_picture(GRID))[None]
    psf = torch.ones(5, 5, dtype=torch.float64) / 25
    operator = Blur(GRID, psf)
    return clean, Problem(operator.forward(clean), operator, Gaussian(sigma))


@pytest.mark.parametrize("networks", [1, 2])
def test_the_networks_learn_the_picture_and_the_data_come_back(tiny_arch, networks):
    clean, problem = blurred()
    made = set_up(problem, tiny_arch, seed=0, device="cpu", networks=networks)
    schedule = Schedule(steps=160, warm_up=1.0)
    loop = TrainingLoop(made.target, Progress(), schedule.steps, lambda: None)
    before = with_picture(made.target, clean).fit(made.target.picture().detach())
    prefit(loop, clean, schedule, made.generator)
    assert loop.target is made.target and loop.step == round(SHARE * schedule.steps)
    after = with_picture(made.target, clean).fit(made.target.picture().detach())
    assert after < before / 3


def test_where_the_first_picture_took_all_of_the_warm_up_sampling_can_begin(tiny_arch):
    clean, problem = blurred()
    made = set_up(problem, tiny_arch, seed=0, device="cpu", networks=1)
    schedule = Schedule(steps=10, warm_up=0.5)
    loop = TrainingLoop(made.target, Progress(), schedule.steps, lambda: None)
    loop.step = 5
    summary = Summary(tuple(clean.shape), Thinned(1), 1)
    curvature, _ = warm_up(loop, schedule, made.generator, summary)
    assert loop.step == 5 and all(bool(each.isfinite().all()) for each in curvature)


def by_matrix():
    """Random sums of a picture's pixels."""
    clean = torch.from_numpy(smooth_picture((16, 16)))[None]
    matrix = np.random.default_rng(0).normal(size=(180, 256)) / 16
    operator = from_matrix(matrix, (16, 16))
    return clean, Problem(operator.forward(clean), operator, Gaussian(0.02))


@pytest.mark.parametrize("measured", [blurred, by_matrix])
def test_a_picture_that_is_not_measured_pixel_by_pixel_begins_with_what_patches_make_of_it(
    tiny_arch, measured
):
    _, problem = measured()
    method = bd.SGLD(arch=tiny_arch, steps=40, device="cpu").resolved(problem)
    patches = bd.Patches(device="cpu").resolved(problem).fit(problem, Progress()).mean
    stop = Progress(callback=lambda snapshot: snapshot.phase == "warm-up")
    found = method.fit(problem, stop)
    assert found.info["initial_estimate"]
    torch.testing.assert_close(found.mean.double(), patches.double(), atol=1e-5, rtol=0)


def test_a_network_that_fails_is_averaged_with_patches_and_the_process(tiny_arch):
    clean, problem = by_matrix()
    options = {"channel_axis": 0, "effort": "fast"}
    y, noise = problem.y.numpy(), bd.Gaussian(0.02)
    network = bd.restore(y, problem.operator, noise, method=bd.SGLD(arch=tiny_arch, steps=20), channel_axis=0)
    patches = bd.restore(y, problem.operator, noise, method="patches", **options)
    assert len(network.info["weights"]) == 2
    assert rms(network.mean - clean.numpy()) < 1.2 * rms(patches.mean - clean.numpy())


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))
