"""Lower precision changes a network little; recorded steps and networks in one call change nothing."""

import pytest
import torch

from bayesdip import arch
from bayesdip.networks import cuda, precision
from bayesdip.networks.energy import Energy
from bayesdip.networks.ensemble import EnsembleEnergy
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem

NETWORK = arch.shuffle(scales=2, width=8, skip=4, shuffled=4)


def energy(seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(3, 16, 16, generator=generator, dtype=torch.float64)
    return Energy.of(Problem(y, Identity((16, 16)), Gaussian(0.1)), NETWORK, generator, "cpu")


def test_a_network_of_lower_precision_makes_nearly_the_same_picture_and_gradients():
    target, lowered = energy(0), energy(0)
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


def test_all_convolutions_but_the_last_have_the_lower_precision():
    network = energy(0).network
    precision.lower(network, torch.bfloat16)
    dtypes = [m.precision for m in network.modules() if hasattr(m, "precision")]
    assert set(dtypes[:-1]) == {torch.bfloat16} and dtypes[-1] == torch.float32
    assert all(w.dtype == torch.float32 for w in network.parameters())


def test_networks_in_one_call_have_the_pictures_and_gradients_that_each_has_alone(monkeypatch):
    """The way of a GPU, on the CPU."""
    target = energy(0)
    others = [NETWORK.build(3, generator=torch.Generator().manual_seed(k)) for k in (1, 2)]
    networks = [target.network, *others]
    each = EnsembleEnergy.stack(target, networks)
    monkeypatch.setattr("bayesdip.networks.ensemble.computes_in_one_call", lambda device: True)
    together = EnsembleEnergy.stack(target, networks)
    assert len(together.bodies) == 1
    found = together.evaluate(0.0, torch.Generator())
    monkeypatch.undo()
    expected = each.evaluate(0.0, torch.Generator())
    assert len(each.bodies) == 3
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)
    gradients, own = (torch.cat([g.flatten() for g in each[2:]]) for each in (found, expected))
    assert torch.allclose(gradients, own, rtol=1e-3, atol=1e-4 * float(own.abs().max()))


def test_work_on_a_cpu_is_not_recorded():
    def work():
        return torch.zeros(1)

    assert cuda.recorded(work, torch.Generator()) is work


def test_work_that_cannot_be_recorded_is_left_as_it_is(monkeypatch):
    class OnGpu:
        device = torch.device("cuda")

    def refuse(work, generator):
        raise RuntimeError("operation not permitted when stream is capturing")

    def work():
        return torch.zeros(1)

    monkeypatch.setattr(cuda, "_record", refuse)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert cuda.recorded(work, OnGpu()) is work


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_replay_draws_anew_and_reads_what_was_changed():
    generator = torch.Generator("cuda").manual_seed(0)
    x = torch.zeros(1000, device="cuda")
    replay = cuda.recorded(lambda: x + torch.empty_like(x).normal_(generator=generator), generator)
    first = replay().clone()
    x.fill_(100.0)
    second = replay().clone()
    assert abs(float(first.mean())) < 1 and abs(float(second.mean()) - 100) < 1
    assert not torch.allclose(second - 100, first)
