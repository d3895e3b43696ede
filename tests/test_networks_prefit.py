"""Networks are fitted to a first picture before the fit to indirect data."""

import pytest
import torch

import bayesdip as bd
from bayesdip.networks.prefit import SHARE, prefit, with_picture
from bayesdip.networks.schedule import Schedule
from bayesdip.networks.setup import set_up
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Blur
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


def test_a_blurred_picture_begins_with_what_patches_make_of_it(tiny_arch):
    _, problem = blurred()
    method = bd.SGLD(arch=tiny_arch, steps=40, device="cpu").resolved(problem)
    patches = bd.Patches(device="cpu").resolved(problem).fit(problem, Progress()).mean
    stop = Progress(callback=lambda snapshot: snapshot.phase == "warm-up")
    found = method.fit(problem, stop)
    assert found.info["initial_estimate"]
    torch.testing.assert_close(found.mean.double(), patches.double(), atol=1e-5, rtol=0)
