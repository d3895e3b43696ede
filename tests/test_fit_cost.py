"""The memory that is told beforehand is the memory that is taken."""

import pytest
import torch

from bayesdip import arch, memory
from bayesdip.errors import ResourceError
from bayesdip.fit import cost


def test_kept_bytes_grow_with_the_width():
    one = cost.bytes_per_input_pixel(arch.skip(scales=1, width=64), 3, 2)
    two = cost.bytes_per_input_pixel(arch.skip(scales=1, width=128), 3, 2)
    assert 1.5 < two / one < 2.2  # nearly all of it grows with the width


def test_memory_grows_with_the_pixels():
    net = arch.shuffle(width=16)
    assert cost.step_memory(net, 3, (64, 64)) * 4 == pytest.approx(
        cost.step_memory(net, 3, (128, 128)), rel=1e-6
    )


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
    needed = cost.step_memory(net, 1, tuple(code.shape[2:]))
    assert sum(sizes.values()) < needed < 4 * sum(sizes.values())
    del picture


def test_too_large_work_is_refused_with_what_to_do_instead(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 2**30)
    memory.check_memory(2**29, "cpu", "this", "that")
    with pytest.raises(ResourceError, match=r"this needs about 2.0 GiB .* 1.0 GiB are free: that"):
        memory.check_memory(2**31, "cpu", "this", "that")
