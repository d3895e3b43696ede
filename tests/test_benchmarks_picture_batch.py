"""Pictures that are fitted as one batch are fitted as they would be alone."""

import pytest
import torch
from benchmarks.picture_batch import Batch

from bayesdip import arch
from bayesdip.errors import ShapeError
from bayesdip.networks.energy import Energy
from bayesdip.networks.steppers import AdamStepper
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem

NETWORK = arch.shuffle(scales=2, width=8, skip=4, shuffled=4)


def energy(seed, grid=(16, 16)):
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(3, *grid, generator=generator, dtype=torch.float64)
    return Energy.of(Problem(y, Identity(grid), Gaussian(0.1)), NETWORK, generator, "cpu")


def adam(target):
    generator = torch.Generator().manual_seed(0)
    return AdamStepper(target, generator, learning_rate=0.01, input_noise=0.0)


def test_a_batch_takes_the_steps_that_each_picture_takes_alone():
    targets = [energy(seed) for seed in range(3)]
    batch = adam(Batch.together(targets))
    alone = [adam(target) for target in targets]
    for _ in range(4):
        together = batch.step()
        each = torch.stack([stepper.step() for stepper in alone])
        assert torch.allclose(together, each, atol=2e-4)


def test_pictures_of_different_sizes_make_no_batch():
    with pytest.raises(ShapeError, match="2 kinds"):
        Batch.together([energy(0), energy(1, (16, 24))])
