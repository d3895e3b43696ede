"""What is done in another way on a GPU: recorded steps, and several networks in one call.

NOT YET RUN ON A GPU. Everything that only a CUDA device reaches, and that changes how networks are computed, stands in
this file until it has been run on one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Result = TypeVar("Result", bound=Tensor | tuple[Tensor, ...] | list[Tensor])
# Runs before a recording, in which libraries choose their kernels and take their workspace: PyTorch's own advice.
WARM_UP_RUNS = 3


def computes_in_one_call(device: torch.device) -> bool:
    """Whether several networks are computed in one call, rather than each on its own CPU cores.

    On a CPU that does not pay: a grouped convolution takes twice the time of its groups.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    bool
    """
    return device.type != "cpu"


def shared_body(body: nn.Module) -> nn.Module:
    """A copy of a network's layers that :func:`all_at_once` can run with the weights of several networks.

    Parameters
    ----------
    body : nn.Module

    Returns
    -------
    nn.Module
        Without layers that work in place: ``vmap`` allows no writing into a shared tensor.
    """
    shared = copy.deepcopy(body)
    for module in shared.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return shared


def all_at_once(
    picture: Callable[[Sequence[Tensor], Tensor], Tensor], weights: Sequence[Tensor], latents: Tensor
) -> Tensor:
    """The pictures of K networks by ``torch.func.vmap``.

    Parameters
    ----------
    picture : callable
        From the weights of one network and its latent input, (1, D, *input grid), to its picture, (C, *grid).
    weights : sequence of Tensor, each (K, *shape)
    latents : Tensor, shape (K, 1, D, *input grid)

    Returns
    -------
    Tensor, shape (K, C, *grid)
    """
    pictures: Tensor = torch.func.vmap(picture)(weights, latents)
    return pictures


def recorded(work: Callable[[], Result], generator: torch.Generator) -> Callable[[], Result]:
    """Work that is always the same, recorded once as a CUDA graph and then replayed.

    A step of a small network is hundreds of short kernels, and launching them one by one takes longer than running
    them. A CUDA graph launches all of them at once. Every replay reads and writes the same tensors: what it gives
    is overwritten by the next one, so that it has to be used or copied before.

    Parameters
    ----------
    work : callable
        Without arguments. It reads tensors that are changed in place between calls.
    generator : torch.Generator
        All randomness of ``work`` comes from it; each replay draws anew. Its device is that of the work.

    Returns
    -------
    callable
        ``work`` itself where there is no CUDA device, or where it cannot be recorded.
    """
    if generator.device.type != "cuda":
        return work
    try:
        return _record(work, generator)
    except (RuntimeError, AttributeError):  # it reads a value back from the GPU, or PyTorch is too old
        torch.cuda.synchronize(generator.device)
        return work


def _record(work: Callable[[], Result], generator: torch.Generator) -> Callable[[], Result]:
    with torch.cuda.device(generator.device):
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_RUNS):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            result = work()

    def replay() -> Result:
        graph.replay()
        return result

    return replay
