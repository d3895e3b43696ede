"""Pictures fitted side by side are fitted as they would be alone; recording a step changes nothing."""

import pytest
import torch

from bayesdip import arch
from bayesdip.errors import ShapeError
from bayesdip.networks import cuda_graph as capture
from bayesdip.networks import precision
from bayesdip.networks.batch import Batch
from bayesdip.networks.energy import Energy
from bayesdip.networks.steppers import AdamStepper
from bayesdip.networks.training_loop import TrainingLoop
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress

NETWORK = arch.shuffle(scales=2, width=8, skip=4, shuffled=4)


def posed(seed, grid=(16, 16), network=NETWORK):
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(3, *grid, generator=generator, dtype=torch.float64)
    return Energy.pose(Problem(y, Identity(grid), Gaussian(0.1)), network, generator, "cpu")


def adam(target):
    generator = torch.Generator().manual_seed(0)
    return AdamStepper(target, generator, learning_rate=0.01, input_noise=0.0)


def test_a_batch_takes_the_steps_that_each_problem_takes_alone():
    targets = [posed(seed) for seed in range(3)]
    batch = adam(Batch.together(targets))
    alone = [adam(target) for target in targets]
    for _ in range(4):
        together = batch.step()
        each = torch.stack([stepper.step() for stepper in alone])
        assert torch.allclose(together, each, atol=2e-4)


def test_a_batch_runs_in_the_same_loop_and_fits_better():
    batch = Batch.together([posed(seed) for seed in range(2)])
    chain = TrainingLoop(batch, Progress(), 60, lambda: None)
    chain.advance(adam(batch), 1.0, "fit", lambda pictures: None)
    assert chain.trace["fit"][-1] < 0.8 * chain.trace["fit"][0]


def test_pictures_of_different_sizes_make_no_batch():
    with pytest.raises(ShapeError, match="2 kinds"):
        Batch.together([posed(0), posed(1, (16, 24))])


def test_work_on_a_cpu_is_left_as_it_is():
    def work():
        return torch.zeros(1)

    assert capture.captured(work, torch.Generator()) is work


def test_work_that_cannot_be_recorded_is_left_as_it_is(monkeypatch):
    class OnGpu:
        device = torch.device("cuda")

    def refuse(work, generator):
        raise RuntimeError("operation not permitted when stream is capturing")

    def work():
        return torch.zeros(1)

    monkeypatch.setattr(capture, "_record", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert capture.captured(work, OnGpu()) is work


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recording_draws_anew_and_reads_what_was_changed():
    generator = torch.Generator("cuda").manual_seed(0)
    x = torch.zeros(1000, device="cuda")
    play = capture.captured(lambda: x + torch.empty_like(x).normal_(generator=generator), generator)
    first = play().clone()
    x.fill_(100.0)
    second = play().clone()
    assert abs(float(first.mean())) < 1 and abs(float(second.mean()) - 100) < 1
    assert not torch.allclose(second - 100, first)


def test_a_lowered_network_makes_nearly_the_same_picture_and_gradients():
    target, lowered = posed(0), posed(0)
    precision.lower(lowered.network, torch.bfloat16)
    pictures = [p.picture() for p in (target, lowered)]
    assert pictures[1].dtype == torch.float32
    difference = (pictures[0] - pictures[1]).detach().square().mean().sqrt()
    assert 0 < difference < 0.02  # bfloat16 has 8 bits
    gradients = [
        torch.cat([g.flatten() for g in torch.autograd.grad(p.negative_log_likelihood(x), p.weights)])
        for p, x in zip((target, lowered), pictures, strict=True)
    ]
    assert gradients[1].dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99


def test_only_inner_convolutions_are_lowered():
    network = posed(0).network
    precision.lower(network, torch.bfloat16)
    dtypes = [m.precision for m in network.modules() if hasattr(m, "precision")]
    assert set(dtypes[:-1]) == {torch.bfloat16} and dtypes[-1] == torch.float32
    assert all(w.dtype == torch.float32 for w in network.parameters())
