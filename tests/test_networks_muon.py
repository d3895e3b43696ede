"""Muon's steps against the singular value decomposition, and the curvature that a sampler gets against plain averages."""

import pytest
import torch

from bayesdip import arch
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.networks.muon import DECAY, MOMENTUM, RATE, MuonStepper, orthogonal
from bayesdip.networks.preconditioner import Basis, as_matrix, eigenbasis
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem

SHAPE = (24, 24)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def target():
    y = torch.rand(3, *SHAPE, generator=seeded(), dtype=torch.float64)
    problem = Problem(y, Identity(SHAPE), Gaussian(0.1))
    return Energy.of(problem, arch.skip(scales=2, width=8), seeded(), "cpu")


def muon(target, input_noise=0.0):
    return MuonStepper(target, seeded(1), input_noise=input_noise)


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16), (3, 5, 30)])
def test_orthogonal_keeps_singular_vectors_and_levels_the_values(shape):
    matrix = torch.randn(shape, generator=seeded(), dtype=torch.float64)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    levelled = u.mT @ orthogonal(matrix) @ vh.mT
    values = levelled.diagonal(dim1=-2, dim2=-1)
    assert (values > 0.6).all() and (values < 1.3).all()
    assert torch.allclose(levelled, torch.diag_embed(values), atol=1e-8)


def test_the_value_of_a_direction_does_not_matter_down_to_a_hundredth_of_the_largest():
    u, v = (torch.linalg.qr(torch.randn(6, 6, generator=seeded(s), dtype=torch.float64)).Q for s in (0, 1))
    found = orthogonal(u @ torch.diag(torch.logspace(0, -2, 6, dtype=torch.float64)) @ v.T)
    values = (u.T @ found @ v).diagonal()
    assert (values > 0.6).all() and (values < 1.3).all()
    assert (orthogonal(torch.zeros(3, 4)) == 0).all()


def test_two_steps_are_those_of_the_formula(target):
    stepper = muon(target)
    place = next(i for i, bank in enumerate(stepper.is_bank) if bank)
    start = target.weights[place].detach().clone()
    velocity = torch.zeros_like(start)
    expected = start.clone()
    for _ in range(2):
        gradients = torch.autograd.grad(target.negative_log_likelihood(target.picture()), target.weights)
        g = gradients[place] / target.observations
        velocity = MOMENTUM * velocity + (1 - MOMENTUM) * g
        ahead = MOMENTUM * velocity + (1 - MOMENTUM) * g
        matrix = orthogonal(ahead.flatten(1))
        rows, columns = matrix.shape
        expected = expected - RATE * max(1, rows / columns) ** 0.5 * matrix.view_as(expected)
        stepper.step()
        assert torch.allclose(target.weights[place].detach(), expected, atol=1e-5)
    assert not torch.allclose(start, expected, atol=1e-3)


def test_networks_of_an_ensemble_move_as_each_alone(target):
    both = EnsembleEnergy.of(target, 2, seeded(5))
    start = [w.detach()[0].clone() for w in both.weights]
    assert all(torch.equal(s, w.detach()) for s, w in zip(start, target.weights, strict=True))
    together, alone = muon(both), muon(target)
    for _ in range(3):
        together.step()
        alone.step()
    assert torch.allclose(both.picture()[0], target.picture(), atol=1e-3)
    # Adam moves a bias before a norm by the rounding of its gradient, which is nil.
    for w, own in zip(together._of_banks(both.weights), alone._of_banks(target.weights), strict=True):
        assert torch.allclose(w[0], own, atol=1e-3)


def test_its_curvature_is_the_gradients_mean_square_in_a_basis(target):
    stepper = muon(target)
    place = next(i for i, bank in enumerate(stepper.is_bank) if bank)
    plain = next(i for i, bank in enumerate(stepper.is_bank) if not bank)
    seen, weights = {place: [], plain: []}, []
    for step in range(12):
        gradients = torch.autograd.grad(target.negative_log_likelihood(target.picture()), target.weights)
        for i in seen:
            seen[i].append(gradients[i])
        weights.append(DECAY ** (11 - step))
        stepper.step()
    share = torch.tensor(weights) / sum(weights)
    curvature, bases = stepper.curvature()
    expected = (share.reshape(-1, *[1] * seen[plain][0].ndim) * torch.stack(seen[plain]).square()).sum(0)
    assert bases[plain] is None
    assert torch.allclose(curvature[plain], expected.sqrt(), rtol=1e-3)

    matrices = torch.stack(seen[place]).flatten(2)
    basis = bases[place]
    in_basis = basis.left.T @ matrices @ basis.right
    squares = (share.reshape(-1, 1, 1) * in_basis.square()).sum(0)
    found = curvature[place].flatten(1).square()
    # Rows and columns of the mean square are exactly what the basis is made of.
    assert torch.allclose(found.sum(0), squares.sum(0), rtol=1e-2, atol=1e-4 * float(squares.sum()))
    assert torch.allclose(found.sum(1), squares.sum(1), rtol=1e-2, atol=1e-4 * float(squares.sum()))


def test_a_basis_goes_there_and_back_and_keeps_lengths():
    gradients = torch.randn(50, 4, 9, generator=seeded(), dtype=torch.float64)
    gradients[:, 0] *= 10
    basis, squares = eigenbasis((gradients @ gradients.mT).mean(0), (gradients.mT @ gradients).mean(0))
    bank = torch.randn(4, 1, 3, 3, generator=seeded(2), dtype=torch.float64)
    assert basis.into(bank).shape == bank.shape
    assert torch.allclose(basis.back(basis.into(bank)), bank)
    assert float(basis.into(bank).norm()) == pytest.approx(float(bank.norm()))
    total = (gradients.square()).mean(0).sum()
    assert float(squares.sum()) == pytest.approx(float(total))
    stacked = Basis(basis.left.expand(2, -1, -1), basis.right.expand(2, -1, -1))
    assert torch.allclose(stacked.into(torch.stack([bank, bank]))[1], basis.into(bank))
    assert as_matrix(torch.zeros(2, 4, 1, 3, 3), 1).shape == (2, 4, 9)


def test_a_rewound_stepper_stands_where_it_stood_and_takes_smaller_steps(target):
    stepper = muon(target, input_noise=0.03)
    stepper.step()
    kept = stepper.snapshot()
    before = [w.detach().clone() for w in target.weights]
    for _ in range(3):
        stepper.step()
    stepper.rewind(kept)
    assert all(torch.equal(w.detach(), b) for w, b in zip(target.weights, before, strict=True))
    assert stepper.learning_rate == pytest.approx(0.7 * RATE)
    assert stepper.adam_rate == pytest.approx(0.007)


def test_its_steps_fall_to_a_hundredth(target):
    stepper = muon(target, input_noise=0.0)

    def length():
        before = [w.detach().clone() for w in target.weights]
        stepper.step()
        moved = zip(target.weights, before, stepper.is_bank, strict=True)
        return sum(float((w.detach() - b).square().sum()) for w, b, bank in moved if bank) ** 0.5

    first = length()
    stepper.pace(0.8)
    half = length()
    stepper.pace(1.0)
    assert half == pytest.approx(0.5 * first, rel=0.2)
    assert length() == pytest.approx(0.01 * first, rel=0.2)
