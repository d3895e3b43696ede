"""The memory that is told beforehand is the memory that is taken."""

import pytest
import torch

from bayesdip import arch, memory
from bayesdip.errors import ResourceError
from bayesdip.methods import map as fit_map
from bayesdip.networks import memory as cost
from bayesdip.networks import precision
from bayesdip.networks.checkpointing import Recomputed, recompute
from bayesdip.networks.thread_pool import at_once
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.settings import Settings


def test_kept_bytes_grow_with_the_width():
    one = cost.bytes_per_input_pixel(arch.skip(scales=1, width=64), 3, 2)
    two = cost.bytes_per_input_pixel(arch.skip(scales=1, width=128), 3, 2)
    for narrow, wide in zip(one, two, strict=True):
        assert 1.5 < wide / narrow < 2.2  # nearly all of it grows with the width


def test_memory_grows_with_the_pixels_but_for_the_weights():
    net = arch.shuffle(width=16)
    weights = cost.step_memory(net, 3, (0, 0))
    small, large = (cost.step_memory(net, 3, (n, n)) - weights for n in (64, 128))
    assert small * 4 == pytest.approx(large, rel=1e-6)
    at_once, in_turn = (cost.step_memory(net, 3, (64, 64), networks=5, at_once=n) for n in (5, 1))
    assert at_once - cost.LEAST == pytest.approx(5 * (small + weights - cost.LEAST), rel=1e-6)
    assert at_once - in_turn == pytest.approx(4 * small, rel=1e-6)  # of the others the weights alone


def test_living_tensors_are_counted_at_their_peak():
    with cost.Living() as living:
        first = torch.zeros(1000)
        second = first + 1
        del first
        third = second.view(10, 100) * 2  # a view holds nothing of its own
        del second
    assert living.most == 8000 and living.now == third.numel() * 4


def test_half_the_precision_and_recomputing_need_less():
    net = arch.shuffle(scales=2, width=16)
    whole, half = (cost.bytes_per_input_pixel(net, 3, 2, t)[0] for t in (torch.float32, torch.bfloat16))
    assert 0.4 < half / whole < 0.75
    assert cost.bytes_per_input_pixel(net, 3, 2, torch.float32, sparing=True)[0] < 0.9 * whole


def test_large_tensors_leave_no_gaps():
    net = arch.shuffle(scales=1, width=16)
    small, large = (cost.step_memory(net, 3, (n, n)) for n in (64, 2048))
    assert large < 1024 * small


def test_the_memory_of_a_network_is_that_of_how_it_is_set_up():
    net = arch.shuffle(scales=2, width=16)
    network = net.build(3)
    assert cost.network_memory(network, (64, 64)) == cost.step_memory(net, 3, (64, 64))
    precision.lower(network, torch.bfloat16)
    recompute(network)
    told = cost.step_memory(
        net, 3, (64, 64), dtype=torch.bfloat16, sparing=True, networks=2, at_once=at_once(2)
    )
    assert cost.network_memory(network, (64, 64), 2) == told


def test_a_run_needs_what_its_steps_need_or_what_its_many_samples_do():
    """The samples' copies for the user are made when the network's steps are over."""
    network = arch.shuffle(scales=2, width=16).build(3)
    steps = cost.network_memory(network, (64, 64))
    values = 3 * 64**2
    few, many = (cost.run_memory(network, (64, 64), values, n, 1) for n in (4, 4000))
    assert steps + cost.ONCE < few < steps + cost.ONCE + 50 * values
    assert many == cost.ONCE + values * (40 + 20 * 4000)


def test_recomputing_changes_neither_picture_nor_gradients():
    net = arch.shuffle(scales=2, width=8, skip=4)
    kept, again = (net.build(3, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    recompute(again)
    assert any(isinstance(m, Recomputed) for m in again.modules())
    code = kept.new_input((16, 16), torch.Generator().manual_seed(1))
    pictures = [network(code) for network in (kept, again)]
    assert torch.equal(*pictures)
    gradients = [
        torch.autograd.grad(p.square().sum(), list(n.parameters()))
        for p, n in zip(pictures, (kept, again), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_fit_recomputes_where_memory_is_short_and_is_refused_where_that_does_not_help(monkeypatch):
    net = arch.skip(scales=1, width=16, skip=2)
    problem = Problem(torch.rand(1, 64, 64, dtype=torch.float64), Identity((64, 64)), Gaussian(0.1))
    settings = Settings(arch=net, precision="single")
    plenty, scarce = (cost.step_memory(net, 1, (64, 64), sparing=sparing) for sparing in (False, True))
    for free, expected in ((plenty, False), ((plenty + scarce) // 2, True)):
        for module in (memory, fit_map):
            monkeypatch.setattr(module, "available_memory", lambda device, free=free: free)
        target, _ = fit_map.pose(problem, settings)
        assert any(isinstance(m, Recomputed) for m in target.network.modules()) is expected
    for module in (memory, fit_map):
        monkeypatch.setattr(module, "available_memory", lambda device: scarce // 2)
    with pytest.raises(ResourceError, match="smaller picture"):
        fit_map.pose(problem, settings)


@pytest.mark.parametrize("dims", [1, 2])
def test_the_estimate_holds_what_autograd_keeps(dims):
    """Counted by another way: the sizes of the distinct activations that one forward pass saves."""
    net = arch.decoder(scales=2, width=8)
    grid = (256,) if dims == 1 else (64, 64)
    network = net.build(1, dims, generator=torch.Generator().manual_seed(0))
    code = network.new_input(grid, torch.Generator().manual_seed(0))
    sizes: dict[int, int] = {}
    weights = {w.data_ptr() for w in network.parameters()}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        picture = network(code)
    needed = cost.step_memory(net, 1, tuple(code.shape[2:])) - cost.LEAST
    assert sum(sizes.values()) < needed < 6 * sum(sizes.values())
    del picture


def test_too_large_work_is_refused_with_what_to_do_instead(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 2**30)
    memory.check_memory(2**29, "cpu", "this", "that")
    with pytest.raises(ResourceError, match=r"this needs about 2.0 GiB .* 1.0 GiB are free: that"):
        memory.check_memory(2**31, "cpu", "this", "that")
