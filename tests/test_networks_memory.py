"""Memory of a fit: the bound holds, checkpointing needs less and changes nothing, and what cannot fit is refused."""

import subprocess
import sys

import pytest
import torch

from bayesdip import arch, memory
from bayesdip.errors import ResourceError
from bayesdip.networks import setup
from bayesdip.networks.checkpointing import Checkpointed, add_checkpoints
from bayesdip.networks.memory_bound import fit_memory
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem

# Peak of the resident memory that a run adds to what the program needs without it.
RUN = """
import sys, resource
import torch
torch.set_num_threads(1)
import bayesdip as bd
from bayesdip.methods.sgld import SGLD
from bayesdip.networks.setup import set_up
from bayesdip.noise import Gaussian
from bayesdip.operators import Identity
from bayesdip.problem import Problem
from bayesdip.progress import Progress

def peak():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

name, side, chains, samples = sys.argv[1], *map(int, sys.argv[2:])
y = torch.rand(3, side, side, dtype=torch.float64)
method = SGLD(arch=name, chains=chains, steps=12, samples=samples, device="cpu")
problem = Problem(y, Identity((side, side)), Gaussian(0.1))
method = method.resolved(problem)
before, progress = peak(), Progress()
method.fit_by(problem, progress, method.schedule(problem), initial=False)
print(peak() - before, progress.memory)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "side", "chains", "samples"),
    [
        ("skip(scales=2, width=16)", 96, 1, 4),
        ("shuffle(scales=3, width=32)", 192, 1, 0),
        ("skip(scales=2, width=8)", 64, 3, 60),
        ("skip(scales=3, width=128)", 32, 1, 0),
    ],
)
def test_a_run_stays_below_its_bound(name, side, chains, samples):
    command = [sys.executable, "-c", RUN, name, str(side), str(chains), str(samples)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    used, bound = map(int, found.split()[-2:])
    assert 0 < used < bound
    assert bound < 3 * used  # not a bound of any size


def test_the_bound_grows_with_pixels_networks_and_samples():
    net = arch.shuffle(width=16)

    def bound(side, **more):
        return fit_memory(net, 3, (side, side), **more)

    nothing = bound(0)  # weights, and what a run needs once
    small, large = (bound(side) - nothing for side in (64, 128))
    assert large == pytest.approx(4 * small, rel=1e-6)
    in_turn, together = (bound(64, networks=5, at_once=n) for n in (1, 5))
    assert together - in_turn == pytest.approx(4 * (bound(64) - nothing), rel=0.03)  # all but averages
    assert in_turn - bound(64) > 4 * 13 * 4 * sum(w.numel() for w in net.build(3).parameters())
    assert bound(64, samples=10) - bound(64) > 10 * 4 * 3 * 64**2  # ten pictures in single precision


def test_half_the_precision_and_checkpointing_need_less():
    net = arch.shuffle(scales=2, width=16)
    whole, half, sparing = (
        fit_memory(net, 3, (256, 256), **how) - fit_memory(net, 3, (0, 0))
        for how in ({}, {"dtype": torch.bfloat16}, {"checkpointed": True})
    )
    assert 0.4 < half / whole < 0.75
    assert sparing < 0.9 * whole


@pytest.mark.parametrize("dims", [1, 2])
def test_the_bound_is_above_all_activations_of_a_forward_pass(dims):
    """Counted in another way: the sizes of the outputs of all layers."""
    net = arch.decoder(scales=2, width=8)
    grid = (256,) if dims == 1 else (64, 64)
    network = net.build(1, dims, generator=torch.Generator().manual_seed(0))
    latent = network.new_input(grid, torch.Generator().manual_seed(0))
    sizes = {}

    def note(module, inputs, output):
        sizes[output.data_ptr()] = output.numel() * output.element_size()

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    network(latent)
    shape = tuple(latent.shape[2:])
    activations = fit_memory(net, 1, shape) - fit_memory(net, 1, tuple(0 for _ in shape))
    assert sum(sizes.values()) < activations < 12 * sum(sizes.values())


def test_checkpointing_changes_neither_picture_nor_gradients():
    net = arch.skip(scales=2, width=8, skip=4)
    kept, again = (net.build(3, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    add_checkpoints(again)
    assert any(isinstance(m, Checkpointed) for m in again.modules())
    latent = kept.new_input((16, 16), torch.Generator().manual_seed(1))
    pictures = [network(latent) for network in (kept, again)]
    assert torch.equal(*pictures)
    gradients = [
        torch.autograd.grad(p.square().sum(), list(n.parameters()))
        for p, n in zip(pictures, (kept, again), strict=True)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_a_checkpointed_network_keeps_less_for_its_backward_pass():
    kept = []
    for checkpointed in (False, True):
        network = arch.shuffle(scales=2, width=16).build(3, generator=torch.Generator().manual_seed(0))
        if checkpointed:
            add_checkpoints(network)
        latent = network.new_input((64, 64), torch.Generator().manual_seed(1))
        sizes = {}

        def note(tensor, sizes=sizes):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            picture = network(latent)
        kept.append(sum(sizes.values()))
        del picture
    assert kept[1] < 0.6 * kept[0]


def test_a_fit_is_checkpointed_where_memory_is_short_and_refused_where_that_is_not_enough(monkeypatch):
    net = arch.skip(scales=1, width=16, skip=2)
    problem = Problem(torch.rand(1, 64, 64, dtype=torch.float64), Identity((64, 64)), Gaussian(0.1))

    def made(free):
        for module in (memory, setup):
            monkeypatch.setattr(module, "available_memory", lambda device: free)
        return setup.set_up(problem, net, seed=0, device="cpu", compute="single")

    def is_checkpointed(found):
        return any(isinstance(m, Checkpointed) for m in found.energy.network.modules())

    plenty, scarce = (fit_memory(net, 1, (64, 64), checkpointed=c) for c in (False, True))
    assert not is_checkpointed(made(plenty)) and made(plenty).memory == plenty
    assert is_checkpointed(made((plenty + scarce) // 2)) and made(scarce).memory == scarce
    with pytest.raises(ResourceError, match="smaller picture"):
        made(scarce - 1)


def test_too_large_work_is_refused_with_what_to_do_instead(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 2**30)
    memory.check_memory(2**29, "cpu", "this", "that")
    with pytest.raises(ResourceError, match=r"this needs up to 2.0 GiB .* 1.0 GiB are free: that"):
        memory.check_memory(2**31, "cpu", "this", "that")
